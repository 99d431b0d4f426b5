"""What no change of a record may ever do, whatever comes in which order; and that tests judge like the API server."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builders import DAY, HOUR, INSTANCE, at, digest
from contract.admission import Row
from contract.rows_linkrecord import ROWS
from federated_builders import PROOF, authority, replica
from link_builders import FENCE, FORMER_ISSUER, FORMER_REDEEMER, STATES, STRANGER, closing, end
from pbx_operator.api.v1alpha1.linkrecord import EndReason, LinkRecordSpec, Redeemer
from pbx_operator.domain.records.facts import Side, closing_of, interlink_of
from pbx_operator.domain.records.machine import (
    Abandon,
    Adopt,
    Change,
    Confirm,
    EndDuplicate,
    Heal,
    HearCancel,
    HearEnd,
    Leave,
    Presence,
    Revoke,
    RunTimers,
    SetPolicy,
    transition,
)
from record_rules import unlawful

ELSEWHERE = {
    "redeemed elsewhere": authority(FORMER_ISSUER).spec,
    "redeemed elsewhere and closing": authority(FORMER_ISSUER, closing=closing("u1")).spec,
    "requested elsewhere": replica(redeemer=FORMER_REDEEMER, requested=True).spec,
    "linked elsewhere": replica(redeemer=FORMER_REDEEMER).spec,
    "linked elsewhere and orphaned": replica(
        redeemer=FORMER_REDEEMER, closing=closing("v1", side="redeemer", reason="Orphaned")
    ).spec,
    "given up": replica(redeemer=FORMER_REDEEMER, requested=True, end=end("Cancelled", "Redeemer")).spec,
}
"""Records whose other side is in another cluster."""
SPECS = STATES | ELSEWHERE


def _far_redeemer(link_id: str | None = None) -> Redeemer:
    redeemer = ELSEWHERE["redeemed elsewhere"].redeemer
    assert redeemer is not None
    return redeemer.model_copy(update={"link_id": link_id or redeemer.link_id})


FAR = _far_redeemer()
links = st.sampled_from([FAR.link_id, digest("another link", 26), digest("a cancelled link", 26)])
instances = st.sampled_from([FAR.instance, INSTANCE])

states = st.sampled_from(sorted(SPECS))
sides = st.sampled_from(["issuer", "redeemer"])
uids = st.sampled_from(["u1", "u2", "v1", "v2"])
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(Leave, sides, uids, st.sampled_from([timedelta(0), HOUR, DAY]), st.booleans()),
    st.builds(Adopt, sides, uids),
    st.builds(Abandon, sides),
    st.just(Revoke()),
    st.just(FENCE),
    st.builds(SetPolicy, st.booleans(), st.sampled_from([(), (STRANGER,)])),
    st.just(RunTimers()),
    st.builds(EndDuplicate, sides),
    st.just(Confirm(PROOF)),
    st.builds(HearEnd, st.sampled_from(get_args(EndReason))),
    st.builds(HearCancel, links, instances, st.just(FAR.account)),
    st.builds(Heal, links.map(_far_redeemer)),
)
presences = st.builds(Presence, st.none() | uids, st.booleans(), st.booleans())
times = st.integers(0, 100_000).map(lambda seconds: at(seconds + 0.25))
stories = st.lists(st.tuples(changes, presences, times), max_size=8)


class TestAnyStory:
    @given(states, stories)
    def test_keeps_the_rules_that_the_api_server_enforces(
        self, state: str, story: list[tuple[Change, Presence, datetime]]
    ) -> None:
        old = SPECS[state]
        for change, present, now in story:
            new = transition(old, change, present, now)
            if new is None:
                continue
            assert not unlawful(old, new)
            assert LinkRecordSpec.model_validate(new.to_json()) == new, "what is stored is what was decided"
            old = new

    @given(states, changes, presences, times)
    def test_a_change_made_is_not_made_again(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        new = transition(SPECS[state], change, present, now)
        assert new is None or transition(new, change, present, now) is None

    @given(states, changes, presences, times)
    def test_each_side_writes_only_its_own_announcement(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        old = SPECS[state]
        new = transition(old, change, present, now)
        other: Side = "redeemer" if change.side == "issuer" else "issuer"
        if new is not None:
            assert closing_of(new, other) == closing_of(old, other)
            assert interlink_of(new, other) == interlink_of(old, other)

    @given(states, changes, presences, times)
    def test_only_adoption_takes_an_announcement_back(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        new = transition(SPECS[state], change, present, now)
        if new is not None and not isinstance(change, Adopt):
            for side in ("issuer", "redeemer"):
                assert closing_of(SPECS[state], side) is None or closing_of(new, side) is not None

    @given(changes, presences, times)
    def test_an_ended_link_stays_ended(self, change: Change, present: Presence, now: datetime) -> None:
        for state in ("ended", "void", "given up"):
            assert transition(SPECS[state], change, present, now) is None

    @given(states, changes, presences, times)
    def test_a_redeemer_is_never_another_one(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        old, new = SPECS[state], transition(SPECS[state], change, present, now)
        if new is not None and old.redeemer is not None:
            assert new.redeemer is not None
            assert new.redeemer.link_id == old.redeemer.link_id

    @given(st.sampled_from(sorted(ELSEWHERE)), changes, presences, times)
    def test_only_the_peers_word_makes_a_request_a_link(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        old, new = SPECS[state], transition(SPECS[state], change, present, now)
        if new is not None and old.state == "Requested" and new.state != "Ended":
            assert isinstance(change, Confirm)
            assert (new.state, new.receipt) == ("Established", PROOF)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_predicate_judges_like_the_api_server(row: Row) -> None:
    """`unlawful` stands in for the CEL rules in tests, so it must give the verdicts of the admission table."""
    try:
        old = LinkRecordSpec.model_validate(row.before["spec"]) if row.before else None
        new = LinkRecordSpec.model_validate(row.manifest["spec"])
        refused = bool(unlawful(old, new))
    except ValidationError:
        refused = True
    assert refused == bool(row.refusals)
