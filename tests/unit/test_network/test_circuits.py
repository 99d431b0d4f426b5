"""Circuits: when a call goes through, step by step and in any order of events."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.network.circuits import FAILURES_TO_OPEN, FIRST_PAUSE, LONGEST_PAUSE, MAX_CALLS, Circuit


class Clock:
    """Shows what the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def exactly(pause: float) -> float:
    return pause


def step(circuit: Circuit, clock: Clock, event: str) -> str:
    """Let time pass (`+1`), or a call be `ok`, `fail` or be `refused`; return whether the next would pass."""
    if event.startswith("+"):
        clock.now += float(event)
    elif event == "ok":
        with circuit.attempt():
            pass
    else:
        assert circuit.passable is (event == "fail")
        with pytest.raises(PeerUnavailable), circuit.attempt():
            raise PeerUnavailable
    return "passes" if circuit.passable else "stopped"


def end(attempt: AbstractContextManager[None], *, ok: bool) -> None:
    """End a call as a `with` would."""
    swallowed = attempt.__exit__(None, None, None) if ok else attempt.__exit__(PeerUnavailable, PeerUnavailable(), None)
    assert not swallowed


FAIL = [("fail", "passes"), ("fail", "passes"), ("fail", "stopped")]
"""From closed to open."""


@pytest.mark.parametrize(
    "story",
    [
        [("ok", "passes"), ("fail", "passes"), ("ok", "passes"), ("fail", "passes"), ("fail", "passes")],
        [*FAIL, ("refused", "stopped"), ("+0.9", "stopped"), ("+0.1", "passes")],
        [*FAIL, ("+1", "passes"), ("ok", "passes"), *FAIL, ("+1", "passes")],
        [*FAIL, ("+1", "passes"), ("fail", "stopped"), ("+1", "stopped"), ("+1", "passes")],
        [*FAIL, ("+1", "passes"), ("fail", "stopped"), ("+2", "passes"), ("fail", "stopped"), ("+3", "stopped"),
         ("+1", "passes"), ("ok", "passes"), *FAIL, ("+1", "passes")],
    ],
    ids=["failures in a row count", "opens for a pause", "closes again", "doubles the pause", "starts afresh"],
)  # fmt: skip
def test_stories(story: list[tuple[str, str]]) -> None:
    clock = Clock()
    circuit = Circuit(clock, PeerUnavailable, exactly)
    assert [(event, step(circuit, clock, event)) for event, _ in story] == story


def test_the_pause_grows_to_its_bound() -> None:
    clock, pauses = Clock(), list[float]()

    def noted(pause: float) -> float:
        pauses.append(pause)
        return pause

    circuit = Circuit(clock, PeerUnavailable, noted)
    for _ in range(FAILURES_TO_OPEN + 10):
        step(circuit, clock, "fail")
        clock.now += 0 if circuit.passable else pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE, LONGEST_PAUSE)


def broken(clock: Clock) -> Circuit:
    circuit = Circuit(clock, PeerUnavailable, exactly)
    for _ in range(FAILURES_TO_OPEN):
        step(circuit, clock, "fail")
    return circuit


@pytest.mark.parametrize("ok", [True, False])
def test_only_one_call_finds_out(ok: bool) -> None:
    clock = Clock()
    circuit = broken(clock)
    clock.now += 1
    probe = circuit.attempt()
    probe.__enter__()
    clock.now += 1000
    assert step(circuit, clock, "refused") == "stopped"
    end(probe, ok=ok)
    assert circuit.passable is ok


def test_an_abandoned_probe_leaves_its_place_to_the_next() -> None:
    clock = Clock()
    circuit = broken(clock)
    clock.now += 1
    with pytest.raises(asyncio.CancelledError), circuit.attempt():
        raise asyncio.CancelledError
    assert step(circuit, clock, "ok") == "passes"


