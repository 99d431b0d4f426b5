"""Backups: a cluster rebuilt from them goes on with its links, and a clone of it does nothing by itself."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import builders
from builders import interlink
from integration.api import Raw
from integration.conftest import install
from integration.harness import Stage, World, number, open_stage
from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import CommServer, Interlink, InternalNumber, LinkRecord, PBXAccount
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.records.facts import interlink_of
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port
from server_builders import BTCO
from support import install_crds

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDENTITY = ObjectKey("pbx-system", "pbx-operator-identity")
CONFIRMED = "pbx-operator.io/confirmed-cluster"
NAMES = ("office-1-a", "office-1-b")
ISSUER = interlink("x", "a", NAMES[0])
REDEEMER = interlink("y", "a", NAMES[1], redeem="key")
FOREIGN_IDENTITY = {"seed": base64url(bytes(32)).encode()}


def ready_plane() -> Iterator[ControlPlane]:
    with ControlPlane.start() as control_plane:
        install_crds(control_plane)
        yield install(control_plane)


first_plane = pytest.fixture(ready_plane)
second_plane = pytest.fixture(ready_plane)


@pytest_asyncio.fixture(loop_scope="module")
async def old(first_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a cluster with a link."""
    (tmp_path / "old").mkdir()
    async with open_stage(first_plane, tmp_path / "old") as stage:
        stage.start()
        world = World(stage, "office-1")
        await world.office("a", "201")
        await world.office("b", "301")
        await world.join(ISSUER, REDEEMER)
        await stage.settle()
        yield stage
        assert stage.observer.problems == []


