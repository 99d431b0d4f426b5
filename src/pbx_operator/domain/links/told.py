"""What our side of a link tells a peer in another cluster: all that the peer may know, and nothing else."""

from __future__ import annotations

import json

from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord, SharedNumber, SideReport
from pbx_operator.domain.dialplan.offers import Offer
from pbx_operator.domain.links.facts import LinkSnapshot
from pbx_operator.domain.links.gate import closed_on_our_side
from pbx_operator.domain.plan import TellPeer
from pbx_operator.domain.records.facts import peer_instance

MAX_OFFER = 220_000
"""Bytes of numbers with their names that one link may tell; all 11,110 of them fit a message without names."""


def tell_peer(s: LinkSnapshot, link: Interlink, record: LinkRecord) -> list[TellPeer]:
    """Return what is to be told from now on, if it is not told already."""
    if peer_instance(record.spec) is None:
        return []
    told = record.status.told or SideReport()
    wanted = _report(s, link, record).model_copy(update={"rev": told.rev})
    return [TellPeer(record.metadata.name, wanted)] if wanted != told or not told.rev else []


def _report(s: LinkSnapshot, link: Interlink, record: LinkRecord) -> SideReport:
    account = s.account
    return SideReport(
        account=link.spec.account_ref.name,
        display_name=account.spec.display_name if account is not None else None,
        sip_domain=s.offer.sip_domain or (account.status.sip_domain if account is not None else None),
        gate="Closed" if closed_on_our_side(s, link, record) is not None else "Open",
        numbers=_numbers(s.offer),
        interlink_uid=link.metadata.uid,
    )


def _numbers(offer: Offer) -> tuple[SharedNumber, ...]:
    """Return the offered numbers; without their names, if those are too much for one message."""
    size = sum(len(json.dumps(n.display_name)) + _AROUND for n in offer.numbers)
    named = size <= MAX_OFFER
    return tuple(SharedNumber(number=n.number, display_name=n.display_name if named else None) for n in offer.numbers)


_AROUND = len('{"number":"1234","displayName":},')