def test_calls_under_way_when_the_circuit_opens_do_not_prolong_the_pause() -> None:
    clock = Clock()
    circuit = Circuit(clock, PeerUnavailable, exactly)
    late = [circuit.attempt() for _ in range(FAILURES_TO_OPEN + 2)]
    for attempt in late:
        attempt.__enter__()
    for attempt in late:
        end(attempt, ok=False)
    assert not circuit.passable
    assert step(circuit, clock, "+1") == "passes"


def test_a_late_success_closes() -> None:
    clock = Clock()
    circuit = Circuit(clock, PeerUnavailable, exactly)
    late = circuit.attempt()
    late.__enter__()
    for _ in range(FAILURES_TO_OPEN):
        step(circuit, clock, "fail")
    end(late, ok=True)
    assert circuit.passable


async def test_some_calls_run_and_the_others_wait_for_their_turn() -> None:
    circuit = Circuit(Clock(), PeerUnavailable, exactly)
    running, most, go = 0, 0, asyncio.Event()

    async def call() -> None:
        nonlocal running, most
        async with circuit.call():
            running += 1
            most = max(most, running)
            if running == MAX_CALLS:
                go.set()
            await go.wait()
            running -= 1

    await asyncio.gather(*(call() for _ in range(5 * MAX_CALLS)))
    assert most == MAX_CALLS


async def test_who_waits_too_long_is_sent_away_and_the_peer_is_not_blamed() -> None:
    circuit = Circuit(Clock(), PeerUnavailable, exactly, max_wait=0)
    go = asyncio.Event()

    async def call() -> None:
        async with circuit.call():
            await go.wait()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(MAX_CALLS):
            tasks.create_task(call())
        await asyncio.sleep(0)  # they start
        for _ in range(2 * FAILURES_TO_OPEN):
            with pytest.raises(PeerUnavailable):
                await call()
        go.set()
    await call()


async def test_who_waits_when_the_circuit_opens_is_sent_away_without_a_call() -> None:
    circuit = Circuit(Clock(), PeerUnavailable, exactly)
    made = 0

    async def call() -> None:
        nonlocal made
        async with circuit.call():
            made += 1
            await asyncio.sleep(0)
            raise PeerUnavailable

    outcomes = await asyncio.gather(*(call() for _ in range(50)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {PeerUnavailable}
    assert made < FAILURES_TO_OPEN + MAX_CALLS
    with pytest.raises(PeerUnavailable):
        await call()
    assert made < FAILURES_TO_OPEN + MAX_CALLS


class AnyOrder(RuleBasedStateMachine):
    """Calls that begin and end in any order, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.circuit = Circuit(self.clock, PeerUnavailable, exactly)
        self.under_way: list[AbstractContextManager[None]] = []
        self.failures = 0
        self.opened_at: float | None = None
        self.probes = 0

    @rule()
    def begin(self) -> None:
        opened = self.opened_at is not None
        attempt = self.circuit.attempt()
        if not self.circuit.passable:
            with pytest.raises(PeerUnavailable):
                attempt.__enter__()
            return
        attempt.__enter__()
        self.under_way.append(attempt)
        if opened:
            assert not self.circuit.passable, "a second probe goes through"

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 100), ok=st.booleans())
    def end(self, which: int, ok: bool) -> None:
        end(self.under_way.pop(which % len(self.under_way)), ok=ok)
        self.failures = 0 if ok else self.failures + 1
        if ok:
            self.opened_at = None
        elif self.opened_at is None and self.failures >= FAILURES_TO_OPEN:
            self.opened_at = self.clock.now

    @rule(seconds=st.sampled_from([0.5, 1, 10, LONGEST_PAUSE]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def closed_until_enough_failures_and_open_after_them(self) -> None:
        if self.opened_at is None:
            assert self.circuit.passable
        elif self.clock.now < self.opened_at + FIRST_PAUSE:
            assert not self.circuit.passable

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        self.clock.now, now = self.clock.now + LONGEST_PAUSE, self.clock.now
        assert self.circuit.passable or self.under_way
        self.clock.now = now


TestAnyOrder = AnyOrder.TestCase
