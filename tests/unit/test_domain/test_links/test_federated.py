"""Interlinks whose peer is in another cluster: what they do and say, whatever has the peer's names here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from builders import DAY, HOUR, MINUTE, NOW, at, interlink, record
from federated_builders import ELSEWHERE, FAR_ISSUER, FAR_REDEEMER, HEARD, authority, heard, replica
from link_builders import (
    CLUSTER,
    FORMER_REDEEMER,
    ISSUER,
    REDEEMER,
    STRANGER,
    answered,
    around,
    change,
    closing,
    end,
    going,
    key_of,
    looked,
    plan,
    ready_account,
    reason,
    redeem,
    showing,
    status_of,
    swept,
    todo,
    wants,
    with_spec,
    without,
)
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer, Peer
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordStatus, SideReport
from pbx_operator.domain.conditions import find
from pbx_operator.domain.links.ending import ACKNOWLEDGED_RETENTION, RETURN_PERIOD, UNACKNOWLEDGED_RETENTION
from pbx_operator.domain.links.facts import LinkSnapshot
from pbx_operator.domain.plan import DeleteInterlink, PurgeRecord, RemoveFinalizer, TellPeer, target_of
from pbx_operator.domain.protocol.envelope import proof_of
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.messages import Receipt, sign
from pbx_operator.domain.records.facts import accounts_of, pair_of, places_of, sides_of
from pbx_operator.domain.records.machine import Abandon, Adopt, EndDuplicate, Leave, RunTimers
from pbx_operator.domain.records.redemption import Busy, Gone, Unknown, Unreachable, Used
from pbx_operator.domain.records.reports import link_seniority

KEY = key_of(replica())


def linked_at(made: LinkRecord, time: datetime) -> LinkRecord:
    """Return the record of a link that was made then."""
    assert made.spec.redeemer is not None
    redeemer = made.spec.redeemer.model_copy(update={"time": time})
    return made.model_copy(update={"spec": made.spec.model_copy(update={"redeemer": redeemer})})


def proven(made: LinkRecord, time: datetime) -> LinkRecord:
    """Return the record with a receipt in which the issuer says when it linked."""
    redeemer = made.spec.redeemer
    assert redeemer is not None
    receipt = Receipt(
        issuer=made.spec.issuer.instance,
        key_id=made.spec.key_id,
        link_id=redeemer.link_id,
        redeemer=redeemer.instance,
        redeemer_key=redeemer.public_key,
        account=redeemer.account,
        interlink=redeemer.interlink,
        time=time,
    )
    proof = proof_of(sign(receipt, SigningKey(bytes(32))))
    return made.model_copy(update={"spec": made.spec.model_copy(update={"receipt": proof})})


SIDES: list[tuple[Interlink, LinkRecord]] = [(ISSUER, authority()), (REDEEMER, replica())]
both_sides = pytest.mark.parametrize(("link", "made"), SIDES, ids=["issuer", "redeemer"])
NAMESAKES = {
    "not there": (),
    "there": (ISSUER, REDEEMER),
    "going": (going(ISSUER), going(REDEEMER)),
    "closed": (with_spec(ISSUER, gate="Closed"), with_spec(REDEEMER, gate="Closed")),
}


def said(made: LinkRecord, status: LinkRecordStatus | None = None) -> LinkRecord:
    """Return the record with all told that is to be told, and this status beside it; by default HEARD is heard."""
    link = ISSUER if made.spec.role == "Authority" else REDEEMER
    now = status or heard()
    telling = [a.told for a in todo(seen(link, made)) if isinstance(a, TellPeer)]
    told = telling[0].model_copy(update={"rev": 1})
    return made.model_copy(update={"status": now.model_copy(update={"told": told})})


def seen(link: Interlink, *records: LinkRecord, **facts: Any) -> LinkSnapshot:
    """Return the snapshot of a link with nothing left to clean up."""
    return swept(around(link, *records, **facts))


class TestNames:
    """Names of the other cluster's objects mean nothing here, not even if there are such objects."""

    def test_a_record_names_our_side_alone(self) -> None:
        assert places_of(authority().spec) == {ISSUER.key}
        assert places_of(replica().spec) == {REDEEMER.key}
        assert accounts_of(authority().spec) == {ready_account("a").key}
        assert sides_of(authority().spec, REDEEMER.key) == ()
        assert sides_of(authority(redeemer=interlink("i", "a", uid="far", redeem="s")).spec, ISSUER.key) == ("issuer",)

    def test_the_accounts_of_two_clusters_are_not_the_same_pair(self) -> None:
        assert len({pair_of(r.spec) for r in (authority(), replica(), record(ISSUER, REDEEMER))}) == 3
        itself = authority(redeemer=interlink("i", "a", uid="far", redeem="s"))
        assert len(pair_of(itself.spec) or ()) == 2, "an account and its namesake are two"

    def test_a_namesake_has_no_part_in_the_link(self) -> None:
        assert todo(around(REDEEMER, authority(), attempts=looked(None))) == []
        assert around(REDEEMER, authority()).records == ()
        assert around(ISSUER, replica()).records == ()

    @pytest.mark.parametrize("place", [FAR_REDEEMER, REDEEMER])
    def test_where_no_namesake_is_nobody_is_missed(self, place: Interlink) -> None:
        assert todo(without(place, authority())) == []

    @both_sides
    @pytest.mark.parametrize("peers", NAMESAKES.values(), ids=NAMESAKES)
    @pytest.mark.parametrize("account", ["there", "not there", "going"])
    def test_a_namesake_does_not_matter(
        self, link: Interlink, made: LinkRecord, peers: tuple[Interlink, ...], account: str
    ) -> None:
        own = link.spec.account_ref.name
        namesake = ready_account({"a": "b", "b": "a"}[own], deleting=account == "going")
        accounts = [ready_account(own), *([] if account == "not there" else [namesake])]
        s = seen(link, said(made), peers=[p for p in peers if p.key != link.key], accounts=accounts)
        assert todo(s) == []
        assert status_of(s) == status_of(seen(link, said(made)))
        assert status_of(s).gate == "Open"

    def test_a_namesake_that_was_linked_before_does_not_hold_up_the_timer(self) -> None:
        """Of a redeemer in this cluster it would: it could take its link up again."""
        old = record(ISSUER, FORMER_REDEEMER, key="old", end=end("Deleted"))
        due = closing(ISSUER.metadata.uid, ends=at(-1), side="issuer")
        cluster = replace(CLUSTER, started=NOW)
        here = seen(ISSUER, old, record(ISSUER, FORMER_REDEEMER, closing=due), peers=[REDEEMER], cluster=cluster)
        there = seen(ISSUER, old, authority(closing=due), peers=[REDEEMER], cluster=cluster)
        timers = [[a for a in todo(s, at(0)) if a == change(authority(), RunTimers())] for s in (here, there)]
        assert [len(found) for found in timers] == [0, 0], "adoption comes first"
        gone = [
            without(ISSUER, old, made, peers=[REDEEMER], cluster=cluster)
            for made in (here.records[1], there.records[1])
        ]
        assert [change(authority(), RunTimers()) in todo(s) for s in gone] == [False, True]
        assert change(authority(), RunTimers()) in todo(gone[0], NOW + RETURN_PERIOD)


