"""The reasons that rest on the installation: its identity, a restore, CRDs of another version.

See `test_reasons_interlinks` for what is checked.  All of it happens on a control plane of the module's own, to
which each story starts the operator that it needs.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import builders
from builders import interlink
from integration.api import manifest
from integration.conftest import ready_plane
from integration.harness import Stage, World, number, open_stage
from integration.reason_stories import expect, shows
from integration.test_control_plane import loosen, until_applied
from pbx_operator.api import gate_reasons, reasons
from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, Interlink
from pbx_operator.sandbox import ControlPlane
from server_builders import STOCK

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}
IDENTITY = ObjectKey("pbx-system", "pbx-operator-identity")
CONFIRMED = "pbx-operator.io/confirmed-cluster"

plane = pytest.fixture(ready_plane, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return a stage on which no operator runs."""
    async with open_stage(plane, tmp_path_factory.mktemp("stage")) as stage:
        await stage.observer.ready()
        yield stage


async def begin(stage: Stage, *arguments: str) -> None:
    """Let an operator begin to work, after the one before, if any, has ended."""
    await stage.stop()
    stage.start(*arguments, periods=PERIODS)


def issuer(world: World, name: str = "x") -> Interlink:
    return interlink(name, "a", f"{world.name}-a")


def redeemer(world: World) -> Interlink:
    return interlink("y", "a", f"{world.name}-b", redeem="key")


async def linked(world: World) -> None:
    """Link two offices."""
    await begin(world.stage)
    await world.office("a", "200")
    await world.office("b")
    await world.join(issuer(world), redeemer(world))


@shows(reasons.ISSUING, reasons.REDEEMING)
async def test_after_a_restore_keys_wait(stage: Stage, world: World) -> None:
    await begin(stage)
    await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    await begin(stage, "--after-restore")
    fresh = issuer(world, "fresh")
    await world.apply(fresh, redeemer(world))
    await expect(world, fresh, reasons.ISSUING)
    await expect(world, redeemer(world), reasons.REDEEMING)
    assert [r.spec.state for r in world.records()] == ["Issued"]
    await begin(stage)
    await world.green(issuer(world), redeemer(world))
    await world.ready(fresh, "KeyIssued")


@shows(reasons.CLUSTER_UNCONFIRMED)
async def test_cluster_unconfirmed(stage: Stage, world: World) -> None:
    await linked(world)
    await stage.stop()
    elsewhere = base64.b64encode(b"another cluster").decode()
    await change_identity(stage, data={"clusterUID": elsewhere}, metadata={"annotations": {CONFIRMED: None}})
    new, known = server(world, "new", "1"), server(world, "known", "2")
    await world.apply(new, known)
    raw = await stage.api.cluster.get(CommServer.resource, known.key)
    shown = {"equipmentID": "ALE12-2", "systemID": "5ed0a0c44ed1ac2b8eb0d2e1", "appliedGeneration": 1}
    await stage.api.cluster.put_status(CommServer.resource, {**raw, "status": shown})
    await begin(stage)
    fresh = issuer(world, "fresh")
    await world.apply(fresh)
    await world.condition(new, "Provisioned", "False", "ClusterUnconfirmed")
    await world.condition(known, "Provisioned", "Unknown", "ClusterUnconfirmed")
    await expect(world, fresh, reasons.CLUSTER_UNCONFIRMED, f"Secret {IDENTITY}", "administrator", "log")
    for link in (issuer(world), redeemer(world)):
        await world.condition(link, "CallsAllowed", "False", "ClusterUnconfirmed")
        assert world.shows(link, "Ready") == ("True", "Established")
    home = await stage.api.cluster.get(NAMESPACES, ObjectKey("", "kube-system"))
    await change_identity(stage, metadata={"annotations": {CONFIRMED: home["metadata"]["uid"]}})
    await begin(stage)
    await world.ready(fresh, "KeyIssued")
    await world.green(issuer(world), redeemer(world))


def server(world: World, name: str, installation: str) -> CommServer:
    """Return a server at Rainbow, which nobody may ask about it."""
    rainbow = {"company": "c", "credentialsSecretRef": {"name": "l"}, "applicationSecretRef": {"name": "a"}}
    stock = {"fleetReference": "ALE12", "installationReference": installation}
    spec = {**STOCK, "stock": stock, "provider": {"type": "Rainbow", "rainbow": rainbow}}
    return CommServer.model_validate({"metadata": {"name": name, "namespace": f"{world.name}-a"}, "spec": spec})


async def change_identity(stage: Stage, **changes: Any) -> None:
    await stage.api.cluster.patch(SECRETS, IDENTITY, changes)


@shows(reasons.IDENTITY_LOST)
async def test_identity_lost(stage: Stage, world: World) -> None:
    await linked(world)
    await stage.stop()
    identity = await stage.api.cluster.get(SECRETS, IDENTITY)
    await stage.api.cluster.delete(SECRETS, IDENTITY)
    await begin(stage)
    fresh = issuer(world, "fresh")
    await world.apply(fresh)
    await expect(world, fresh, reasons.IDENTITY_LOST, f"Secret {IDENTITY}", "restore it from a backup")
    await world.green(issuer(world), redeemer(world))
    backup = {name: identity[name] for name in ("apiVersion", "kind", "type", "data")}
    annotations = identity["metadata"].get("annotations", {})
    metadata = {"name": IDENTITY.name, "namespace": IDENTITY.namespace, "annotations": annotations}
    await stage.api.cluster.create(SECRETS, {**backup, "metadata": metadata})
    await begin(stage)
    await world.ready(fresh, "KeyIssued")


@shows(reasons.UNREADABLE, gate_reasons.CALLS_UNREADABLE, reasons.ACCOUNT_NOT_READY, reasons.NOT_CHECKED)
async def test_unreadable_account(stage: Stage, world: World) -> None:
    """The CRD is newer than the operator, and somebody uses what is new in it."""
    await linked(world)
    account, fresh = builders.account("a", issuer(world).key.namespace), issuer(world, "fresh")
    await loosen(stage, "pbxaccounts")
    await until_applied(world, manifest(account) | {"spec": {"country": "Netherlands"}})
    await world.apply(fresh)
    await expect(world, account, reasons.UNREADABLE, "spec.country", "correct it")
    await expect(world, fresh, reasons.ACCOUNT_NOT_READY, "PBXAccount a")
    for link in (issuer(world), redeemer(world)):
        await world.condition(link, "CallsAllowed", "False", "Unreadable")
        assert world.shows(link, "Ready") == ("True", "Established")
    unknown = number("200", account.key.namespace)
    await world.condition(unknown, "Ready", "Unknown", "AccountNotReady")
    await world.condition(unknown, "Accepted", "Unknown", "NotChecked")
    await world.apply(account)
    await world.ready(unknown, "Serving")
    await world.ready(fresh, "KeyIssued")
    await world.green(issuer(world), redeemer(world))
