"""Which numbering rules are never reached, since an earlier one matches all of their numbers first.

A pattern describes a set of numbers, and a rule is never reached if its set lies within that of an earlier rule.  This
is decided exactly: both programs read all numbers together, digit by digit, each as the set of places where it may be.
If in no such pair of sets the later program has matched and the earlier one has not, there is no such number.

The sets can be many, so the places that are looked at are counted, and after a fixed number of them the search ends:
what is found is certain, what is not found may still be so.  A number here consists of digits, + at its start, and of
* and # if the pattern of the later rule names them.  Look-ahead is not followed: it is taken to succeed in the later
rule and to fail in the earlier one, so that it never gives a false answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pbx_operator.domain.numbering.patterns import (
    Character,
    Edge,
    Found,
    Jump,
    LookAhead,
    Program,
)

MAX_PLACES = 20_000
"""Places of programs that are looked at for all rules of one communication server; that takes about 0.1 s."""

_DIGITS = "0123456789"
_Places = frozenset[int]
"""Instructions that a program is at, after some characters; the empty set has no way on."""
_MATCHED: _Places = frozenset({-1})
"""Whatever comes now, the number matches already."""


class _TooManyPlacesError(Exception):
    """The search would take too long."""


def find_shadowed(programs: Mapping[int, Program]) -> dict[int, int | None]:
    """Return which rules are never reached, and the first rule that is the reason; None if no number matches at all.

    The programs are those of the rules by index, in their order.
    """
    shadowed: dict[int, int | None] = {}
    comparison = Comparison(MAX_PLACES)
    try:
        for index, program in programs.items():
            later = Reader(program, look_ahead=True)
            number = comparison.only_in(later, None)
            if number is None:
                shadowed[index] = None
                continue
            for before in (before for before in programs if before < index and before not in shadowed):
                earlier = Reader(programs[before], look_ahead=False)
                likely = earlier.program.may_match(number) and comparison.accepts(earlier, number)
                if likely and comparison.only_in(later, earlier) is None:
                    shadowed[index] = before
                    break
    except _TooManyPlacesError:
        pass  # what was found so far is certain
    return shadowed


@dataclass(frozen=True, slots=True)
class Reader:
    """A program that reads a number character by character, on all its ways at once."""

    program: Program
    look_ahead: bool
    """Whether look-ahead is taken to succeed."""

    @property
    def alphabet(self) -> str:
        """The characters of the numbers that it is about, + aside."""
        named = {c for i in self.program.code if isinstance(i, Character) and not i.negated for c in i.among}
        return _DIGITS + "".join(c for c in "*#" if c in named)

    def closure(self, places: _Places, *, start: bool, end: bool) -> _Places:
        """Return the places that are reached from these without reading; `_MATCHED` if the pattern is found there."""
        found, waiting = set(places), list(places)
        while waiting:
            here = waiting.pop()
            if isinstance(self.program.code[here], Found):
                return _MATCHED
            for place in self._next(here, start=start, end=end):
                if place not in found:
                    found.add(place)
                    waiting.append(place)
        return frozenset(found)

    def _next(self, here: int, *, start: bool, end: bool) -> Iterator[int]:
        match self.program.code[here]:
            case Character():
                return
            case Jump(to):
                yield from (here + distance for distance in to)
            case Edge(start=at_start):
                if start if at_start else end:
                    yield here + 1
            case LookAhead(length):
                if self.look_ahead:
                    yield here + 1 + length
            case _:  # groups and turns do not bear on whether there is a match
                yield here + 1

    def read(self, places: _Places, character: str) -> _Places:
        """Return where it goes from a closure by reading a character."""
        if places == _MATCHED:
            return _MATCHED
        steps = ((place + 1, self.program.code[place]) for place in places)
        return frozenset(
            after
            for after, instruction in steps
            if isinstance(instruction, Character) and (character in instruction.among) != instruction.negated
        )


class Comparison:
    """Compares programs by the numbers that they match, and looks at so many places at most."""

    def __init__(self, places: int) -> None:
        self._left = places

    def accepts(self, reader: Reader, number: str) -> bool:
        """Tell whether a number matches."""
        places: _Places = frozenset()
        for position, character in enumerate(number):
            places = reader.read(self._closure(reader, places, start=position == 0), character)
        return self._ended(reader, places)

    def only_in(self, later: Reader, earlier: Reader | None) -> str | None:
        """Return a shortest number that the later program matches, and the earlier one, if given, does not.

        None if there is no such number; a number has at least one character.
        """
        nowhere: _Places = frozenset()
        waiting = [("", nowhere, nowhere)]
        seen: set[tuple[_Places, _Places]] = set()
        for number, late, early in waiting:
            start = number == ""
            if not start and self._ended(later, late) and not (earlier and self._ended(earlier, early)):
                return number
            late = self._closure(later, late, start=start)
            early = self._closure(earlier, early, start=start) if earlier is not None else nowhere
            if early == _MATCHED:
                continue
            for character in later.alphabet + ("+" if start else ""):
                reached = later.read(late, character)
                behind = earlier.read(early, character) if earlier is not None else nowhere
                if (reached, behind) not in seen:
                    seen.add((reached, behind))
                    waiting.append((number + character, reached, behind))
        return None

    def _closure(self, reader: Reader, places: _Places, *, start: bool, end: bool = False) -> _Places:
        """Return all places of a program between two characters; a match may begin anywhere."""
        if places == _MATCHED:
            return _MATCHED
        closure = reader.closure(places | {0}, start=start, end=end)
        self._left -= len(closure)
        if self._left < 0:
            raise _TooManyPlacesError
        return closure

    def _ended(self, reader: Reader, places: _Places) -> bool:
        return self._closure(reader, places, start=False, end=True) == _MATCHED