class TestLife:
    @both_sides
    def test_a_side_that_was_recreated_takes_its_link_up(self, link: Interlink, made: LinkRecord) -> None:
        again = link.model_copy(update={"metadata": link.metadata.model_copy(update={"uid": "new"})})
        side: Any = "issuer" if link is ISSUER else "redeemer"
        attempts = looked(key_of(made)) if link is REDEEMER else looked(None)
        assert todo(around(again, made, attempts=attempts)) == [change(made, Adopt(side, "new"))]

    @both_sides
    def test_a_side_that_vanished_is_given_an_hour(self, link: Interlink, made: LinkRecord) -> None:
        side: Any = "issuer" if link is ISSUER else "redeemer"
        assert todo(without(link, made)) == [change(made, Abandon(side))]

    @both_sides
    def test_a_side_that_is_deleted_ends_its_record_and_goes(self, link: Interlink, made: LinkRecord) -> None:
        """It does not wait for the peer, which may be down."""
        side: Any = "issuer" if link is ISSUER else "redeemer"
        leave = Leave(side, link.metadata.uid, timedelta(minutes=1))
        assert todo(around(going(link, window=60), made)) == [change(made, leave)]
        over = made.model_copy(update={"spec": made.spec.model_copy(update={"state": "Ended", "end": end("Deleted")})})
        assert todo(around(going(link), over, attempts=looked(KEY))) == [RemoveFinalizer(target_of(link))]

    def test_a_redeemer_follows_its_issuer(self) -> None:
        over = replica(end=end("Deleted", "Issuer"))
        assert todo(around(REDEEMER, over)) == [DeleteInterlink(target_of(REDEEMER))]
        assert (
            todo(around(REDEEMER, replica(requested=True, end=end("AlreadyUsed", "Issuer")), attempts=looked(KEY)))
            == []
        )

    def test_a_redeemer_keeps_one_link(self) -> None:
        first, second = replica(), replica(key="second", time=at(0))
        assert todo(around(REDEEMER, first, second)) == [change(second, EndDuplicate("redeemer"))]

    def test_of_two_links_of_a_pair_the_smaller_id_stays(self) -> None:
        links = [authority(key=key) for key in ("one", "two")]
        smaller, larger = sorted(links, key=lambda r: r.spec.redeemer.link_id if r.spec.redeemer else "")
        end_it = EndDuplicate("issuer")
        assert change(larger, end_it) in todo(replace(seen(ISSUER, larger), rivals=(smaller,)))
        assert change(smaller, end_it) not in todo(replace(seen(ISSUER, smaller), rivals=(larger,)))

    def test_the_older_link_of_a_pair_stays(self) -> None:
        """Nobody loses a link that works by a second key."""
        end_it, links = EndDuplicate("issuer"), [authority(key=key) for key in ("one", "two")]
        for number, link in enumerate(links):
            older, newer = link, linked_at(links[1 - number], at(5))
            assert change(newer, end_it) in todo(replace(seen(ISSUER, newer), rivals=(older,)))
            assert change(older, end_it) not in todo(replace(seen(ISSUER, older), rivals=(newer,)))

    def test_a_replica_is_as_old_as_its_receipt_says(self) -> None:
        """Or the two sides would order two links by two clocks."""
        made = replica()
        assert made.spec.redeemer is not None
        assert link_seniority(proven(made, at(-7))) == (at(-7), made.spec.redeemer.link_id)
        assert link_seniority(made) == (made.spec.redeemer.time, made.spec.redeemer.link_id), "of no proof at all"

    def test_links_to_namesakes_in_this_cluster_are_no_rivals(self) -> None:
        far, here = said(authority()), (record(ISSUER, REDEEMER, key=key) for key in "abcdef")
        assert todo(replace(seen(ISSUER, far), rivals=tuple(here))) == []


