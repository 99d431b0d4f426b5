"""The desk behind the exchange: answers peers from the records, and from nothing else.

It needs no rights but those on LinkRecords, so any number of exchange servers can stand beside the operator.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Protocol

from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    LinkRecord,
    LinkRecordSpec,
    Redeemer,
    record_name,
    replica_name,
)
from pbx_operator.cluster import Conflict
from pbx_operator.domain.protocol.envelope import Envelope
from pbx_operator.domain.protocol.keys import verify
from pbx_operator.domain.protocol.messages import (
    Cancel,
    CancelRequest,
    LinkReport,
    Receipt,
    RedeemRequest,
    SyncRequest,
    read_receipt,
    read_statement,
    sign,
)
from pbx_operator.domain.protocol.succession import position
from pbx_operator.domain.records.facts import peer_instance
from pbx_operator.domain.records.machine import Heal, HearCancel
from pbx_operator.domain.records.redemption import (
    Busy,
    Gone,
    Linked,
    Redemption,
    Refused,
    Result,
    Used,
    cancel_bytes,
)
from pbx_operator.domain.records.reports import believes, report_of, unknown
from pbx_operator.links.authority import Authority
from pbx_operator.links.desk import RedeemReply, SyncReply
from pbx_operator.links.peer import Voice

MAX_UNKNOWN = 10
"""Links without a record that one sync is answered about: each costs reads, and strangers can name any number."""


class Speaker(Voice, Protocol):
    """Whose desk it is."""

    @property
    def confirmed(self) -> bool:
        """Whether it is in the cluster that its identity was made in, or was moved on purpose."""


class Signs(Protocol):
    """Whoever wants to know which installations speak."""

    async def heard(self, peer: str) -> None:
        """Take note that an installation which a link of ours leads to speaks."""


class RecordDesk:
    """Implements `links.desk.Desk` for one installation."""

    def __init__(self, authority: Authority, speaker: Speaker, contact: Contact, signs: Signs) -> None:
        self._authority = authority
        self._signs = signs
        self._speaker = speaker
        self._contact = contact

    def confirmed(self) -> bool:
        """Whether this installation may speak for its identity."""
        return self._speaker.confirmed and self._speaker.key is not None

    async def redeem(self, request: RedeemRequest, public_key: str) -> RedeemReply:
        """Decide about a key. Raises ApiError."""
        redemption = Redemption(
            key_id=request.key_id,
            instance=request.sender,
            public_key=public_key,
            account=request.account,
            interlink=request.interlink,
            link_id=request.link_id,
            key_signature=request.key_signature,
            instance_signature=request.instance_signature,
            successions=request.successions,
        )
        return self._reply(redemption, await self._authority.redeem(redemption))

    def _reply(self, redemption: Redemption, result: Result) -> RedeemReply:
        match result:
            case Linked(redeemer) if self._speaker.key is not None:
                receipt = _receipt_for(self._speaker.instance, redemption.key_id, redeemer)
                return RedeemReply("Linked", time=redeemer.time, receipt=sign(receipt, self._speaker.key))
            case Refused(reason):
                return RedeemReply("Refused", reason)
            case Busy(reason, retry_after):
                return RedeemReply("Busy", reason, max(1, min(3600, retry_after // timedelta(seconds=1))))
            case Used(time, instance):
                return RedeemReply("Used", time=time, by=instance)
            case Gone(reason):
                return RedeemReply("Gone", reason)
            case _:
                return RedeemReply("Unknown")

    async def cancel(self, request: CancelRequest) -> Literal["Done", "Unknown"]:
        """Make sure that a link is never made, or ends; the key was at hand when this was signed. Raises ApiError."""
        cancel = read_statement(request.cancel, Cancel)
        # A former key may have signed it, when the request was made.
        signed = position(request.cancel.by, request.sender, request.successions) is not None
        if cancel is None or cancel.issuer != self._speaker.instance or not signed:
            return "Unknown"
        record = await self._authority.look(record_name(cancel.key_id))
        if record is None or not _proves(record.spec, cancel) or not _may_cancel(record, request):
            return "Unknown"
        change = HearCancel(cancel.link_id, request.sender, cancel.account)
        await self._authority.change(record.metadata.name, change)
        record = await self._authority.look(record.metadata.name)
        return "Done" if record is not None and _is_over(record.spec, cancel.link_id) else "Unknown"

    async def sync(self, request: SyncRequest, *, fresh: bool) -> SyncReply:
        """Take note of the peer's side of links and tell ours. Raises ApiError.

        A request that is not fresh may be a recording, and whoever plays it learns no number from us.  Of a link that
        is named several times the last word counts, or one request could make us write hundreds of times.
        """
        contact = Contact(endpoints=request.endpoints, pins=request.pins) if fresh else None
        links: list[LinkReport] = []
        once = {report.link_id: report for report in request.links}
        for report in once.values():
            if sum(link.state == "Unknown" for link in links) == MAX_UNKNOWN:
                break
            told = await self._hear(request, report, contact, fresh=fresh)
            if told is not None:
                links.append(told if fresh else told.model_copy(update={"numbers": None}))
        if fresh and any(link.state != "Unknown" for link in links):
            await self._signs.heard(request.sender)
        return SyncReply(tuple(links), self._contact.endpoints, self._contact.pins)

    async def _hear(
        self, request: SyncRequest, report: LinkReport, contact: Contact | None, *, fresh: bool
    ) -> LinkReport | None:
        """Return what we say of the link; None if we cannot tell yet: the peer would take Unknown seriously."""
        if report.receipt is not None:
            await self._heal(request.sender, report, report.receipt)
        for name in (record_name(report.key_id), replica_name(report.link_id)):
            try:
                record = await self._authority.hear(
                    name, request.sender, report, contact, request.successions, fresh=fresh
                )
            except Conflict:
                return None
            if record is not None:
                return report_of(record, report.known_rev)
        return unknown(report)

    async def _heal(self, sender: str, report: LinkReport, proof: Envelope) -> None:
        """Take our own proof of a redemption for what our record says, if that is from a backup before it."""
        receipt = read_receipt(
            proof,
            issuer=self._speaker.instance,
            key_id=report.key_id,
            link_id=report.link_id,
            redeemer=sender,
        )
        record = await self._authority.look(record_name(report.key_id)) if receipt is not None else None
        if receipt is None or record is None or not self._signed(proof, record.spec):
            return
        await self._authority.change(record.metadata.name, Heal(_redeemer_in(receipt)))

    def _signed(self, proof: Envelope, spec: LinkRecordSpec) -> bool:
        """Whether we signed it, by the key that we had when the record was made, or by a later one."""
        me, ours = self._speaker, spec.issuer.public_key
        if ours is None:
            return False
        then, signer = (position(key, me.instance, me.successions) for key in (ours, proof.by))
        return then is not None and signer is not None and then <= signer


def _receipt_for(issuer: str, key_id: str, redeemer: Redeemer) -> Receipt:
    return Receipt(
        issuer=issuer,
        key_id=key_id,
        link_id=redeemer.link_id,
        redeemer=redeemer.instance,
        redeemer_key=redeemer.public_key,
        account=redeemer.account,
        interlink=redeemer.interlink,
        time=redeemer.time,
    )


def _redeemer_in(receipt: Receipt) -> Redeemer:
    return Redeemer(
        link_id=receipt.link_id,
        instance=receipt.redeemer,
        public_key=receipt.redeemer_key,
        account=receipt.account,
        interlink=receipt.interlink,
        time=receipt.time,
    )


def _may_cancel(record: LinkRecord, request: CancelRequest) -> bool:
    """Whether the sender's key is not one that the record knows to be replaced; of strangers it knows none."""
    return peer_instance(record.spec) != request.sender or believes(record, request.sender, request.successions)


def _proves(spec: LinkRecordSpec, cancel: Cancel) -> bool:
    message = cancel_bytes(cancel.issuer, cancel.key_id, cancel.link_id)
    return verify(spec.key_public, cancel.key_signature, message)


def _is_over(spec: LinkRecordSpec, link_id: str) -> bool:
    """Whether this link is over, or can never be."""
    taken_by_another = spec.redeemer is not None and spec.redeemer.link_id != link_id
    return spec.state == "Ended" or link_id in spec.fences or taken_by_another
