r"""What is wrong with the numbering rules of a communication server, and what they do to emergency numbers.

`check_rules` reads the rules as they are written.  `judge_rules` asks `rules` what becomes of the numbers
that matter.  The first must refuse nothing before the second may be asked.

The judgement rests on how a PBX treats what it gets: if it starts with the outbound prefix, the PBX seizes an outside
line and calls the rest; otherwise it calls it as it is.  A PBX that knows emergency numbers itself does better, which
the operator cannot see; `spec.acknowledgedEmergencyNumbers` tells it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pbx_operator.domain.emergency import Severity
from pbx_operator.domain.numbering.patterns import DIALABLE, PatternError, Program, compile_pattern
from pbx_operator.domain.numbering.replacements import parse_replacement
from pbx_operator.domain.numbering.rules import (
    MAX_NUMBER,
    CompiledRule,
    Dialing,
    NumberingRule,
    Outcome,
    Translator,
)
from pbx_operator.domain.numbering.search import Search

MAX_STEPS_TOGETHER = 2048
"""Instructions of all programs of one communication server."""

_HABITS = "09*"
"""What people dial before a number without thinking: the usual ways to an outside line and to a feature."""
_NO_DIGIT = "?"
"""A text that no pattern can mean."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with one rule as it is written. The message names field, value and next step."""

    severity: Severity
    rule: int
    message: str


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What a rule, or with `rule` None the outbound prefix or the default analysis, does to an emergency number.

    The message is stable and fit for a condition: it names the rule, the emergency number and the next step.
    """

    severity: Severity
    rule: int | None
    match: str | None
    emergency: str
    message: str


def check_rules(rules: Sequence[NumberingRule]) -> tuple[Problem, ...]:
    """Return what is wrong with the rules as they are written, in their order.

    Refused are patterns that cannot be compiled or are too large together, and replacements with groups that do not
    exist.  Warned about are what Rainbow may understand differently, what cannot be dialled, rules that match every
    number, and rules that are never reached because an earlier one has the same match.
    """
    return tuple(_check_all(rules))


def judge_rules(
    rules: Sequence[NumberingRule],
    dialing: Dialing,
    acknowledged: AbstractSet[str],
    emergency_numbers: AbstractSet[str],
) -> tuple[RuleFinding, ...]:
    """Return what rules and prefixes do to the emergency numbers that are not acknowledged, number by number.

    Emergency numbers themselves are judged exactly: each is translated, and unless the PBX then calls that very
    number, this is refused.

    Rules that turn another number into an emergency number are looked for with samples, so they are only warned
    about: a rule must not be refused by luck.  The samples are what the pattern starts with, followed by the end of
    what calls an emergency number (9*11, for a rule that starts with 9*), and emergency numbers after 0, 9 or *.

    Raises PatternError if a rule cannot be compiled.
    """
    judge = _Judge(rules, Translator.of(rules, dialing), emergency_numbers, emergency_numbers - acknowledged)
    return tuple(judge.findings())


def _check_all(rules: Sequence[NumberingRule]) -> Iterator[Problem]:
    first_with: dict[str, int] = {}
    steps = 0
    for index, rule in enumerate(rules):
        field = f'numberingRules[{index}].match "{rule.match}"'
        try:
            program = compile_pattern(rule.match)
        except PatternError as error:
            yield Problem("Refused", index, f"{field}: {error}")
            continue
        within = steps <= MAX_STEPS_TOGETHER
        steps += len(program.code)
        if within and steps > MAX_STEPS_TOGETHER:
            message = f"all rules up to here have more than {MAX_STEPS_TOGETHER} steps: use lower counts in {{}}"
            yield Problem("Refused", index, f"{field}: {message}")
        yield from (Problem("Warned", index, f"{field} {doubt}") for doubt in _doubts(program))
        first = first_with.setdefault(rule.match, index)
        if first != index:
            message = f"is never reached, since numberingRules[{first}] has the same match: remove one of them"
            yield Problem("Warned", index, f"{field} {message}")
        yield from _check_replacement(index, rule, program)


def _doubts(program: Program) -> Iterator[str]:
    if program.uses_d:
        yield "uses \\d, which the API of Rainbow does not support: write [0-9]"
    if all(Search(program, text).run() for text in ("", _NO_DIGIT)):
        yield "matches every number, since it needs no digit: write + instead of *, or say how the number starts"


def _check_replacement(index: int, rule: NumberingRule, program: Program) -> Iterator[Problem]:
    if rule.action == "Block" or rule.replace is None:
        return
    field = f'numberingRules[{index}].replace "{rule.replace}"'
    replacement = parse_replacement(rule.replace, program.groups)
    if replacement.missing:
        message = f"there is no group {replacement.missing[0]}, since the match has {program.groups}"
        yield Problem("Refused", index, f"{field}: {message}: put ( ) around what it shall stand for, or write $&")
        return
    undialable = sorted(set(replacement.text) - DIALABLE)
    if undialable:
        message = f'"{undialable[0]}" cannot be dialled: use 0-9, *, #, +, and $1 for the first group of the match'
        yield Problem("Warned", index, f"{field}: {message}")


@dataclass(frozen=True, slots=True)
class _Judge:
    rules: Sequence[NumberingRule]
    translator: Translator
    all_numbers: AbstractSet[str]
    unacknowledged: AbstractSet[str]

    @property
    def _prefix(self) -> str:
        return self.translator.dialing.outbound_prefix

    def findings(self) -> Iterator[RuleFinding]:
        for emergency in sorted(self.unacknowledged):
            yield from self._dialled(emergency)
        for rule in self.translator.rules:
            yield from self._dialled_by_accident(rule)

    def _called(self, outcome: Outcome) -> str:
        """Return what the PBX calls; nothing if nothing is left of the number."""
        return (outcome.dialled or "").removeprefix(self._prefix)

    def _found(
        self, severity: Severity, emergency: str, outcome: Outcome, problem: str, remedy: str = "change the rule"
    ) -> RuleFinding:
        match = None if outcome.rule is None else self.rules[outcome.rule].match
        subject = "the default analysis" if match is None else f'{outcome.by} "{match}"'
        acknowledge = f'add "{emergency}" to spec.acknowledgedEmergencyNumbers if this is what you want'
        message = f"{subject} {problem}: {remedy}, or {acknowledge}"
        return RuleFinding(severity, outcome.rule, match, emergency, message)

    def _dialled(self, emergency: str) -> Iterator[RuleFinding]:
        outcome = self.translator.translate(emergency)
        called = self._called(outcome)
        if called == emergency:
            return
        if outcome.dialled is None:
            yield self._found("Refused", emergency, outcome, f"blocks the emergency number {emergency}")
            return
        correct = f'put a rule from "^{emergency}$" to "{self._prefix}{emergency}" before all others'
        if outcome.dialled == emergency:
            problem = (
                f"leaves the emergency number {emergency} as it is, and the PBX takes its beginning for the"
                f' outboundPrefix "{self._prefix}" and calls "{called}"'
            )
            remedy = f"{correct}, choose another outboundPrefix"
        else:
            problem = f'turns the emergency number {emergency} into {outcome.dialled}, and the PBX calls "{called}"'
            remedy = f"change the rule, {correct}"
        yield self._found("Refused", emergency, outcome, problem, remedy)

    def _dialled_by_accident(self, rule: CompiledRule) -> Iterator[RuleFinding]:
        told: set[str] = set()
        for number in self._samples(rule):
            outcome = rule.apply(number)
            called = self._called(outcome) if outcome is not None else ""
            if called not in self.unacknowledged - told or outcome != self.translator.translate(number):
                continue
            told.add(called)
            problem = f"turns {number} into {outcome.dialled}, which calls the emergency number {called}"
            yield self._found("Warned", called, outcome, problem)

    def _samples(self, rule: CompiledRule) -> list[str]:
        """Return numbers, no emergency numbers themselves, that a rule may turn into one."""
        if rule.replacement is None:
            return []
        beginning, replacement = rule.program.beginning, rule.replacement
        possible = [number for number in self.unacknowledged if replacement.may_give(self._prefix + number)]
        targets = [self._prefix + number for number in possible]
        ends = {target[start:] for target in targets for start in range(len(target) + 1)}
        habits = {habit + number for habit in _HABITS for number in possible}
        guesses = habits.union(beginning + end for end in ends)
        numbers = (number for number in guesses if 0 < len(number) <= MAX_NUMBER and not self._is_emergency(number))
        return sorted(numbers, key=lambda number: (len(number), number))

    def _is_emergency(self, number: str) -> bool:
        return number in self.all_numbers or number.removeprefix(self._prefix) in self.all_numbers
