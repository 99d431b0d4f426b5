"""Every reason for which an object is not Ready, as its user meets it.

The message must name the next step; that it names no other namespace, and that the conditions agree with each
other, the observer checks.  Patience is short here: what may pass by itself counts as stalled after a second.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import builders
from builders import interlink, number_range
from integration.harness import World, number
from integration.keys import new_key
from pbx_operator.api import reasons
from pbx_operator.api.meta import Resource
from pbx_operator.api.reasons import Patience, Reason
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import Numbering

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}


async def expect(world: World, one: Resource, reason: Reason, *words: str) -> None:
    """Wait for the reason, for what it means to tools that wait, and for the words of the message."""
    await world.ready(one, reason.name)
    assert world.shows(one, "Ready") == ("False", reason.name)
    for word in words:
        assert word in world.message(one), world.message(one)
    assert not re.search(r"\d{4}-\d\d-\d\dT|\d\d:\d\d:\d\d", world.message(one)), "messages hold no times"
    companion = "Reconciling" if reason.patience is Patience.PROGRESS else "Stalled"
    await world.ready(one, reason.name, companion)


async def expect_first_progress(world: World, one: Resource, reason: Reason, *words: str) -> None:
    """Expect a reason that may pass by itself: it counts as progress before it counts as stalled."""
    await expect(world, one, reason, *words)
    statuses = [raw.get("status", {}) for raw in world.stage.observer.versions(one.resource, one.key)]
    conditions = [{c["type"]: c["reason"] for c in status.get("conditions", [])} for status in statuses]
    about = [types for types in conditions if types.get("Ready") == reason.name]
    companions = [[type_ for type_ in types if type_ in ("Reconciling", "Stalled")] for types in about]
    assert companions[0] == ["Reconciling"]
    assert companions[-1] == ["Stalled"]


def redeemer(world: World, suffix: str = "b", **options: Any) -> Interlink:
    return interlink("y", "a", f"{world.name}-{suffix}", redeem="key", **options)


def issuer(world: World, suffix: str = "a", **options: Any) -> Interlink:
    return interlink("x", "a", f"{world.name}-{suffix}", **options)


# --- Interlink: what it refers to -------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["issuer", "redeemer"])
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


async def test_secret_missing(world: World) -> None:
    b = await world.office("b")
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.SECRET_MISSING, "Secret key", "create it")
    assert world.shows(redeemer(world), "ResolvedRefs") == ("False", "SecretMissing")
    await world.put_key(b.key.namespace, "key", new_key())
    await world.ready(redeemer(world), "KeyUnknown")


async def test_secret_name_taken(world: World) -> None:
    a = await world.office("a")
    await world.put_key(a.key.namespace, "x-key", "something else")
    await world.apply(issuer(world))
    await expect_first_progress(world, issuer(world), reasons.SECRET_NAME_TAKEN, "Secret x-key", "secretName")


# --- Interlink: its key -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "hello", "pbxk1.aaaaaaaaaaaaaaaa", "ümlaut"])
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


async def test_key_unknown(world: World) -> None:
    b = await world.office("b")
    await world.put_key(b.key.namespace, "key", new_key())
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.KEY_UNKNOWN, "new key")


async def test_key_already_used(world: World) -> None:
    for suffix in "ab":
        await world.office(suffix)
    c = await world.office("c")
    text = await world.join(issuer(world), redeemer(world))
    await world.put_key(c.key.namespace, "key", text)
    await world.apply(redeemer(world, "c"))
    await expect(world, redeemer(world, "c"), reasons.KEY_ALREADY_USED, "new key", "Secret key")
    await world.green(issuer(world), redeemer(world))
    (record,) = world.records()
    assert record.status.replay is not None


async def test_key_revoked(world: World) -> None:
    await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    await world.delete(issuer(world))
    await world.gone(issuer(world))
    await world.apply(redeemer(world))
    await expect(world, redeemer(world), reasons.KEY_REVOKED, "new key", "Secret key")


async def test_key_expired(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    text = new_key()
    for place in (a, b):
        await world.put_key(place.key.namespace, "key", text)
    soon = datetime.now(UTC) + timedelta(seconds=2)
    own = issuer(world, issue={"fromSecretRef": {"name": "key"}, "expirationTime": soon})
    await world.apply(own)
    await world.ready(own, "KeyIssued")
    await expect(world, own, reasons.KEY_EXPIRED, "Secret key", "revision")
    await world.apply(redeemer(world))
    await expect(world, redeemer(world), reasons.KEY_EXPIRED, "new key", "Secret key")


async def test_self_link(world: World) -> None:
    a = await world.office("a")
    text = await world.offer_key(issuer(world), redeemer(world, "a"))
    assert text
    await world.apply(redeemer(world, "a"))
    await expect(world, redeemer(world, "a"), reasons.SELF_LINK, "another account")
    assert world.shows(issuer(world), "Ready") == ("True", "KeyIssued")
    assert a.key.namespace == issuer(world).key.namespace


# --- Interlink: the other side ----------------------------------------------------------------------------------


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


async def test_duplicate_pair(world: World) -> None:
    a, b = await world.office("a"), await world.office("b")
    await world.join(issuer(world), redeemer(world))
    second = interlink("x2", "a", b.key.namespace)
    other = interlink("y2", "a", a.key.namespace, redeem="key2")
    await world.offer_key(second, other)
    await world.apply(other)
    await expect_first_progress(world, other, reasons.DUPLICATE_LINK, "delete")
    await world.delete(issuer(world))
    await world.green(second, other)


async def test_redeemer_not_allowed(world: World) -> None:
    await world.office("a")
    await world.office("b")
    choosy = issuer(world, issue={"allowedRedeemers": [{"namespace": "elsewhere"}]})
    await world.offer_key(choosy, redeemer(world))
    await world.apply(redeemer(world))
    await expect_first_progress(world, redeemer(world), reasons.REDEEMER_NOT_ALLOWED, "allowedRedeemers")
    await world.apply(issuer(world, issue={"allowedRedeemers": [{"namespace": redeemer(world).key.namespace}]}))
    await world.green(choosy, redeemer(world))


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


async def test_account_deleted(world: World) -> None:
    a = await world.office("a")
    await world.office("b")
    await world.join(issuer(world, onPeerDeletion="Retain"), redeemer(world))
    await world.delete(a)
    await world.gone(a, redeemer(world))
    await expect(world, issuer(world), reasons.ACCOUNT_DELETED, "PBXAccount a", "delete this Interlink")
    await world.apply(a)
    await world.ready(a, "Serving")
    await world.stage.settle()
    await expect(world, issuer(world), reasons.ACCOUNT_DELETED)


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


# --- PBXAccount -------------------------------------------------------------------------------------------------


async def test_unknown_country(world: World) -> None:
    account = builders.account("a", await world.namespace(), country="XX")
    await world.apply(account)
    await expect(world, account, reasons.UNKNOWN_COUNTRY, '"XX"', "correct it")
    await world.apply(builders.account("a", account.key.namespace))
    await world.ready(account, "Serving")


async def test_domain_conflict(world: World) -> None:
    domain = f"{world.name}.example.com"
    a = await world.office("a", sipDomain=domain)
    b = builders.account("a", await world.namespace("b"), sipDomain=domain)
    await world.apply(b)
    await expect_first_progress(world, b, reasons.DOMAIN_CONFLICT, domain, "sipDomain")
    await world.delete(a)
    taken = await world.ready(b, "Serving")
    assert taken.status.sip_domain == domain


async def test_slice_name_taken(world: World) -> None:
    namespace = await world.namespace()
    foreign = {
        "apiVersion": "pbx-operator.io/v1alpha1",
        "kind": "DialPlanSlice",
        "metadata": {"name": "a.own", "namespace": namespace},
        "spec": {"accountRef": {"name": "a"}, "source": {"type": "Own"}, "rank": "0", "rev": "a" * 26},
    }
    await world.apply(foreign)
    account = builders.account("a", namespace)
    await world.apply(account)
    await expect_first_progress(world, account, reasons.SLICE_NAME_TAKEN, "a.own", "delete it")


async def test_account_waits_for_its_links_when_it_is_deleted(world: World) -> None:
    """With the finalizer of somebody else on it, so that there is something to see."""
    namespace = await world.namespace()
    account = builders.account("a", namespace)
    await world.apply(manifest_with_finalizer(account))
    await world.ready(account, "Serving")
    await world.delete(account)
    await world.ready(account, "Deleting")
    await world.release(account)
    await world.gone(account)


# --- InternalNumber ---------------------------------------------------------------------------------------------


async def test_number_without_account(world: World) -> None:
    lonely = number("200", await world.namespace())
    await world.apply(lonely)
    await expect(world, lonely, reasons.REF_NOT_FOUND, "PBXAccount a", "create it")


async def test_number_of_an_account_that_is_not_ready(world: World) -> None:
    namespace = await world.namespace()
    await world.apply(builders.account("a", namespace, country="XX"), number("200", namespace))
    await expect(world, number("200", namespace), reasons.ACCOUNT_NOT_READY, "PBXAccount a")


async def test_number_conflict(world: World) -> None:
    a = await world.office("a", "200")
    second = number("200", a.key.namespace, name="second")
    await world.apply(second)
    await expect_first_progress(world, second, reasons.NUMBER_CONFLICT, "n200", "free that one")


async def test_refused_numbers(world: World) -> None:
    numbering = Numbering(ranges=(number_range("200-299"),), out_of_range="Reject", reserved_prefixes=("28",))
    a = await world.office("a", numbering=numbering)
    refusals = {
        "112": (reasons.EMERGENCY_NUMBER, "112"),
        "300": (reasons.NUMBER_OUT_OF_RANGE, "PBXAccount a"),
        "280": (reasons.RESERVED_PREFIX, "28"),
    }
    await world.apply(*(number(digits, a.key.namespace) for digits in refusals))
    for digits, (reason, word) in refusals.items():
        await expect(world, number(digits, a.key.namespace), reason, digits, word)
        assert world.shows(number(digits, a.key.namespace), "Accepted") == ("False", reason.name)


def manifest_with_finalizer(account: PBXAccount) -> dict[str, object]:
    metadata = {"name": account.metadata.name, "namespace": account.key.namespace, "finalizers": ["example.com/hold"]}
    return {
        "apiVersion": "pbx-operator.io/v1alpha1",
        "kind": "PBXAccount",
        "metadata": metadata,
        "spec": {"country": "NL"},
    }
