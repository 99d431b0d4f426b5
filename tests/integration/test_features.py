"""What else a link can do: new revisions, keys brought along, gates, windows, and objects that come back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from builders import interlink
from integration.api import manifest
from integration.harness import World
from integration.keys import new_key
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.domain.protocol.keys import Bundle, parse_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0, "orphan": 3.0}
LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=365)


def issuer(world: World, suffix: str = "a", **options: Any) -> Interlink:
    return interlink("x", "a", f"{world.name}-{suffix}", **options)


def redeemer(world: World, suffix: str = "b", **options: Any) -> Interlink:
    return interlink("y", "a", f"{world.name}-{suffix}", redeem="key", **options)


async def offices(world: World) -> None:
    await world.office("a", "201")
    await world.office("b", "301")


def key_id(text: str) -> str:
    return text.split(".")[1]


def record_of(world: World, text: str) -> LinkRecord:
    return next(r for r in world.records() if r.spec.key_id == key_id(text))


# --- revision ---------------------------------------------------------------------------------------------------


async def test_raising_the_revision_of_an_unused_key_replaces_it(world: World) -> None:
    await offices(world)
    first = await world.offer_key(issuer(world), redeemer(world))
    await world.apply(issuer(world, issue={"revision": 2}))
    await world.until(lambda: len(world.records()) == 2, "a second key was issued")
    now = await world.ready(issuer(world), "KeyIssued")
    assert now.status.key_revision == 2
    second = await world.key_of(issuer(world))
    assert key_id(second) == now.status.key_id != key_id(first)
    old = record_of(world, first).spec
    assert old.end is not None
    assert old.end.reason == "Revoked"
    await world.apply(redeemer(world))
    await world.ready(redeemer(world), "KeyRevoked")
    await world.put_key(redeemer(world).key.namespace, "key", second)
    await world.green(issuer(world), redeemer(world))


async def test_lowering_the_revision_does_nothing(world: World) -> None:
    await offices(world)
    await world.apply(issuer(world, issue={"revision": 5}))
    await world.ready(issuer(world), "KeyIssued")
    text = await world.key_of(issuer(world))
    await world.apply(issuer(world, issue={"revision": 1}))
    await world.stage.settle()
    assert await world.key_of(issuer(world)) == text
    assert [r.spec.state for r in world.records()] == ["Issued"]
    assert world.shows(issuer(world), "Ready") == ("True", "KeyIssued")


async def test_a_revision_raised_on_a_link_waits_for_its_end(world: World) -> None:
    await offices(world)
    await world.join(issuer(world, onPeerDeletion="Retain"), redeemer(world))
    raised = issuer(world, onPeerDeletion="Retain", issue={"revision": 2})
    await world.apply(raised)
    await world.stage.settle()
    await world.green(raised, redeemer(world))
    assert len(world.records()) == 1
    assert len(await world.event(raised, "RevisionWaits")) == 1
    await world.delete(redeemer(world))
    await world.gone(redeemer(world))
    await world.until(lambda: len(world.records()) == 2, "the new key is issued")
    now = await world.ready(raised, "KeyIssued")
    assert (now.status.state, now.status.key_revision, now.status.ended) == ("Pending", 2, None)
    await world.put_key(redeemer(world).key.namespace, "key", await world.key_of(raised))
    await world.apply(redeemer(world))
    await world.green(raised, redeemer(world))


async def test_a_key_secret_that_is_deleted_is_noticed(world: World) -> None:
    await offices(world)
    await world.apply(issuer(world))
    await world.ready(issuer(world), "KeyIssued")
    await world.stage.api.cluster.delete(SECRETS, ObjectKey(issuer(world).key.namespace, "x-key"))
    await world.apply(reconcile(issuer(world), "now"))
    await world.ready(issuer(world), "SecretMissing", "Stalled")
    assert "raise spec.issueKey.revision" in world.message(issuer(world))
    await world.apply(issuer(world, issue={"revision": 2}))
    await world.ready(issuer(world), "KeyIssued")
    assert await world.key_of(issuer(world))


async def test_a_new_revision_links_again_after_the_end(world: World) -> None:
    await offices(world)
    kept = redeemer(world, onPeerDeletion="Retain")
    await world.join(issuer(world), kept)
    await world.delete(issuer(world))
    await world.gone(issuer(world))
    await world.ready(kept, "EndedByPeer")
    await world.apply(issuer(world))
    await world.ready(issuer(world), "KeyIssued")
    await world.put_key(kept.key.namespace, "key", await world.key_of(issuer(world)))
    await world.apply(reconcile(kept, "now"))
    await world.green(issuer(world), kept)
    assert [r.spec.state for r in world.records()] == ["Ended", "Established"]


def reconcile(link: Interlink, token: str) -> dict[str, object]:
    body = manifest(link)
    body["metadata"]["annotations"] = {"pbx-operator.io/reconcile-requested-at": token}
    return body


# --- keys brought along -----------------------------------------------------------------------------------------


async def test_a_key_brought_along_needs_nobody_to_carry_it(world: World) -> None:
    await offices(world)
    text = new_key()
    own = issuer(world, issue={"fromSecretRef": {"name": "mine"}, "expirationTime": LATER})
    await world.apply(redeemer(world), own)
    await world.put_key(redeemer(world).key.namespace, "key", text)
    await world.put_key(own.key.namespace, "mine", text)
    await world.green(own, redeemer(world))
    (record,) = world.records()
    assert (record.spec.origin, record.spec.key_id) == ("BringYourOwn", key_id(text))
    await world.stage.settle()
    for place in (ObjectKey(own.key.namespace, "mine"), ObjectKey(redeemer(world).key.namespace, "key")):
        assert world.raw(SECRETS, place) is not None, "secrets that users wrote are left alone"
    await world.delete(own)
    await world.gone(own, redeemer(world))
    await world.apply(own, redeemer(world))
    for link in (own, redeemer(world)):
        await world.ready(link, "KeyAlreadyUsed")
    assert len(world.records()) == 1
    await world.stage.settle()
    assert world.now(own) is not None


async def test_a_bundle_is_as_good_as_the_bare_key(world: World) -> None:
    await offices(world)
    bare = await world.offer_key(issuer(world), redeemer(world))
    (record,) = world.records()
    bundle = Bundle(parse_key(bare).key, record.spec.instance, "a").text()
    await world.put_key(redeemer(world).key.namespace, "key", bundle)
    await world.apply(redeemer(world))
    await world.green(issuer(world), redeemer(world))


async def test_a_new_key_in_the_same_secret_is_a_new_attempt(world: World) -> None:
    await offices(world)
    c = await world.office("c")
    used = await world.join(issuer(world), redeemer(world))
    late = interlink("late", "a", c.key.namespace, redeem="key")
    await world.put_key(c.key.namespace, "key", used)
    await world.apply(late)
    await world.ready(late, "KeyAlreadyUsed")
    assert len(await world.event(issuer(world), "KeyReplay")) == 1
    other = interlink("x2", "a", issuer(world).key.namespace)
    await world.offer_key(other, late)
    await world.green(other, late)


async def test_a_wrong_key_is_not_used_up_by_whoever_enters_it_wrongly(world: World) -> None:
    await offices(world)
    text = await world.offer_key(issuer(world), redeemer(world))
    await world.put_key(redeemer(world).key.namespace, "key", new_key())
    await world.apply(redeemer(world))
    await world.ready(redeemer(world), "KeyUnknown")
    assert world.shows(issuer(world), "Ready") == ("True", "KeyIssued")
    await world.put_key(redeemer(world).key.namespace, "key", text)
    await world.apply(reconcile(redeemer(world), "now"))
    await world.green(issuer(world), redeemer(world))


async def test_secret_and_redeemer_in_any_order(world: World) -> None:
    await offices(world)
    await world.apply(redeemer(world))
    await world.ready(redeemer(world), "SecretMissing", "Stalled")
    await world.offer_key(issuer(world), redeemer(world))
    await world.green(issuer(world), redeemer(world))
    for reason, type_ in (("SecretMissing", "Warning"), ("Established", "Normal")):
        assert [e["type"] for e in await world.event(redeemer(world), reason)] == [type_]


# --- gates ------------------------------------------------------------------------------------------------------


async def test_each_side_closes_the_gate(world: World) -> None:
    await offices(world)
    await world.join(issuer(world), redeemer(world))
    a, b = builders.account("a", issuer(world).key.namespace), builders.account("a", redeemer(world).key.namespace)
    await world.reaches(a, "301", b)
    closed = manifest(issuer(world))
    closed["spec"]["gate"] = "Closed"
    await world.apply(closed)
    await world.ready(issuer(world), "ClosedHere", "CallsAllowed")
    await world.ready(redeemer(world), "ClosedByPeer", "CallsAllowed")
    for link, account, digits in ((issuer(world), a, "301"), (redeemer(world), b, "201")):
        assert world.shows(link, "Ready") == ("True", "Established")
        assert world.dial(account, digits).outcome == "NoMatch"
    await world.apply(issuer(world))
    await world.green(issuer(world), redeemer(world))
    await world.reaches(a, "301", b)
    for link, reason in ((issuer(world), "ClosedHere"), (redeemer(world), "ClosedByPeer")):
        assert [e["type"] for e in await world.event(link, reason)] == ["Warning"]
        assert [e["type"] for e in await world.event(link, "GateOpen")] == ["Normal"]


async def test_a_redeemer_taken_off_the_list_loses_its_calls_and_gets_them_back(world: World) -> None:
    await offices(world)
    namespace = redeemer(world).key.namespace
    listed = issuer(world, issue={"allowedRedeemers": [{"namespace": namespace, "account": "a"}]})
    await world.join(listed, redeemer(world))
    await world.apply(issuer(world, issue={"allowedRedeemers": [{"namespace": "elsewhere"}]}))
    for link in (listed, redeemer(world)):
        now = await world.ready(link, "RedeemerNotAllowed", "CallsAllowed")
        assert now.status.gate == "Closed"
        assert world.shows(link, "Ready") == ("True", "Established")
    await world.apply(listed)
    await world.green(listed, redeemer(world))


async def test_renaming_shows_on_the_other_side(world: World) -> None:
    await offices(world)
    await world.join(issuer(world), redeemer(world))
    a = builders.account("a", issuer(world).key.namespace, displayName="Mike Brown")
    await world.apply(a)

    def told() -> bool:
        now = world.now(redeemer(world))
        return now is not None and now.status.peer is not None and now.status.peer.display_name == "Mike Brown"

    await world.until(told, "the peer sees the new name")
    await world.apply(issuer(world, displayName="Tim"))
    await world.stage.settle()
    await world.green(issuer(world), redeemer(world))


async def test_a_prefix_is_refused_or_used_with_a_warning(world: World) -> None:
    await offices(world)
    await world.join(issuer(world, dialPrefix="112"), redeemer(world, dialPrefix="9"))
    for link, status in ((issuer(world), "False"), (redeemer(world), "True")):
        await world.ready(link, "DialPrefixEmergency", "Accepted")
        assert world.shows(link, "Accepted") == (status, "DialPrefixEmergency")
        assert [e["type"] for e in await world.event(link, "DialPrefixEmergency")] == ["Warning"]
    b, a = (builders.account("a", f"{world.name}-{side}") for side in "ba")
    await world.until(lambda: world.dial(b, "9201").interlink == "y", "the doubtful prefix is used")
    assert world.dial(a, "112301").outcome == "NoMatch"


# --- objects that go and come back ------------------------------------------------------------------------------


async def test_deleting_and_applying_at_once_gives_a_new_key(world: World) -> None:
    await offices(world)
    first = await world.offer_key(issuer(world), redeemer(world))
    await world.delete(issuer(world))
    await world.gone(issuer(world))
    await world.apply(issuer(world))
    await world.ready(issuer(world), "KeyIssued")
    second = await world.key_of(issuer(world))
    assert second != first
    states = {r.spec.key_id: r.spec.state for r in world.records()}
    assert states == {key_id(first): "Ended", key_id(second): "Issued"}


@pytest.mark.parametrize("side", ["issuer", "redeemer", "both"])
async def test_the_undo_window_keeps_a_link(world: World, side: str) -> None:
    await offices(world)
    pair = [issuer(world, undoWindowSeconds=600), redeemer(world, undoWindowSeconds=600)]
    await world.join(*pair)
    (before,) = world.records()
    going = {"issuer": pair[:1], "redeemer": pair[1:], "both": pair}[side]
    await world.delete(*going)
    await world.gone(*going)
    for link in pair:
        if link not in going:
            await world.ready(link, "PeerDeleting", "CallsAllowed")
            assert world.shows(link, "Ready") == ("True", "Established")
    await world.apply(*going)
    await world.green(*pair)
    (after,) = world.records()
    assert after.spec.redeemer is not None
    assert before.spec.redeemer is not None
    assert after.spec.redeemer.link_id == before.spec.redeemer.link_id
    assert after.spec.closing.issuer is after.spec.closing.redeemer is None


async def test_the_link_ends_when_the_window_runs_out(world: World) -> None:
    await offices(world)
    await world.join(issuer(world, undoWindowSeconds=1), redeemer(world))
    await world.delete(issuer(world))
    await world.gone(issuer(world), redeemer(world))
    (record,) = world.records()
    assert record.spec.end is not None
    assert (record.spec.end.by, record.spec.end.reason) == ("Issuer", "Deleted")
    assert [e["type"] for e in await world.event(redeemer(world), "EndedByPeer")] == ["Warning"]
    told = [line for line in world.stage.operator.lines() if line.get("reason") == "EndedByPeer"]
    assert redeemer(world).key.namespace in {line["namespace"] for line in told}


@pytest.mark.parametrize("side", ["issuer", "redeemer"])
async def test_an_object_that_vanished_is_waited_for(world: World, side: str) -> None:
    """Its finalizer was removed by force: nobody saw a deletion, so it may come back from a backup."""
    await offices(world)
    pair = {"issuer": issuer(world), "redeemer": redeemer(world)}
    await world.join(*pair.values())
    (before,) = world.records()
    lost = pair.pop(side)
    (left,) = pair.values()
    await world.vanish(lost)
    await world.ready(left, "Orphaned", "CallsAllowed")
    await world.apply(lost)
    await world.green(lost, left)
    (after,) = world.records()
    assert after.spec.redeemer is not None
    assert before.spec.redeemer is not None
    assert after.spec.redeemer.link_id == before.spec.redeemer.link_id


@pytest.mark.parametrize("side", ["issuer", "redeemer"])
async def test_an_object_that_does_not_come_back_ends_the_link(world: World, side: str) -> None:
    await offices(world)
    pair = {"issuer": issuer(world), "redeemer": redeemer(world)}
    await world.join(*pair.values())
    lost = pair.pop(side)
    await world.vanish(lost)
    await world.gone(*pair.values())
    (record,) = world.records()
    assert record.spec.end is not None
    assert record.spec.end.reason == "Orphaned"
    assert record.spec.end.by == side.capitalize()


async def test_an_account_that_vanished_closes_the_gate_and_comes_back(world: World) -> None:
    await offices(world)
    await world.join(issuer(world), redeemer(world))
    a = builders.account("a", issuer(world).key.namespace)
    await world.vanish(a)
    await world.ready(issuer(world), "RefNotFound")
    await world.ready(redeemer(world), "Orphaned", "CallsAllowed")
    await world.apply(a)
    await world.green(issuer(world), redeemer(world))


async def test_a_redeemer_deleted_before_it_linked_leaves_the_key_usable_by_others(world: World) -> None:
    await offices(world)
    await world.office("c")
    text = await world.offer_key(issuer(world), redeemer(world))
    a = builders.account("a", issuer(world).key.namespace)
    await world.apply(builders.account("a", a.key.namespace, country="XX"))
    await world.until(lambda: world.records()[0].spec.policy.account_ready == "False", "the record tells")
    await world.apply(redeemer(world))
    await world.ready(redeemer(world), "PeerBusy")
    await world.delete(redeemer(world))
    await world.gone(redeemer(world))
    (record,) = world.records()
    assert len(record.spec.fences) == 1
    await world.apply(a)
    other = redeemer(world, "c")
    await world.put_key(other.key.namespace, "key", text)
    await world.apply(other)
    await world.green(issuer(world), other)


async def test_deleting_the_account_ends_all_its_links(world: World) -> None:
    await offices(world)
    await world.office("c")
    await world.join(issuer(world), redeemer(world))
    second = interlink("x2", "a", issuer(world).key.namespace)
    await world.join(second, redeemer(world, "c"))
    a = builders.account("a", issuer(world).key.namespace)
    await world.delete(a)
    await world.gone(a, redeemer(world), redeemer(world, "c"))
    assert {(r.spec.end.by, r.spec.end.reason) for r in world.records() if r.spec.end} == {("Issuer", "AccountDeleted")}
    assert world.now(issuer(world)) is not None, "objects of users stay"
