"""What an Interlink shows: every reason of Ready on both sides, the gate, and facts that stay true."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import BEFORE, INSTANCE, NOW, at, digest, interlink, record
from link_builders import (
    STRANGER,
    answered,
    around,
    closing,
    end,
    going,
    key_of,
    looked,
    mint_failed,
    ready_account,
    reason,
    reason_of,
    showing,
    status_of,
    swept,
    todo,
    wants,
    with_spec,
)
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.interlink import Ended, Interlink, Peer
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord, Policy
from pbx_operator.domain.links.facts import ClusterFacts, LinkSnapshot
from pbx_operator.domain.links.status import OVER
from pbx_operator.domain.plan import DeleteInterlink, target_of
from pbx_operator.domain.records.redemption import Busy, Gone, Linked, Refused, Unknown, Used

# They stay when the other side ends the link, so that every end can be seen.
ISSUER = interlink("i", "a", uid="u", on_peer_deletion="Retain")
REDEEMER = interlink("r", "b", redeem="s", uid="v", on_peer_deletion="Retain")
BROUGHT = interlink("i", "a", uid="u", issue={"from_secret_ref": {"name": "own"}}, on_peer_deletion="Retain")
CLOSED_ISSUER, CLOSED_REDEEMER = with_spec(ISSUER, gate="Closed"), with_spec(REDEEMER, gate="Closed")
LINK = record(ISSUER, REDEEMER)
KEY = key_of(LINK)
assert LINK.spec.redeemer is not None
WON = Linked(LINK.spec.redeemer)
UNCONFIRMED, LOST = ClusterFacts(INSTANCE, confirmed=False), ClusterFacts(INSTANCE, identity_lost=True)
TIRED = [ready_account("a", ready=False), ready_account("b", ready=False)]
GONE: list[Any] = []


def ends(why: Any, by: Any, **options: Any) -> LinkRecord:
    return record(ISSUER, REDEEMER if options.pop("redeemed", True) else None, end=end(why, by), **options)


OF_THE_ISSUER = {
    "Issuing": (around(ISSUER, attempts=mint_failed("KeyKnown")), "!Issuing (Reconciling)"),
    "KeyIssued": (around(ISSUER, record(ISSUER)), "KeyIssued"),
    "AwaitingPeer": (around(wants(ISSUER, ready_when="Established"), record(ISSUER)), "!AwaitingPeer (Reconciling)"),
    "Established": (around(ISSUER, LINK, peers=[REDEEMER]), "Established"),
    "Established, whatever it is to be": (around(wants(ISSUER, revision=7), LINK, peers=[REDEEMER]), "Established"),
    "RefNotFound": (around(ISSUER, accounts=GONE), "!RefNotFound (Reconciling)"),
    "AccountNotReady": (around(ISSUER, accounts=TIRED), "!AccountNotReady (Reconciling)"),
    "AccountDeleted": (around(ISSUER, ends("AccountDeleted", "Issuer")), "!AccountDeleted (Stalled)"),
    "AccountDeleted, and the account is gone": (
        around(ISSUER, ends("AccountDeleted", "Issuer"), accounts=GONE),
        "!AccountDeleted (Stalled)",
    ),
    "AccountDeleted before anybody had the key": (
        around(ISSUER, ends("AccountDeleted", "Issuer", redeemed=False), accounts=GONE),
        "!AccountDeleted (Stalled)",
    ),
    "the account was away for an hour": (around(ISSUER, ends("Orphaned", "Issuer")), "!AccountDeleted (Stalled)"),
    "EndedByPeer": (around(ISSUER, ends("Deleted", "Redeemer")), "!EndedByPeer (Stalled)"),
    "the peer's account": (around(ISSUER, ends("AccountDeleted", "Redeemer")), "!EndedByPeer (Stalled)"),
    "the peer vanished": (around(ISSUER, ends("Orphaned", "Redeemer")), "!EndedByPeer (Stalled)"),
    "EndedAsDuplicate": (around(ISSUER, ends("DuplicateLink", "Operator")), "!EndedAsDuplicate (Stalled)"),
    "KeyExpired": (around(ISSUER, ends("KeyExpired", "Operator", redeemed=False)), "!KeyExpired (Stalled)"),
    "KeyExpired before it was made": (around(wants(ISSUER, expiration_time=NOW)), "!KeyExpired (Stalled)"),
    "KeyExpired before it was issued": (
        around(wants(BROUGHT, expiration_time=NOW), attempts=looked(KEY)),
        "!KeyExpired (Stalled)",
    ),
    "KeyRevoked": (around(ISSUER, ends("Revoked", "Issuer", redeemed=False)), "!KeyRevoked (Stalled)"),
    "fenced too often": (around(ISSUER, ends("FencesFull", "Operator", redeemed=False)), "!KeyRevoked (Stalled)"),
    "RecordLost": (around(showing(ISSUER, key_id=KEY, key_revision=1)), "!RecordLost (Stalled)"),
    "ended, and its record purged": (
        around(showing(ISSUER, key_id=KEY, key_revision=1, ended=Ended(by="Peer", reason="Deleted", time=BEFORE))),
        "!EndedByPeer (Stalled)",
    ),
    "IdentityLost": (around(ISSUER, cluster=LOST), "!IdentityLost (Stalled)"),
    "ClusterUnconfirmed": (around(ISSUER, cluster=UNCONFIRMED), "!ClusterUnconfirmed (Reconciling)"),
    "WaitingForCleanup": (
        around(ISSUER, attempts=mint_failed("WaitingForCleanup")),
        "!WaitingForCleanup (Reconciling)",
    ),
    "SecretNameTaken": (around(ISSUER, attempts=mint_failed("SecretNameTaken")), "!SecretNameTaken (Reconciling)"),
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

OF_THE_REDEEMER = {
    "Redeeming": (around(REDEEMER, attempts=answered(KEY, WON)), "!Redeeming (Reconciling)"),
    "Established": (around(REDEEMER, LINK, peers=[ISSUER]), "Established"),
    "RefNotFound": (around(REDEEMER, accounts=GONE, attempts=looked(KEY)), "!RefNotFound (Reconciling)"),
    "AccountNotReady": (around(REDEEMER, accounts=TIRED, attempts=looked(KEY)), "!AccountNotReady (Reconciling)"),
    "AccountDeleted": (
        around(REDEEMER, ends("AccountDeleted", "Redeemer"), accounts=GONE, attempts=looked(KEY)),
        "!AccountDeleted (Stalled)",
    ),
    "SecretMissing": (around(REDEEMER, attempts=looked(None)), "!SecretMissing (Reconciling)"),
    "KeyMalformed": (around(REDEEMER, attempts=looked(None, problem="it is empty")), "!KeyMalformed (Stalled)"),
    "KeyUnknown": (around(REDEEMER, attempts=answered(KEY, Unknown())), "!KeyUnknown (Reconciling)"),
    "KeyAlreadyUsed": (around(REDEEMER, attempts=answered(KEY, Used(NOW, INSTANCE))), "!KeyAlreadyUsed (Stalled)"),
    "KeyAlreadyUsed, by another object": (
        around(REDEEMER, attempts=looked(KEY), spent_elsewhere=True),
        "!KeyAlreadyUsed (Stalled)",
    ),
    "KeyAlreadyUsed, and its Secret is gone": (
        around(REDEEMER, attempts=replace(answered(KEY, Used(NOW, INSTANCE)), look=looked(None).look)),
        "!SecretMissing (Reconciling)",
    ),
    "KeyExpired": (around(REDEEMER, attempts=answered(KEY, Gone("KeyExpired"))), "!KeyExpired (Stalled)"),
    "KeyRevoked": (around(REDEEMER, attempts=answered(KEY, Gone("Revoked"))), "!KeyRevoked (Stalled)"),
    "fenced too often": (around(REDEEMER, attempts=answered(KEY, Gone("FencesFull"))), "!KeyRevoked (Stalled)"),
    "its account is gone": (around(REDEEMER, attempts=answered(KEY, Gone("AccountDeleted"))), "!KeyRevoked (Stalled)"),
    "cancelled": (around(REDEEMER, attempts=answered(KEY, Gone("Cancelled"))), "!KeyRevoked (Stalled)"),
    "SelfLink": (around(REDEEMER, attempts=answered(KEY, Refused("SelfLink"))), "!SelfLink (Stalled)"),
    "DuplicateLink": (around(REDEEMER, attempts=answered(KEY, Busy("DuplicateLink"))), "!DuplicateLink (Reconciling)"),
    "RedeemerNotAllowed": (
        around(REDEEMER, attempts=answered(KEY, Busy("RedeemerNotAllowed"))),
        "!RedeemerNotAllowed (Reconciling)",
    ),
    "the link was ended as one too many": (
        around(REDEEMER, ends("DuplicateLink", "Operator"), attempts=looked(KEY)),
        "!EndedAsDuplicate (Stalled)",
    ),
    "EndedByPeer": (around(REDEEMER, ends("Deleted", "Issuer"), attempts=looked(KEY)), "!EndedByPeer (Stalled)"),
    "RecordLost": (
        around(showing(REDEEMER, key_id=KEY, link_id=digest("l", 26)), attempts=answered(KEY, Unknown())),
        "!RecordLost (Stalled)",
    ),
    "IdentityLost": (around(REDEEMER, cluster=LOST, attempts=looked(KEY)), "!IdentityLost (Stalled)"),
}
OF_THE_REDEEMER |= {
    f"PeerBusy: {why}": (around(REDEEMER, attempts=answered(KEY, Busy(why))), "!PeerBusy (Reconciling)")
    for why in ("IssuerAbsent", "Closing", "AccountNotReady", "TooManyRecords", "Restoring", "Contended")
}
OF_WHAT_IS_OVER = {
    *("KeyAlreadyUsed", "KeyRevoked", "KeyExpired"),
    *("EndedByPeer", "EndedAsDuplicate", "AccountDeleted"),
}
EVERY_STORY = {f"issuer: {name}": row for name, row in OF_THE_ISSUER.items()}
EVERY_STORY |= {f"redeemer: {name}": row for name, row in OF_THE_REDEEMER.items()}
PASSING = {name: row for name, row in EVERY_STORY.items() if "Reconciling" in row[1]}


def steady(s: LinkSnapshot) -> LinkSnapshot:
    """Let the last answer rest on what can be seen now, so that nothing is tried anew."""
    s = swept(s)
    tried = s.attempts.redeem
    if tried is None:
        return s
    basis = (s.shown_record.metadata.resource_version if s.shown_record else None, bool(s.rivals))
    return replace(s, attempts=replace(s.attempts, redeem=replace(tried, basis=basis)))


class TestReady:
    @pytest.mark.parametrize(("s", "expected"), OF_THE_ISSUER.values(), ids=OF_THE_ISSUER)
    def test_of_the_issuer(self, s: LinkSnapshot, expected: str) -> None:
        assert reason(steady(s)) == expected

    @pytest.mark.parametrize(("s", "expected"), OF_THE_REDEEMER.values(), ids=OF_THE_REDEEMER)
    def test_of_the_redeemer(self, s: LinkSnapshot, expected: str) -> None:
        assert reason(steady(s)) == expected

    @pytest.mark.parametrize("s", [s for s, _ in EVERY_STORY.values()], ids=EVERY_STORY)
    def test_what_is_shown_is_shown_once_and_says_the_same_whenever_it_is_said(self, s: LinkSnapshot) -> None:
        """A status is a fixed point, and its messages hold no time and no counter."""
        s = steady(s)
        assert s.interlink is not None
        first = status_of(s)
        seen = replace(s, interlink=s.interlink.model_copy(update={"status": first}), since=(reason_of(first), NOW))
        assert status_of(seen) == first
        assert status_of(seen, at(1)) == first

    @pytest.mark.parametrize(("s", "expected"), PASSING.values(), ids=PASSING)
    def test_patience(self, s: LinkSnapshot, expected: str) -> None:
        """What may pass by itself is a person's business after two minutes, unless the operator expects it to pass."""
        name = expected.removeprefix("!").removesuffix(" (Reconciling)")
        lasting = {"Issuing", "AwaitingPeer", "RefNotFound", "AccountNotReady", "ClusterUnconfirmed", "Redeeming"}
        s = replace(steady(s), since=(name, at(-120)))
        assert reason(s) == (expected if name in {*lasting, "WaitingForCleanup"} else f"!{name} (Stalled)")

    @pytest.mark.parametrize(
        ("issuer", "why", "advice"),
        [
            (ISSUER, "Revoked", "raise spec.issueKey.revision for a new key"),
            (ISSUER, "KeyExpired", "raise spec.issueKey.revision for a new key"),
            (BROUGHT, "Revoked", "put a new key into Secret own and raise spec.issueKey.revision"),
            (
                wants(BROUGHT, expiration_time=BEFORE),
                "KeyExpired",
                "set a later spec.issueKey.expirationTime, and put a new key into Secret own and raise"
                " spec.issueKey.revision",
            ),
        ],
    )
    def test_an_issuer_is_told_how_to_get_another_key(self, issuer: Interlink, why: str, advice: str) -> None:
        status = status_of(swept(around(issuer, ends(why, "Issuer", redeemed=False), attempts=looked(KEY))))
        assert status.conditions[0].message.endswith(f"; {advice}")

    def test_who_asks_for_an_expired_key_is_told_what_to_change(self) -> None:
        late = wants(ISSUER, expiration_time=BEFORE, revision=2)
        over = record(ISSUER, policy=Policy(expiration_time=BEFORE), end=end("KeyExpired"))
        message = status_of(swept(around(late, over))).conditions[0].message
        assert message.endswith("; set a later spec.issueKey.expirationTime")

    def test_no_message_names_the_peers_namespace(self) -> None:
        there = interlink("i", "a", "hidden", uid="u")
        for facts in ({}, {"end": end("Deleted")}, {"closing": closing("u")}):
            made = record(there, REDEEMER, **facts)
            s = steady(around(REDEEMER, made, peers=[there], attempts=looked(key_of(made))))
            assert "hidden" not in "".join(c.message for c in status_of(s).conditions)

    def test_a_lost_identity_is_the_matter_of_those_alone_who_need_it(self) -> None:
        """An issuer needs it for a key that anybody could enter; an unused key and a link are there already."""
        assert reason(around(ISSUER, record(ISSUER), cluster=LOST)) == "KeyIssued"
        for ours, peer in ((ISSUER, REDEEMER), (REDEEMER, ISSUER)):
            s = swept(around(ours, LINK, peers=[peer], cluster=LOST))
            assert (reason(s), status_of(s).gate) == ("Established", "Open")
        over = swept(around(ISSUER, ends("Deleted", "Redeemer"), cluster=LOST))
        assert reason(over) == "!EndedByPeer (Stalled)"


