"""What our side tells a peer in another cluster: all that it may know, once, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builders import account
from federated_builders import authority, heard, replica
from link_builders import (
    ISSUER,
    LINK,
    REDEEMER,
    STRANGER,
    around,
    closing,
    end,
    ready_account,
    swept,
    todo,
    wants,
    with_spec,
)
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordStatus, SharedNumber, SideReport
from pbx_operator.domain.dialplan.offers import OfferedNumber, make_offer
from pbx_operator.domain.links.facts import LinkSnapshot
from pbx_operator.domain.links.told import tell_peer
from pbx_operator.domain.plan import TellPeer

A = ready_account("a", display_name="Amsterdam")
OFFER = make_offer("a.example", [OfferedNumber("200", "Reception"), OfferedNumber("201", None)])
TOLD = SideReport(
    account="a",
    display_name="Amsterdam",
    sip_domain="a.example",
    gate="Open",
    numbers=(SharedNumber(number="200", display_name="Reception"), SharedNumber(number="201")),
    interlink_uid=ISSUER.metadata.uid,
)


def seen(link: Interlink = ISSUER, record: LinkRecord | None = None, **facts: Any) -> LinkSnapshot:
    """Return the snapshot of a link to another cluster, over which our account offers two numbers."""
    return swept(around(link, record or authority(), accounts=[A], **{"offer": OFFER, **facts}))


def told(s: LinkSnapshot) -> SideReport:
    """Return what is to be told from now on; it must be all that is to be done."""
    (action,) = todo(s)
    assert isinstance(action, TellPeer)
    assert action.record == s.records[0].metadata.name
    return action.told


def test_all_that_the_peer_may_know() -> None:
    assert told(seen()) == TOLD


def test_by_the_redeemer_as_well() -> None:
    b = ready_account("b", display_name="Berlin")
    s = around(REDEEMER, replica(), accounts=[b], offer=OFFER)
    assert told(s) == TOLD.model_copy(
        update={"account": "b", "display_name": "Berlin", "interlink_uid": REDEEMER.metadata.uid}
    )


def test_an_account_without_a_name_and_an_offer() -> None:
    s = around(ISSUER, authority(), accounts=[ready_account("a")])
    assert told(swept(s)) == SideReport(
        account="a", sip_domain="a.default.example", gate="Open", interlink_uid=ISSUER.metadata.uid
    )


def test_even_if_there_is_nothing_to_tell() -> None:
    """The first report has a rev, which says that there is no more to come."""
    nothing = SideReport(account="a", interlink_uid=ISSUER.metadata.uid)
    s = seen(
        with_spec(ISSUER, gate="Closed"), authority(status=LinkRecordStatus(told=nothing)), offer=make_offer("", ())
    )
    s = replace(s, account=account("a", domain=None))
    assert told(s) == nothing


def test_once() -> None:
    said = authority(status=LinkRecordStatus(told=TOLD.model_copy(update={"rev": 7})))
    assert todo(seen(record=said)) == []


def test_again_when_it_changes_and_the_authority_numbers_it() -> None:
    said = authority(status=LinkRecordStatus(told=TOLD.model_copy(update={"rev": 7, "display_name": "Utrecht"})))
    assert told(seen(record=said)) == TOLD.model_copy(update={"rev": 7})


def test_again_when_the_interlink_was_created_again() -> None:
    """It took the link up, and what its predecessor announced is taken back by a higher rev only."""
    said = authority(status=LinkRecordStatus(told=TOLD.model_copy(update={"rev": 7, "interlink_uid": "before"})))
    assert told(seen(record=said)) == TOLD.model_copy(update={"rev": 7})


def test_nothing_inside_a_cluster() -> None:
    assert tell_peer(around(ISSUER, LINK, peers=[REDEEMER], offer=OFFER), ISSUER, LINK) == []


@pytest.mark.parametrize(
    "s",
    [
        seen(with_spec(ISSUER, gate="Closed")),
        seen(wants(ISSUER, allowed_redeemers=(STRANGER,))),
        seen(offer_published=False),
    ],
    ids=["by the user", "by the list", "by the dial plan"],
)
def test_that_our_gate_is_closed(s: LinkSnapshot) -> None:
    assert told(s) == TOLD.model_copy(update={"gate": "Closed"})


def test_that_our_end_is_announced() -> None:
    s = seen(record=authority(closing=closing(ISSUER.metadata.uid)))
    (action,) = tell_peer(s, ISSUER, s.records[0])
    assert action.told.gate == "Closed"


@pytest.mark.parametrize(
    "status",
    [heard(gate="Closed"), heard(closing="Announced"), LinkRecordStatus(peer_knows="Unknown"), LinkRecordStatus()],
)
def test_our_gate_does_not_wait_for_theirs(status: LinkRecordStatus) -> None:
    """Or the two would wait for each other."""
    assert told(seen(record=authority(status=status))) == TOLD


def test_of_ended_links_nothing_more() -> None:
    assert not any(isinstance(a, TellPeer) for a in todo(seen(record=authority(end=end("Deleted")))))
