"""The operator under the admission policies: they refuse nothing that it does, and it tries nothing they refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from builders import interlink
from integration.harness import OPERATOR, Stage, World, open_stage
from pbx_operator.cluster.errors import ADD_WRITER, RECORDS_POLICY
from pbx_operator.sandbox import ControlPlane
from support import ROOT, kubectl, until

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


async def test_an_operator_that_is_no_writer_is_told_to_become_one_and_goes_on_then(world: World) -> None:
    """The last test here, as it lets the operator be refused."""
    a = await world.office("a", "201")
    issuer = interlink("x", "a", a.key.namespace)
    await asyncio.to_thread(set_writers, world.stage.control_plane, "['somebody']")
    await asyncio.to_thread(until, lambda: refused(world.stage.control_plane), "the policy has changed")
    await world.apply(issuer)
    line = await world.stage.operator.says(f"{OPERATOR} is not among somebody", ADD_WRITER)
    assert "ClusterRole" not in line["msg"]
    await asyncio.to_thread(set_writers, world.stage.control_plane, f"['{OPERATOR}']")
    await world.ready(issuer, "KeyIssued")


def set_writers(control_plane: ControlPlane, expression: str) -> None:
    """Let the policy for records know these users only."""
    path = "/spec/variables/0"
    patch = [
        {"op": "test", "path": f"{path}/name", "value": "writers"},
        {"op": "replace", "path": f"{path}/expression", "value": expression},
    ]
    policy = ("validatingadmissionpolicy", RECORDS_POLICY)
    kubectl(control_plane, "patch", *policy, "--type=json", f"--patch={json.dumps(patch)}")


def refused(control_plane: ControlPlane) -> bool:
    """Whether the operator's user may not delete the records that earlier tests left."""
    try:
        kubectl(control_plane, "delete", "linkrecords", "--all", f"--as={OPERATOR}", "--dry-run=server")
    except AssertionError as error:
        return "is not among somebody" in str(error)
    return False


def refusals(world: World) -> list[str]:
    """Return the operator's calls that the API server refused."""
    calls = world.stage.proxy.journal.calls
    return [f"{call.method} {call.path}" for call in calls if call.status in (403, 422)]
