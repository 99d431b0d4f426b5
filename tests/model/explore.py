"""Visits every state of a small world and tells what is wrong anywhere, with the shortest story that leads there."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from model.cast import Config
from model.moves import Kind, World
from model.properties import Properties
from model.state import State, initial_state

Label = tuple[object, ...]


@dataclass(slots=True)
class Found:
    """What an exploration found: for each broken property how often, and the shortest story to it."""

    states: int
    seconds: float
    broken: dict[str, tuple[int, list[str]]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{self.states} states in {self.seconds:.1f} s{'' if self.broken else ', all well'}"]
        for name, (count, story) in sorted(self.broken.items()):
            lines.append(f"  {name}, {count} times, first: {' > '.join(story)}")
        return "\n".join(lines)


class TooLarge(Exception):  # noqa: N818 - says what the world is
    """The world has more states than it may have."""


class _Place(NamedTuple):
    """Where something is wrong: at a state, or at the step out of it that has a label."""

    state: int
    label: Label = ()


class Explorer:
    """One exploration: all states, the moves between them, and the properties."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._world = World(config)
        self._properties = Properties(self._world)
        self._states: list[State] = []
        self._number: dict[State, int] = {}
        self._parent: list[_Place] = []
        self._next: dict[Kind, list[list[int]]] = {"progress": [], "time": [], "chance": []}
        self._wrong: dict[str, list[_Place]] = defaultdict(list)

    def run(self) -> Found:
        """Visit all states, then judge them. Raises TooLarge."""
        begin = time.perf_counter()
        self._add(initial_state(self._config), _Place(-1))
        for number, state in _growing(self._states):
            self._visit(number, state)
        self._judge()
        found = Found(len(self._states), time.perf_counter() - begin)
        for name, places in self._wrong.items():
            nearest = min(places, key=lambda place: len(self._story(place)))
            found.broken[name] = (len(places), self._story(nearest))
        return found

    def _add(self, state: State, parent: _Place) -> int:
        number = self._number.get(state)
        if number is None:
            number = self._number[state] = len(self._states)
            if number == self._config.largest:
                raise TooLarge(f"{self._config.name}: more than {number} states")
            self._states.append(state)
            self._parent.append(parent)
        return number

    def _visit(self, number: int, state: State) -> None:
        edges: dict[Kind, list[int]] = {"progress": [], "time": [], "chance": []}
        for kind, label, after in self._world.moves(state):
            here = _Place(number, label)
            edges[kind].append(self._add(after, here))
            if after.recs is not state.recs:
                self._flag(here, self._properties.broken_by_step(state, after))
        for kind, reached in edges.items():
            self._next[kind].append(reached)

    def _flag(self, place: _Place, names: Iterable[str]) -> None:
        for name in names:
            self._wrong[name].append(place)

    def _judge(self) -> None:
        p = self._properties
        for number, state in enumerate(self._states):
            at_rest = not self._next["progress"][number]
            self._flag(_Place(number), p.broken_at(state, at_rest=at_rest))
        self._must("what was deleted is not gone", p.everything_deleted, p.everything_gone, ("progress", "time"))
        self._must("a deleted account is kept waiting", p.account_deleted, p.account_gone, ("progress",))
        self._must("an object does not get its link back", p.may_link_again, p.linked_again, ("progress",))

    def _must(
        self, name: str, start: Callable[[State], bool], goal: Callable[[State], bool], kinds: tuple[Kind, ...]
    ) -> None:
        """Flag states that follow from a start, if nobody interferes, and from which the goal cannot be reached."""
        todo = [number for number, state in enumerate(self._states) if start(state)]
        seen = set(todo)
        before: dict[int, list[int]] = defaultdict(list)
        while todo:
            number = todo.pop()
            for after in (reached for kind in kinds for reached in self._next[kind][number]):
                before[after].append(number)
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        good = {number for number in seen if goal(self._states[number])}
        todo = list(good)
        while todo:
            for number in before[todo.pop()]:
                if number not in good:
                    good.add(number)
                    todo.append(number)
        for number in seen - good:
            self._flag(_Place(number), (name,))

    def _story(self, place: _Place) -> list[str]:
        labels = [place.label] if place.label else []
        while (place := self._parent[place.state]).state >= 0:
            labels.append(place.label)
        return [" ".join(map(str, label)) for label in reversed(labels)]


def _growing(states: list[State]) -> Iterable[tuple[int, State]]:
    """Enumerate a list that grows meanwhile."""
    number = 0
    while number < len(states):
        yield number, states[number]
        number += 1
