"""Emergency numbers: which digits they are, and which numbers must keep away from them.

A short internal number can hide, cut off or accidentally dial an emergency number.  This module knows the
emergency numbers of a country and judges numbers and dial prefixes against them.  It is a guard only: it
neither routes nor locates an emergency call.  The account and number rules turn a finding into conditions
and events; the dial plan asks `never_routed` before it routes anything.

The data is the `emergency` pattern of libphonenumber's short number metadata, as shipped for each country
in the package `phonenumbers`.  That package is pinned to an exact version, because a new one may add or drop
emergency numbers and is reviewed like code.  112 and 911 always count, since mobile phones of any origin
dial them; local services that the data lacks are named in `spec.emergency.additionalNumbers`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Literal

import phonenumbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Protection = Literal["Enforce", "Warn"]
"""`spec.emergency.protection` of an account: refuse dangerous numbers, or only warn about them."""
Dialing = Literal["EnBloc", "DigitByDigit"]
"""`spec.numbering.dialing` of an account: phones send whole numbers, or each digit as it is typed."""
Severity = Literal["Refused", "Warned"]
"""Whether the finding forbids the number or prefix, or is only told."""
Relation = Literal["Equal", "StartsWith", "Begins"]
"""The judged digits are an emergency number, start with one, or are a proper beginning of one."""

EVERYWHERE = frozenset({"112", "911"})
"""Emergency numbers in every country, whatever the data says."""

_DISTINCTIVE_LENGTH = 3
"""From this many digits on, a number starting with an emergency number is dangerous even en bloc."""
_LONGEST_NUMBER = 4
"""Digits of the longest internal number, the part that follows a dial prefix."""
_NO_TELEPHONE_DATA = frozenset({"AQ", "BV", "GS", "HM", "PN", "TF", "UM"})
"""Codes of ISO 3166-1 that the package does not list: territories without an own telephone numbering."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The worst collision of a number or dial prefix with the emergency numbers.

    `digits` is what was judged, `emergency` the number that it collides with.  `message` is stable and fit
    for a condition: it names both and the next step.
    """

    severity: Severity
    relation: Relation
    digits: str
    emergency: str
    message: str


def known_country(country: str) -> bool:
    """Return whether this is a country code that an account may have: ISO 3166-1 alpha-2, capital letters.

    The codes AC, TA and XK, which are in use although not part of the standard, count as known.
    """
    return country in phonenumbers.SUPPORTED_REGIONS or country in _NO_TELEPHONE_DATA


def emergency_numbers(country: str, additional: Iterable[str] = ()) -> frozenset[str]:
    """Return all emergency numbers of an account: the data of its country, 112, 911 and the additional ones.

    Where the data knows none, 112, 911 and the additional ones remain.  Raises ValueError, with a message fit
    for a condition, if `known_country` is false.
    """
    if not known_country(country):
        raise ValueError(
            f'country "{country}" is not an ISO 3166-1 alpha-2 code: use two capital letters such as "FR" or "GB"'
        )
    return _numbers_in_data(country).union(EVERYWHERE, additional)


def never_routed(digits: str, emergency: frozenset[str], *, digit_by_digit: bool) -> bool:
    """Return whether these dialed digits may lead to no own or peer's number, with or without a dial prefix.

    Exactly an emergency number never does, whatever `protection` says and however long the number has been
    serving.  If phones send `digit_by_digit`, neither does what starts with one, which is called first.
    """
    return digits in emergency or (digit_by_digit and not emergency.isdisjoint(_proper_beginnings(digits)))


def judge(
    number: str,
    emergency: frozenset[str],
    *,
    protection: Protection,
    dialing: Dialing,
    serving: bool = False,
) -> Finding | None:
    """Return the worst collision of a number with an emergency number, or None if it is safe.

    Refused are a number equal to an emergency number, one that starts with an emergency number of three or
    more digits, and with DigitByDigit dialing one that starts with any.  Warned about are the other numbers
    that start with an emergency number, and proper beginnings of one.  If `protection` is Warn, or if the
    number is already `serving` (so it was fine until the country, the data or the settings changed), what
    would be refused is only warned about; `never_routed` holds all the same.
    """
    collision = (
        _equal(number, emergency)
        or _starting(_proper_beginnings(number), emergency, dialing)
        or _completed_by_caller(number, emergency)
    )
    if collision is None:
        return None
    return collision.found_in("number", number, lenient=serving or protection == "Warn")


def judge_dial_prefix(
    prefix: str,
    emergency: frozenset[str],
    *,
    protection: Protection,
    dialing: Dialing,
    serving: bool = False,
) -> Finding | None:
    """Return the worst collision of a link's dial prefix with an emergency number, or None if it is safe.

    The strings at stake are the prefix followed by any number of one to four digits.  If all of them start
    with an emergency number, `judge`'s rule for starting applies.  If only some number would complete one
    (relation Begins), the prefix is warned about, and `never_routed(prefix + number, ...)` keeps that number off
    the prefix: what a peer shares must not decide whether a local prefix is accepted.
    """
    beginnings = [*_proper_beginnings(prefix), prefix]
    collision = _starting(beginnings, emergency, dialing) or _completed_by_number(prefix, emergency, dialing)
    if collision is None:
        return None
    return collision.found_in("dialPrefix", prefix, lenient=serving or protection == "Warn")


@dataclass(frozen=True, slots=True)
class _Collision:
    """What is wrong with some digits, before anybody asked how strict to be.

    `problem` continues a sentence that starts with the digits; `remedy` what comes after "choose another one".
    """

    relation: Relation
    emergency: str
    dangerous: bool
    problem: str
    remedy: str = ""

    def found_in(self, field: str, digits: str, *, lenient: bool) -> Finding:
        """Report this collision as a finding about the digits in a field."""
        severity: Severity = "Refused" if self.dangerous and not lenient else "Warned"
        message = f'{field} "{digits}" {self.problem}: choose another {field}{self.remedy}'
        return Finding(severity, self.relation, digits, self.emergency, message)


def _proper_beginnings(digits: str) -> list[str]:
    return [digits[:length] for length in range(1, len(digits))]


def _equal(number: str, emergency: frozenset[str]) -> _Collision | None:
    if number not in emergency:
        return None
    return _Collision("Equal", number, True, f"is the emergency number {number}, so it is never routed")


def _starting(beginnings: list[str], emergency: frozenset[str], dialing: Dialing) -> _Collision | None:
    """Find the worst emergency number among the beginnings of some digits, which come shortest first."""
    found = [digits for digits in beginnings if digits in emergency]
    if not found:
        return None
    first = next((digits for digits in found if len(digits) >= _DISTINCTIVE_LENGTH), None)
    if first:
        problem = f"starts with the emergency number {first}, so dialing it may call the emergency service"
        return _Collision("StartsWith", first, True, problem)
    first = found[0]
    if dialing == "DigitByDigit":
        problem = f"starts with the emergency number {first}, which digit-by-digit dialing reaches first"
        remedy = ", or set dialing to EnBloc if every phone sends whole numbers"
        return _Collision("StartsWith", first, True, problem, remedy)
    problem = f"starts with the emergency number {first}"
    return _Collision("StartsWith", first, False, problem, ", or make sure that every phone sends whole numbers")


def _completed_by_caller(number: str, emergency: frozenset[str]) -> _Collision | None:
    completions = [digits for digits in emergency if digits.startswith(number)]
    if not completions:
        return None
    first = min(completions)
    problem = f"is the beginning of the emergency number {first}, so a caller who dials {first} may reach it instead"
    return _Collision("Begins", first, False, problem, " if you can")


def _completed_by_number(prefix: str, emergency: frozenset[str], dialing: Dialing) -> _Collision | None:
    longest = len(prefix) + _LONGEST_NUMBER
    completions = [digits for digits in emergency if digits.startswith(prefix) and len(digits) <= longest]
    if not completions:
        return None
    first = min(completions)
    rest = first.removeprefix(prefix)
    problem = f"followed by {rest} is the emergency number {first}, so it never reaches a peer's number {rest}"
    if dialing == "DigitByDigit":
        problem += ", nor any that starts with it"
    return _Collision("Begins", first, False, problem, " if you can")


@cache
def _numbers_in_data(country: str) -> frozenset[str]:
    """Return the emergency numbers that the data knows for a country.

    The first use of a country costs 1 to 20 ms, and 0.2 s in the three countries (ER, FM, NE) whose data has
    numbers of six digits.
    """
    metadata = phonenumbers.PhoneMetadata.short_metadata_for_region(country)
    if metadata is None or metadata.emergency is None or metadata.emergency.national_number_pattern is None:
        return frozenset()
    return frozenset(_matches(metadata.emergency.national_number_pattern, metadata.emergency.possible_length))


def _matches(pattern: str, lengths: Iterable[int]) -> Iterator[str]:
    """Yield all digit strings of these lengths that match a pattern of the data entirely."""
    fullmatch = re.compile(pattern).fullmatch
    for length in lengths:
        candidates = ("".join(digits) for digits in product("0123456789", repeat=length))
        yield from filter(fullmatch, candidates)
