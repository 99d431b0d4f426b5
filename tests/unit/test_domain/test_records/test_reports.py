"""What a report of the peer changes: late, repeated and reordered ones change nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, at, digest
from federated_builders import CONTACT, HEARD, authority, heard, over, replica, report
from link_builders import LINK, closing, end
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Contact, LinkRecordStatus, Replay, SharedNumber, SideReport
from pbx_operator.domain.protocol.messages import LinkReport
from pbx_operator.domain.records.machine import HearEnd, Presence, transition
from pbx_operator.domain.records.reports import (
    CANCEL_PERIOD,
    Heard,
    cancel_is_due,
    hear,
    is_spoken_about,
    needs_cancel,
    report_of,
    unknown,
)

ESTABLISHED = authority()
KNOWS_END = LinkRecordStatus(peer_knows="End")


def take(record: LinkRecord, told: LinkReport, contact: Contact | None = None) -> LinkRecord:
    """Hear a report as the authority does: again and again, until it changes nothing."""
    for _ in range(4):
        what = hear(record, told, contact)
        if what == Heard():
            return record
        if what.change is not None:
            spec = transition(record.spec, what.change, Presence(None), NOW)
            assert spec is not None
            record = record.model_copy(update={"spec": spec})
        if what.status is not None:
            record = record.model_copy(update={"status": what.status})
    raise AssertionError("the same report says something new each time")


def tells(rev: int, state: Any = "Live") -> LinkReport:
    """Return what the peer says at this rev: all of it follows from the rev."""
    numbers = tuple(SharedNumber(number=f"{n}", display_name=f"as of {rev}") for n in range(rev % 4))
    gate = "Open" if rev % 2 else "Closed"
    return report(
        ESTABLISHED, rev=rev, state=state, account=f"a{rev}", sip_domain="far.example", gate=gate, numbers=numbers
    )


def known(record: LinkRecord) -> SideReport:
    assert record.status.heard is not None
    return record.status.heard


class TestOrder:
    revs = st.integers(1, 6)

    @given(st.lists(revs, min_size=1))
    def test_the_highest_rev_counts_in_whatever_order_it_comes(self, order: list[int]) -> None:
        record = ESTABLISHED
        for rev in order:
            record = take(record, tells(rev))
        assert record == take(ESTABLISHED, tells(max(order)))

    @given(st.lists(st.tuples(revs, st.sampled_from(["Live", "Closing"]), st.booleans()), min_size=1))
    def test_a_rev_never_falls_and_brings_its_own_numbers(self, order: list[tuple[int, Any, bool]]) -> None:
        record, last = ESTABLISHED, 0
        for rev, state, full in order:
            said = tells(rev, state)
            record = take(record, said if full else said.model_copy(update={"numbers": None}))
            now_known = record.status.heard or SideReport()
            assert now_known.rev >= last
            last = now_known.rev
            whole = known(take(ESTABLISHED, tells(last))) if last else SideReport()
            assert now_known.model_copy(update={"closing": "None"}) == whole

    @given(st.lists(st.tuples(revs, st.sampled_from(["Live", "Closing", "Unknown"])), min_size=1), st.data())
    def test_ended_wins_whenever_it_comes(self, order: list[tuple[int, Any]], data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(order)))
        reports = [tells(rev, state) for rev, state in order]
        reports.insert(place, report(ESTABLISHED, **over("Deleted")))
        record = ESTABLISHED
        for told in reports:
            record = take(record, told)
        assert record.spec.end == end("Deleted", "Redeemer")
        assert record.status.peer_knows == "End"

    @given(st.lists(st.tuples(revs, st.sampled_from(["Live", "Closing", "Unknown"]))), st.booleans())
    def test_what_was_heard_is_no_news_again(self, order: list[tuple[int, Any]], reachable: bool) -> None:
        record, contact = ESTABLISHED, CONTACT if reachable else None
        for rev, state in order:
            record = take(record, tells(rev, state), contact)
            assert hear(record, tells(rev, state), contact) == Heard()


class TestHear:
    def test_all_that_the_peer_says_of_itself(self) -> None:
        numbers = tuple(SharedNumber(number=n.number, display_name=n.display_name) for n in HEARD.numbers)
        facts = {name: getattr(HEARD, name) for name in ("rev", "account", "display_name", "sip_domain", "gate")}
        assert known(take(ESTABLISHED, report(ESTABLISHED, **facts, numbers=numbers))) == HEARD

    def test_a_newer_report_without_numbers_leaves_all_as_it_is(self) -> None:
        """It comes from a peer that thinks that we have them; what we answer tells it otherwise."""
        before = authority(status=heard())
        after = take(before, report(before, rev=9, gate="Closed"))
        assert known(after) == HEARD
        assert (report_of(after) or unknown(tells(1))).known_rev == HEARD.rev

    def test_no_numbers_are_other_than_none(self) -> None:
        before = authority(status=heard())
        assert known(take(before, report(before, rev=9, numbers=()))).numbers == ()

    def test_a_gate_that_is_not_told_is_closed(self) -> None:
        assert known(take(ESTABLISHED, report(ESTABLISHED, rev=1, numbers=()))).gate == "Closed"

    def test_an_announced_end_and_that_it_was_taken_back(self) -> None:
        before = authority(status=heard())
        announced = take(before, report(before, state="Closing", rev=HEARD.rev))
        assert known(announced) == HEARD.model_copy(update={"closing": "Announced"})
        assert take(announced, tells(HEARD.rev + 1)).status == take(before, tells(HEARD.rev + 1)).status

    @pytest.mark.parametrize("rev", [HEARD.rev, HEARD.rev - 1, 0])
    def test_no_report_but_a_newer_one_takes_an_announcement_back(self, rev: int) -> None:
        """One that is as new may have been sent before the announcement."""
        announced = authority(status=heard(closing="Announced"))
        assert take(announced, tells(rev)) == announced

    @pytest.mark.parametrize("rev", [HEARD.rev - 1, 0])
    def test_an_older_report_announces_nothing(self, rev: int) -> None:
        before = authority(status=heard())
        assert take(before, report(before, state="Closing", rev=rev)) == before

    def test_an_announcement_brings_nothing_else(self) -> None:
        before = authority(status=heard())
        announced = take(before, report(before, state="Closing", rev=HEARD.rev, account="other", numbers=()))
        assert known(announced) == HEARD.model_copy(update={"closing": "Announced"})

    def test_unknown_is_forgotten_until_a_later_live(self) -> None:
        before = authority(status=heard())
        forgotten = take(before, unknown(report(before)))
        assert forgotten.status == heard().model_copy(update={"peer_knows": "Unknown"})
        assert forgotten.spec == before.spec
        assert take(forgotten, report(before, rev=HEARD.rev)) == before

    def test_unknown_is_forgotten_until_something_new_is_said(self) -> None:
        forgotten = authority(status=LinkRecordStatus(peer_knows="Unknown"))
        assert take(forgotten, tells(7)).status == take(ESTABLISHED, tells(7)).status

    @pytest.mark.parametrize(
        ("record", "by"), [(authority(), "Redeemer"), (replica(), "Issuer"), (replica(requested=True), "Issuer")]
    )
    def test_an_end_is_the_peers(self, record: LinkRecord, by: Any) -> None:
        """Whoever ended it over there: here it came from there."""
        after = take(record, report(record, **over("DuplicateLink", by="Operator")))
        assert after.spec.end == end("DuplicateLink", by)

    def test_an_end_without_its_reason_says_nothing(self) -> None:
        assert hear(ESTABLISHED, report(ESTABLISHED, state="Ended", rev=9, numbers=())) == Heard()

    @pytest.mark.parametrize("state", ["Live", "Closing"])
    def test_an_ended_link_does_not_come_back(self, state: Any) -> None:
        record = authority(end=end("Deleted"))
        assert hear(record, tells(9, state)) == Heard()

    @pytest.mark.parametrize("told", [over("Deleted"), {"state": "Ended"}, {"state": "Unknown"}])
    def test_the_peer_knows_that_the_link_is_over(self, told: dict[str, Any]) -> None:
        record = authority(end=end("Revoked"))
        assert hear(record, report(record, **told)) == Heard(status=KNOWS_END)

    def test_unknown_is_no_acknowledgement_of_a_cancel(self) -> None:
        record = replica(requested=True, end=end("Cancelled", "Redeemer"))
        assert hear(record, unknown(report(record))) == Heard()
        assert hear(record, report(record, state="Ended")) == Heard(status=KNOWS_END)

    def test_a_request_is_not_answered_by_reports(self) -> None:
        record = replica(requested=True)
        assert hear(record, tells(5)) == Heard()

    def test_where_the_peer_can_be_reached_now(self) -> None:
        elsewhere = Contact(endpoints=("https://new.example.com",), pins=CONTACT.pins)
        moved = take(take(ESTABLISHED, tells(1), CONTACT), tells(1), elsewhere)
        assert moved.status.contact == elsewhere
        assert take(moved, tells(1), Contact()) == moved, "who cannot be reached now may be later"

    def test_nothing_else_of_the_status_is_touched(self) -> None:
        replay = Replay(link_id=digest("second", 26), time=at(0))
        before = authority(status=LinkRecordStatus(replay=replay, told=HEARD, contact=CONTACT))
        after = take(before, tells(5))
        assert (after.status.replay, after.status.told, after.status.contact) == (replay, HEARD, CONTACT)


class TestReport:
    def test_nothing_is_said_before_there_is_a_link(self) -> None:
        assert report_of(authority(redeemer=None)) is None
        assert report_of(replica(requested=True)) is None

    def test_that_there_is_a_link_and_nothing_more_yet(self) -> None:
        assert report_of(ESTABLISHED) == report(ESTABLISHED)

    def test_what_is_told_and_what_was_heard(self) -> None:
        record = authority(status=LinkRecordStatus(told=HEARD, heard=SideReport(rev=8)))
        told = report_of(record)
        assert told is not None
        assert told.known_rev == 8
        assert take(ESTABLISHED, told).status.heard == HEARD, "the peer hears what is told"

    def test_numbers_are_left_out_where_they_are_known(self) -> None:
        record = authority(status=LinkRecordStatus(told=HEARD))
        full, short, behind = (report_of(record, known) for known in (None, HEARD.rev, HEARD.rev - 1))
        assert full is not None
        assert full.numbers
        assert short == full.model_copy(update={"numbers": None})
        assert behind == full

    @pytest.mark.parametrize("side", ["issuer", "redeemer"])
    def test_an_announced_end(self, side: Any) -> None:
        told = report_of(authority(closing=closing("u", side=side)))
        assert told is not None
        assert told.state == "Closing"

    def test_an_end_and_nothing_of_us(self) -> None:
        record = authority(end=end("Deleted"), status=LinkRecordStatus(told=HEARD))
        assert report_of(record) == report(record, **over("Deleted"))

    def test_what_is_told_about_a_link_without_a_record(self) -> None:
        assert unknown(tells(5)) == report(ESTABLISHED, state="Unknown")


GIVEN_UP = replica(requested=True, end=end("Cancelled", "Redeemer"))
SPOKEN_ABOUT = {
    "a link": (authority(), True),
    "a link of the redeemer": (replica(), True),
    "a link inside the cluster": (LINK, False),
    "an unused key": (authority(redeemer=None), False),
    "a request": (replica(requested=True), False),
    "a request that was given up": (GIVEN_UP, False),
    "an end": (authority(end=end("Deleted")), True),
    "an end of the redeemer": (replica(end=end("Deleted", "Redeemer")), True),
    "an end that the peer told us": (authority(end=end("Deleted"), status=KNOWS_END), True),
    "a key that ended unused": (authority(redeemer=None, end=end("Revoked")), False),
    "a request that was refused": (replica(requested=True, end=end("AlreadyUsed", "Issuer")), True),
}


@pytest.mark.parametrize(("record", "expected"), SPOKEN_ABOUT.values(), ids=SPOKEN_ABOUT)
def test_what_the_peer_must_hear_of(record: LinkRecord, expected: bool) -> None:
    assert is_spoken_about(record) is expected


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (GIVEN_UP, True),
        (GIVEN_UP.model_copy(update={"status": KNOWS_END}), False),
        (replica(requested=True), False),
        (replica(requested=True, end=end("AlreadyUsed", "Issuer")), False),
        (replica(end=end("Deleted", "Redeemer")), False),
        (authority(end=end("Deleted", "Redeemer")), False),
    ],
)
def test_who_gave_up_without_an_answer_says_so(record: LinkRecord, expected: bool) -> None:
    assert needs_cancel(record) is expected
    assert cancel_is_due(record, NOW) is expected


def test_a_cancel_is_repeated_for_a_day() -> None:
    assert timedelta(days=1) == CANCEL_PERIOD
    assert cancel_is_due(GIVEN_UP, NOW + CANCEL_PERIOD - timedelta(seconds=1))
    assert not cancel_is_due(GIVEN_UP, NOW + CANCEL_PERIOD)


def test_what_changes_a_record_is_told_as_a_change() -> None:
    assert hear(ESTABLISHED, report(ESTABLISHED, **over("Orphaned"))) == Heard(change=HearEnd("Orphaned"))
