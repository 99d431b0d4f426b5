"""Finding a pattern in a number, in a bounded number of steps.

The search tries what JavaScript would try, in the same order, so it finds the same match with the same groups.  But
it tries no state twice.  A state is the instruction, the position in the text, and the quantifiers whose current
turn has consumed nothing so far.  Nothing else bears on whether the rest matches: no pattern refers back to a group,
and a look-ahead depends on its position alone.  So what failed once would fail again.

Of a program with n instructions, whose quantifiers nest d deep, on a text of k characters, there are at most
n (k + 1) (d + 1) states, and as many again for each position where a look-ahead is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pbx_operator.domain.numbering.patterns import (
    Character,
    Edge,
    Forget,
    Found,
    Jump,
    LookAhead,
    Mark,
    Program,
    Turn,
    Turned,
)

_UNSET = -1
"""In a slot: that end of the group was not passed."""

Slots = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The first match in a text: `text[start:end]`."""

    start: int
    end: int
    groups: tuple[str, ...]
    """What each group matched, `$1` first; empty for one that took no part, as JavaScript replaces it."""


_State = tuple[int, int, int]
"""Instruction, position in the text, and the quantifiers whose turn has consumed nothing yet, as bits."""
_Thread = tuple[_State, Slots]


class Search:
    """One search for a program's first match in a text; `steps` counts the states that were tried."""

    def __init__(self, program: Program, text: str) -> None:
        self.steps = 0
        self._program = program
        self._text = text
        self._unset: Slots = (_UNSET,) * (2 * program.groups + 2)
        self._looked: dict[tuple[int, int], Slots | None] = {}

    def run(self) -> Match | None:
        """Return the leftmost match, or None."""
        if not self._program.may_match(self._text):
            return None
        tried: set[_State] = set()
        for start in range(1 if self._program.anchored else len(self._text) + 1):
            found = self._first(0, start, tried)
            if found is not None:
                (_, end, _), slots = found
                return Match(start, end, tuple(self._groups(slots)))
        return None

    def _groups(self, slots: Slots) -> Iterator[str]:
        for start, end in zip(slots[2::2], slots[3::2], strict=True):
            yield "" if end == _UNSET else self._text[start:end]

    def _first(self, instruction: int, position: int, tried: set[_State]) -> _Thread | None:
        """Return the first way on which, from here on, all is found."""
        waiting: list[_Thread] = [((instruction, position, 0), self._unset)]
        while waiting:
            state, slots = waiting.pop()
            if state in tried:
                continue
            tried.add(state)
            self.steps += 1
            if isinstance(self._program.code[state[0]], Found):
                return state, slots
            waiting += self._next(state, slots)
        return None

    def _next(self, state: _State, slots: Slots) -> tuple[_Thread, ...]:
        """Return the ways to try after this state, the preferred last."""
        here, position, empty_turns = state
        following = (here + 1, position, empty_turns)
        match self._program.code[here]:
            case Character(among, negated):
                consumes = position < len(self._text) and (self._text[position] in among) != negated
                return (((here + 1, position + 1, 0), slots),) if consumes else ()
            case Jump(to):
                return tuple(((here + distance, position, empty_turns), slots) for distance in reversed(to))
            case Mark(slot):
                return ((following, (*slots[:slot], position, *slots[slot + 1 :])),)
            case Turn(quantifier):
                return (((here + 1, position, empty_turns | 1 << quantifier), slots),)
            case Turned(quantifier):
                return () if empty_turns >> quantifier & 1 else ((following, slots),)
            case Forget(groups):
                forgotten = (_UNSET if slot // 2 in groups else value for slot, value in enumerate(slots))
                return ((following, tuple(forgotten)),)
            case Edge(start):
                return ((following, slots),) if position == (0 if start else len(self._text)) else ()
            case LookAhead(length, negated):
                ahead = self._ahead(here + 1, position)
                if (ahead is None) != negated:
                    return ()
                return (((here + 1 + length, position, empty_turns), _merged(slots, ahead)),)
        return ()

    def _ahead(self, body: int, position: int) -> Slots | None:
        """Return the groups that a look-ahead sets here, or None if it finds nothing; each is tried once."""
        if (body, position) not in self._looked:
            found = self._first(body, position, set())
            self._looked[body, position] = found[1] if found is not None else None
        return self._looked[body, position]


def _merged(slots: Slots, ahead: Slots | None) -> Slots:
    if ahead is None:
        return slots
    return tuple(old if new == _UNSET else new for old, new in zip(slots, ahead, strict=True))
