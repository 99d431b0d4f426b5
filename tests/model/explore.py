"""Visits every state of a small world and says what is wrong anywhere, with the shortest story that leads there.

    PYTHONPATH=tests python -m model.explore [--large] [NAME ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from model.cast import Config, I, Q, R, Slot, life_of
from model.moves import Kind, State, World
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.record import any_closing, closing_of


@dataclass(slots=True)
class Found:
    """What an exploration found: for each broken property how often, and the shortest story to it."""

    states: int = 0
    broken: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.states} states in {self.seconds:.1f} s{'' if self.broken else ', all well'}"]
        for name, (count, story) in sorted(self.broken.items()):
            lines.append(f"  {name}, {count} times, first: {' > '.join(story)}")
        return "\n".join(lines)


class TooLarge(Exception):  # noqa: N818 - says what the world is
    """The world has more states than it may have."""


class Explorer:
    """One exploration: all states, the moves between them, and the properties."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.world = World(config)
        self.states: list[State] = []
        self._number: dict[State, int] = {}
        self._parent: list[tuple[int, tuple[object, ...]]] = []
        self._progress: list[list[int]] = []
        self._time: list[list[int]] = []
        self._flags: dict[str, list[tuple[int, int, tuple[object, ...]]]] = {}

    def run(self) -> Found:
        """Visit all states, then judge them. Raises TooLarge."""
        begin = time.perf_counter()
        self._add(self.world.initial(), -1, ())
        n = 0
        while n < len(self.states):
            self._visit(n)
            n += 1
        self._judge()
        found = Found(len(self.states), seconds=time.perf_counter() - begin)
        for name, places in self._flags.items():
            number, _, label = min(places, key=lambda place: self._depth(place[0]))
            found.broken[name] = (len(places), self._story(number, label))
        return found

    # --- visiting -----------------------------------------------------------------------------------------------

    def _add(self, state: State, parent: int, label: tuple[object, ...]) -> int:
        number = self._number.get(state)
        if number is None:
            number = self._number[state] = len(self.states)
            if number == self.config.largest:
                raise TooLarge(f"{self.config.name}: more than {number} states")
            self.states.append(state)
            self._parent.append((parent, label))
        return number

    def _visit(self, number: int) -> None:
        state = self.states[number]
        edges: dict[Kind, list[int]] = {"progress": [], "time": [], "chance": []}
        for kind, label, after in self.world.moves(state):
            reached = self._add(after, number, label)
            edges[kind].append(reached)
            if after.recs is not state.recs:
                for name in self._broken_step(state, after):
                    self._flag(name, number, reached, label)
        self._progress.append(edges["progress"])
        self._time.append(edges["time"])

    def _flag(self, name: str, number: int, reached: int = -1, label: tuple[object, ...] = ()) -> None:
        self._flags.setdefault(name, []).append((number, reached, label))

    def _depth(self, number: int) -> int:
        depth = 0
        while self._parent[number][0] >= 0:
            number, depth = self._parent[number][0], depth + 1
        return depth

    def _story(self, number: int, last: tuple[object, ...]) -> list[str]:
        labels = [last] if last else []
        while self._parent[number][0] >= 0:
            number, label = self._parent[number]
            labels.append(label)
        return [" ".join(map(str, label)) for label in reversed(labels)]

    # --- properties of one step -----------------------------------------------------------------------------------

    def _broken_step(self, before: State, after: State) -> Iterable[str]:
        for key in range(self.config.keys):
            old, new = self.world.spec(before, key), self.world.spec(after, key)
            if old is None or new is None or old is new:
                continue
            if old.state == "Ended" and new.state != "Ended":
                yield "an ended link comes back"
            if old.redeemer and (not new.redeemer or new.redeemer.link_id != old.redeemer.link_id):
                yield "a key has another redeemer"
            if _adopted_backwards(old, new):
                yield "a link goes back to an object that is gone"
            unforced = after.forces == self.config.forces
            if unforced and old.state == "Issued" and new.state == "Established" and not self._both_live(after, new):
                yield "a link is made with an object that is not there"

    def _both_live(self, state: State, spec: LinkRecordSpec) -> bool:
        assert spec.redeemer is not None
        ends = [spec.issuer.interlink, spec.redeemer.interlink]
        slots = [(state.slots["irq".index(end.name)], life_of(end.uid)) for end in ends]
        return all(slot.phase != "A" and slot.life == life for slot, life in slots)

    # --- properties of states -------------------------------------------------------------------------------------

    def _judge(self) -> None:
        for number, state in enumerate(self.states):
            if state.forces == self.config.forces:
                for name in self._released(state, at_rest=not self._progress[number]):
                    self._flag(name, number)
            if not self._progress[number]:
                for name in self._wrong_at_rest(state):
                    self._flag(name, number)
        everything_deleted = self._cannot(self._all_gone, lambda s: all(slot.phase != "P" for slot in s.slots), True)
        for number in everything_deleted:
            self._flag("what was deleted is not gone", number)
        for number in self._cannot(self._linked_again, self._may_link_again, False):
            self._flag("a re-created object does not get its link back", number)

    def _released(self, state: State, *, at_rest: bool) -> Iterable[str]:
        """An object that was let go has ended its links, or announced the end."""
        for spec in self._specs(state):
            for side, named in (("issuer", spec.issuer.interlink), ("redeemer", spec.redeemer and spec.redeemer.interlink)):
                if spec.state == "Ended" or named is None:
                    continue
                slot, life = state.slots["irq".index(named.name)], life_of(named.uid)
                gone = slot.life > life or (slot.phase == "A" and slot.life >= life)
                waits = spec.state == "Issued" and not at_rest
                if gone and not waits and (spec.closing.issuer if side == "issuer" else spec.closing.redeemer) is None:
                    yield f"the {side} was let go with a live link"

    def _wrong_at_rest(self, state: State) -> Iterable[str]:
        issuer = state.slots[I]
        mine = [s for s in self._specs(state) if s.state != "Ended" and issuer.phase == "P"
                and life_of(s.issuer.interlink.uid) == issuer.life]
        if len(mine) > 1:
            yield "an issuer has two live records"
        for place in (R, Q):
            slot = state.slots[place]
            if slot.phase == "P" and len([s for s in self._links(state) if _redeemer_is(s, place, slot)]) > 1:
                yield "a redeemer has two links"
        if not self.config.brought:
            for spec in mine:
                if spec.state == "Issued" and (state.secret is None or self.world.spec(state, state.secret[0]) != spec):
                    yield "a key is issued that nobody can read"
            if issuer.phase == "P" and self._lacks_key(state, mine):
                yield "an issuer gets no key"
        for place, slot in enumerate(state.slots):
            if slot.phase == "P" and self.world.status(slot).gate == "Open" and not self._is_open(state, place, slot):
                yield "a gate is open without a link"
        if self._waits(state):
            yield "a redeemer waits beside a key that it could use"

    def _lacks_key(self, state: State, mine: list[LinkRecordSpec]) -> bool:
        specs, life = self._specs(state), state.slots[I].life
        fulfilled = any(life_of(s.issuer.interlink.uid) == life and s.revision >= state.revision for s in specs)
        return not mine and not fulfilled and state.minted < self.config.keys and not self._live(state)

    def _waits(self, state: State) -> bool:
        spec, slot, issuer = self.world.spec(state, 0), state.slots[R], state.slots[I]
        if spec is None or spec.state != "Issued" or slot.phase != "P" or slot.moved or state.carried or issuer.phase != "P":
            return False
        here = life_of(spec.issuer.interlink.uid) == issuer.life and bool(state.known & 1)
        request = self.world.cast.request(R, slot.life, slot.moved, 0)
        return here and request.link_id not in spec.fences

    def _is_open(self, state: State, place: int, slot: Slot) -> bool:
        for spec in self._links(state):
            assert spec.redeemer is not None
            ends = [spec.issuer.interlink, spec.redeemer.interlink]
            mine = any(e.name == "irq"[place] and life_of(e.uid) == slot.life for e in ends)
            if mine and not any_closing(spec) and all(_is_there(state.slots["irq".index(e.name)], life_of(e.uid)) for e in ends):
                return True
        return False

    def _specs(self, state: State) -> list[LinkRecordSpec]:
        return [self.world.specs[number] for number in state.recs if number >= 0]

    def _links(self, state: State) -> list[LinkRecordSpec]:
        return [s for s in self._specs(state) if s.state == "Established"]

    def _live(self, state: State) -> list[LinkRecordSpec]:
        return [s for s in self._specs(state) if s.state != "Ended"]

    # --- properties of what can follow ----------------------------------------------------------------------------

    def _all_gone(self, state: State) -> bool:
        return all(slot.phase == "A" for slot in state.slots) and not self._live(state) and state.secret is None

    def _may_link_again(self, state: State) -> bool:
        """Both objects of a link are there, in whatever life, and nothing is on its way that ends it."""
        links = self._links(state)
        if len(links) != 1:
            return False
        (spec,) = links
        key = self._specs(state).index(spec)
        assert spec.redeemer is not None
        issuer, place = state.slots[I], "irq".index(spec.redeemer.interlink.name)
        slot = state.slots[place]
        if issuer.phase != "P" or issuer.moved or slot.phase != "P" or slot.moved:
            return False
        if place == R and state.carried != key:
            return False
        writes = [w for w in (*state.busy, *state.late) if w is not None and w.verb == "put" and w.key == key]
        return all(self.world.specs[w.spec].state != "Ended" for w in writes)

    def _linked_again(self, state: State) -> bool:
        for spec in self._links(state):
            assert spec.redeemer is not None
            issuer, slot = state.slots[I], state.slots["irq".index(spec.redeemer.interlink.name)]
            there = _is_there(issuer, life_of(spec.issuer.interlink.uid)) and _is_there(slot, life_of(spec.redeemer.interlink.uid))
            gates = {self.world.status(issuer).gate, self.world.status(slot).gate}
            if there and not any_closing(spec) and gates == {"Open"}:
                return True
        return False

    def _cannot(self, goal: Callable[[State], bool], start: Callable[[State], bool], time_helps: bool) -> list[int]:
        """Return the states, among those that follow from the start states if nobody interferes, from which the goal
        cannot be reached."""
        todo = [n for n, state in enumerate(self.states) if start(state)]
        seen, before = set(todo), dict[int, list[int]]()
        while todo:
            number = todo.pop()
            for after in self._progress[number] + (self._time[number] if time_helps else []):
                before.setdefault(after, []).append(number)
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        good = {n for n in seen if goal(self.states[n])}
        todo = list(good)
        while todo:
            for number in before.get(todo.pop(), ()):
                if number not in good:
                    good.add(number)
                    todo.append(number)
        return sorted(seen - good)


def _is_there(slot: Slot, life: int) -> bool:
    return slot.phase == "P" and slot.life == life


def _redeemer_is(spec: LinkRecordSpec, place: int, slot: Slot) -> bool:
    named = spec.redeemer and spec.redeemer.interlink
    return named is not None and named.name == "irq"[place] and life_of(named.uid) == slot.life


def _adopted_backwards(old: LinkRecordSpec, new: LinkRecordSpec) -> bool:
    if life_of(new.issuer.interlink.uid) < life_of(old.issuer.interlink.uid):
        return True
    return old.redeemer is not None and new.redeemer is not None and (
        life_of(new.redeemer.interlink.uid) < life_of(old.redeemer.interlink.uid)
    )
