"""What an Interlink shows: every reason of Ready on both sides, the gate, and facts that stay true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import BEFORE, INSTANCE, NOW, at, digest, interlink, record
from link_builders import (
    answered,
    around,
    closing,
    end,
    looked,
    mint_failed,
    ready_account,
    reason,
    status_of,
    todo,
)
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer, Ended, Interlink, InterlinkStatus, Peer
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from pbx_operator.domain.conditions import find
from pbx_operator.domain.link_end import target_of
from pbx_operator.domain.link_facts import ClusterFacts, LinkSnapshot
from pbx_operator.domain.plan import DeleteInterlink
from pbx_operator.domain.redemption import Busy, Gone, Refused, Unknown, Used

KEEP = "Retain"


def with_spec(link: Interlink, **spec: Any) -> Interlink:
    return link.model_copy(update={"spec": link.spec.model_copy(update=spec)})


I = interlink("i", "a", uid="u", on_peer_deletion=KEEP)  # noqa: E741 - the issuer of every story
R = interlink("r", "b", redeem="s", uid="v", on_peer_deletion=KEEP)
BROUGHT = interlink("i", "a", uid="u", issue={"from_secret_ref": {"name": "own"}}, on_peer_deletion=KEEP)
CLOSED_I, CLOSED_R = with_spec(I, gate="Closed"), with_spec(R, gate="Closed")
GOING_R = R.model_copy(update={"metadata": R.metadata.model_copy(update={"deletion_timestamp": NOW})})
LINK = record(I, R)
KEY = LINK.spec.key_id
UNCONFIRMED, LOST = ClusterFacts(INSTANCE, confirmed=False), ClusterFacts(INSTANCE, identity_lost=True)
TIRED = [ready_account("a", ready=False), ready_account("b", ready=False)]
GONE: list[Any] = []


def wants(link: Interlink, **issue: Any) -> Interlink:
    assert link.spec.issue_key is not None
    return with_spec(link, issue_key=link.spec.issue_key.model_copy(update=issue))


def showing(link: Interlink, **status: Any) -> Interlink:
    return link.model_copy(update={"status": InterlinkStatus(**status)})


def settled(s: LinkSnapshot) -> LinkSnapshot:
    """Return the snapshot of a process that has cleaned up behind spent keys, and just looked at the Secret."""
    swept = next((r.spec.key_id for r in s.records if r.spec.state != "Issued"), None)
    return replace(s, attempts=replace(s.attempts, swept_key=swept))


def ends(why: Any, by: Any, **options: Any) -> LinkRecord:
    return record(I, R if options.pop("redeemed", True) else None, end=end(why, by), **options)


ISSUER = {
    "Issuing": (around(I, attempts=mint_failed("NoAnswer")), "!Issuing (Reconciling)"),
    "KeyIssued": (around(I, record(I)), "KeyIssued"),
    "AwaitingPeer": (around(wants(I, ready_when="Established"), record(I)), "!AwaitingPeer (Reconciling)"),
    "Established": (around(I, LINK, peers=[R]), "Established"),
    "Established, whatever it is to be": (around(wants(I, revision=7), LINK, peers=[R]), "Established"),
    "RefNotFound": (around(I, accounts=GONE), "!RefNotFound (Reconciling)"),
    "AccountNotReady": (around(I, accounts=TIRED), "!AccountNotReady (Reconciling)"),
    "AccountDeleted": (around(I, ends("AccountDeleted", "Issuer")), "!AccountDeleted (Stalled)"),
    "AccountDeleted, and the account is gone": (
        around(I, ends("AccountDeleted", "Issuer"), accounts=GONE),
        "!AccountDeleted (Stalled)",
    ),
    "AccountDeleted before anybody had the key": (
        around(I, ends("AccountDeleted", "Issuer", redeemed=False), accounts=GONE),
        "!AccountDeleted (Stalled)",
    ),
    "the account was away for an hour": (around(I, ends("Orphaned", "Issuer")), "!AccountDeleted (Stalled)"),
    "EndedByPeer": (around(I, ends("Deleted", "Redeemer")), "!EndedByPeer (Stalled)"),
    "the peer's account": (around(I, ends("AccountDeleted", "Redeemer")), "!EndedByPeer (Stalled)"),
    "the peer vanished": (around(I, ends("Orphaned", "Redeemer")), "!EndedByPeer (Stalled)"),
    "DuplicateLink": (around(I, ends("DuplicateLink", "Operator")), "!DuplicateLink (Reconciling)"),
    "KeyExpired": (around(I, ends("KeyExpired", "Operator", redeemed=False)), "!KeyExpired (Stalled)"),
    "KeyRevoked": (around(I, ends("Revoked", "Issuer", redeemed=False)), "!KeyRevoked (Stalled)"),
    "fenced too often": (around(I, ends("FencesFull", "Operator", redeemed=False)), "!KeyRevoked (Stalled)"),
    "RecordLost": (around(showing(I, key_id=KEY, key_revision=1)), "!RecordLost (Stalled)"),
    "ended, and its record purged": (
        around(showing(I, key_id=KEY, key_revision=1, ended=Ended(by="Peer", reason="Deleted", time=BEFORE))),
        "!EndedByPeer (Stalled)",
    ),
    "IdentityLost": (around(I, cluster=LOST), "!IdentityLost (Stalled)"),
    "ClusterUnconfirmed": (around(I, cluster=UNCONFIRMED), "!ClusterUnconfirmed (Reconciling)"),
    "WaitingForCleanup": (around(I, attempts=mint_failed("WaitingForCleanup")), "!WaitingForCleanup (Reconciling)"),
    "SecretNameTaken": (around(I, attempts=mint_failed("SecretNameTaken")), "!SecretNameTaken (Reconciling)"),
    "SecretMissing": (around(BROUGHT, attempts=looked(None)), "!SecretMissing (Reconciling)"),
    "KeyMalformed": (around(BROUGHT, attempts=looked(None, problem="it is empty")), "!KeyMalformed (Stalled)"),
    "KeyAlreadyUsed": (
        around(wants(BROUGHT, revision=2), ends("Revoked", "Issuer", redeemed=False), attempts=looked(KEY)),
        "!KeyAlreadyUsed (Stalled)",
    ),
    "KeyAlreadyUsed, and its record purged": (
        around(showing(wants(BROUGHT, revision=2), key_id=KEY, key_revision=1), attempts=looked(KEY)),
        "!KeyAlreadyUsed (Stalled)",
    ),
}

REDEEMER = {
    "Redeeming": (around(R, attempts=answered(KEY, None)), "!Redeeming (Reconciling)"),
    "Established": (around(R, LINK, peers=[I]), "Established"),
    "RefNotFound": (around(R, accounts=GONE, attempts=looked(KEY)), "!RefNotFound (Reconciling)"),
    "AccountNotReady": (around(R, accounts=TIRED, attempts=looked(KEY)), "!AccountNotReady (Reconciling)"),
    "AccountDeleted": (
        around(R, ends("AccountDeleted", "Redeemer"), accounts=GONE, attempts=looked(KEY)),
        "!AccountDeleted (Stalled)",
    ),
    "SecretMissing": (around(R, attempts=looked(None)), "!SecretMissing (Reconciling)"),
    "KeyMalformed": (around(R, attempts=looked(None, problem="it is empty")), "!KeyMalformed (Stalled)"),
    "KeyUnknown": (around(R, attempts=answered(KEY, Unknown())), "!KeyUnknown (Reconciling)"),
    "KeyAlreadyUsed": (around(R, attempts=answered(KEY, Used(NOW, INSTANCE))), "!KeyAlreadyUsed (Stalled)"),
    "KeyExpired": (around(R, attempts=answered(KEY, Gone("KeyExpired"))), "!KeyExpired (Stalled)"),
    "KeyRevoked": (around(R, attempts=answered(KEY, Gone("Revoked"))), "!KeyRevoked (Stalled)"),
    "fenced too often": (around(R, attempts=answered(KEY, Gone("FencesFull"))), "!KeyRevoked (Stalled)"),
    "its account is gone": (around(R, attempts=answered(KEY, Gone("AccountDeleted"))), "!KeyRevoked (Stalled)"),
    "cancelled": (around(R, attempts=answered(KEY, Gone("Cancelled"))), "!KeyRevoked (Stalled)"),
    "SelfLink": (around(R, attempts=answered(KEY, Refused("SelfLink"))), "!SelfLink (Stalled)"),
    "DuplicateLink": (around(R, attempts=answered(KEY, Busy("DuplicateLink"))), "!DuplicateLink (Reconciling)"),
    "RedeemerNotAllowed": (
        around(R, attempts=answered(KEY, Busy("RedeemerNotAllowed"))),
        "!RedeemerNotAllowed (Reconciling)",
    ),
    "the link was ended as one too many": (
        around(R, ends("DuplicateLink", "Operator"), attempts=looked(KEY)),
        "!DuplicateLink (Reconciling)",
    ),
    "EndedByPeer": (around(R, ends("Deleted", "Issuer"), attempts=looked(KEY)), "!EndedByPeer (Stalled)"),
    "RecordLost": (
        around(showing(R, key_id=KEY, link_id=digest("l", 26)), attempts=answered(KEY, Unknown())),
        "!RecordLost (Stalled)",
    ),
    "IdentityLost": (around(R, cluster=LOST, attempts=looked(KEY)), "!IdentityLost (Stalled)"),
}
REDEEMER |= {
    f"PeerBusy: {why}": (around(R, attempts=answered(KEY, Busy(why))), "!PeerBusy (Reconciling)")
    for why in ("IssuerAbsent", "Closing", "AccountNotReady", "TooManyRecords", "Restoring", "Contended")
}


def steady(s: LinkSnapshot) -> LinkSnapshot:
    """Let the last answer rest on what can be seen now, so that nothing is tried anew."""
    s = settled(s)
    tried = s.attempts.redeem
    if tried is None:
        return s
    basis = (s.shown_record.metadata.resource_version if s.shown_record else None, bool(s.rivals))
    return replace(s, attempts=replace(s.attempts, redeem=replace(tried, basis=basis)))


class TestReady:
    @pytest.mark.parametrize(("s", "expected"), ISSUER.values(), ids=ISSUER)
    def test_of_the_issuer(self, s: LinkSnapshot, expected: str) -> None:
        assert reason(steady(s)) == expected

    @pytest.mark.parametrize(("s", "expected"), REDEEMER.values(), ids=REDEEMER)
    def test_of_the_redeemer(self, s: LinkSnapshot, expected: str) -> None:
        assert reason(steady(s)) == expected

    @pytest.mark.parametrize("s", [s for s, _ in (*ISSUER.values(), *REDEEMER.values())], ids=[*ISSUER, *REDEEMER])
    def test_what_is_shown_is_shown_once_and_says_the_same_whenever_it_is_said(self, s: LinkSnapshot) -> None:
        """A status is a fixed point, and its messages hold no time and no counter."""
        s = steady(s)
        assert s.interlink is not None
        first = status_of(s)
        seen = replace(s, interlink=s.interlink.model_copy(update={"status": first}), since=_since(first))
        assert status_of(seen) == first
        assert status_of(seen, at(1)) == first

    @pytest.mark.parametrize(
        ("s", "expected"), [v for v in (*ISSUER.values(), *REDEEMER.values()) if "Reconciling" in v[1]]
    )
    def test_patience(self, s: LinkSnapshot, expected: str) -> None:
        """What may pass by itself is a person's business after two minutes, unless the operator expects it to pass."""
        name = expected.removeprefix("!").removesuffix(" (Reconciling)")
        lasting = {"Issuing", "AwaitingPeer", "RefNotFound", "AccountNotReady", "ClusterUnconfirmed", "Redeeming"}
        s = replace(steady(s), since=(name, at(-120)))
        assert reason(s) == (expected if name in {*lasting, "WaitingForCleanup"} else f"!{name} (Stalled)")

    def test_no_message_names_the_peers_namespace(self) -> None:
        there = interlink("i", "a", "hidden", uid="u")
        for made in (record(there, R), record(there, R, end=end("Deleted")), record(there, R, closing=closing("u"))):
            s = steady(around(R, made, peers=[there], attempts=looked(made.spec.key_id)))
            assert "hidden" not in "".join(c.message for c in status_of(s).conditions)


