"""What no change of a record may ever do, whatever comes in which order; and that tests judge like the API server."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builders import DAY, HOUR, at
from contract.admission import Row
from contract.rows_linkrecord import ROWS
from link_builders import FENCE, STATES, STRANGER
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.record import (
    Abandon,
    Adopt,
    Change,
    EndDuplicate,
    Leave,
    Presence,
    Revoke,
    RunTimers,
    SetPolicy,
    Side,
    closing_of,
    interlink_of,
    transition,
)
from record_rules import unlawful

states = st.sampled_from(sorted(STATES))
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
)
presences = st.builds(Presence, st.none() | uids, st.booleans(), st.booleans())
times = st.integers(0, 100_000).map(lambda seconds: at(seconds + 0.25))
stories = st.lists(st.tuples(changes, presences, times), max_size=8)


class TestAnyStory:
    @given(states, stories)
    def test_keeps_the_rules_that_the_api_server_enforces(
        self, state: str, story: list[tuple[Change, Presence, datetime]]
    ) -> None:
        old = STATES[state]
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
        new = transition(STATES[state], change, present, now)
        assert new is None or transition(new, change, present, now) is None

    @given(states, changes, presences, times)
    def test_each_side_writes_only_its_own_announcement(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        old = STATES[state]
        new = transition(old, change, present, now)
        other: Side = "redeemer" if change.side == "issuer" else "issuer"
        if new is not None:
            assert closing_of(new, other) == closing_of(old, other)
            assert interlink_of(new, other) == interlink_of(old, other)

    @given(states, changes, presences, times)
    def test_only_adoption_takes_an_announcement_back(
        self, state: str, change: Change, present: Presence, now: datetime
    ) -> None:
        new = transition(STATES[state], change, present, now)
        if new is not None and not isinstance(change, Adopt):
            for side in ("issuer", "redeemer"):
                assert closing_of(STATES[state], side) is None or closing_of(new, side) is not None

    @given(changes, presences, times)
    def test_an_ended_link_stays_ended(self, change: Change, present: Presence, now: datetime) -> None:
        assert transition(STATES["ended"], change, present, now) is None
        assert transition(STATES["void"], change, present, now) is None


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