class TestRequest:
    """A redeemer that has asked, and does not know yet."""

    REQUESTED = replica(requested=True)

    def test_it_asks_until_it_knows(self) -> None:
        s = around(REDEEMER, self.REQUESTED, attempts=looked(KEY))
        assert todo(s) == [redeem(s)]
        silent = around(REDEEMER, self.REQUESTED, attempts=answered(KEY, Unreachable(), basis=(None, False), again=10))
        assert todo(silent) == []
        assert reason(silent) == "!PeerUnavailable (Reconciling)"
        assert plan(silent).requeue == at(10)
        assert todo(silent, at(10)) == [redeem(silent)]

    def test_it_does_not_ask_twice_at_once(self) -> None:
        asking = around(REDEEMER, self.REQUESTED, attempts=replace(looked(KEY), asking=KEY))
        assert todo(asking) == []
        assert reason(asking) == "!Redeeming (Reconciling)"
        changed = around(REDEEMER, self.REQUESTED, attempts=replace(looked(KEY), asking="another key"))
        assert todo(changed) == [redeem(changed)]

    def test_what_is_shown_stays_until_there_is_another_answer(self) -> None:
        """As after a start of the operator, which remembers no answer."""
        silent = around(REDEEMER, self.REQUESTED, attempts=answered(KEY, Unreachable(), basis=(None, False), again=10))
        told = showing(REDEEMER, **dict(status_of(silent)))
        again = around(told, self.REQUESTED, attempts=replace(looked(KEY), asking=KEY))
        assert status_of(again) == told.status
        other = around(told, self.REQUESTED, attempts=replace(looked("another key"), asking="another key"))
        assert reason(other) == "!Redeeming (Reconciling)", "a new key is a new story"
        busy = around(told, self.REQUESTED, attempts=answered(KEY, Busy("Closing"), basis=(None, False)))
        assert reason(busy) == "!PeerBusy (Reconciling)"

    def test_nothing_is_told_and_calls_are_not_allowed(self) -> None:
        silent = around(REDEEMER, self.REQUESTED, attempts=answered(KEY, Unreachable(), basis=(None, False)))
        status = status_of(silent)
        assert (status.state, status.gate, status.link_id) == ("Pending", "Closed", None)
        assert reason(silent, "Established") == "!PeerUnavailable"
        assert reason(silent, "CallsAllowed") == "!NotEstablished"

    def test_deleted_it_gives_up_at_once(self) -> None:
        leave = Leave("redeemer", REDEEMER.metadata.uid)
        s = around(going(REDEEMER, window=3600), self.REQUESTED, attempts=looked(KEY))
        assert todo(s) == [change(self.REQUESTED, leave)]

    def test_a_successor_asks_for_itself(self) -> None:
        """The link is named after the object, so the request of the one before cannot become its own."""
        made = replica(redeemer=FORMER_REDEEMER, requested=True)
        s = around(REDEEMER, made, attempts=looked(KEY))
        assert todo(s) == [change(made, Abandon("redeemer")), redeem(s)]

    @pytest.mark.parametrize(
        ("result", "expected"),
        [
            (Unknown(), "!KeyUnknown (Reconciling)"),
            (Used(NOW, ELSEWHERE), "!KeyAlreadyUsed (Stalled)"),
            (Gone("Revoked"), "!KeyRevoked (Stalled)"),
            (Gone("KeyExpired"), "!KeyExpired (Stalled)"),
        ],
    )
    def test_the_answer_is_shown(self, result: Any, expected: str) -> None:
        s = around(REDEEMER, self.REQUESTED, attempts=answered(KEY, result, basis=(None, False)))
        assert reason(s) == expected

    @pytest.mark.parametrize(
        ("why", "expected"),
        [
            ("AlreadyUsed", "!KeyAlreadyUsed (Stalled)"),
            ("Revoked", "!KeyRevoked (Stalled)"),
            ("KeyExpired", "!KeyExpired (Stalled)"),
        ],
    )
    def test_a_final_answer_stays_known(self, why: Any, expected: str) -> None:
        s = around(REDEEMER, replica(requested=True, end=end(why, "Issuer")), attempts=looked(KEY))
        assert reason(s) == expected
        assert status_of(s).state == "Ended"

    def test_a_key_that_another_object_spent_is_not_presented_again(self) -> None:
        s = around(REDEEMER, attempts=looked(KEY), spent_elsewhere=True)
        assert reason(s) == "!KeyAlreadyUsed (Stalled)"