def _since(status: InterlinkStatus) -> tuple[str, Any]:
    ready = find(status.conditions, "Ready")
    assert ready is not None
    return ready.reason, NOW


class TestGate:
    """Open iff the link is up, both sides want it, and everything that it names is there."""

    ONLY_Z = (AllowedRedeemer(account="z"),)

    @pytest.mark.parametrize(
        ("why", "ours", "peer", "made", "accounts"),
        [
            ("GateOpen", I, R, LINK, None),
            ("GateOpen", R, I, LINK, None),
            ("!ClosedHere", CLOSED_I, R, LINK, None),
            ("!ClosedByPeer", I, CLOSED_R, LINK, None),
            ("!ClosedByPeer", R, CLOSED_I, LINK, None),
            ("!PeerDeleting", I, GOING_R, LINK, None),
            ("!PeerDeleting", I, R, record(I, R, closing=closing("v", side="redeemer")), None),
            ("!PeerDeleting", I, R, LINK, [ready_account("a"), ready_account("b", deleting=True)]),
            ("!Orphaned", I, R, record(I, R, closing=closing("v", side="redeemer", reason="Orphaned")), None),
            ("!Orphaned", I, None, LINK, None),
            ("!Orphaned", I, interlink("r", "b", redeem="s", uid="another"), LINK, None),
            ("!Orphaned", I, R, LINK, [ready_account("a")]),
            ("!RedeemerNotAllowed", wants(I, allowed_redeemers=ONLY_Z), R, LINK, None),
            ("!RedeemerNotAllowed", R, wants(I, allowed_redeemers=ONLY_Z), LINK, None),
            ("!NotEstablished", I, None, record(I), None),
        ],
    )
    def test_calls_allowed(self, why: str, ours: Interlink, peer: Any, made: LinkRecord, accounts: Any) -> None:
        s = settled(around(ours, made, peers=[peer] if peer else [], accounts=accounts))
        assert reason(s, "CallsAllowed") == why
        assert status_of(s).gate == ("Open" if why == "GateOpen" else "Closed")
        if made.spec.state == "Established":
            assert reason(s) == "Established", "Ready does not depend on the gate"

    def test_an_unconfirmed_cluster_lets_no_call_pass(self) -> None:
        s = settled(around(I, LINK, peers=[R], cluster=UNCONFIRMED))
        assert (reason(s, "CallsAllowed"), status_of(s).gate) == ("!ClusterUnconfirmed", "Closed")

    def test_nor_does_a_side_whose_account_is_missing_or_going(self) -> None:
        waiting = record(I, R, closing=closing("u", reason="Orphaned"))
        missing = settled(around(I, waiting, peers=[R], accounts=[ready_account("b")]))
        restoring = ClusterFacts(INSTANCE, restoring_until=at(600))
        going = [ready_account("a", deleting=True), ready_account("b")]
        held = settled(around(I, LINK, peers=[R], accounts=going, cluster=restoring))
        for s in (missing, held):
            assert (reason(s, "CallsAllowed"), status_of(s).gate) == ("!Orphaned", "Closed")

    def test_the_old_gate_is_closed_before_a_new_link_is_begun(self) -> None:
        """The beginning may fail again and again."""
        over = ends("Deleted", "Redeemer")
        shown = InterlinkStatus(state="Established", gate="Open", key_id=KEY, key_revision=1)
        again = wants(I, revision=2).model_copy(update={"status": shown})
        assert status_of(around(again, over)).gate == "Closed"
        redeemer = R.model_copy(update={"status": shown})
        assert status_of(around(redeemer, ends("Deleted", "Issuer"))).gate == "Closed"

    def test_it_is_closed_where_somebody_refuses_the_deletion_that_follows_the_peers(self) -> None:
        """Normally the object is gone at once, and needs no last status."""
        over = record(I, R, end=end("Deleted", "Issuer", NOW))
        shown = InterlinkStatus(state="Established", gate="Open", key_id=KEY)
        follower = interlink("r", "b", redeem="s", uid="v", status=shown)
        s = around(follower, over, attempts=looked(KEY))
        assert todo(s, at(10)) == [DeleteInterlink(target_of(follower))]
        assert status_of(s, at(11)).gate == "Closed"


