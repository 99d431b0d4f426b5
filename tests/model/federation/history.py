"""What a state must remember of what happened, to be judged by it: who won, which links are over."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial

from model.federation.cast import LINK_IDS, Cast
from model.federation.state import RIVAL, A, B, History, State
from model.federation.words import is_confirmed
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec

ALL = (1 << len(LINK_IDS)) - 1


class Historian:
    """Writes the history of one world."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._winner, self._over = cache(self._work_out_winner), cache(self._work_out_over)
        self._confirmed, self._with = cache(partial(is_confirmed, cast)), cache(self._extend)

    def note(self, s: State) -> State:
        """Return the state that remembers what it shows."""
        history = self._with(s.history, s.sides[A].records[0], s.sides[B].records)
        return s if history == s.history else s._replace(history=history)

    def _extend(self, known: History, there: int, here: tuple[int, ...]) -> History:
        winner = self._winner(there)
        return known._replace(
            winners=known.winners if winner is None else known.winners | {winner},
            ended=(known.ended[A] | self._over(there), known.ended[B] | _bits(map(self._over, here))),
            confirmed=known.confirmed | _bits(map(self._confirmed, here)),
        )

    def _work_out_winner(self, number: int) -> int | None:
        spec = self._cast.spec(number)
        return None if spec is None else link_of(spec)

    def _work_out_over(self, number: int) -> int:
        """Return the links that are over, or can never be, by a record; any bit for that of a redeemer."""
        spec = self._cast.spec(number)
        if spec is None:
            return 0
        fenced = sum(1 << LINK_IDS.index(link) for link in spec.fences)
        if spec.state != "Ended":
            return fenced
        link = link_of(spec)
        return ALL if link is None else fenced if link == RIVAL else fenced | 1 << link


def _bits(truths: Iterable[object]) -> int:
    return sum(1 << place for place, truth in enumerate(truths) if truth)


def link_of(spec: LinkRecordSpec) -> int | None:
    """Return which life of B's Interlink made the link of a record, or that it was the rival."""
    if spec.redeemer is None:
        return None
    return LINK_IDS.index(spec.redeemer.link_id) if spec.redeemer.link_id in LINK_IDS else RIVAL
