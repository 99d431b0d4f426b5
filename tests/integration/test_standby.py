"""Several operators with --leader-elect: one works, and another one takes over when it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from builders import interlink
from faultproxy import Answer, Fault, Hold, calls, writes
from integration.harness import Stage, World, open_stage
from integration.process import DEADLINE, POLL, OperatorProcess
from pbx_operator.api.meta import LEASES, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.cluster import Cluster, Conflict
from pbx_operator.engine.lease import LEASE
from pbx_operator.sandbox import ControlPlane

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = ObjectKey("pbx-system", LEASE)
STANDING_BY = "standing by, while"


@pytest_asyncio.fixture(loop_scope="module")
async def pair(installed: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a stage with two operators: the first works, the second stands by."""
    async with open_stage(installed, tmp_path) as stage:
        await stage.observer.ready()
        active = stage.start("--leader-elect")
        await becomes_ready(active)
        standby = stage.start("--leader-elect")
        await standby.says(STANDING_BY)
        yield stage


async def becomes_ready(operator: OperatorProcess) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            if (await operator.answers("/readyz"))[0] == 200:
                return
            await asyncio.sleep(POLL)


async def offices(world: World, count: int) -> list[Interlink]:
    """Declare accounts with a key each, and do not wait for anything."""
    account = await world.office("a", "201")
    links = [interlink(f"x{number}", "a", account.key.namespace) for number in range(count)]
    await world.apply(*links)
    return links


async def test_one_works_and_both_are_ready(pair: Stage) -> None:
    active, standby = pair.operators
    await becomes_ready(standby)
    for operator, works in ((active, 1.0), (standby, 0.0)):
        _, text = await operator.answers("/metrics")
        assert f'leader_election_master_status{{name="{LEASE}"}} {works}' in text
    assert "listed" not in standby.logs()
    world = pair.world("standby-one")
    (link,) = await offices(world, 1)
    await world.ready(link, "KeyIssued")


async def test_a_killed_one_is_succeeded(pair: Stage) -> None:
    active, standby = pair.operators
    world = pair.world("standby-killed")
    links = await offices(world, 20)
    active.kill()
    await standby.says("listed")
    for link in links:
        await world.ready(link, "KeyIssued")
    assert len(world.records()) == len(links)
    assert "listed" in standby.logs()


async def test_one_that_ends_in_order_gives_the_lease_back(pair: Stage) -> None:
    active, standby = pair.operators
    world = pair.world("standby-ended")
    links = await offices(world, 5)
    active.terminate()
    assert await active.ended() == 0
    await standby.says("listed")
    for link in links:
        await world.ready(link, "KeyIssued")
    lease = await pair.api.cluster.get(LEASES, KEY)
    assert lease["spec"]["leaseTransitions"] >= 1


async def test_one_that_was_frozen_ends_and_what_it_had_sent_does_no_harm(pair: Stage) -> None:
    """Its first write is under way for so long that its successor has done the same work meanwhile."""
    active, standby = pair.operators
    world = pair.world("standby-frozen")
    late = pair.proxy.add(Fault(writes(resource="linkrecords"), do=(hold := Hold())))
    links = await offices(world, 20)
    await hold.reached.wait()
    active.freeze()
    try:
        await standby.says("listed")
        for link in links:
            await world.ready(link, "KeyIssued")
        hold.release()
        await late.hit()
    finally:
        active.thaw()
    line = await active.says("this process ends")
    assert line["level"] == "critical"
    assert await active.ended() == 1
    await pair.settle()
    assert len(world.records()) == len(links)
    assert standby.running


async def test_one_that_loses_the_lease_while_it_starts_ends_too(installed: ControlPlane, tmp_path: Path) -> None:
    """It waits for a list, perhaps for long; meanwhile another one works, and two must not claim to."""
    async with open_stage(installed, tmp_path) as stage:
        await stage.observer.ready()
        stage.proxy.add(Fault(calls(verb="list", resource="pbxaccounts"), times=None, then=Answer(500)))
        operator = stage.start("--leader-elect")
        await operator.says("listing the objects failed")
        await take(stage.api.cluster, "another")
        line = await operator.says("another works now", "this process ends")
        assert line["level"] == "critical"
        assert await operator.ended() == 1
        await stage.api.cluster.delete(LEASES, KEY)


async def take(cluster: Cluster, holder: str) -> None:
    """Take the Lease from whoever renews it."""
    while True:
        lease = await cluster.get(LEASES, KEY)
        with suppress(Conflict):
            await cluster.put(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": holder}})
            return
