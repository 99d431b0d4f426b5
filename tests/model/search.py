"""Visits every state of a small world and tells what is wrong anywhere, with the shortest story that leads there."""

from __future__ import annotations

import gc
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, TypeVar

S = TypeVar("S", bound=Hashable)
Label = tuple[object, ...]
Kind = Literal["progress", "time", "chance"]
"""Chance is what users and misfortune do; nobody may rely on it."""


class Step(NamedTuple, Generic[S]):
    """What can happen next, and which properties that breaks."""

    kind: Kind
    label: Label
    after: S
    broken: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class Promise(Generic[S]):
    """From every state that follows from a `start`, if nobody interferes, a `goal` can be reached."""

    name: str
    """What is wrong if it cannot."""
    start: Callable[[S], bool]
    goal: Callable[[S], bool]
    kinds: tuple[Kind, ...] = ("progress",)


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


class Search(ABC, Generic[S]):
    """One exploration: all states, the steps between them, and what must hold."""

    def __init__(self, name: str, first: S, largest: int) -> None:
        self.first = first
        self._name, self._largest = name, largest
        self._states: list[S] = []
        self._number: dict[S, int] = {}
        self._parent: list[_Place] = []
        self._next: dict[Kind, list[list[int]]] = {"progress": [], "time": [], "chance": []}
        self._wrong: dict[str, list[_Place]] = defaultdict(list)

    @abstractmethod
    def steps(self, state: S) -> Iterator[Step[S]]:
        """Return all that can happen next."""

    @abstractmethod
    def broken_at(self, state: S, *, at_rest: bool) -> Iterable[str]:
        """Return the properties that do not hold at a moment; at rest, nothing is left to be done."""

    @abstractmethod
    def promises(self) -> Iterable[Promise[S]]:
        """Return what must stay possible."""

    def run(self) -> Found:
        """Visit all states, then judge them. Raises TooLarge."""
        begin = time.perf_counter()
        with _no_collection():
            self._add(self.first, _Place(-1))
            for number, state in _growing(self._states):
                self._visit(number, state)
            self._judge()
        found = Found(len(self._states), time.perf_counter() - begin)
        for name, places in self._wrong.items():
            nearest = min(places, key=lambda place: len(self._story(place)))
            found.broken[name] = (len(places), self._story(nearest))
        return found

    def _add(self, state: S, parent: _Place) -> int:
        number = self._number.get(state)
        if number is None:
            number = self._number[state] = len(self._states)
            if number == self._largest:
                raise TooLarge(f"{self._name}: more than {number} states")
            self._states.append(state)
            self._parent.append(parent)
        return number

    def _visit(self, number: int, state: S) -> None:
        edges: dict[Kind, list[int]] = {"progress": [], "time": [], "chance": []}
        for step in self.steps(state):
            here = _Place(number, step.label)
            edges[step.kind].append(self._add(step.after, here))
            self._flag(here, step.broken)
        for kind, reached in edges.items():
            self._next[kind].append(reached)

    def _flag(self, place: _Place, names: Iterable[str]) -> None:
        for name in names:
            self._wrong[name].append(place)

    def _judge(self) -> None:
        for number, state in enumerate(self._states):
            at_rest = not self._next["progress"][number]
            self._flag(_Place(number), self.broken_at(state, at_rest=at_rest))
        for promise in self.promises():
            self._hold(promise)

    def _hold(self, promise: Promise[S]) -> None:
        """Flag the states that break a promise."""
        todo = [number for number, state in enumerate(self._states) if promise.start(state)]
        seen = set(todo)
        before: dict[int, list[int]] = defaultdict(list)
        while todo:
            number = todo.pop()
            for after in (reached for kind in promise.kinds for reached in self._next[kind][number]):
                before[after].append(number)
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        good = {number for number in seen if promise.goal(self._states[number])}
        todo = list(good)
        while todo:
            for number in before[todo.pop()]:
                if number not in good:
                    good.add(number)
                    todo.append(number)
        for number in seen - good:
            self._flag(_Place(number), (promise.name,))

    def _story(self, place: _Place) -> list[str]:
        labels = [place.label] if place.label else []
        while (place := self._parent[place.state]).state >= 0:
            labels.append(place.label)
        return [" ".join(map(str, label)) for label in reversed(labels)]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for cycles: among millions of tuples there are none, and it takes half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # else the first collection would look through all that was made meanwhile,
        gc.unfreeze()  # which so counts as old
        if was_on:
            gc.enable()


def _growing(states: list[S]) -> Iterator[tuple[int, S]]:
    """Enumerate a list that grows meanwhile."""
    number = 0
    while number < len(states):
        yield number, states[number]
        number += 1
