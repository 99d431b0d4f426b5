"""Explores the worlds of two installations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from model.federation.moves import World
from model.federation.properties import Properties
from model.federation.state import Config, State
from model.search import Promise, Search, Step


class Explorer(Search[State]):
    """One exploration of a world."""

    def __init__(self, config: Config) -> None:
        self._world = World(config)
        self._properties = Properties(self._world)
        self._busy: set[State] = set()
        super().__init__(config.name, self._world.first(), config.largest)

    def steps(self, state: State) -> Iterator[Step[State]]:
        busy = False
        for step in self._world.steps(state):
            if step.kind == "progress" and not busy:
                busy = True
                self._busy.add(state)
            if all(old.records == new.records for old, new in zip(state.sides, step.after.sides, strict=True)):
                yield step
            else:
                yield step._replace(broken=(*step.broken, *self._properties.broken_by_step(state, step.after)))

    def broken_at(self, state: State, *, at_rest: bool) -> Iterable[str]:
        return self._properties.broken_at(state, at_rest=at_rest)

    def promises(self) -> Iterable[Promise[State]]:
        yield Promise("it never comes to rest", lambda s: True, lambda s: s not in self._busy)
        yield from self._properties.promises()
