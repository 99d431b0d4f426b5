"""The happy story and its neighbours: what users of linked accounts see, and how many writes it takes."""

from __future__ import annotations

import pytest

from builders import interlink
from integration.api import manifest
from integration.harness import World
from integration.keys import new_key
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_three_offices(world: World) -> None:
    a = await world.office("a", "201")
    b = await world.office("b", "301")
    c = await world.office("c", "401")
    to_b, to_c = interlink("to-b", "a", a.key.namespace), interlink("to-c", "a", a.key.namespace)
    from_b = interlink("to-a", "a", b.key.namespace, redeem="from-a")
    from_c = interlink("to-a", "a", c.key.namespace, redeem="from-a")

    await world.offer_key(to_b, from_b)
    grey = world.now(to_b)
    assert grey is not None
    assert (grey.status.state, grey.status.gate) == ("Pending", "Closed")
    await world.apply(from_b)
    await world.green(to_b, from_b)
    await world.join(to_c, from_c)

    await world.reaches(a, "301", b)
    await world.reaches(b, "201", a)
    await world.reaches(a, "401", c)
    await world.reaches(c, "201", a)
    assert world.dial(b, "401").outcome == "NoMatch"
    assert world.dial(c, "301").outcome == "NoMatch"

    ids = [now.status.link_id for link in (to_b, from_b) if (now := world.now(link))]
    assert len(set(ids)) == 1

    await world.delete(to_b)
    await world.gone(to_b, from_b)
    await world.until(lambda: world.dial(a, "301").outcome == "NoMatch", "301 is not dialled any more")
    assert world.dial(b, "201").outcome == "NoMatch"
    await world.reaches(a, "401", c)


ESTABLISHING = [
    ("PATCH", "interlinks", ""),  # A's finalizer
    ("POST", "secrets", ""),
    ("POST", "linkrecords", ""),
    ("PUT", "interlinks", "status"),  # A is grey
    ("PATCH", "interlinks", ""),  # B's finalizer
    ("PUT", "linkrecords", ""),
    ("PUT", "interlinks", "status"),
    ("PUT", "interlinks", "status"),  # both are green
    ("DELETE", "secrets", ""),
]
ENDING = [
    ("DELETE", "interlinks", ""),  # B, as its peer is gone
    ("PATCH", "interlinks", ""),
    ("PATCH", "interlinks", ""),  # both finalizers
    ("PUT", "linkrecords", ""),
]


def about_links(world: World) -> list[tuple[str, str, str]]:
    """Return the writes of a link; slices, account statuses and events are counted elsewhere."""
    kinds = ("interlinks", "linkrecords", "secrets")
    return [(c.method, c.resource, c.subresource) for c in world.writes() if c.resource in kinds]


async def test_a_link_takes_nine_writes_and_its_end_four(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.stage.settle()
    assert sorted(about_links(world)) == sorted(ESTABLISHING)
    world.stage.proxy.journal.clear()
    await world.delete(issuer)
    await world.gone(issuer, redeemer)
    await world.stage.settle()
    assert sorted(about_links(world)) == sorted(ENDING)


async def test_the_redeemer_can_end_the_link_as_well(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.stage.settle()
    world.stage.proxy.journal.clear()
    await world.delete(redeemer)
    await world.gone(issuer, redeemer)
    await world.stage.settle()
    assert sorted(about_links(world)) == sorted(ENDING)
    (record,) = world.records()
    assert record.spec.end is not None
    assert (record.spec.end.by, record.spec.end.reason) == ("Redeemer", "Deleted")


def generations(world: World, *objects: PBXAccount | Interlink) -> list[int]:
    return [now.metadata.generation for one in objects if (now := world.now(one)) is not None]


async def test_applying_again_and_noise_write_nothing(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b", "301")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    text = await world.join(issuer, redeemer)
    await world.reaches(a, "301", b)
    await world.stage.settle()
    before = generations(world, a, b, issuer, redeemer)
    world.stage.proxy.journal.clear()
    for step in range(100):
        await world.apply(a, b, issuer, redeemer)
        if step % 10 == 0:
            labelled = manifest(redeemer)
            labelled["metadata"]["labels"] = {"noise": str(step)}
            labelled["metadata"]["annotations"] = {"example.com/noise": str(step)}
            await world.apply(labelled)
            await world.put_key(b.key.namespace, "key", text)
    await world.stage.settle()
    assert world.writes() == []
    assert generations(world, a, b, issuer, redeemer) == before


async def test_deleting_the_spent_secret_of_the_redeemer_changes_nothing(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.stage.settle()
    world.stage.proxy.journal.clear()
    await world.stage.api.cluster.delete(SECRETS, ObjectKey(b.key.namespace, "key"))
    await world.stage.settle()
    assert world.writes() == []
    await world.green(issuer, redeemer)


async def test_key_is_in_an_immutable_secret_that_goes_with_its_interlink(world: World) -> None:
    a = await world.office("a")
    issuer = interlink("x", "a", a.key.namespace, issue={"secretName": "mine"})
    await world.apply(issuer)
    now = await world.ready(issuer, "KeyIssued")
    name = ObjectKey(a.key.namespace, "mine")
    text = await world.key_in(name)
    secret = world.raw(SECRETS, name)
    assert secret is not None
    assert (secret["type"], secret["immutable"]) == ("pbx-operator.io/key", True)
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [now.metadata.uid]
    assert text.startswith(f"pbxk1.{now.status.key_id}.")
    await world.delete(issuer)
    await world.gone(issuer)
    await world.until(lambda: world.raw(SECRETS, name) is None, "the Secret is collected")
    (record,) = world.records()
    assert record.spec.end is not None
    assert record.spec.end.reason == "Revoked"


async def test_another_key_in_the_secret_of_a_linked_redeemer_changes_nothing(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.stage.settle()
    world.stage.proxy.journal.clear()
    await world.put_key(b.key.namespace, "key", new_key())
    await world.stage.settle()
    assert world.writes() == []
    await world.green(issuer, redeemer)


async def test_a_status_that_somebody_wiped_is_written_again(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    (before,) = world.records()
    for one in (a, issuer, redeemer):
        await world.stage.settle()
        raw = await world.stage.api.cluster.get(one.resource, one.key)
        wiped = await world.stage.api.cluster.put_status(one.resource, {**raw, "status": {}})
        await world.stage.observer.caught_up(one.resource, wiped)
    await world.ready(a, "Serving")
    await world.green(issuer, redeemer)
    assert [r.spec for r in world.records()] == [before.spec]
