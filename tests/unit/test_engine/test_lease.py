"""The operator's Lease: one process works, and another one takes over when it is gone."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.cluster import AlreadyExists, Cluster, Conflict, Forbidden, Gone, Unavailable
from pbx_operator.domain.leadership import DURATION, PAUSE, RENEW_WITHIN, LeaseSpec, held, may_lead, released
from pbx_operator.engine.lease import Lease, LeaseLostError
from pbx_operator.engine.worker import Clocks
from virtual_time import run

JSON = dict[str, Any]
LATENCY = 0.1
"""Seconds until a call arrives, and again until its answer does."""
TAKE_OVER = DURATION + 2 * PAUSE
"""Seconds within which another process works after a crash; the pod's start is not part of it."""


@dataclass
class Server:
    """An API server with one Lease."""

    lease: JSON | None = None
    versions: count[int] = field(default_factory=lambda: count(1))
    at_work: set[str] = field(default_factory=set)
    most_at_work: int = 0

    @contextmanager
    def work(self, process: Process) -> Iterator[None]:
        """Count who works."""
        self.at_work.add(process.name)
        self.most_at_work = max(self.most_at_work, len(self.at_work))
        try:
            yield
        finally:
            self.at_work.discard(process.name)

    def store(self, body: Mapping[str, Any]) -> JSON:
        metadata = {**body["metadata"], "resourceVersion": str(next(self.versions))}
        self.lease = copy.deepcopy({**body, "metadata": metadata})
        return self.lease

    @property
    def holder(self) -> str | None:
        return None if self.lease is None else self.lease["spec"]["holderIdentity"]


class Line(Cluster):
    """What one process has of the server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.cut = False
        self.forbidden = False

    async def get(self, resource: ResourceType, key: ObjectKey) -> JSON:
        await self._travel()
        if self.forbidden:
            raise Forbidden("leases: cannot get", status=403)
        lease = copy.deepcopy(self._server.lease)
        await self._travel()
        if lease is None:
            raise Gone(f"{key} is not there")
        return lease

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        await self._travel()
        if self._server.lease is not None:
            raise AlreadyExists("the Lease is there")
        self._server.store(body)
        await self._travel()
        return dict(body)

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        await self._travel()
        assert self._server.lease is not None
        if body["metadata"]["resourceVersion"] != self._server.lease["metadata"]["resourceVersion"]:
            raise Conflict("the Lease has changed")
        self._server.store(body)
        await self._travel()
        return dict(body)

    async def _travel(self) -> None:
        await asyncio.sleep(LATENCY)
        if self.cut:
            await asyncio.sleep(30)  # the client's own patience
            raise Unavailable("no answer")


class Process:
    """One operator: stands by, works until the Lease is lost, and is started anew then."""

    def __init__(self, server: Server, name: str) -> None:
        self.name = name
        self.line = Line(server)
        loop = asyncio.get_running_loop()
        clocks = Clocks(lambda: NOW + timedelta(seconds=loop.time()), loop.time)
        self._server = server
        self._new_lease = partial(Lease, self.line, "pbx-system", name, clocks)
        self.lease = self._new_lease()
        self.lost = 0

    @property
    def working(self) -> bool:
        return self.name in self._server.at_work

    async def run(self) -> None:
        while True:
            self.lease = self._new_lease()
            async with self.lease.held() as keeping:
                with self._server.work(self):
                    await asyncio.wait((keeping,))
            with pytest.raises(LeaseLostError):
                keeping.result()
            self.lost += 1


async def until(condition: Callable[[], bool], within: float) -> float:
    """Wait for a condition; return how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < within
        await asyncio.sleep(0.05)
    return loop.time() - began


async def with_two(story: Any) -> None:
    """Run a story of two operators of which `a` works."""
    server = Server()
    a, b = Process(server, "a"), Process(server, "b")
    tasks = {"a": asyncio.create_task(a.run())}
    await until(lambda: a.working, 1)
    tasks["b"] = asyncio.create_task(b.run())
    await until(lambda: b.lease.standing_by, 1)
    try:
        await story(server, a, b, tasks)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())


def test_one_works_and_the_other_stands_by() -> None:
    async def story(server: Server, a: Process, b: Process, _: Any) -> None:
        await asyncio.sleep(3600)
        assert (a.working, b.working, server.holder) == (True, False, "a")
        assert (a.lease.leads, b.lease.leads, b.lease.standing_by) == (True, False, True)

    run(with_two(story))


def test_one_that_ends_in_order_lets_the_next_begin_at_once() -> None:
    async def story(server: Server, a: Process, b: Process, tasks: dict[str, asyncio.Task[None]]) -> None:
        tasks["a"].cancel()
        await until(lambda: b.working, PAUSE + 1)
        assert (server.holder, a.lease.leads) == ("b", False)

    run(with_two(story))


