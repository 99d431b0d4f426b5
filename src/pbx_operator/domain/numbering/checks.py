r"""Mistakes in numbering rules as they are written: what cannot be applied, and what cannot be meant.

What rules that can be applied do to emergency numbers is for `guard` to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pbx_operator.domain.dialplan.emergency import Severity
from pbx_operator.domain.numbering.patterns import DIALABLE, PatternError, Program, compile_pattern
from pbx_operator.domain.numbering.replacements import parse_replacement
from pbx_operator.domain.numbering.rules import NumberingRule
from pbx_operator.domain.numbering.search import Search
from pbx_operator.domain.numbering.shadows import find_shadowed
from pbx_operator.domain.numbering.wording import listed

MAX_STEPS_TOGETHER = 2048
"""Instructions of all programs of one communication server."""

_NO_DIGIT = "?"
"""A text that no pattern can mean."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, and all rules that make it. The message names fields, values and next step."""

    severity: Severity
    rules: tuple[int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class _Mistake:
    severity: Severity
    rule: int
    field: str
    """The field and its value."""
    problem: str


def check_rules(rules: Sequence[NumberingRule]) -> tuple[Problem, ...]:
    """Return what is wrong with the rules as they are written, each mistake once, in the order of the rules.

    Refused are patterns that cannot be compiled or are too large together, and replacements with groups that do not
    exist or characters that cannot be dialled.  Warned about are what Rainbow may understand differently, rules that
    match every number, and rules that are never reached (see `shadows`).
    """
    mistakes = list(_mistakes(rules))
    together: dict[tuple[Severity, str], list[_Mistake]] = {}
    for mistake in sorted(mistakes, key=lambda mistake: mistake.rule):
        together.setdefault((mistake.severity, mistake.problem), []).append(mistake)
    return tuple(
        Problem(severity, tuple(m.rule for m in same), f"{listed(m.field for m in same)}: {problem}")
        for (severity, problem), same in together.items()
    )


def _mistakes(rules: Sequence[NumberingRule]) -> Iterator[_Mistake]:
    programs: dict[int, Program] = {}
    steps = 0
    for index, rule in enumerate(rules):
        field = f'numberingRules[{index}].match "{rule.match}"'
        try:
            program = compile_pattern(rule.match)
        except PatternError as error:
            yield _Mistake("Refused", index, field, str(error))
            continue
        within = steps <= MAX_STEPS_TOGETHER
        steps += len(program.code)
        if within and steps > MAX_STEPS_TOGETHER:
            message = f"all rules up to here have more than {MAX_STEPS_TOGETHER} steps: use lower counts in {{}}"
            yield _Mistake("Refused", index, field, message)
        yield from (_Mistake("Warned", index, field, doubt) for doubt in _doubts(program))
        yield from _check_replacement(index, rule, program)
        programs[index] = program
    for index, earlier in find_shadowed(programs).items():
        yield _Mistake("Warned", index, f'numberingRules[{index}].match "{rules[index].match}"', _never(rules, earlier))


def _doubts(program: Program) -> Iterator[str]:
    if program.uses_d:
        yield "write [0-9] in place of \\d, which means the same here, but which the API of Rainbow does not support"
    if all(Search(program, text).run() for text in ("", _NO_DIGIT)):
        yield "matches every number, since it needs no digit: write + instead of *, or say how the number starts"


def _never(rules: Sequence[NumberingRule], earlier: int | None) -> str:
    if earlier is None:
        return "matches no number at all: correct it, or remove the rule"
    first = f'numberingRules[{earlier}] "{rules[earlier].match}"'
    return f"never reached, since {first} matches the same numbers before: put the rule before that one, or remove it"


def _check_replacement(index: int, rule: NumberingRule, program: Program) -> Iterator[_Mistake]:
    if rule.action == "Block" or rule.replace is None:
        return
    field = f'numberingRules[{index}].replace "{rule.replace}"'
    replacement = parse_replacement(rule.replace, program.groups)
    undialable = sorted(set(replacement.text) - DIALABLE)
    if replacement.missing:
        message = f"there is no group {replacement.missing[0]}, since the match has {program.groups}"
        yield _Mistake("Refused", index, field, f"{message}: put ( ) around what it shall stand for, or write $&")
    elif undialable:
        message = f'"{undialable[0]}" cannot be dialled: use 0-9, *, #, +, and $1 for the first group of the match'
        yield _Mistake("Refused", index, field, message)