class TestStatus:
    @both_sides
    def test_the_peer_is_what_it_says(self, link: Interlink, made: LinkRecord) -> None:
        peer = Peer(account="far", display_name="Far away", sip_domain="far.example", instance=ELSEWHERE)
        assert status_of(seen(link, said(made))).peer == peer

    @both_sides
    def test_a_peer_that_said_nothing_yet(self, link: Interlink, made: LinkRecord) -> None:
        s = seen(link, said(made, LinkRecordStatus()))
        assert status_of(s).peer == Peer(instance=ELSEWHERE)
        assert reason(s) == "Established"

    @both_sides
    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            (heard(), "GateOpen"),
            (LinkRecordStatus(), "!PeerNotHeard"),
            (heard(gate="Closed"), "!ClosedByPeer"),
            (heard(closing="Announced"), "!PeerDeleting"),
            (heard(gate="Closed", closing="Announced"), "!PeerDeleting"),
            (LinkRecordStatus(heard=HEARD, peer_knows="Unknown"), "!PeerForgot"),
            (LinkRecordStatus(heard=SideReport()), "!ClosedByPeer"),
        ],
    )
    def test_the_gate_by_what_the_peer_says(
        self, link: Interlink, made: LinkRecord, status: LinkRecordStatus, expected: str
    ) -> None:
        s = seen(link, said(made, status))
        assert reason(s, "CallsAllowed") == expected
        assert status_of(s).gate == ("Open" if expected == "GateOpen" else "Closed")

    @pytest.mark.parametrize(
        ("link", "expected"),
        [
            (with_spec(ISSUER, gate="Closed"), "!ClosedHere"),
            (wants(ISSUER, allowed_redeemers=(STRANGER,)), "!RedeemerNotAllowed"),
            (wants(ISSUER, allowed_redeemers=(AllowedRedeemer(account="b"),)), "!RedeemerNotAllowed"),
            (wants(ISSUER, allowed_redeemers=(AllowedRedeemer(instance=ELSEWHERE, account="b"),)), "GateOpen"),
        ],
    )
    def test_the_gate_by_what_we_want(self, link: Interlink, expected: str) -> None:
        """A namesake of the redeemer in this cluster is not the redeemer."""
        closed = [a.told.gate for a in todo(seen(link, authority())) if isinstance(a, TellPeer)]
        assert closed == ["Open" if expected == "GateOpen" else "Closed"]
        told = said(authority()).status.told
        assert told is not None
        now = heard().model_copy(update={"told": told.model_copy(update={"gate": closed[0]})})
        assert reason(seen(link, authority(status=now)), "CallsAllowed") == expected

    @both_sides
    def test_a_peer_that_forgot_the_link(self, link: Interlink, made: LinkRecord) -> None:
        forgotten = said(made, LinkRecordStatus(heard=HEARD, peer_knows="Unknown"))
        s = seen(link, forgotten)
        assert reason(s) == "!PeerForgot (Reconciling)"
        assert reason(s, "Established") == "!PeerForgot"
        later = replace(s, since=("PeerForgot", NOW - 3 * MINUTE))
        assert reason(later) == "!PeerForgot (Stalled)"
        assert status_of(later).state == "Established", "it is never ended by that"

    @both_sides
    def test_whether_the_peer_answers_is_shown_until_it_is_found_out_anew(
        self, link: Interlink, made: LinkRecord
    ) -> None:
        """A process that starts has asked nobody yet."""
        for reachable, expected in ((True, "PeerAnswers"), (False, "!PeerSilent")):
            found_out = seen(link, said(made), peer_reachable=reachable)
            assert reason(found_out, "PeerReachable") == expected
            started = seen(showing(link, **dict(status_of(found_out))), said(made))
            assert status_of(started) == status_of(found_out)
        assert find(status_of(seen(link, said(made))).conditions, "PeerReachable") is None

    def test_a_pending_issuer_knows_no_peer(self) -> None:
        assert status_of(around(ISSUER, authority(redeemer=None))).peer is None

    def test_how_it_ended_elsewhere(self) -> None:
        link = with_spec(REDEEMER, on_peer_deletion="Retain")
        over = replica(end=end("Deleted", "Issuer"))
        assert reason(around(link, over, attempts=looked(KEY))) == "!EndedByPeer (Stalled)"