def test_one_that_cannot_be_heard_any_more_stops_before_the_next_begins() -> None:
    async def story(server: Server, a: Process, b: Process, _: Any) -> None:
        a.line.cut = True
        await until(lambda: not a.working, RENEW_WITHIN + 0.1)
        assert not b.working
        await until(lambda: b.working, TAKE_OVER - RENEW_WITHIN + 1)
        assert server.lease is not None
        assert server.lease["spec"]["leaseTransitions"] == 1
        a.line.cut = False
        await until(lambda: a.lease.standing_by, 60)

    run(with_two(story))


def test_a_short_failure_is_outlived() -> None:
    async def story(_: Server, a: Process, __: Process, ___: Any) -> None:
        a.line.forbidden = True
        await asyncio.sleep(RENEW_WITHIN - 2 * PAUSE - 1)
        a.line.forbidden = False
        await asyncio.sleep(60)
        assert (a.working, a.lost) == (True, 0)

    run(with_two(story))


def test_a_lease_that_somebody_took_is_lost_at_the_next_look() -> None:
    async def story(server: Server, a: Process, b: Process, _: Any) -> None:
        assert server.lease is not None
        server.store({**server.lease, "spec": {**server.lease["spec"], "holderIdentity": "c"}})
        await until(lambda: not a.working, PAUSE + 1)
        assert a.lost == 1
        await until(lambda: a.working != b.working, TAKE_OVER + 1)

    run(with_two(story))


def test_a_lease_that_somebody_deleted_or_annotated_is_kept() -> None:
    async def story(server: Server, a: Process, b: Process, _: Any) -> None:
        assert server.lease is not None
        server.store({**server.lease, "metadata": {**server.lease["metadata"], "annotations": {"a": "b"}}})
        await asyncio.sleep(60)
        server.lease = None
        await asyncio.sleep(60)
        assert a.working != b.working

    run(with_two(story))


def test_what_hinders_it_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        process = Process(Server(), "a")
        process.line.forbidden = True
        task = asyncio.create_task(process.run())
        await asyncio.sleep(60)
        assert not process.lease.standing_by
        process.line.forbidden = False
        await until(lambda: process.working, PAUSE + 1)
        task.cancel()
        await asyncio.wait((task,))

    run(story())
    assert len(caplog.records) == 1
    assert "cannot be taken" in caplog.text
    assert "pbx-system/pbx-operator" in caplog.text


@given(cuts=st.lists(st.tuples(st.floats(0, 15), st.sampled_from("abc"), st.booleans()), max_size=30))
def test_there_are_never_two_at_work_and_soon_one(cuts: list[tuple[float, str, bool]]) -> None:
    async def story() -> None:
        server = Server()
        processes = {name: Process(server, name) for name in "abc"}
        tasks: list[Coroutine[Any, Any, None]] = [process.run() for process in processes.values()]
        running = [asyncio.create_task(task) for task in tasks]
        for pause, name, cut in cuts:
            await asyncio.sleep(pause)
            processes[name].line.cut = cut
        for process in processes.values():
            process.line.cut = False
        await until(lambda: any(process.working for process in processes.values()), 30 + TAKE_OVER + 1)
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        assert server.most_at_work == 1

    run(story())


@pytest.mark.parametrize(
    ("holder", "unchanged", "expected"),
    [("", 0, True), ("a", 0, True), ("b", 0, False), ("b", DURATION - 0.1, False), ("b", DURATION, True)],
)
def test_who_may_lead(holder: str, unchanged: float, expected: bool) -> None:
    spec = LeaseSpec.model_validate(held(None, holder, NOW))
    assert may_lead(spec, "a", unchanged) is expected


def test_a_holder_that_promised_more_patience_is_given_it() -> None:
    spec = LeaseSpec(holder_identity="b", lease_duration_seconds=60)
    assert not may_lead(spec, "a", 59)


def test_the_time_of_taking_it_stays_while_it_is_renewed() -> None:
    first = LeaseSpec.model_validate(held(None, "a", NOW))
    later = LeaseSpec.model_validate(held(first, "a", NOW + timedelta(seconds=2)))
    assert (later.acquire_time, later.lease_transitions) == (first.acquire_time, 0)
    assert later.renew_time > first.renew_time
    other = LeaseSpec.model_validate(held(later, "b", NOW + timedelta(seconds=20)))
    assert (other.acquire_time, other.lease_transitions) == (other.renew_time, 1)
    assert released(other, NOW)["holderIdentity"] == ""
