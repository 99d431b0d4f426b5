"""The operator under the admission policies: they refuse nothing that it does, and it tries nothing they refuse."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from builders import interlink
from integration.harness import Stage, World, open_stage
from pbx_operator.sandbox import ControlPlane
from support import ROOT, kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(second_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return a stage whose operator runs in a cluster with the policies."""
    policies = str(ROOT / "examples/install/policies.yaml")
    await asyncio.to_thread(kubectl, second_plane, "apply", "-f", policies)
    async with open_stage(second_plane, tmp_path_factory.mktemp("guarded")) as stage:
        await stage.observer.ready()
        stage.start()
        yield stage


async def test_links_begin_and_end_and_accounts_go_as_without_them(world: World) -> None:
    a, b, issuer, redeemer = await world.linked_offices()
    await world.delete(issuer)
    await world.gone(issuer, redeemer)
    await world.delete(a, b)
    await world.gone(a, b)
    assert refusals(world) == []


async def test_a_protected_interlink_outlives_its_peer_until_it_is_released(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b", "301")
    issuer = interlink("x", "a", a.key.namespace)
    redeemer = interlink("y", "a", b.key.namespace, redeem="key", deletionProtection="Enabled")
    await world.join(issuer, redeemer)
    await world.delete(issuer)
    await world.gone(issuer)
    await world.ready(redeemer, "EndedByPeer", "Stalled")
    assert "set spec.deletionProtection to Disabled and delete this Interlink" in world.message(redeemer)
    assert refusals(world) == [], "the operator does not try to delete it"
    await world.apply(interlink("y", "a", b.key.namespace, redeem="key"))
    await world.gone(redeemer)


def refusals(world: World) -> list[str]:
    """Return the operator's calls that the API server refused."""
    calls = world.stage.proxy.journal.calls
    return [f"{call.method} {call.path}" for call in calls if call.status in (403, 422)]
