"""Manifests in Git and the tools that apply them, kubectl itself included."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

import builders
from builders import interlink
from integration.api import Raw, manifest
from integration.harness import World, number
from integration.keys import new_key
from pbx_operator.api.v1alpha1 import Interlink
from support import kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")
LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)


def repository(world: World) -> tuple[Interlink, Interlink, list[Raw]]:
    """Return both ends of a link and everything that belongs to them, the key included."""
    key = new_key()
    a, b = f"{world.name}-a", f"{world.name}-b"
    own = {"fromSecretRef": {"name": "mine"}, "expirationTime": LATER}
    issuer = interlink("x", "a", a, issue=own, onPeerDeletion="Retain")
    redeemer = interlink("y", "a", b, redeem="theirs", onPeerDeletion="Retain")
    accounts = [builders.account("a", a), builders.account("a", b)]
    numbers = [number("201", a), number("301", b)]
    manifests = [manifest(one) for one in (*accounts, *numbers, issuer, redeemer)]
    return issuer, redeemer, [*manifests, secret(a, "mine", key), secret(b, "theirs", key)]


def secret(namespace: str, name: str, text: str) -> Raw:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": {"key": text},
    }


async def run(world: World, *arguments: str, objects: list[Raw]) -> str:
    """Run kubectl with a list of objects as its input."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    return await asyncio.to_thread(kubectl, world.stage.control_plane, *arguments, "-f", "-", stdin=text)


async def test_both_ends_of_a_link_in_one_repository(world: World) -> None:
    for suffix in "ab":
        await world.namespace(suffix)
    issuer, redeemer, objects = repository(world)
    await run(world, "apply", objects=objects)
    await world.green(issuer, redeemer)
    a, b = builders.account("a", f"{world.name}-a"), builders.account("a", f"{world.name}-b")
    await world.reaches(a, "301", b)
    await world.stage.settle()
    world.stage.proxy.journal.clear()
    for _ in range(3):
        await run(world, "apply", objects=objects)
    await world.stage.settle()
    assert [c for c in world.writes() if c.resource != "pbxaccounts"] == []


@pytest.mark.parametrize("reverse", [False, True])
async def test_any_order_of_one_repository_comes_to_the_same(world: World, reverse: bool) -> None:
    for suffix in "ab":
        await world.namespace(suffix)
    issuer, redeemer, objects = repository(world)
    await run(world, "apply", objects=objects[::-1] if reverse else objects)
    await world.green(issuer, redeemer)
    assert [r.spec.state for r in world.records()] == ["Established"]


async def test_replacing_an_object_drops_neither_its_finalizer_nor_its_link(world: World) -> None:
    await world.office("a")
    await world.office("b")
    issuer, redeemer = interlink("x", "a", f"{world.name}-a"), interlink("y", "a", f"{world.name}-b", redeem="key")
    await world.join(issuer, redeemer)
    (before,) = world.records()
    await run(world, "replace", objects=[manifest(issuer), manifest(redeemer)])

    def restored() -> bool:
        return all((now := world.now(link)) is not None and now.metadata.finalizers for link in (issuer, redeemer))

    await world.until(restored, "the finalizers are back")
    await world.stage.settle()
    await world.green(issuer, redeemer)
    assert [r.spec for r in world.records()] == [before.spec]


async def test_replacing_by_force_is_deleting_and_creating(world: World) -> None:
    await world.office("a")
    await world.office("b")
    issuer = interlink("x", "a", f"{world.name}-a", undoWindowSeconds=600)
    redeemer = interlink("y", "a", f"{world.name}-b", redeem="key")
    await world.join(issuer, redeemer)
    await run(world, "replace", "--force", objects=[manifest(issuer)])
    await world.green(issuer, redeemer)
    assert [r.spec.state for r in world.records()] == ["Established"]


async def test_server_and_client_side_apply_agree(world: World) -> None:
    """Nothing of what the operator writes is owned by, or in conflict with, those who apply the spec."""
    a, b = await world.office("a", "201"), await world.office("b")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    objects = [manifest(one) for one in (a, b, issuer, redeemer, number("201", a.key.namespace))]
    await run(world, "apply", objects=objects)
    await run(world, "apply", "--server-side", "--field-manager=tests", objects=objects)
    for one in (a, issuer, number("201", a.key.namespace)):
        raw = world.raw(one.resource, one.key) or {}
        ours = [e for e in raw["metadata"]["managedFields"] if e["manager"] == "pbx-operator"]
        assert ours
        assert not [e for e in ours if "f:spec" in e["fieldsV1"]]
    await world.stage.settle()
    await world.green(issuer, redeemer)


async def test_kubectl_wait_and_columns_tell_the_story(world: World) -> None:
    a = await world.office("a")
    issuer = interlink("x", "a", a.key.namespace, displayName="Tim Andrews")
    await world.apply(issuer)
    plane = world.stage.control_plane
    at = ("-n", a.key.namespace)
    await asyncio.to_thread(kubectl, plane, "wait", *at, "--for=condition=Ready", "--timeout=30s", "interlink/x")
    table = await asyncio.to_thread(kubectl, plane, "get", *at, "ilk", "-o", "wide")
    heading, row = table.splitlines()
    assert heading.split()[:6] == ["NAME", "READY", "REASON", "STATE", "GATE", "ACCOUNT"]
    assert row.split()[:6] == ["x", "True", "KeyIssued", "Pending", "Closed", "a"]


async def test_a_deletion_by_mistake_and_its_revert(world: World) -> None:
    """Without a window the end is the end, as in the product: the peers that retain their objects say what to do."""
    for suffix in "ab":
        await world.namespace(suffix)
    issuer, redeemer, objects = repository(world)
    await run(world, "apply", objects=objects)
    await world.green(issuer, redeemer)
    await world.delete(issuer)
    await world.gone(issuer)
    await world.ready(redeemer, "EndedByPeer")
    await run(world, "apply", objects=objects)
    await world.ready(issuer, "KeyAlreadyUsed")
    await world.stage.settle()
    await world.ready(redeemer, "EndedByPeer")
    key = new_key()
    await world.put_key(issuer.key.namespace, "mine", key)
    await world.put_key(redeemer.key.namespace, "theirs", key)
    for link in (issuer, redeemer):
        body = manifest(link)
        body["metadata"]["annotations"] = {"pbx-operator.io/reconcile-requested-at": "new key"}
        if link is issuer:
            body["spec"]["issueKey"]["revision"] = 2
        await world.apply(body)
    await world.green(issuer, redeemer)
