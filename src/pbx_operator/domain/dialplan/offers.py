"""Offers: what one account lets one peer dial.

This is the only place where `visibility` and `sharing` are applied.  An `Offer` is all that ever crosses from
one account to another; it holds no destination and no trace of a Private number, so nothing that is made from
it can leak one.  Its digest tells whether a peer must be planned anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.internalnumber import InternalNumber
from pbx_operator.api.v1alpha1.linkrecord import SideReport
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.protocol.keys import base32


class OfferedNumber(NamedTuple):
    """One number as the peer sees it."""

    number: str
    display_name: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a peer may dial; two offers with one digest are equal."""

    sip_domain: str = field(compare=False)
    """The domain that calls to the owner go to; empty only if nothing is offered."""
    numbers: tuple[OfferedNumber, ...] = field(compare=False)
    """Lowest first."""
    digest: str


def make_offer(sip_domain: str, numbers: Iterable[OfferedNumber]) -> Offer:
    """Make an offer out of what the peer will see."""
    ordered = tuple(sorted(numbers, key=lambda n: n.number))
    content = json.dumps([sip_domain, ordered])
    return Offer(sip_domain, ordered, base32(hashlib.sha256(content.encode()).digest())[:26])


NO_OFFER = make_offer("", ())


def offer_of(heard: SideReport) -> Offer:
    """Return what a peer in another cluster offers, by its own report; nothing without a domain to call."""
    if heard.sip_domain is None:
        return NO_OFFER
    return make_offer(heard.sip_domain, (OfferedNumber(n.number, n.display_name) for n in heard.numbers))


@dataclass(frozen=True, slots=True)
class EstablishedLink:
    """An established link as the account on our side sees it."""

    interlink: Interlink
    """Our side. At most one link per Interlink is established."""
    key_id: str
    established: datetime
    offer: Offer
    """What the peer offers to us."""

    @property
    def seniority(self) -> tuple[datetime, str]:
        """What decides between links that are equal otherwise; lower wins."""
        return self.established, self.key_id


def permits(sharing: Sharing, number: InternalNumber) -> bool:
    """Whether a held number may be dialled over a link with this sharing."""
    if number.spec.visibility != "Shared" or sharing.mode == "None":
        return False
    return sharing.mode == "All" or any(number.spec.number in r for r in sharing.numbers)


def has_own_offer(account: PBXAccount | None, interlink: Interlink) -> bool:
    """Whether what the peer of this link may dial is another choice than the account's default.

    Compared are the rules, not the numbers that they admit today: a number that is added later must not be
    within reach of the link for the moment between two writes.
    """
    sharing = interlink.spec.sharing
    return account is not None and sharing is not None and sharing != account.spec.sharing


def offer(account: PBXAccount | None, interlink: Interlink | None, held: Iterable[InternalNumber]) -> Offer:
    """Return what an account offers over one of its links.

    `held` are the numbers of `numbers.resolve(account, ...)`.  Nothing is offered without an account that has a
    SIP domain, nor without its Interlink, which alone knows how narrow the sharing is.
    """
    if account is None or account.metadata.deleting or interlink is None or account.status.sip_domain is None:
        return NO_OFFER
    sharing = interlink.spec.sharing or account.spec.sharing
    numbers = (OfferedNumber(n.spec.number, n.spec.display_name) for n in held if permits(sharing, n))
    return make_offer(account.status.sip_domain, numbers)
