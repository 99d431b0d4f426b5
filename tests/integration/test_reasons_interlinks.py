"""Every reason that an Interlink of one cluster shows, as its user meets it.

The message must name the next step; that it names no other namespace, and that the conditions agree with each
other, the observer checks.  Patience is short here: what may pass by itself counts as stalled after a second.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from builders import interlink, sharing
from faultproxy import Answer, Call, Fault
from integration.api import manifest
from integration.harness import World
from integration.keys import new_key
from integration.reason_stories import expect, expect_first_progress, shows
from pbx_operator.api import gate_reasons, reasons
from pbx_operator.api.reasons import Reason
from pbx_operator.api.v1alpha1 import Interlink

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}


def redeemer(world: World, suffix: str = "b", **options: Any) -> Interlink:
    return interlink("y", "a", f"{world.name}-{suffix}", redeem="key", **options)


def issuer(world: World, suffix: str = "a", **options: Any) -> Interlink:
    return interlink("x", "a", f"{world.name}-{suffix}", **options)


def state(world: World, link: Interlink) -> str | None:
    now = world.now(link)
    return now.status.state if now is not None else None


async def linked(world: World, **options: Any) -> None:
    """Link two offices."""
    await world.office("a")
    await world.office("b")
    await world.join(issuer(world, **options), redeemer(world))


# --- a link that is well ----------------------------------------------------------------------------------------


@shows(
    *(reasons.KEY_ISSUED, reasons.KEY_ISSUED_ONCE, reasons.ESTABLISHED),
    *(gate_reasons.GATE_OPEN, reasons.ACCEPTED, reasons.RESOLVED),
)
async def test_from_key_to_link(world: World) -> None:
    await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    assert world.shows(issuer(world), "KeyIssued") == ("True", "KeyIssued")
    await world.apply(redeemer(world))
    await world.green(issuer(world), redeemer(world))


@shows(reasons.REVISION_WAITS)
async def test_revision_waits(world: World) -> None:
    await linked(world)
    await world.apply(issuer(world, issue={"revision": 2}))
    await world.condition(issuer(world), "KeyIssued", "True", "RevisionWaits")
    assert "revision 2" in world.message(issuer(world), "KeyIssued")


# --- Interlink: what it refers to -------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["issuer", "redeemer"])
@shows(reasons.REF_NOT_FOUND)
async def test_account_missing(world: World, side: str) -> None:
    await world.namespace("a")
    link = issuer(world) if side == "issuer" else redeemer(world, "a")
    await world.apply(link)
    await expect(world, link, reasons.REF_NOT_FOUND, "PBXAccount a", "create it")


async def test_account_not_ready(world: World) -> None:
    a = await world.namespace("a")
    await world.apply(builders.account("a", a, country="XX"))
    await world.apply(issuer(world))
    await expect(world, issuer(world), reasons.ACCOUNT_NOT_READY, "PBXAccount a", "conditions")


@shows(reasons.SECRET_MISSING)
async def test_secret_missing(world: World) -> None:
    b = await world.office("b")
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.SECRET_MISSING, "Secret key", "create it")
    assert world.shows(redeemer(world), "ResolvedRefs") == ("False", "SecretMissing")
    await world.put_key(b.key.namespace, "key", new_key())
    await world.ready(redeemer(world), "KeyUnknown")


@shows(reasons.SECRET_NAME_TAKEN, reasons.NO_KEY_YET, gate_reasons.NOT_ESTABLISHED)
async def test_secret_name_taken(world: World) -> None:
    a = await world.office("a")
    await world.put_key(a.key.namespace, "x-key", "something else")
    await world.apply(issuer(world))
    await expect_first_progress(world, issuer(world), reasons.SECRET_NAME_TAKEN, "Secret x-key", "secretName")
    assert world.shows(issuer(world), "KeyIssued") == ("False", "NoKey")
    assert world.shows(issuer(world), "CallsAllowed") == ("False", "NotEstablished")


async def test_nobody_is_told_to_delete_the_key_of_another_interlink(world: World) -> None:
    await world.office("a")
    await world.apply(issuer(world))
    await world.ready(issuer(world), "KeyIssued")
    second = interlink("w", "a", f"{world.name}-a", issue={"secret_name": "x-key"})
    await world.apply(second)
    told = ("Secret x-key belongs to Interlink x; create this object anew with another spec.issueKey.secretName",)
    await expect_first_progress(world, second, reasons.SECRET_NAME_TAKEN, *told)


# --- Interlink: its key -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "hello", "pbxk1.aaaaaaaaaaaaaaaa", "ümlaut"])
@shows(reasons.KEY_MALFORMED)
async def test_key_malformed(world: World, text: str) -> None:
    b = await world.office("b")
    await world.put_key(b.key.namespace, "key", text)
    await world.apply(redeemer(world))
    await expect(world, redeemer(world), reasons.KEY_MALFORMED, "Secret key", "copy")
    assert text == "" or text not in world.message(redeemer(world))


async def test_key_with_a_typing_error(world: World) -> None:
    b = await world.office("b")
    text = new_key()
    wrong = text[:-1] + ("A" if text[-1] != "A" else "Q")
    await world.put_key(b.key.namespace, "key", wrong)
    await world.apply(redeemer(world))
    await expect(world, redeemer(world), reasons.KEY_MALFORMED, "a character is wrong")
    await world.put_key(b.key.namespace, "key", text)
    await world.ready(redeemer(world), "KeyUnknown")


@shows(reasons.KEY_UNKNOWN)
async def test_key_unknown(world: World) -> None:
    b = await world.office("b")
    await world.put_key(b.key.namespace, "key", new_key())
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.KEY_UNKNOWN, "new key")


@shows(reasons.KEY_ALREADY_USED, reasons.KEY_REPLAY)
async def test_key_already_used(world: World) -> None:
    for suffix in "ab":
        await world.office(suffix)
    c = await world.office("c")
    text = await world.join(issuer(world), redeemer(world))
    await world.put_key(c.key.namespace, "key", text)
    await world.apply(redeemer(world, "c"))
    await expect(world, redeemer(world, "c"), reasons.KEY_ALREADY_USED, "new key", "Secret key")
    assert state(world, redeemer(world, "c")) == "Ended"
    await world.green(issuer(world), redeemer(world))
    (record,) = world.records()
    assert record.status.replay is not None
    (event,) = await world.event(issuer(world), "KeyReplay")
    assert record.spec.key_id in event["note"]


@shows(reasons.KEY_REVOKED)
async def test_key_revoked(world: World) -> None:
    await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    await world.delete(issuer(world))
    await world.gone(issuer(world))
    await world.apply(redeemer(world))
    await expect(world, redeemer(world), reasons.KEY_REVOKED, "new key", "Secret key")


@shows(reasons.KEY_EXPIRED)
async def test_key_expired(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    text = new_key()
    for place in (a, b):
        await world.put_key(place.key.namespace, "key", text)
    soon = datetime.now(UTC) + timedelta(seconds=10)
    own = issuer(world, issue={"fromSecretRef": {"name": "key"}, "expirationTime": soon})
    await world.apply(own)
    await world.ready(own, "KeyIssued")
    await expect(world, own, reasons.KEY_EXPIRED, "Secret key", "revision")
    await world.apply(redeemer(world))
    await expect(world, redeemer(world), reasons.KEY_EXPIRED, "new key", "Secret key")


@shows(reasons.SELF_LINK)
async def test_self_link(world: World) -> None:
    a = await world.office("a")
    text = await world.offer_key(issuer(world), redeemer(world, "a"))
    assert text
    await world.apply(redeemer(world, "a"))
    await expect(world, redeemer(world, "a"), reasons.SELF_LINK, "another account")
    assert world.shows(issuer(world), "Ready") == ("True", "KeyIssued")
    assert a.key.namespace == issuer(world).key.namespace


# --- Interlink: the other side ----------------------------------------------------------------------------------


@shows(reasons.AWAITING_PEER)
async def test_awaiting_peer(world: World) -> None:
    await world.office("a")
    await world.office("b")
    demanding = issuer(world, issue={"readyWhen": "Established"})
    await world.apply(demanding)
    await expect(world, demanding, reasons.AWAITING_PEER, "Secret x-key")
    text = await world.key_of(demanding)
    await world.put_key(redeemer(world).key.namespace, "key", text)
    await world.apply(redeemer(world))
    await world.green(demanding, redeemer(world))


@shows(reasons.DUPLICATE_LINK)
async def test_duplicate_pair(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    await world.join(issuer(world), redeemer(world))
    second = interlink("x2", "a", b.key.namespace)
    other = interlink("y2", "a", a.key.namespace, redeem="key2")
    await world.offer_key(second, other)
    await world.apply(other)
    await expect_first_progress(world, other, reasons.DUPLICATE_LINK, "delete this Interlink, or Interlink x first")
    assert state(world, other) == "Pending", "its key is unused"
    await world.delete(issuer(world))
    await world.green(second, other)


@shows(reasons.REDEEMER_NOT_ALLOWED)
async def test_redeemer_not_allowed(world: World) -> None:
    await world.office("a")
    await world.office("b")
    choosy = issuer(world, issue={"allowedRedeemers": [{"namespace": "elsewhere"}]})
    await world.offer_key(choosy, redeemer(world))
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.REDEEMER_NOT_ALLOWED, "allowedRedeemers")
    await world.apply(issuer(world, issue={"allowedRedeemers": [{"namespace": redeemer(world).key.namespace}]}))
    await world.green(choosy, redeemer(world))


@shows(reasons.PEER_BUSY)
async def test_peer_busy(world: World) -> None:
    a = await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    await world.apply(builders.account("a", a.key.namespace, country="XX"))
    await world.until(lambda: world.records()[0].spec.policy.account_ready == "False", "the record tells")
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.PEER_BUSY, "account is not ready")
    await world.apply(builders.account("a", a.key.namespace))
    await world.green(issuer(world), redeemer(world))


@pytest.mark.parametrize("keeper", ["issuer", "redeemer"])
@shows(reasons.ENDED_BY_PEER)
async def test_ended_by_peer(world: World, keeper: str) -> None:
    await world.office("a")
    await world.office("b")
    first, second = issuer(world, onPeerDeletion="Retain"), redeemer(world, onPeerDeletion="Retain")
    await world.join(first, second)
    kept, left = (first, second) if keeper == "issuer" else (second, first)
    await world.delete(left)
    await world.gone(left)
    step = "raise spec.issueKey.revision" if keeper == "issuer" else "Secret key"
    await expect(world, kept, reasons.ENDED_BY_PEER, step)
    now = world.now(kept)
    assert now is not None
    assert now.status.ended is not None
    assert (now.status.state, now.status.ended.by, now.status.ended.reason) == ("Ended", "Peer", "Deleted")


@shows(reasons.ACCOUNT_DELETED, reasons.ENDED)
async def test_account_deleted(world: World) -> None:
    a = await world.office("a")
    await world.office("b")
    await world.join(issuer(world, onPeerDeletion="Retain"), redeemer(world))
    await world.delete(a)
    await world.gone(a, redeemer(world))
    await expect(world, issuer(world), reasons.ACCOUNT_DELETED, "PBXAccount a", "delete this Interlink")
    assert world.shows(issuer(world), "KeyIssued") == ("False", "Ended")
    await world.apply(a)
    await world.ready(a, "Serving")
    await world.stage.settle()
    await expect(world, issuer(world), reasons.ACCOUNT_DELETED)


@shows(reasons.WAITING_FOR_CLEANUP)
async def test_waiting_for_cleanup(world: World) -> None:
    await world.office("a")
    await world.apply(issuer(world))
    await world.ready(issuer(world), "KeyIssued")
    world.stage.control_plane.stop_component("kube-controller-manager")
    try:
        await world.delete(issuer(world))
        await world.gone(issuer(world))
        await world.apply(issuer(world))
        await expect(world, issuer(world), reasons.WAITING_FOR_CLEANUP, "Secret x-key")
    finally:
        world.stage.control_plane.start_component("kube-controller-manager")
    await world.ready(issuer(world), "KeyIssued")


@shows(reasons.RECORD_LOST)
async def test_record_lost(world: World) -> None:
    await world.office("a")
    await world.office("b")
    await world.join(issuer(world), redeemer(world))
    (record,) = world.records()
    await world.delete(record)
    await expect(world, issuer(world), reasons.RECORD_LOST, "backup", "revision")
    await expect(world, redeemer(world), reasons.RECORD_LOST, "backup", "Secret key")
    await world.stage.settle()
    assert world.records() == []


# --- Interlink: its gate ----------------------------------------------------------------------------------------


async def closed(world: World, link: Interlink, reason: Reason, *words: str) -> None:
    """Wait until no call passes, for this reason; the link itself stays."""
    await world.condition(link, "CallsAllowed", "False", reason.name)
    now = world.now(link)
    assert now is not None
    assert (now.status.gate, world.shows(link, "Ready")) == ("Closed", ("True", "Established"))
    for word in words:
        assert word in world.message(link, "CallsAllowed"), world.message(link, "CallsAllowed")


@shows(gate_reasons.CLOSED_HERE, gate_reasons.CLOSED_BY_PEER)
async def test_gate_closed(world: World) -> None:
    await linked(world)
    closing = manifest(issuer(world))
    closing["spec"]["gate"] = "Closed"
    await world.apply(closing)
    await closed(world, issuer(world), gate_reasons.CLOSED_HERE, "spec.gate")
    await closed(world, redeemer(world), gate_reasons.CLOSED_BY_PEER, "ask that side")


@shows(gate_reasons.CALLS_NOT_ADMITTED)
async def test_redeemer_not_allowed_any_more(world: World) -> None:
    await linked(world)
    await world.apply(issuer(world, issue={"allowedRedeemers": [{"namespace": "elsewhere"}]}))
    for link in (issuer(world), redeemer(world)):
        await closed(world, link, gate_reasons.CALLS_NOT_ADMITTED, "allowedRedeemers", "put it back")
    await world.apply(issuer(world))
    await world.green(issuer(world), redeemer(world))


@shows(gate_reasons.PEER_DELETING)
async def test_peer_deleting(world: World) -> None:
    await linked(world, undoWindowSeconds=600)
    await world.delete(issuer(world))
    await closed(world, redeemer(world), gate_reasons.PEER_DELETING)


@shows(gate_reasons.ORPHANED)
async def test_orphaned(world: World) -> None:
    await linked(world)
    await world.vanish(issuer(world))
    await closed(world, redeemer(world), gate_reasons.ORPHANED, "the peer's Interlink", "re-create it")
    await world.apply(issuer(world))
    await world.green(issuer(world), redeemer(world))


@shows(gate_reasons.NOT_PUBLISHED)
async def test_not_published(world: World) -> None:
    """The API server refuses the slice that would say what the peer may dial."""
    await world.office("a", "201", "301")
    await world.office("b")

    def publishes_offer(call: Call) -> bool:
        return call.is_write and call.resource == "dialplanslices" and call.name.startswith("x.offer")

    world.stage.proxy.add(Fault(publishes_offer, times=None, then=Answer(500)))
    narrow = issuer(world, sharing=sharing("200-299"))
    await world.offer_key(narrow, redeemer(world))
    await world.apply(redeemer(world))
    await closed(world, narrow, gate_reasons.NOT_PUBLISHED, "account's conditions")
    world.stage.proxy.clear()
    await world.green(narrow, redeemer(world))