@pytest_asyncio.fixture(loop_scope="module")
async def new(second_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return an empty cluster, in which nothing has run yet."""
    (tmp_path / "new").mkdir()
    async with open_stage(second_plane, tmp_path / "new") as stage:
        yield stage
        assert stage.observer.problems == []


def world_of(stage: Stage) -> World:
    """Return a world that looks at the two offices."""
    world = World(stage, "office-1")
    world.namespaces = list(NAMES)
    return world


USERS_OBJECTS: tuple[ResourceType, ...] = tuple(kind.resource for kind in (PBXAccount, Interlink, InternalNumber))


async def restore(source: Stage, target: Stage, *resources: ResourceType) -> None:
    """Copy objects as backup tools do: with new UIDs, and without a status where that is a subresource."""
    for resource in resources:
        for raw in (await source.api.cluster.list(resource)).items:
            if raw["metadata"].get("namespace", NAMES[0]) in (*NAMES, IDENTITY.namespace):
                await target.api.cluster.create(resource, stripped(raw, resource))


def stripped(raw: Raw, resource: ResourceType) -> Raw:
    foreign = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "ownerReferences")
    metadata = {name: value for name, value in raw["metadata"].items() if name not in foreign}
    return {"apiVersion": resource.api_version, "kind": resource.kind, **raw, "metadata": metadata}


async def make_namespaces(stage: Stage) -> None:
    for name in NAMES:
        await stage.api.cluster.create(NAMESPACES, {"metadata": {"name": name}})


async def confirm(stage: Stage) -> None:
    """Say that the old cluster is gone for good, as the operator's log explains."""
    home = await stage.api.cluster.get(NAMESPACES, ObjectKey("", "kube-system"))
    patch = {"metadata": {"annotations": {CONFIRMED: home["metadata"]["uid"]}}}
    await stage.api.cluster.patch(SECRETS, IDENTITY, patch)


async def test_everything_restored_into_an_empty_cluster(old: Stage, new: Stage) -> None:
    before = [r.spec.redeemer for r in world_of(old).records()]
    await make_namespaces(new)
    await restore(old, new, SECRETS, LinkRecord.resource, *USERS_OBJECTS)
    operator = new.start()
    world = world_of(new)
    await operator.says(CONFIRMED, "kubectl annotate secret")
    for link in (ISSUER, REDEEMER):
        now = await world.ready(link, "ClusterUnconfirmed", "CallsAllowed")
        assert now.status.gate == "Closed"
        assert world.shows(link, "Ready") == ("True", "Established")
    fresh = interlink("fresh", "a", NAMES[0])
    await world.apply(fresh)
    await world.ready(fresh, "ClusterUnconfirmed")
    assert "administrator" in world.message(fresh)
    await confirm(new)
    await world.green(ISSUER, REDEEMER)
    await world.ready(fresh, "KeyIssued")
    after = [r.spec.redeemer for r in world.records() if r.spec.redeemer is not None]
    assert [r.link_id for r in after] == [r.link_id for r in before if r is not None]
    a, b = builders.account("a", NAMES[0]), builders.account("a", NAMES[1])
    await world.reaches(a, "301", b)
    await world.reaches(b, "201", a)


async def test_objects_restored_before_their_records(old: Stage, new: Stage) -> None:
    """As tools do that go by the alphabet; announced by --after-restore, no key is made for what comes back."""
    await make_namespaces(new)
    await restore(old, new, SECRETS)
    await confirm(new)
    new.start("--after-restore")
    await restore(old, new, *USERS_OBJECTS)
    world = world_of(new)
    await world.ready(builders.account("a", NAMES[0]), "Serving")
    await new.settle()
    assert [r for r in world.records() if (i := interlink_of(r.spec, "issuer")) and i.name == "x"] == []
    await restore(old, new, LinkRecord.resource)
    await world.green(ISSUER, REDEEMER)
    assert [r.spec.state for r in world.records()] == ["Established"]


async def test_objects_restored_before_their_records_without_announcement(old: Stage, new: Stage) -> None:
    """A key is made too early; once the record is back, its link is taken up and that key is revoked."""
    await make_namespaces(new)
    await restore(old, new, SECRETS)
    await confirm(new)
    new.start()
    await restore(old, new, *USERS_OBJECTS)
    world = world_of(new)
    await world.ready(ISSUER, "KeyIssued")
    await restore(old, new, LinkRecord.resource)
    await world.green(ISSUER, REDEEMER)
    states = sorted((r.spec.state, r.spec.end.reason if r.spec.end else "") for r in world.records())
    assert states == [("Ended", "Revoked"), ("Established", "")]


async def test_a_namespace_restored_beside_its_ended_records(old: Stage) -> None:
    world = world_of(old)
    key = await old.api.cluster.get(SECRETS, ObjectKey(NAMES[1], "key"))
    assert key["data"]
    await world.delete(ISSUER)
    await world.gone(ISSUER, REDEEMER)
    await world.apply(REDEEMER)
    await world.ready(REDEEMER, "KeyAlreadyUsed")
    assert [r.spec.state for r in world.records()] == ["Ended"]
    await old.settle()
    assert world.now(REDEEMER) is not None


async def test_a_lost_identity_is_never_replaced(old: Stage) -> None:
    world = world_of(old)
    old.operator.kill()
    await old.operator.ended()
    identity = stripped(await old.api.cluster.get(SECRETS, IDENTITY), SECRETS)
    await old.api.cluster.delete(SECRETS, IDENTITY)
    operator = old.start()
    await operator.says("pbx-operator-identity", "restore it from a backup")
    await old.api.cluster.list(LinkRecord.resource)
    fresh = interlink("fresh", "a", NAMES[0])
    await world.apply(fresh)
    await world.ready(fresh, "IdentityLost")
    assert "restore it from a backup" in world.message(fresh)
    assert await old.api.find(SECRETS, IDENTITY) is None
    await world.green(ISSUER, REDEEMER)
    await world.apply(number("202", NAMES[0]))
    await world.reaches(builders.account("a", NAMES[1]), "202", builders.account("a", NAMES[0]))
    await old.api.cluster.create(SECRETS, identity)
    operator.kill()
    await operator.ended()
    old.start()
    await world.ready(fresh, "KeyIssued")
    await world.green(ISSUER, REDEEMER)


async def test_a_lost_identity_of_boxes_alone_is_not_replaced_either(new: Stage) -> None:
    """Another one would take the namespace for a neighbour's, and its CommServers could never go."""
    port = unused_port()
    exchange = ("--exchange-endpoint", f"https://localhost:{port}", "--exchange-port", str(port))
    operator, world = new.start(*exchange), World(new, "shop")
    metadata = {"name": "pbx", "namespace": await world.namespace()}
    server = CommServer.model_validate({"metadata": metadata, "spec": BTCO})
    await world.apply(server)
    await world.ready(server, "Declared")
    operator.kill()
    await operator.ended()
    await new.api.cluster.delete(SECRETS, IDENTITY)
    operator = new.start(*exchange)
    await operator.says("does not exist although records of installation", "restore it from a backup")
    assert world.records() == []
    await world.delete(server)
    await world.gone(server)
    assert await new.api.find(SECRETS, IDENTITY) is None


async def test_a_lost_identity_that_comes_back_is_taken_up(old: Stage) -> None:
    """Without a restart; that of another installation is refused."""
    world = world_of(old)
    old.operator.kill()
    await old.operator.ended()
    identity = stripped(await old.api.cluster.get(SECRETS, IDENTITY), SECRETS)
    await old.api.cluster.delete(SECRETS, IDENTITY)
    operator = old.start()
    fresh = interlink("fresh", "a", NAMES[0])
    await world.apply(fresh)
    await world.ready(fresh, "IdentityLost")
    foreign = {name: base64.b64encode(text).decode() for name, text in FOREIGN_IDENTITY.items()}
    await old.api.cluster.create(SECRETS, {**identity, "data": {**identity["data"], **foreign}})
    await operator.says("but this installation is", "restore its own from a backup")
    assert world.shows(fresh, "Ready") == ("False", "IdentityLost")
    await old.api.cluster.delete(SECRETS, IDENTITY)
    await old.api.cluster.create(SECRETS, identity)
    await world.ready(fresh, "KeyIssued")
    await world.green(ISSUER, REDEEMER)
    assert operator.running
