"""The worker and its errors: whatever befalls one key, it is tried again, and no other key suffers."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from prometheus_client import CollectorRegistry

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus
from pbx_operator.cluster import Conflict, Forbidden, Unavailable
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.plan import Plan, StatusUpdate, Target
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.metrics import Metrics
from pbx_operator.engine.queue import WorkQueue
from pbx_operator.engine.worker import LONGEST_BACKOFF, Clocks, Worker
from pbx_operator.logs import JsonFormatter

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BAD = WorkKey("Link", ObjectKey("a", "bad"))
GOOD = WorkKey("Account", ObjectKey("a", "good"))


class Queue(WorkQueue[WorkKey]):
    """Remembers the pauses of its appointments; the clock stands still, so that none comes due."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.pauses: list[float] = []
        self.given_back = asyncio.Event()

    def done(self, key: WorkKey) -> None:
        super().done(key)
        self.given_back.set()

    def add_at(self, key: WorkKey, when: float) -> None:
        self.pauses.append(when)


@dataclass
class Bench:
    """A worker whose plans are scripted: an error is raised, a plan is returned."""

    script: dict[WorkKey, Exception | Plan] = field(default_factory=dict)
    forgiven: dict[WorkKey, int] = field(default_factory=dict)
    """After so many errors there are no more."""
    planned: list[WorkKey] = field(default_factory=list)
    queue: Queue = field(default_factory=Queue)
    memory: Memory = field(default_factory=Memory)
    executor: mock.AsyncMock = field(default_factory=mock.AsyncMock)

    def plan(self, key: WorkKey, now: datetime) -> Plan:
        self.planned.append(key)
        if self.planned.count(key) > self.forgiven.get(key, math.inf):
            return Plan()
        found = self.script.get(key, Plan())
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    async def work(self, key: WorkKey) -> None:
        """Let the key be worked on once more."""
        self.queue.given_back.clear()
        self.queue.add(key)
        async with asyncio.timeout(10):
            await self.queue.given_back.wait()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker; it must not end by itself."""
        metrics = Metrics(CollectorRegistry(), 1)
        clocks = Clocks(lambda: NOW, lambda: 0.0)
        worker = Worker(self.queue, self.plan, self.executor, self.memory, clocks, metrics)
        task = asyncio.create_task(worker.run())
        yield
        assert not task.done()
        task.cancel()


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("error", [Unavailable("no answer"), RuntimeError("a bug")], ids=str)
async def test_a_key_that_fails_for_ever_is_tried_for_ever(bench: Bench, error: Exception) -> None:
    bench.script[BAD] = error
    async with bench.running():
        for _ in range(1_100):
            await bench.work(BAD)
        await bench.work(GOOD)
    pauses = bench.queue.pauses
    assert len(pauses) == 1_100
    assert 0 < pauses[0] < pauses[6] < pauses[-1]
    assert max(pauses) <= 1.2 * LONGEST_BACKOFF


async def test_success_ends_the_growth_of_the_pauses(bench: Bench) -> None:
    bench.script[BAD] = Unavailable("no answer")
    async with bench.running():
        for _ in range(8):
            await bench.work(BAD)
        del bench.script[BAD]
        await bench.work(BAD)
        bench.script[BAD] = Unavailable("no answer")
        await bench.work(BAD)
    assert bench.queue.pauses[-1] < bench.queue.pauses[4]


async def test_the_server_may_ask_for_a_longer_pause(bench: Bench) -> None:
    bench.script[BAD] = Unavailable("slow down", retry_after=60)
    async with bench.running():
        await bench.work(BAD)
    assert bench.queue.pauses == [60]


async def test_a_moment_that_cannot_be_reckoned_with_is_a_failure_of_its_key_alone(bench: Bench) -> None:
    bench.script[BAD] = Plan(requeue=datetime(2030, 1, 1))
    async with bench.running():
        await bench.work(BAD)
        await bench.work(GOOD)
    assert len(bench.queue.pauses) == 1


async def test_a_conflict_is_no_failure(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.script[BAD] = Conflict("somebody was faster")
    bench.forgiven[BAD] = 2
    async with bench.running():
        await bench.work(BAD)
        await bench.work(GOOD)
    assert bench.planned == [BAD, BAD, BAD, GOOD]
    assert bench.queue.pauses == []
    assert caplog.records == []


async def test_nothing_is_planned_while_a_write_is_in_doubt(bench: Bench) -> None:
    """Whoever wrote: the status of a rival may show by now what this plan would claim."""
    bench.executor.settle_doubts.side_effect = Unavailable("no answer")
    async with bench.running():
        await bench.work(GOOD)
        assert bench.planned == []
        bench.executor.settle_doubts.side_effect = None
        await bench.work(GOOD)
    assert bench.planned == [GOOD]


async def test_of_statuses_that_were_written_those_of_accounts_are_remembered(bench: Bench) -> None:
    """Their counters wait for each other; nobody asks about the statuses of other kinds."""
    link, account = (Target(kind.resource, GOOD.key, "uid") for kind in (Interlink, PBXAccount))
    bench.script[GOOD] = Plan((), (StatusUpdate(link, InterlinkStatus()), StatusUpdate(account, PBXAccountStatus())))
    async with bench.running():
        await bench.work(GOOD)
    assert (bench.memory.counted(link), bench.memory.counted(account)) == (None, NOW)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]


BAD_FIELDS = {"kind": "Interlink", "namespace": "a", "name": "bad"}


async def test_a_refusal_is_logged_with_its_object_and_reason(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.script[BAD] = Forbidden("PUT /x: 403 Forbidden", status=403, reason="Forbidden")
    async with bench.running():
        await bench.work(BAD)
    (line,) = lines(caplog)
    assert BAD_FIELDS.items() <= line.items()
    assert (line["level"], line["reason"]) == ("warning", "Forbidden")
    assert "check the operator's ClusterRole (examples/install/rbac.yaml); next try in" in line["msg"]


async def test_a_bug_is_logged_with_its_object_and_where_it_is(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.script[BAD] = KeyError("x")
    async with bench.running():
        await bench.work(BAD)
    (line,) = lines(caplog)
    assert BAD_FIELDS.items() <= line.items()
    assert (line["level"], line["reason"]) == ("error", "KeyError")
    assert "Traceback" in line["exception"]


async def test_work_on_an_account_is_logged_as_such(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    bench.script[GOOD] = Unavailable("no answer", reason="TimeoutError")
    async with bench.running():
        await bench.work(GOOD)
    (line,) = lines(caplog)
    assert {"kind": "PBXAccount", "namespace": "a", "name": "good", "reason": "TimeoutError"}.items() <= line.items()
