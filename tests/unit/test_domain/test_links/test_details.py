"""What an Interlink shows beside Ready and its gate: the key, the link, what it refers to, its dialPrefix."""

from __future__ import annotations

from typing import Any

import pytest

from builders import record
from link_builders import (
    ISSUER,
    LINK,
    REDEEMER,
    around,
    end,
    looked,
    mint_failed,
    ready_account,
    reason,
    status_of,
    swept,
    wants,
    with_spec,
)
from pbx_operator.domain.conditions import find


def test_key_issued_is_a_matter_of_the_issuer() -> None:
    assert reason(around(ISSUER, record(ISSUER)), "KeyIssued") == "KeyIssued"
    assert reason(swept(around(ISSUER, LINK, peers=[REDEEMER])), "KeyIssued") == "KeyIssued"
    assert reason(around(ISSUER, attempts=mint_failed("KeyKnown")), "KeyIssued") == "!NoKey"
    kept = with_spec(ISSUER, on_peer_deletion="Retain")
    over = record(kept, REDEEMER, end=end("Deleted", "Redeemer"))
    assert reason(swept(around(kept, over)), "KeyIssued") == "!Ended"
    assert find(status_of(around(REDEEMER, LINK, peers=[ISSUER])).conditions, "KeyIssued") is None


def test_a_revision_raised_on_a_link_waits() -> None:
    raised = swept(around(wants(ISSUER, revision=2), LINK, peers=[REDEEMER]))
    assert (reason(raised, "KeyIssued"), reason(raised)) == ("RevisionWaits", "Established")


def test_established_gives_the_reason_of_ready_where_there_is_no_link() -> None:
    assert reason(swept(around(ISSUER, LINK, peers=[REDEEMER])), "Established") == "Established"
    assert reason(around(ISSUER, record(ISSUER)), "Established") == "!AwaitingPeer"
    assert reason(around(REDEEMER, attempts=looked(None)), "Established") == "!SecretMissing"


def test_references_that_are_missing() -> None:
    assert reason(around(REDEEMER, attempts=looked(None)), "ResolvedRefs") == "!SecretMissing"
    assert reason(around(ISSUER, accounts=[]), "ResolvedRefs") == "!RefNotFound"
    assert reason(around(ISSUER, record(ISSUER)), "ResolvedRefs") == "ResolvedRefs"


@pytest.mark.parametrize(
    ("prefix", "options", "facts", "expected"),
    [
        ("8", {}, {}, "Accepted"),
        ("8", {}, {"older_prefix_holder": "older"}, "!DialPrefixConflict"),
        ("8", {"numbering": {"reserved_prefixes": ("8",)}}, {}, "!ReservedPrefix"),
        ("112", {}, {}, "!DialPrefixEmergency"),
        ("9", {}, {}, "DialPrefixEmergency"),
        ("9", {}, {"older_prefix_holder": "older"}, "!DialPrefixConflict"),
        ("112", {}, {"older_prefix_holder": "older"}, "!DialPrefixEmergency"),
    ],
)
def test_a_dial_prefix_that_cannot_be_used_leaves_the_link_up(
    prefix: str, options: dict[str, Any], facts: dict[str, Any], expected: str
) -> None:
    mine = with_spec(ISSUER, dial_prefix=prefix)
    accounts = [ready_account("a", **options), ready_account("b")]
    s = swept(around(mine, LINK, peers=[REDEEMER], accounts=accounts, **facts))
    assert (reason(s, "Accepted"), reason(s), status_of(s).gate) == (expected, "Established", "Open")