class TestFacts:
    def test_of_an_unused_key(self) -> None:
        status = status_of(around(I, record(I)))
        assert (status.state, status.gate, status.role) == ("Pending", "Closed", "Issuer")
        assert (status.key_id, status.key_revision, status.key_secret_name) == (KEY, 1, "i-key")
        assert (status.link_id, status.peer, status.ended) == (None, None, None)

    def test_of_a_link(self) -> None:
        sides = [status_of(settled(around(ours, LINK, peers=[peer]))) for ours, peer in ((I, R), (R, I))]
        assert LINK.spec.redeemer is not None
        for status, peer, secret in zip(sides, ("b", "a"), (None, "s"), strict=True):
            assert (status.state, status.gate, status.key_id) == ("Established", "Open", KEY)
            assert (status.link_id, status.established_time) == (LINK.spec.redeemer.link_id, LINK.spec.redeemer.time)
            assert status.peer == Peer(account=peer, sip_domain=f"{peer}.default.example", instance=INSTANCE)
            assert status.key_secret_name == secret

    def test_of_an_end(self) -> None:
        status = status_of(settled(around(I, ends("Deleted", "Redeemer"))))
        assert (status.state, status.gate) == ("Ended", "Closed")
        assert status.ended == Ended(by="Peer", reason="Deleted", time=NOW)
        other = status_of(settled(around(R, ends("DuplicateLink", "Operator"), attempts=looked(KEY))))
        assert other.ended == Ended(by="Local", reason="DuplicateLink", time=NOW)

    def test_a_redeemer_shows_the_key_that_it_waits_for(self) -> None:
        """That is how the record of the key finds it."""
        status = status_of(steady(around(R, attempts=answered(KEY, Unknown()))))
        assert (status.key_id, status.key_secret_name, status.state) == (KEY, "s", "Pending")

    def test_also_after_a_link_that_has_ended(self) -> None:
        new = digest("new", 16)
        past = status_of(settled(around(R, ends("DuplicateLink", "Operator"), attempts=looked(KEY))))
        again = R.model_copy(update={"status": past})
        s = steady(around(again, ends("DuplicateLink", "Operator"), attempts=answered(new, Unknown())))
        status = status_of(s)
        assert (status.key_id, status.state, reason(s)) == (new, "Pending", "!KeyUnknown (Reconciling)")
        old = (status.link_id, status.ended, status.established_time, status.peer, status.issued_time)
        assert old == (None,) * 5

    def test_what_is_not_known_any_more_keeps_its_last_value(self) -> None:
        past = showing(R, key_id=KEY, link_id=digest("l", 26), peer=Peer(account="a"), established_time=BEFORE)
        status = status_of(steady(around(past, attempts=answered(KEY, Unknown()))))
        assert (status.key_id, status.link_id, status.peer) == (KEY, digest("l", 26), Peer(account="a"))

    def test_spent_by_somebody_else(self) -> None:
        assert status_of(around(R, attempts=answered(KEY, Used(NOW, INSTANCE)))).state == "Ended"

    def test_a_fresh_look_is_acknowledged(self) -> None:
        asked = interlink("i", "a", reconcile="now please", generation=3)
        status = status_of(around(asked, record(asked)))
        assert (status.last_handled_reconcile_at, status.observed_generation) == ("now please", 3)