class TestGate:
    """Open iff the link is up, both sides want it, and everything that it names is there."""

    @pytest.mark.parametrize(
        ("why", "ours", "peer", "made", "accounts"),
        [
            ("GateOpen", ISSUER, REDEEMER, LINK, None),
            ("GateOpen", REDEEMER, ISSUER, LINK, None),
            ("!ClosedHere", CLOSED_ISSUER, REDEEMER, LINK, None),
            ("!ClosedByPeer", ISSUER, CLOSED_REDEEMER, LINK, None),
            ("!ClosedByPeer", REDEEMER, CLOSED_ISSUER, LINK, None),
            ("!PeerDeleting", ISSUER, going(REDEEMER), LINK, None),
            ("!PeerDeleting", ISSUER, REDEEMER, record(ISSUER, REDEEMER, closing=closing("v", side="redeemer")), None),
            ("!PeerDeleting", ISSUER, REDEEMER, LINK, [ready_account("a"), ready_account("b", deleting=True)]),
            (
                "!Orphaned",
                ISSUER,
                REDEEMER,
                record(ISSUER, REDEEMER, closing=closing("v", side="redeemer", reason="Orphaned")),
                None,
            ),
            ("!Orphaned", ISSUER, None, LINK, None),
            ("!Orphaned", ISSUER, interlink("r", "b", redeem="s", uid="another"), LINK, None),
            ("!Orphaned", ISSUER, REDEEMER, LINK, [ready_account("a")]),
            ("!RedeemerNotAllowed", wants(ISSUER, allowed_redeemers=(STRANGER,)), REDEEMER, LINK, None),
            ("!RedeemerNotAllowed", REDEEMER, wants(ISSUER, allowed_redeemers=(STRANGER,)), LINK, None),
            ("!NotEstablished", ISSUER, None, record(ISSUER), None),
        ],
    )
    def test_calls_allowed(self, why: str, ours: Interlink, peer: Any, made: LinkRecord, accounts: Any) -> None:
        s = swept(around(ours, made, peers=[peer] if peer else [], accounts=accounts))
        assert reason(s, "CallsAllowed") == why
        assert status_of(s).gate == ("Open" if why == "GateOpen" else "Closed")
        if made.spec.state == "Established":
            assert reason(s) == "Established", "Ready does not depend on the gate"

    def test_it_waits_for_the_dial_plan_to_say_what_the_peer_may_dial(self) -> None:
        s = swept(around(ISSUER, LINK, peers=[REDEEMER], offer_published=False))
        assert (reason(s, "CallsAllowed"), status_of(s).gate) == ("!NotPublished", "Closed")

    @pytest.mark.parametrize("place", [REDEEMER.key, ObjectKey("default", "b")], ids=["Interlink", "account"])
    def test_what_cannot_be_read_on_the_other_side_is_not_missing(self, place: ObjectKey) -> None:
        s = swept(around(ISSUER, LINK, accounts=[ready_account("a")]))
        s = replace(s, unreadable=frozenset({place}))
        assert (reason(s, "CallsAllowed"), status_of(s).gate) == ("!Unreadable", "Closed")

    def test_an_unconfirmed_cluster_lets_no_call_pass(self) -> None:
        s = swept(around(ISSUER, LINK, peers=[REDEEMER], cluster=UNCONFIRMED))
        assert (reason(s, "CallsAllowed"), status_of(s).gate) == ("!ClusterUnconfirmed", "Closed")

    def test_nor_does_a_side_whose_account_is_missing_or_going(self) -> None:
        waiting = record(ISSUER, REDEEMER, closing=closing("u", reason="Orphaned"))
        missing = swept(around(ISSUER, waiting, peers=[REDEEMER], accounts=[ready_account("b")]))
        restoring = ClusterFacts(INSTANCE, restoring_until=at(600))
        deleting = [ready_account("a", deleting=True), ready_account("b")]
        held = swept(around(ISSUER, LINK, peers=[REDEEMER], accounts=deleting, cluster=restoring))
        for s in (missing, held):
            assert (reason(s, "CallsAllowed"), status_of(s).gate) == ("!Orphaned", "Closed")

    def test_the_old_gate_is_closed_before_a_new_link_is_begun(self) -> None:
        """The beginning may fail again and again."""
        over = ends("Deleted", "Redeemer")
        shown: dict[str, Any] = {"state": "Established", "gate": "Open", "key_id": KEY, "key_revision": 1}
        again = showing(wants(ISSUER, revision=2), **shown)
        assert status_of(around(again, over)).gate == "Closed"
        assert status_of(around(showing(REDEEMER, **shown), ends("Deleted", "Issuer"))).gate == "Closed"

    def test_it_is_closed_where_somebody_refuses_the_deletion_that_follows_the_peers(self) -> None:
        """Normally the object is gone at once, and needs no last status."""
        over = record(ISSUER, REDEEMER, end=end("Deleted", "Issuer", NOW))
        follower = showing(with_spec(REDEEMER, on_peer_deletion="Delete"), state="Established", gate="Open", key_id=KEY)
        s = around(follower, over, attempts=looked(KEY))
        assert todo(s, at(10)) == [DeleteInterlink(target_of(follower))]
        assert status_of(s, at(11)).gate == "Closed"


