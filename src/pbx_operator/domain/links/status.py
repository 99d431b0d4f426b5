"""What an Interlink's status says: derived from the same snapshot as the plan, never an input to it."""

from __future__ import annotations

from datetime import datetime

from pbx_operator.api import gate_reasons, reasons
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.api.v1alpha1.interlink import Interlink, InterlinkStatus, LinkState, Peer
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord, SideReport
from pbx_operator.api.v1alpha1.shared import GateState
from pbx_operator.domain.conditions import find, status_with
from pbx_operator.domain.dialplan.prefixes import prefix_verdict
from pbx_operator.domain.links.facts import (
    LinkSnapshot,
    follows_peer,
    key_secret_name,
    side_of,
)
from pbx_operator.domain.links.gate import closed_because
from pbx_operator.domain.links.ready import View, ended_field, is_over, linked, ready_verdict, record_lost, view_of
from pbx_operator.domain.records.facts import Side, account_of, other_side, peer_instance

OVER = frozenset(
    {
        reasons.KEY_ALREADY_USED,
        reasons.KEY_REVOKED,
        reasons.KEY_EXPIRED,
        reasons.ENDED_BY_PEER,
        reasons.ENDED_AS_DUPLICATE,
        reasons.ACCOUNT_DELETED,
    }
)
"""The reasons of Ready with which a link, or its key, is over: without another key, no link comes of it any more."""


def link_status(s: LinkSnapshot, link: Interlink, now: datetime) -> tuple[InterlinkStatus, datetime | None]:
    """Return the status to show, and when patience with its reason runs out."""
    view = view_of(s, link)
    ready = ready_verdict(view, now)
    return status_with(link.status, link.metadata, [ready, *_details(view, ready)], s.since, now, **_facts(view, ready))


# --- the other conditions ---------------------------------------------------------------------------------------


def _details(v: View, ready: Verdict) -> list[Verdict]:
    verdicts = [_accepted(v), _resolved(v, ready), _established(v, ready), _calls_allowed(v)]
    if v.link.role == "Issuer":
        verdicts.append(_key_issued(v))
    return [*verdicts, *_reachable(v)]


def _reachable(v: View) -> list[Verdict]:
    """Return whether the peer answers; until a process has found out, what is shown stays."""
    if v.current is None or peer_instance(v.current.spec) is None:
        return []
    reachable, shown = v.snapshot.peer_reachable, find(v.link.status.conditions, "PeerReachable")
    if reachable is None and shown is not None:
        reachable = shown.status == "True"
    if reachable is None:
        return []
    if reachable:
        return [verdict("PeerReachable", "True", reasons.PEER_REACHABLE)]
    return [verdict("PeerReachable", "Unknown", reasons.PEER_UNREACHABLE)]


def _accepted(v: View) -> Verdict:
    s, prefix = v.snapshot, v.link.spec.dial_prefix
    if s.account is None or prefix is None:
        return verdict("Accepted", "True", reasons.ACCEPTED)
    judged = prefix_verdict(s.account, prefix)
    if judged.status == "True" and s.older_prefix_holder is not None:
        facts = {"prefix": prefix, "holder": s.older_prefix_holder}
        return verdict("Accepted", "False", reasons.DIAL_PREFIX_CONFLICT, **facts)
    return judged


def _resolved(v: View, ready: Verdict) -> Verdict:
    if ready.reason in (reasons.REF_NOT_FOUND, reasons.SECRET_MISSING):
        return Verdict("ResolvedRefs", "False", ready.reason, ready.message)
    return verdict("ResolvedRefs", "True", reasons.RESOLVED)


def _established(v: View, ready: Verdict) -> Verdict:
    if v.current is not None and v.current.spec.state == "Established":
        return verdict("Established", *linked(v.current))
    if ready.status == "True":
        return verdict("Established", "False", reasons.AWAITING_PEER, secret=key_secret_name(v.link))
    return Verdict("Established", "False", ready.reason, ready.message)


def _calls_allowed(v: View) -> Verdict:
    closed = closed_because(v.snapshot, v.link, v.current)
    if closed is None:
        return verdict("CallsAllowed", "True", gate_reasons.GATE_OPEN)
    facts = {"identity": v.snapshot.cluster.identity, "missing": _missing(v)}
    return verdict("CallsAllowed", "False", closed, **facts)


