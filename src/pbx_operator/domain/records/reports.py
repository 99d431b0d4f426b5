"""Reports: what the two sides of a link between installations tell each other, and what follows from it.

Each side's record holds what it says (`status.told`) and what it heard (`status.heard`), so that whoever serves or
dials, the operator or an exchange server, needs nothing but the record.  Nothing is numbered but the reports of one
side, whose `rev` only rises: late, repeated and reordered messages change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    LinkRecord,
    LinkRecordSpec,
    LinkRecordStatus,
    SideReport,
)
from pbx_operator.domain.protocol.envelope import envelope_of
from pbx_operator.domain.protocol.messages import EndNotice, LinkReport, Receipt, read_statement
from pbx_operator.domain.protocol.succession import Successions, extends
from pbx_operator.domain.records.facts import any_closing, peer_instance, peer_key
from pbx_operator.domain.records.machine import HearEnd

CANCEL_PERIOD = timedelta(hours=24)
"""For so long a redeemer that gave up before it had an answer repeats that to an issuer that does not know its key."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a report changes: the record's life, or what is known of the peer; None where nothing changes."""

    change: HearEnd | None = None
    status: LinkRecordStatus | None = None


def is_spoken_about(record: LinkRecord) -> bool:
    """Whether the peer must hear of this record: a link to another installation, also of its end.

    A request that is still unanswered is asked for again by itself, and a cancelled one is cancelled.
    """
    spec = record.spec
    if peer_instance(spec) is None or spec.state == "Requested" or needs_cancel(record):
        return False
    return spec.redeemer is not None


def needs_cancel(record: LinkRecord) -> bool:
    """Whether the redeemer gave up before it knew what became of its request."""
    spec = record.spec
    gave_up = spec.role == "Replica" and spec.receipt is None and spec.end is not None and spec.end.by == "Redeemer"
    return gave_up and spec.cancel is not None and record.status.peer_knows != "End"


def cancel_is_due(record: LinkRecord, now: datetime) -> bool:
    """Whether to go on repeating a cancel."""
    end = record.spec.end
    return needs_cancel(record) and end is not None and now - end.time < CANCEL_PERIOD


def report_of(record: LinkRecord, known: int | None = None) -> LinkReport | None:
    """Return what our side says of a link, without the numbers if the peer knows this `rev`; None if there is none."""
    spec, told, heard = record.spec, record.status.told, record.status.heard
    if spec.redeemer is None or spec.state not in ("Established", "Ended"):
        return None
    report = LinkReport(
        key_id=spec.key_id,
        link_id=spec.redeemer.link_id,
        state="Ended" if spec.end is not None else "Closing" if any_closing(spec) else "Live",
        known_rev=heard.rev if heard is not None else 0,
    )
    if spec.receipt is not None and record.status.peer_knows == "Unknown":
        report = report.model_copy(update={"receipt": envelope_of(spec.receipt)})
    if spec.end is not None:
        return report.model_copy(update={"end": EndNotice(by=spec.end.by, reason=spec.end.reason, time=spec.end.time)})
    if told is None:
        return report
    facts = {name: getattr(told, name) for name in ("rev", "account", "display_name", "sip_domain", "gate")}
    return report.model_copy(update={**facts, "numbers": None if told.rev == known else told.numbers})


def link_seniority(record: LinkRecord) -> tuple[datetime, str]:
    """Return what orders the links of one pair of accounts, on both sides alike: when the issuer linked, and the id.

    A Replica's own time is that of its request; the receipt has the issuer's.
    """
    spec = record.spec
    if spec.redeemer is None:
        raise ValueError(f"LinkRecord {record.metadata.name} has no redeemer")
    receipt = read_statement(envelope_of(spec.receipt), Receipt) if spec.receipt is not None else None
    return receipt.time if receipt is not None else spec.redeemer.time, spec.redeemer.link_id


def unknown(report: LinkReport) -> LinkReport:
    """Return the answer to a report about a link that we have no record of."""
    return LinkReport(key_id=report.key_id, link_id=report.link_id, state="Unknown")


def believes(record: LinkRecord, peer: str, successions: Successions = ()) -> bool:
    """Whether an installation is the peer of this record, and signs with the key that is known of it or a later one.

    That the chain is true, and leads to the signer, has been checked.
    """
    return peer_instance(record.spec) == peer and extends(successions, peer, peer_key(record))


def hear(
    record: LinkRecord,
    report: LinkReport,
    contact: Contact | None = None,
    successions: Successions = (),
    *,
    fresh: bool = True,
) -> Heard:
    """Return what a report of the peer changes; that the record `believes` its signer has been checked.

    `contact` is how the peer says that it can be reached, None if it did not say; `successions` leads to the key by
    which it signs.  A report that is not `fresh` may be a recording, and so says nothing about whether the peer knows
    the link now.
    """
    spec, status = record.spec, record.status
    knows = None if fresh else status.peer_knows
    moved = _moved(status, contact) | _renewed(record, successions)
    if moved:
        return _status(status, **moved)
    if spec.state == "Ended":
        return _status(status, peer_knows="End") if _acknowledges_end(record, report) else Heard()
    if report.state == "Ended":
        return Heard(change=HearEnd(report.end.reason) if report.end is not None else None)
    if report.state == "Unknown":
        return _status(status, peer_knows="Unknown" if fresh else knows)
    if not _is_news(spec, status, report) or (status.heard is None and report.numbers is None):
        return _status(status, peer_knows=knows)
    return _status(status, peer_knows=knows, heard=_side_of(report, status.heard or SideReport()))


def _side_of(report: LinkReport, heard: SideReport) -> SideReport:
    """Return what is known of the peer's side with this report of it, which may leave out what we know."""
    if report.numbers is not None and report.rev > heard.rev:
        facts = {name: getattr(report, name) for name in ("rev", "account", "display_name", "sip_domain")}
        heard = heard.model_copy(update={**facts, "gate": report.gate or "Closed", "numbers": report.numbers})
    return heard.model_copy(update={"closing": "Announced" if report.state == "Closing" else "None"})


def _moved(status: LinkRecordStatus, contact: Contact | None) -> dict[str, object]:
    news = contact is not None and contact.endpoints and contact != status.contact
    return {"contact": contact} if news else {}


def _renewed(record: LinkRecord, successions: Successions) -> dict[str, object]:
    """Return the key of the peer, if it is a later one than is known; of one that was never rotated there is none."""
    news = bool(successions) and successions[-1].next != peer_key(record)
    return {"peer_key": successions[-1].next} if news else {}


def _acknowledges_end(record: LinkRecord, report: LinkReport) -> bool:
    """Whether the peer knows that the link is over; that it never heard of it says nothing where we gave up first."""
    return report.state == "Ended" or (report.state == "Unknown" and not needs_cancel(record))


def _is_news(spec: LinkRecordSpec, status: LinkRecordStatus, report: LinkReport) -> bool:
    """Whether the report is newer than what was heard, or as new and announces an end.

    An announced end is taken back by a higher `rev` only.
    """
    heard, announces = status.heard or SideReport(), report.state == "Closing"
    newer = (report.rev, announces) > (heard.rev, heard.closing == "Announced")
    return newer and spec.state == "Established"


def _status(status: LinkRecordStatus, **facts: object) -> Heard:
    changed = status.model_copy(update=facts)
    return Heard(status=changed if changed != status else None)
