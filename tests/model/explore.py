"""Explores the small worlds of one cluster: their moves, their properties, and what must stay possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from model.cast import Config
from model.moves import World
from model.properties import Properties
from model.search import Promise, Search, Step
from model.state import State, initial_state


class Explorer(Search[State]):
    """One exploration of a world."""

    def __init__(self, config: Config) -> None:
        super().__init__(config.name, initial_state(config), config.largest)
        self._world = World(config)
        self._properties = Properties(self._world)

    def steps(self, state: State) -> Iterator[Step[State]]:
        for kind, label, after in self._world.moves(state):
            changed = after.recs is not state.recs
            broken = self._properties.broken_by_step(state, after) if changed else ()
            yield Step(kind, label, after, broken)

    def broken_at(self, state: State, *, at_rest: bool) -> Iterable[str]:
        return self._properties.broken_at(state, at_rest=at_rest)

    def promises(self) -> Iterable[Promise[State]]:
        p = self._properties
        yield Promise("what was deleted is not gone", p.everything_deleted, p.everything_gone, ("progress", "time"))
        yield Promise("a deleted account is kept waiting", p.account_deleted, p.account_gone)
        yield Promise("an object does not get its link back", p.may_link_again, p.linked_again)