class TestDetails:
    def test_key_issued_is_a_matter_of_the_issuer(self) -> None:
        assert reason(around(I, record(I)), "KeyIssued") == "KeyIssued"
        assert reason(settled(around(I, LINK, peers=[R])), "KeyIssued") == "KeyIssued"
        assert reason(around(I, attempts=mint_failed("NoAnswer")), "KeyIssued") == "!NoKey"
        assert reason(settled(around(I, ends("Deleted", "Redeemer"))), "KeyIssued") == "!Ended"
        assert find(status_of(around(R, LINK, peers=[I])).conditions, "KeyIssued") is None

    def test_a_revision_raised_on_a_link_waits(self) -> None:
        raised = settled(around(wants(I, revision=2), LINK, peers=[R]))
        assert (reason(raised, "KeyIssued"), reason(raised)) == ("RevisionWaits", "Established")

    def test_established_gives_the_reason_of_ready_where_there_is_no_link(self) -> None:
        assert reason(settled(around(I, LINK, peers=[R])), "Established") == "Established"
        assert reason(around(I, record(I)), "Established") == "!AwaitingPeer"
        assert reason(around(R, attempts=looked(None)), "Established") == "!SecretMissing"

    def test_references_that_are_missing(self) -> None:
        assert reason(around(R, attempts=looked(None)), "ResolvedRefs") == "!SecretMissing"
        assert reason(around(I, accounts=GONE), "ResolvedRefs") == "!RefNotFound"
        assert reason(around(I, record(I)), "ResolvedRefs") == "ResolvedRefs"

    @pytest.mark.parametrize(
        ("prefix", "options", "facts", "expected"),
        [
            ("8", {}, {}, "Accepted"),
            ("8", {}, {"older_prefix_holder": "older"}, "!DialPrefixConflict"),
            ("8", {"numbering": {"reserved_prefixes": ("8",)}}, {}, "!ReservedPrefix"),
            ("11", {}, {}, "!DialPrefixEmergency"),
        ],
    )
    def test_a_dial_prefix_that_cannot_be_used_leaves_the_link_up(
        self, prefix: str, options: dict[str, Any], facts: dict[str, Any], expected: str
    ) -> None:
        mine = interlink("i", "a", uid="u", dial_prefix=prefix)
        accounts = [ready_account("a", **options), ready_account("b")]
        s = settled(around(mine, LINK, peers=[R], accounts=accounts, **facts))
        assert (reason(s, "Accepted"), reason(s), status_of(s).gate) == (expected, "Established", "Open")
