"""The gate: whether calls may pass over a link, and if not, the nearest reason.

Whatever happens to a link, its gate closes first.  Both sides come to the same answer from the same record and
the same objects; a side that cannot see an object counts it as missing.
"""

from __future__ import annotations

from pbx_operator.api import gate_reasons, reasons
from pbx_operator.api.reasons import Reason
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from pbx_operator.domain.links.facts import LinkSnapshot, side_of
from pbx_operator.domain.records.facts import (
    Side,
    account_of,
    admits,
    any_closing,
    closing_of,
    interlink_of,
    other_side,
    peer_instance,
)


def closed_because(s: LinkSnapshot, link: Interlink, record: LinkRecord | None) -> Reason | None:
    """Return why the gate of `link`, whose live record is given, is closed; None if it is open."""
    if record is None or record.spec.state != "Established":
        return gate_reasons.NOT_ESTABLISHED
    side = side_of(link)
    if peer_instance(record.spec) is not None:
        return closed_on_our_side(s, link, record) or _closed_elsewhere(record)
    return _closed_here(s, link, record) or _closed_by_peer(s, record, side) or _closed_by_list(s, record)


def closed_on_our_side(s: LinkSnapshot, link: Interlink, record: LinkRecord) -> Reason | None:
    """Return why this side lets no call pass, whatever the other side does."""
    return _closed_here(s, link, record) or _closed_by_list(s, record)


def _closed_here(s: LinkSnapshot, link: Interlink, record: LinkRecord) -> Reason | None:
    if not s.cluster.confirmed:
        return reasons.CLUSTER_UNCONFIRMED
    if link.spec.gate == "Closed":
        return gate_reasons.CLOSED_HERE
    if s.unreadable_account is not None and not s.unreadable_account.deleting:
        return gate_reasons.CALLS_UNREADABLE
    if s.account is None or s.account.metadata.deleting or closing_of(record.spec, side_of(link)) is not None:
        return gate_reasons.ORPHANED
    return None if s.offer_published else gate_reasons.NOT_PUBLISHED


def _closed_by_list(s: LinkSnapshot, record: LinkRecord) -> Reason | None:
    return None if _admitted(s, record) else gate_reasons.CALLS_NOT_ADMITTED


def _closed_elsewhere(record: LinkRecord) -> Reason | None:
    """Return why the peer in another cluster lets no call pass, by what it said last."""
    heard = record.status.heard
    if record.status.peer_knows == "Unknown":
        return reasons.PEER_FORGOT
    if heard is None:
        return gate_reasons.PEER_NOT_HEARD
    if heard.closing == "Announced":
        return gate_reasons.PEER_DELETING
    return gate_reasons.CLOSED_BY_PEER if heard.gate == "Closed" else None


def _closed_by_peer(s: LinkSnapshot, record: LinkRecord, side: Side) -> Reason | None:
    other = other_side(side)
    named, owner = interlink_of(record.spec, other), account_of(record.spec, other)
    link = s.others.get(named.key) if named else None
    account = s.accounts.get(owner.key) if owner else None
    closing = closing_of(record.spec, other)
    if closing is not None and closing.reason == "Orphaned":
        return gate_reasons.ORPHANED
    if any_closing(record.spec) or (link and link.metadata.deleting) or (account and account.metadata.deleting):
        return gate_reasons.PEER_DELETING
    if (named and named.key in s.unreadable) or (owner and owner.key in s.unreadable):
        return gate_reasons.CALLS_UNREADABLE
    if link is None or account is None or named is None or link.metadata.uid != named.uid:
        return gate_reasons.ORPHANED
    return gate_reasons.CLOSED_BY_PEER if link.spec.gate == "Closed" else None


def _admitted(s: LinkSnapshot, record: LinkRecord) -> bool:
    """Whether the issuer's list, as it stands now, still has the redeemer on it."""
    issuer, redeemer, named = record.spec.issuer, record.spec.redeemer, interlink_of(record.spec, "issuer")
    if named is None:
        return True
    link = s.interlink if named.key == s.key else s.others.get(named.key)
    if link is None or redeemer is None or link.spec.issue_key is None:
        return True
    return admits(link.spec.issue_key.allowed_redeemers, issuer.instance, redeemer.instance, redeemer.account)