class TestPurge:
    @pytest.mark.parametrize(
        ("status", "kept"),
        [
            (LinkRecordStatus(peer_knows="End"), ACKNOWLEDGED_RETENTION),
            (LinkRecordStatus(), UNACKNOWLEDGED_RETENTION),
            (LinkRecordStatus(peer_knows="Unknown"), UNACKNOWLEDGED_RETENTION),
        ],
    )
    @pytest.mark.parametrize("made", [authority, replica])
    def test_an_end_is_kept_until_the_peer_knows_it_or_may_never(
        self, made: Any, status: LinkRecordStatus, kept: timedelta
    ) -> None:
        over = made(end=end("Deleted", time=NOW - kept), status=status)
        place = ISSUER if made is authority else REDEEMER
        purge = [PurgeRecord(target_of(over))]
        assert todo(without(place, over)) == purge
        assert todo(without(place, over), NOW - timedelta(seconds=1)) == []
        assert plan(without(place, over), NOW - HOUR).requeue == NOW

    def test_a_namesake_need_not_know_it(self) -> None:
        over = authority(end=end("Deleted", time=NOW - DAY), status=LinkRecordStatus(peer_knows="End"))
        namesake = showing(REDEEMER, state="Established", key_id=key_of(over))
        assert todo(without(ISSUER, over, peers=[namesake])) == [PurgeRecord(target_of(over))]

    def test_a_namesake_deletes_nothing(self) -> None:
        old = authority(end=end("Deleted", time=NOW - 40 * DAY))
        assert todo(without(FAR_REDEEMER, old)) == []
        assert todo(without(FAR_ISSUER, replica(end=end("Deleted", time=NOW - 40 * DAY)))) == []
