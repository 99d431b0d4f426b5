"""Numbering rules: what a number becomes that is dialled in Rainbow, before the PBX gets it.

A communication server has an ordered list of rules, each a pattern with what replaces its match.  The first rule
that matches decides alone.  If none does, the default analysis adds the prefixes that the PBX expects, as its
dialling information tells.  This module says what comes out, for one number (`translate`) and for a table of typical
ones (`dry_run`); `checks` judges the rules, by asking this module.

Sources: the articles of Rainbow's help centre on associating a PBX (dialling information) and on configuring its
numbering rules (order, first match, partial replacement, default analysis).  What they leave open is decided here:
numbers that share the country's calling code, such as those of the USA and Canada, are dialled nationally; with
an international prefix or `+`, a number is recognised if its length is possible there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType

from pbx_operator.domain.numbering.patterns import Program, compile_pattern
from pbx_operator.domain.numbering.replacements import Replacement, parse_replacement
from pbx_operator.domain.numbering.search import Search

Action = Literal["Rewrite", "Block"]
Analysis = Literal["National", "International", "AsTyped"]
"""What the default analysis took a number for; AsTyped: for nothing that it knows."""
Kind = Literal["Internal", "National", "Mobile", "International", "Emergency"]

MAX_NUMBER = 64
"""Characters of the longest number that is looked at: the 15 digits of E.164 and generous prefixes."""
MAX_ROWS = 12
"""Rows of the largest table of `dry_run`."""

_INTERNAL = ("201", "2001")
_ABROAD = ("+442079460123", "+33199001234")
"""Numbers that are reserved for fiction; that of the table is the first that has another calling code."""


@dataclass(frozen=True, slots=True)
class NumberingRule:
    """One rule: what `match` finds is replaced, or the call is not made."""

    match: str
    action: Action
    replace: str | None = None
    """Given exactly for Rewrite."""
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Dialing:
    """The dialling information of a PBX; an empty prefix means that there is none."""

    country: str
    """ISO 3166-1 alpha-2."""
    national_prefix: str
    """What comes before a number of the same country."""
    international_prefix: str
    """What comes before the calling code of another country."""
    outbound_prefix: str
    """What seizes an outside line."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a dialled number becomes, and why: exactly one of `rule` and `analysis` is given."""

    number: str
    dialled: str | None
    """What the PBX gets; None if nothing is dialled."""
    rule: int | None = None
    """Index of the rule that matched, from 0."""
    analysis: Analysis | None = None

    @property
    def by(self) -> str:
        """Who decided, as a table shows it: `numberingRules[3]` or `DefaultAnalysis`."""
        return "DefaultAnalysis" if self.rule is None else f"numberingRules[{self.rule}]"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of typical numbers."""

    number: str
    kind: Kind
    result: str | None
    """What the PBX gets; None if nothing is dialled."""
    by: str
    """As `Outcome.by`."""


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """One rule, ready to be applied."""

    index: int
    program: Program
    replacement: Replacement | None
    """None blocks."""

    @classmethod
    def of(cls, index: int, rule: NumberingRule) -> CompiledRule:
        """Compile the rule at this index, or raise PatternError."""
        program = compile_pattern(rule.match)
        if rule.action == "Block":
            return cls(index, program, None)
        return cls(index, program, parse_replacement(rule.replace or "", program.groups))

    def apply(self, number: str) -> Outcome | None:
        """Return what a number becomes by this rule alone, or None if it does not match.

        Only the first match is replaced; the rest of the number stays.  If nothing remains, nothing is dialled.
        """
        match = Search(self.program, number).run()
        if match is None:
            return None
        if self.replacement is None:
            return Outcome(number, None, rule=self.index)
        replaced = self.replacement.expand(number[match.start : match.end], match.groups)
        return Outcome(number, number[: match.start] + replaced + number[match.end :] or None, rule=self.index)


@dataclass(frozen=True, slots=True)
class Translator:
    """Rules that are compiled once, for many numbers."""

    rules: tuple[CompiledRule, ...]
    dialing: Dialing

    @classmethod
    def of(cls, rules: Sequence[NumberingRule], dialing: Dialing) -> Translator:
        """Compile the rules, or raise PatternError; `checks.check_rules` finds all that is wrong with them."""
        return cls(tuple(CompiledRule.of(index, rule) for index, rule in enumerate(rules)), dialing)

    def translate(self, number: str) -> Outcome:
        """Return what a number becomes. Raises ValueError if it has more than 64 characters."""
        if len(number) > MAX_NUMBER:
            raise ValueError(f'number "{number[:MAX_NUMBER]}…" is too long: dial at most {MAX_NUMBER} characters')
        outcomes = (rule.apply(number) for rule in self.rules)
        return next((outcome for outcome in outcomes if outcome is not None), None) or _analyse(number, self.dialing)


def translate(number: str, rules: Sequence[NumberingRule], dialing: Dialing) -> Outcome:
    """Return what a number that is dialled in Rainbow becomes.

    Raises PatternError if a rule cannot be compiled, and ValueError if the number has more than 64 characters.
    """
    return Translator.of(rules, dialing).translate(number)


def dry_run(rules: Sequence[NumberingRule], dialing: Dialing, emergency_numbers: AbstractSet[str]) -> tuple[Row, ...]:
    """Return what typical numbers become: at most 12 rows, always in the same order.

    These are internal numbers, numbers of the country as people type them and as contacts hold them, one of another
    country, and as many emergency numbers as there is room for: 112, then the shortest.  All of them are judged by
    `checks`.  Raises PatternError if a rule cannot be compiled.
    """
    translator = Translator.of(rules, dialing)
    rows = []
    for number, kind in list(_typical_numbers(dialing, emergency_numbers))[:MAX_ROWS]:
        outcome = translator.translate(number)
        rows.append(Row(number, kind, outcome.dialled, outcome.by))
    return tuple(rows)


def _typical_numbers(dialing: Dialing, emergency_numbers: AbstractSet[str]) -> Iterator[tuple[str, Kind]]:
    for number in _INTERNAL:
        yield number, "Internal"
    types: tuple[tuple[int, Kind], ...] = (
        (PhoneNumberType.FIXED_LINE, "National"),
        (PhoneNumberType.MOBILE, "Mobile"),
    )
    for type_, kind in types:
        example = phonenumbers.example_number_for_type(dialing.country, type_)
        if example is not None:
            yield dialing.national_prefix + phonenumbers.national_significant_number(example), kind
            yield _e164(example), kind
    yield _number_abroad(dialing.country), "International"
    for number in sorted(emergency_numbers, key=lambda n: (n != "112", len(n), n)):
        yield number, "Emergency"


def _number_abroad(country: str) -> str:
    own = f"+{phonenumbers.country_code_for_region(country)}"
    return next(number for number in _ABROAD if not number.startswith(own))


def _e164(number: phonenumbers.PhoneNumber) -> str:
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _analyse(number: str, dialing: Dialing) -> Outcome:
    """Apply the default analysis: prefixes for a number that is recognised, nothing for another."""
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        return Outcome(number, number or None, analysis="AsTyped")
    abroad = _international_digits(number, dialing)
    national = _national_number(f"+{abroad}" if abroad else number, dialing)
    if national is not None:
        return Outcome(number, dialing.outbound_prefix + dialing.national_prefix + national, analysis="National")
    if abroad is not None:
        dialled = dialing.outbound_prefix + dialing.international_prefix + abroad
        return Outcome(number, dialled, analysis="International")
    return Outcome(number, number, analysis="AsTyped")


def _international_digits(number: str, dialing: Dialing) -> str | None:
    """Return calling code and number, if these follow `+` or the international prefix and their length is possible."""
    prefix = "+" if number.startswith("+") else dialing.international_prefix
    if not prefix or not number.startswith(prefix):
        return None
    digits = number.removeprefix(prefix)
    parsed = _parsed(f"+{digits}", None)
    return digits if parsed is not None and phonenumbers.is_possible_number(parsed) else None


def _national_number(number: str, dialing: Dialing) -> str | None:
    """Return the national significant number, if this is a valid number with the country's calling code.

    The library knows the country's own national prefix; one that the PBX is told to use may differ.
    """
    own = phonenumbers.country_code_for_region(dialing.country)
    for candidate in (number, number.removeprefix(dialing.national_prefix)):
        parsed = _parsed(candidate, dialing.country)
        if parsed is not None and parsed.country_code == own and phonenumbers.is_valid_number(parsed):
            return phonenumbers.national_significant_number(parsed)
    return None


def _parsed(number: str, country: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return None
