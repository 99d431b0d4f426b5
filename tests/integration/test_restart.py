"""The operator is away for a while: what it finds when it comes back, and that it does nothing without a reason."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from builders import interlink
from integration.harness import Stage, World, number
from integration.keys import new_key
from pbx_operator.api.meta import NAMESPACES, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"counters": 0.0}


def issuer(world: World, **options: Any) -> Interlink:
    return interlink("x", "a", f"{world.name}-a", **options)


def redeemer(world: World, **options: Any) -> Interlink:
    return interlink("y", "a", f"{world.name}-b", redeem="key", **options)


async def away(stage: Stage) -> None:
    stage.operator.kill()
    await stage.operator.ended()


def back(stage: Stage) -> None:
    stage.start(periods=PERIODS)


async def everything_that_can_be(world: World) -> None:
    """Fill the world with links and numbers in all their states."""
    a, b = await world.office("a", "201", "202"), await world.office("b", "301")
    await world.join(issuer(world, dialPrefix="8"), redeemer(world, sharing=builders.sharing(mode="None")))
    await world.apply(number("201", a.key.namespace, name="loser"), number("112", a.key.namespace))
    unused = interlink("unused", "a", b.key.namespace)
    await world.apply(unused)
    await world.ready(unused, "KeyIssued")
    await world.put_key(b.key.namespace, "nonsense", "nonsense")
    await world.put_key(b.key.namespace, "unknown", new_key())
    for secret in ("nonsense", "unknown", "missing"):
        await world.apply(interlink(secret, "a", b.key.namespace, redeem=secret))
    await world.ready(interlink("unknown", "a", b.key.namespace), "KeyUnknown")
    await world.ready(number("201", a.key.namespace, name="loser"), "NumberConflict")
    c = await world.office("c")
    kept, left = (
        interlink("kept", "a", c.key.namespace, onPeerDeletion="Retain"),
        interlink("left", "a", a.key.namespace, redeem="kept"),
    )
    await world.join(kept, left)
    await world.delete(left)
    await world.ready(kept, "EndedByPeer")


@pytest.mark.parametrize("end", ["in order", "killed"])
async def test_a_restart_writes_nothing(stage: Stage, world: World, end: str) -> None:
    await everything_that_can_be(world)
    await stage.settle()
    if end == "in order":
        stage.operator.terminate()
        assert await stage.operator.ended() == 0
    else:
        await away(stage)
    stage.proxy.journal.clear()
    back(stage)
    await stage.settle()
    await stage.settle()
    assert world.writes() == []


async def test_what_happened_meanwhile_is_done(stage: Stage, world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b", "301")
    await world.join(issuer(world), redeemer(world))
    await away(stage)
    await world.delete(issuer(world))
    await world.delete(number("201", a.key.namespace))
    await world.apply(number("302", b.key.namespace))
    c = builders.account("a", await world.namespace("c"))
    await world.apply(c)
    back(stage)
    await world.gone(issuer(world), redeemer(world))
    await world.ready(c, "Serving")
    await world.ready(number("302", b.key.namespace), "Serving")
    await world.until(lambda: world.dial(a, "201").outcome == "NoMatch", "201 is gone")


async def test_both_sides_deleted_while_nobody_looked(stage: Stage, world: World) -> None:
    await world.office("a")
    await world.office("b")
    await world.join(issuer(world), redeemer(world))
    await away(stage)
    await world.delete(issuer(world), redeemer(world))
    back(stage)
    await world.gone(issuer(world), redeemer(world))
    assert [r.spec.state for r in world.records()] == ["Ended"]


async def test_redeemed_and_revoked_while_nobody_looked(stage: Stage, world: World) -> None:
    """Whichever comes first, nothing is left half done."""
    await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    await away(stage)
    await world.apply(redeemer(world))
    await world.delete(issuer(world))
    back(stage)
    await world.gone(issuer(world))
    (record,) = world.records()
    assert record.spec.state == "Ended"
    if record.spec.redeemer is None:
        await world.ready(redeemer(world), "KeyRevoked")
    else:
        await world.gone(redeemer(world))


async def test_restored_objects_take_their_links_up_again(stage: Stage, world: World) -> None:
    """Objects from `kubectl get -o yaml`, with new UIDs and without a status, after their finalizers were bypassed."""
    await world.office("a", "201")
    await world.office("b", "301")
    await world.join(issuer(world), redeemer(world))
    before = link_ids(world)
    await away(stage)
    backup = [await stage.api.cluster.get(one.resource, one.key) for one in (issuer(world), redeemer(world))]
    for one in (issuer(world), redeemer(world)):
        await world.delete(one)
        await world.release(one)
        await world.gone(one)
    for body in backup:
        for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"):
            del body["metadata"][name]
        await stage.api.cluster.create(Interlink.resource, body)
    back(stage)
    await world.green(issuer(world), redeemer(world))
    assert link_ids(world) == before
    assert [r.spec.state for r in world.records()] == ["Established"]


def link_ids(world: World) -> list[str]:
    return sorted(r.spec.redeemer.link_id for r in world.records() if r.spec.redeemer is not None)


async def test_an_unused_key_that_a_user_brought_along_survives_a_restore(stage: Stage, world: World) -> None:
    await world.office("a")
    await world.office("b")
    text = new_key()
    later = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    own = issuer(world, issue={"fromSecretRef": {"name": "mine"}, "expirationTime": later})
    await world.put_key(own.key.namespace, "mine", text)
    await world.apply(own)
    await world.ready(own, "KeyIssued")
    await away(stage)
    await world.delete(own)
    await world.release(own)
    await world.gone(own)
    await world.apply(own)
    back(stage)
    await world.ready(own, "KeyIssued")
    await world.put_key(redeemer(world).key.namespace, "key", text)
    await world.apply(redeemer(world))
    await world.green(own, redeemer(world))
    assert [r.spec.state for r in world.records()] == ["Established"]


async def test_a_generated_unused_key_is_revoked_when_its_interlink_vanished(stage: Stage, world: World) -> None:
    await world.office("a")
    await world.apply(issuer(world))
    await world.ready(issuer(world), "KeyIssued")
    first = await world.key_of(issuer(world))
    await away(stage)
    await world.delete(issuer(world))
    await world.release(issuer(world))
    await world.gone(issuer(world))
    await world.apply(issuer(world))
    back(stage)
    await world.ready(issuer(world), "KeyIssued")
    assert await world.key_of(issuer(world)) != first
    assert sorted(r.spec.state for r in world.records()) == ["Ended", "Issued"]


async def test_another_domain_suffix_changes_no_account(stage: Stage, world: World) -> None:
    a = await world.office("a", "201")
    await stage.settle()
    before = world.now(a)
    await away(stage)
    stage.proxy.journal.clear()
    stage.start("--domain-suffix", "elsewhere.example", periods=PERIODS)
    await stage.settle()
    await stage.settle()
    assert world.writes() == []
    assert world.now(a) == before
    later = builders.account("later", a.key.namespace)
    await world.apply(later)
    now = await world.ready(later, "Serving")
    assert now.status.sip_domain == f"later.{a.key.namespace}.elsewhere.example"


async def test_twelve_offices_come_back_inside_the_window(world: World) -> None:
    """A ring of links, all deleted and applied again, as a Git repository that was emptied by mistake and restored."""
    offices = [await world.office(f"o{n:02}", f"2{n:02}") for n in range(12)]
    links = [pair(one, other) for one, other in zip(offices, offices[1:] + offices[:1], strict=True)]
    for ours, theirs in links:
        await world.join(ours, theirs)
    before, keys = link_ids(world), {r.spec.key_id for r in world.records()}
    objects = [link for both in links for link in both]
    numbers = [number(f"2{n:02}", office.key.namespace) for n, office in enumerate(offices)]
    await world.delete(*objects, *numbers)
    await world.gone(*objects, *numbers)
    await world.apply(*objects, *numbers)
    await world.green(*objects)
    assert link_ids(world) == before
    assert {r.spec.key_id for r in world.records()} == keys
    for n, (ours, _) in enumerate(links):
        await world.reaches(offices[n], f"2{(n + 1) % 12:02}", offices[(n + 1) % 12])
        assert ours.metadata.name == "next"


def pair(one: PBXAccount, other: PBXAccount) -> tuple[Interlink, Interlink]:
    return (
        interlink("next", "a", one.key.namespace, undoWindowSeconds=600),
        interlink("previous", "a", other.key.namespace, redeem="key", undoWindowSeconds=600),
    )


ORDERS = {
    "issuer first": ["a", "b"],
    "redeemer first": ["b", "a"],
    "issuer alone": ["a"],
    "redeemer alone": ["b"],
    "account first": ["a", "b"],
}


async def test_namespaces_can_be_deleted_in_any_order(stage: Stage) -> None:
    """All orders at once, since the namespace controller takes its time."""
    worlds = {order: stage.world(order.replace(" ", "-")) for order in ORDERS}
    for order, world in worlds.items():
        await linked_offices(world)
        if order == "account first":
            await world.delete(builders.account("a", f"{world.name}-a"))
    await asyncio.gather(*(delete_namespaces(world, *ORDERS[order]) for order, world in worlds.items()))
    for world in worlds.values():
        await expect_end(world)
    assert stage.observer.problems == []


async def test_namespaces_can_be_deleted_while_the_operator_is_away(stage: Stage, world: World) -> None:
    await linked_offices(world)
    await away(stage)
    await delete_namespaces(world, "a", "b")
    back(stage)
    await expect_end(world)


async def linked_offices(world: World) -> None:
    await world.office("a", "201")
    await world.office("b", "301")
    await world.join(issuer(world), redeemer(world))


async def delete_namespaces(world: World, *suffixes: str) -> None:
    for suffix in suffixes:
        await world.stage.api.cluster.delete(NAMESPACES, ObjectKey("", f"{world.name}-{suffix}"))


async def expect_end(world: World) -> None:
    """Wait until nothing that was asked to go is held back, and the link has ended."""
    for namespace in world.namespaces:
        place = ObjectKey("", namespace)
        raw = world.raw(NAMESPACES, place)
        if raw is not None and "deletionTimestamp" in raw["metadata"]:
            await world.absent(NAMESPACES, place)
    await world.gone(issuer(world), redeemer(world))
    assert [r.spec.state for r in world.records()] == ["Ended"]
