"""What can happen next to two installations: their own work, messages, users and misfortune, time.

A question is asked, answered and its answer taken in one step, or it is slow: then anything may happen before it
arrives, and before its answer does; the asker may give up, and then it may still arrive, more than once.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.federation.cast import Cast
from model.federation.fate import Fate
from model.federation.history import Historian
from model.federation.state import (
    NAMES,
    A,
    B,
    Config,
    History,
    Item,
    Line,
    Side,
    State,
    waiting,
    with_side,
    with_wire,
)
from model.federation.steps import Steps
from model.federation.words import told_too_early
from model.search import Step

MAX_QUESTIONS = 5
"""More than any round asks."""


class World:
    """The moves of one small world."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cast = Cast(config)
        self.does = Steps(self.cast)
        self._fate = Fate(config, self.does)
        self._history = Historian(self.cast)

    def first(self) -> State:
        """Return the world in which A has issued a key, and B's user has just entered it."""
        there = Side("present", 1, 1, finalizer=True, shut=False, status=0, records=(self.cast.first_record(),))
        here = there._replace(finalizer=False, records=(-1,) * self.config.lives[B])
        config = self.config
        return State((there, here), (), History(), None, config.crashes, config.forces, config.toggles)

    def steps(self, s: State) -> Iterator[Step[State]]:
        """Return all that can happen next and changes anything."""
        for step in self._all(s):
            after = self._history.note(step.after)
            if after != s or step.broken:
                yield step if after is step.after else step._replace(after=after)

    def _all(self, s: State) -> Iterator[Step[State]]:
        for who in (A, B):
            yield from self._work(s, who)
            yield from self._talk(s, who)
        yield from self._present(s)
        for item in s.wire:
            yield from self._under_way(s, item)
        yield from self._fate.steps(s)

    # --- an installation by itself --------------------------------------------------------------------------------

    def _work(self, s: State, who: int) -> Iterator[Step[State]]:
        worked = self.does.work(who, s.sides[who])
        if worked is not None:
            label, done = worked
            yield Step("progress", (NAMES[who], label), with_side(s, who, done.side), done.wrong)

    # --- messages -------------------------------------------------------------------------------------------------

    def _present(self, s: State) -> Iterator[Step[State]]:
        """Let B present its key."""
        if waiting(s, B, "key") is not None:
            return
        done = self.does.present(s.sides[B])
        if done is None:
            return
        asked = with_side(s, B, done.side)
        if done.message < 0:
            yield Step("progress", ("B presents its key",), asked)
        else:
            yield from self._ask(asked, B, "key", done.message)

    def _talk(self, s: State, who: int) -> Iterator[Step[State]]:
        """Let a conversation begin a round."""
        ask = -1 if waiting(s, who, "talk") else self.does.round(who, s.sides[who])
        if ask >= 0:
            yield from self._ask(s, who, "talk", ask)

    def _ask(self, s: State, who: int, line: Line, ask: int) -> Iterator[Step[State]]:
        told = told_too_early(self.cast, who, s.sides[who], self.cast.asks[ask].request)
        about = _about(self.cast, ask)
        yield self._at_once(s, who, line, ask, told)
        if len(s.wire) < self.config.slow:
            slow = with_wire(s, add=(Item(False, who, line, ask),))
            yield Step("chance", (NAMES[who], "asks slowly:", about), slow, told)

    def _at_once(self, s: State, who: int, line: Line, ask: int, told: tuple[str, ...]) -> Step[State]:
        """Let a question be answered, and the next one of the same round, too."""
        label, broken = (NAMES[who], "asks:", _about(self.cast, ask)), told
        for _ in range(MAX_QUESTIONS):
            s, answer, wrong = self._served(s, 1 - who, ask, fresh=True)
            broken += wrong
            if answer < 0:
                return Step("progress", label, s, broken)
            done = self.does.resume(who, s.sides[who], line, ask, answer)
            s, broken = with_side(s, who, done.side), broken + done.wrong
            ask = done.message
            if ask < 0:
                return Step("progress", label, s, broken)
        raise AssertionError(f"a round has more than {MAX_QUESTIONS} questions")

    def _served(self, s: State, who: int, ask: int, *, fresh: bool) -> tuple[State, int, tuple[str, ...]]:
        done = self.does.serve(who, s.sides[who], ask, fresh=fresh)
        told: tuple[str, ...] = ()
        if done.message >= 0:
            told = told_too_early(self.cast, who, done.side, self.cast.answers[done.message])
        return with_side(s, who, done.side), done.message, done.wrong + told

    def _under_way(self, s: State, item: Item) -> Iterator[Step[State]]:
        about = _about(self.cast, item.ask)
        if item.late:
            yield from self._late(s, item, about)
            return
        name = NAMES[item.side]
        if item.answer < 0:
            after, answer, broken = self._served(s, 1 - item.side, item.ask, fresh=True)
            arrived = with_wire(after, item, add=(item._replace(answer=answer),) if answer >= 0 else ())
            yield Step("progress", ("it arrives:", name, about), arrived, broken)
            yield Step("chance", (name, "gives up, late:", about), with_wire(s, item, add=(item._replace(late=True),)))
            if len(s.wire) < self.config.slow:
                doubled = with_wire(s, add=(item._replace(late=True),))
                yield Step("chance", ("it is doubled:", name, about), doubled)
        else:
            done = self.does.resume(item.side, s.sides[item.side], item.line, item.ask, item.answer)
            follows = (Item(False, item.side, item.line, done.message),) if done.message >= 0 else ()
            after = with_wire(with_side(s, item.side, done.side), item, add=follows)
            yield Step("progress", (name, "hears the answer to:", about), after, done.wrong)
        yield Step("progress", (name, "gives up:", about), with_wire(s, item))

    def _late(self, s: State, item: Item, about: str) -> Iterator[Step[State]]:
        after, _, broken = self._served(s, 1 - item.side, item.ask, fresh=False)
        name = NAMES[item.side]
        yield Step("chance", ("it arrives late, and may again:", name, about), after, broken)
        yield Step("chance", ("it arrives late:", name, about), with_wire(after, item), broken)
        yield Step("chance", ("it is lost:", name, about), with_wire(s, item))


def _about(cast: Cast, ask: int) -> str:
    """Return a question in words."""
    request = cast.asks[ask].request
    reports = [report.state for report in getattr(request, "links", ())]
    return " ".join([request.type, *reports])
