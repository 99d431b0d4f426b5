"""What numbering rules and prefixes do to emergency numbers.

Each emergency number is guarded as people dial it: by itself, and behind the outbound prefix, since who dials 0 before
every number dials 0112 too.  `judge_rules` asks `rules` what becomes of these, so the rules must compile: `checks`
comes first.

The judgement rests on how a PBX treats what it gets: if it starts with the outbound prefix, the PBX seizes an outside
line and calls the rest; otherwise it calls it as it is.  A PBX that knows emergency numbers itself does better, which
the operator cannot see; `spec.acknowledgedEmergencyNumbers` tells it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pbx_operator.domain.dialplan.emergency import Severity
from pbx_operator.domain.numbering.patterns import MAX_PATTERN
from pbx_operator.domain.numbering.rules import (
    MAX_NUMBER,
    CompiledRule,
    Dialing,
    NumberingRule,
    Outcome,
    Translator,
)
from pbx_operator.domain.numbering.wording import listed, numbers_listed, quoted

Harm = Literal["Blocks", "Leaves", "Turns", "Dials"]
"""Done to emergency numbers: nothing is dialled; they are left as they are, so that the PBX takes their beginning for
the outbound prefix; they are turned into other numbers; or another number is turned into one of them."""

_HABITS = "09*"
"""What people dial before a number without thinking: the usual ways to an outside line and to a feature."""


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What a rule, or with `rule` None the default analysis, does to emergency numbers.

    The problem is one sentence, stable and fit for a condition; `remedy` has the next step, for all findings at once.
    """

    severity: Severity
    rule: int | None
    harm: Harm
    emergency: tuple[str, ...]
    dialled: tuple[str, ...]
    """What somebody dials: these numbers without or with the outbound prefix, or what is turned into one of them."""
    problem: str


def number_called(outcome: Outcome, outbound_prefix: str) -> str:
    """Return what a PBX calls that gets this; empty if nothing is left."""
    return (outcome.dialled or "").removeprefix(outbound_prefix)


def emergency_meant(number: str, outbound_prefix: str, emergency_numbers: AbstractSet[str]) -> str | None:
    """Return the emergency number that is dialled with this: by itself, or behind the prefix, dialled once or more."""
    while outbound_prefix and number not in emergency_numbers and number.startswith(outbound_prefix):
        number = number.removeprefix(outbound_prefix)
    return number if number in emergency_numbers else None


def judge_rules(
    rules: Sequence[NumberingRule],
    dialing: Dialing,
    acknowledged: AbstractSet[str],
    emergency_numbers: AbstractSet[str],
) -> tuple[RuleFinding, ...]:
    """Return what rules and prefixes do to the emergency numbers that are not acknowledged: first what is refused.

    Emergency numbers are judged exactly: each is translated, by itself and behind the outbound prefix, and unless the
    PBX then calls that very number, this is refused.  Digits that are an emergency number themselves mean that one,
    also if they are another one behind the prefix.

    Rules that turn another number into an emergency number are looked for with samples, so they are only warned
    about: a rule must not be refused by luck.  The samples are what the pattern starts with, followed by the end of
    what calls an emergency number (9*11, for a rule that starts with 9*), and emergency numbers after 0, 9 or *.

    Raises PatternError if a rule cannot be compiled.
    """
    judge = _Judge(rules, Translator.of(rules, dialing), emergency_numbers, emergency_numbers - acknowledged)
    return (*judge.refused(), *judge.warned())


def remedy(findings: Sequence[RuleFinding], dialing: Dialing, guarded: AbstractSet[str]) -> str:
    """Return what to do about findings of one severity; `guarded` are the emergency numbers not acknowledged."""
    harms = {finding.harm for finding in findings}
    if harms == {"Dials"}:
        return "change this unless you want it"
    emergency = sorted({number for finding in findings for number in finding.emergency})
    rules = {finding.rule for finding in findings} - {None}
    steps = [f"change {'the rule' if len(rules) == 1 else 'these rules'}"] if rules else []
    if harms != {"Blocks"} or len(emergency) > 1:
        steps.append(_guarding_rule(dialing.outbound_prefix, guarded, emergency[0]))
    if "Leaves" in harms or len(rules) < len({finding.rule for finding in findings}):
        steps.append("choose another outboundPrefix")
    acknowledge = f"add {quoted(emergency)} to spec.acknowledgedEmergencyNumbers if this is what you want"
    return f"{', '.join(steps)}, or {acknowledge}"


def _guarding_rule(prefix: str, guarded: AbstractSet[str], example: str) -> str:
    """Return the advice to begin with a rule that lets all emergency numbers pass, or one if they are too many."""
    match = _match_of(prefix, guarded)
    if len(match) <= MAX_PATTERN:
        return f"put {_rewriting(match, prefix)} before all other rules"
    one = _rewriting(_match_of(prefix, {example}), prefix)
    return f"put before all other rules one such as {one} for each of these numbers"


def _match_of(prefix: str, numbers: AbstractSet[str]) -> str:
    """Return the pattern of emergency numbers, without and with the outbound prefix.

    It is tried without the prefix first where a number behind the prefix is another one.
    """
    literal = "".join(f"[{character}]" if character in "*+" else character for character in prefix)
    group = literal if len(prefix) == 1 else f"(?:{literal})"
    optional = f"{group}{'??' if any(prefix + number in numbers for number in numbers) else '?'}" if prefix else ""
    return f"^{optional}({'|'.join(sorted(numbers))})$"