class TestFacts:
    def test_of_an_unused_key(self) -> None:
        status = status_of(around(ISSUER, record(ISSUER)))
        assert (status.state, status.gate, status.role) == ("Pending", "Closed", "Issuer")
        assert (status.key_id, status.key_revision, status.key_secret_name) == (KEY, 1, "i-key")
        assert (status.link_id, status.peer, status.ended) == (None, None, None)

    def test_of_a_link(self) -> None:
        both = ((ISSUER, REDEEMER), (REDEEMER, ISSUER))
        sides = [status_of(swept(around(ours, LINK, peers=[peer]))) for ours, peer in both]
        assert LINK.spec.redeemer is not None
        for status, peer, secret in zip(sides, ("b", "a"), (None, "s"), strict=True):
            assert (status.state, status.gate, status.key_id) == ("Established", "Open", KEY)
            assert (status.link_id, status.established_time) == (LINK.spec.redeemer.link_id, LINK.spec.redeemer.time)
            assert status.peer == Peer(account=peer, sip_domain=f"{peer}.default.example", instance=INSTANCE)
            assert status.key_secret_name == secret

    def test_of_an_end(self) -> None:
        status = status_of(swept(around(ISSUER, ends("Deleted", "Redeemer"))))
        assert (status.state, status.gate) == ("Ended", "Closed")
        assert status.ended == Ended(by="Peer", reason="Deleted", time=NOW)
        other = status_of(swept(around(REDEEMER, ends("DuplicateLink", "Operator"), attempts=looked(KEY))))
        assert other.ended == Ended(by="Local", reason="DuplicateLink", time=NOW)

    def test_a_redeemer_shows_the_key_that_it_waits_for(self) -> None:
        """That is how the record of the key finds it."""
        status = status_of(steady(around(REDEEMER, attempts=answered(KEY, Unknown()))))
        assert (status.key_id, status.key_secret_name, status.state) == (KEY, "s", "Pending")

    def test_also_after_a_link_that_has_ended(self) -> None:
        new = digest("new", 16)
        past = status_of(swept(around(REDEEMER, ends("DuplicateLink", "Operator"), attempts=looked(KEY))))
        again = REDEEMER.model_copy(update={"status": past})
        s = steady(around(again, ends("DuplicateLink", "Operator"), attempts=answered(new, Unknown())))
        status = status_of(s)
        assert (status.key_id, status.state, reason(s)) == (new, "Pending", "!KeyUnknown (Reconciling)")
        old = (status.link_id, status.ended, status.established_time, status.peer, status.issued_time)
        assert old == (None,) * 5

    def test_what_is_not_known_any_more_keeps_its_last_value(self) -> None:
        past = showing(REDEEMER, key_id=KEY, link_id=digest("l", 26), peer=Peer(account="a"), established_time=BEFORE)
        status = status_of(steady(around(past, attempts=answered(KEY, Unknown()))))
        assert (status.key_id, status.link_id, status.peer) == (KEY, digest("l", 26), Peer(account="a"))

    @pytest.mark.parametrize(("s", "expected"), EVERY_STORY.values(), ids=EVERY_STORY)
    def test_one_reason_comes_with_one_state(self, s: LinkSnapshot, expected: str) -> None:
        """Whatever led there: a raised revision with the old key as well as a link that was made."""
        state = status_of(steady(s)).state
        if expected.startswith("Established"):
            assert state == "Established"
        else:
            over = expected.removeprefix("!").partition(" ")[0] in OF_WHAT_IS_OVER
            assert state == ("Ended" if over else "Pending")

    def test_the_field_says_with_which_reasons_a_link_is_over(self) -> None:
        """People read it in `kubectl explain` and in the reference."""
        described = Interlink.model_json_schema()["$defs"]["InterlinkStatus"]["properties"]["state"]["description"]
        named = " ".join(described.split()).partition("the reason of Ready is ")[2].rstrip(".")
        assert set(named.replace(" or ", ", ").split(", ")) == {reason.name for reason in OVER} == OF_WHAT_IS_OVER

    def test_a_fresh_look_is_acknowledged(self) -> None:
        asked = interlink("i", "a", reconcile="now please", generation=3)
        status = status_of(around(asked, record(asked)))
        assert (status.last_handled_reconcile_at, status.observed_generation) == ("now please", 3)