def _missing(v: View) -> str:
    """Return what is not there where something is missing; what that is on the other side is none of this one's."""
    account = v.snapshot.account
    if account is None or account.metadata.deleting:
        return f"PBXAccount {v.link.spec.account_ref.name}"
    return "the peer's Interlink or PBXAccount"


def _key_issued(v: View) -> Verdict:
    issue, current = v.link.spec.issue_key, v.current
    if current is None:
        return verdict("KeyIssued", "False", reasons.ENDED if v.ended is not None else reasons.NO_KEY_YET)
    if issue is None or current.spec.state != "Established" or current.spec.revision >= issue.revision:
        return verdict("KeyIssued", "True", reasons.KEY_ISSUED_ONCE)
    outcome = _GOES_TOO if follows_peer(v.link) else _STAYS
    return verdict("KeyIssued", "True", reasons.REVISION_WAITS, revision=issue.revision, outcome=outcome)


_GOES_TOO = (
    "if the peer ends it, this Interlink goes, too, and the revision with it;"
    " with spec.onPeerDeletion Retain it stays and gets its key"
)
_STAYS = "then its key is made"
"""What becomes of a raised revision, by whether the object follows its peer."""


# --- facts ------------------------------------------------------------------------------------------------------


def _facts(v: View, ready: Verdict) -> dict[str, object]:
    """Return the status fields beside the conditions; what is not known any more keeps its last value."""
    s, link = v.snapshot, v.link
    record = v.current or (v.ended if is_over(v) else None)
    facts: dict[str, object] = {"role": link.role, "state": _state(v, ready), "gate": _gate(v)}
    if record is not None:
        facts |= _record_facts(v, record)
    elif s.attempts.look is not None and s.attempts.look.key_id is not None and not record_lost(v):
        facts |= _pending_redeemer_facts(v, s.attempts.look.key_id)
    return facts


def _pending_redeemer_facts(v: View, key_id: str) -> dict[str, object]:
    if v.link.role == "Issuer" or key_id == v.link.status.key_id:
        return {}
    old = ("issued_time", "expiration_time", "established_time", "link_id", "peer", "ended")
    return {**dict.fromkeys(old), "key_id": key_id, "key_secret_name": key_secret_name(v.link)}


def _record_facts(v: View, record: LinkRecord) -> dict[str, object]:
    s, link, spec = v.snapshot, v.link, record.spec
    spent = spec.state != "Issued" and spec.origin == "Generated" and link.role == "Issuer"
    return {
        "key_id": spec.key_id,
        "key_revision": spec.revision if link.role == "Issuer" else None,
        "key_secret_name": None if spent else key_secret_name(link),
        "issued_time": spec.issued_time,
        "expiration_time": spec.policy.expiration_time,
        "established_time": spec.redeemer.time if spec.redeemer else None,
        "link_id": spec.redeemer.link_id if spec.redeemer else None,
        "peer": _peer(s, record, side_of(link)),
        "ended": ended_field(record, side_of(link)),
    }


def _peer(s: LinkSnapshot, record: LinkRecord, side: Side) -> Peer | None:
    """Return the other end; the issuer learns it at redemption."""
    redeemer = record.spec.redeemer
    if redeemer is None:
        return None
    other, heard = other_side(side), record.status.heard
    instance = redeemer.instance if side == "issuer" else record.spec.issuer.instance
    if peer_instance(record.spec) is not None:
        told = heard or SideReport()
        return Peer(account=told.account, display_name=told.display_name, sip_domain=told.sip_domain, instance=instance)
    owner = account_of(record.spec, other)
    account = s.accounts.get(owner.key) if owner else None
    return Peer(
        account=owner.name if owner else None,
        display_name=account.spec.display_name if account else None,
        sip_domain=account.status.sip_domain if account else None,
        instance=instance,
    )


def _state(v: View, ready: Verdict) -> LinkState:
    """Return the link in one word, by what people see beside it: one reason never comes with Pending and Ended."""
    if ready.reason in OVER:
        return "Ended"
    return "Established" if v.current is not None and v.current.spec.state == "Established" else "Pending"


def _gate(v: View) -> GateState:
    return "Closed" if closed_because(v.snapshot, v.link, v.current) else "Open"