def _rewriting(match: str, prefix: str) -> str:
    return f'{{match: "{match}", action: Rewrite, replace: "{prefix}$1"}}'


@dataclass(frozen=True, slots=True)
class _Call:
    """What becomes of a number that somebody dials for an emergency number, or that turns into one."""

    emergency: str
    outcome: Outcome
    called: str
    """What the PBX calls; empty if nothing is left."""

    @property
    def behind_prefix(self) -> bool:
        return self.outcome.number != self.emergency

    @property
    def harm(self) -> Harm:
        if self.outcome.dialled is None:
            return "Blocks"
        return "Leaves" if self.outcome.dialled == self.outcome.number else "Turns"

    @property
    def result(self) -> str:
        becomes, called = self.outcome.dialled, self.called or "nothing"
        return f"{becomes} (the PBX calls {called})" if called != becomes else becomes


@dataclass(frozen=True, slots=True)
class _Judge:
    rules: Sequence[NumberingRule]
    translator: Translator
    all_numbers: AbstractSet[str]
    unacknowledged: AbstractSet[str]

    @property
    def _prefix(self) -> str:
        return self.translator.dialing.outbound_prefix

    def refused(self) -> Iterator[RuleFinding]:
        """Yield what each rule does to emergency numbers that are dialled, the default analysis being the last."""
        harmful = [call for call in self._calls() if call.called != call.emergency]
        for (place, harm), together in groupby(sorted(harmful, key=self._place), key=self._place):
            calls = list(together)
            rule = place if place < len(self.rules) else None
            yield self._finding("Refused", rule, harm, calls, self._problem(harm, calls))

    def warned(self) -> Iterator[RuleFinding]:
        """Yield which rules turn other numbers into emergency numbers."""
        for rule in self.translator.rules:
            calls = list(self._by_accident(rule))
            if calls:
                changes = listed(f"{call.outcome.number} into {call.outcome.dialled}" for call in calls)
                calls_what = f"which calls the {_named([call.emergency for call in calls])}"
                yield self._finding("Warned", rule.index, "Dials", calls, f"turns {changes}, {calls_what}")

    def _finding(
        self, severity: Severity, rule: int | None, harm: Harm, calls: Sequence[_Call], problem: str
    ) -> RuleFinding:
        subject = "the default analysis" if rule is None else f'numberingRules[{rule}] "{self.rules[rule].match}"'
        emergency = tuple(dict.fromkeys(call.emergency for call in calls))
        dialled = tuple(call.outcome.number for call in calls)
        return RuleFinding(severity, rule, harm, emergency, dialled, f"{subject} {problem}")

    def _place(self, call: _Call) -> tuple[int, Harm]:
        rule = call.outcome.rule
        return (len(self.rules) if rule is None else rule, call.harm)

    def _calls(self) -> Iterator[_Call]:
        """Yield what becomes of each emergency number that is guarded, by itself and behind the prefix."""
        for emergency in sorted(self.unacknowledged):
            yield self._call(emergency, emergency)
            if self._prefix + emergency not in self.all_numbers:
                yield self._call(emergency, self._prefix + emergency)

    def _call(self, emergency: str, number: str) -> _Call:
        outcome = self.translator.translate(number)
        return _Call(emergency, outcome, number_called(outcome, self._prefix))

    def _problem(self, harm: Harm, calls: Sequence[_Call]) -> str:
        direct = [call.emergency for call in calls if not call.behind_prefix]
        behind = [call.emergency for call in calls if call.behind_prefix]
        if harm == "Blocks":
            return f"blocks {self._dialled(direct, behind)}"
        if harm == "Leaves":
            called = numbers_listed(call.called or "nothing" for call in calls)
            it, its = ("it is", "its") if len(calls) == 1 else ("they are", "their")
            taken = f'the PBX takes {its} beginning for the outboundPrefix "{self._prefix}" and calls {called}'
            return f"leaves the {_named(direct)} as {it}, and {taken}"
        if len(calls) == 1:
            return f"turns {self._dialled(direct, behind)} into {calls[0].result}"
        changes = listed(f"{call.outcome.number} into {call.result}" for call in calls)
        return f"turns emergency numbers into others: {changes}"

    def _dialled(self, direct: Sequence[str], behind: Sequence[str]) -> str:
        """Return emergency numbers, some of which are dialled without and some behind the prefix."""
        prefix = f'behind the outboundPrefix "{self._prefix}"'
        if direct == behind:
            return f"the {_named(direct)}, also {prefix}"
        parts = [f"the {_named(direct)}"] if direct else []
        return ", and ".join([*parts, *([f"the {_named(behind)} {prefix}"] if behind else [])])

    def _by_accident(self, rule: CompiledRule) -> Iterator[_Call]:
        told: set[str] = set()
        for number in self._samples(rule):
            outcome = rule.apply(number)
            called = number_called(outcome, self._prefix) if outcome is not None else ""
            if outcome is None or called not in self.unacknowledged - told:
                continue
            if outcome == self.translator.translate(number):
                told.add(called)
                yield _Call(called, outcome, called)

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
        return emergency_meant(number, self._prefix, self.all_numbers) is not None


def _named(numbers: Iterable[str]) -> str:
    found = list(dict.fromkeys(numbers))
    return f"emergency number{'' if len(found) == 1 else 's'} {numbers_listed(found)}"
