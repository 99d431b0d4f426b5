"""The authority over records: read the record, look at the Interlink, decide, swap.

The single writer of LinkRecord specs.  Every attempt reads the record from the API server itself, then the
Interlink that the change is about, and writes with the resourceVersion that it read; a conflict starts again at
the first read.  So a decision holds for exactly the record that it was made on, whoever else is at work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pbx_operator.api.meta import ObjectKey, ObjectMeta, Resource, ResourceType
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    InterlinkIdentity,
    LinkRecordSpec,
    LinkRecordStatus,
    Replay,
    SideReport,
    record_name,
)
from pbx_operator.cluster import Cluster, Conflict, Gone, Unavailable
from pbx_operator.domain.protocol.messages import LinkReport
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.records.facts import account_of, interlink_of, peer_contact
from pbx_operator.domain.records.machine import Abandon, Adopt, Change, FromPeer, Presence, concerned, transition
from pbx_operator.domain.records.redemption import Busy, Decision, IssuerFacts, Redemption, Result, Unknown, decide
from pbx_operator.domain.records.reports import Heard, believes, hear

MAX_ATTEMPTS = 5
"""How often a redemption is decided anew before the redeemer is asked to come back."""


class RecordsView(Protocol):
    """What the authority must know beside the one record.

    It may lag behind the API server: two links of one pair that slip through are found and ended afterwards.
    """

    def pair_linked(self, record: LinkRecordSpec, request: Redemption) -> bool:
        """Whether another live link joins the accounts that this redemption would join."""

    def namespace_records(self, namespace: str) -> int:
        """How many records have their issuer in the namespace."""

    def restoring(self) -> bool:
        """Whether records must be left alone, since a backup is being restored."""


class Witness(Protocol):
    """Whoever keeps a picture of the cluster."""

    def saw(self, resource: ResourceType, raw: dict[str, Any]) -> None:
        """Take the object as the API server just showed it."""

    def missed(self, resource: ResourceType, key: ObjectKey) -> None:
        """Take note that the API server has no such object."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A record as it was read: `raw` keeps what others wrote to its metadata."""

    raw: dict[str, Any]
    record: LinkRecord


class Authority:
    """Decides about the records of one installation; those of another one in the same cluster are as good as absent.

    The witness is told of everything that was read or written, since it is newer than any watch.  An exchange
    server may not read Interlinks: it goes by the record alone (`sees_interlinks` is False), in which the issuer's
    operator has ended a key whose Interlink is gone.
    """

    def __init__(
        self,
        cluster: Cluster,
        instance: str,
        view: RecordsView,
        clock: Callable[[], datetime],
        witness: Witness,
        *,
        sees_interlinks: bool = True,
    ) -> None:
        self._sees_interlinks = sees_interlinks
        self._cluster = cluster
        self._instance = instance
        self._view = view
        self._clock = clock
        self._witness = witness

    async def redeem(self, request: Redemption) -> Result:
        """Answer a redemption; when it says Linked, the record says so too.

        An attempt whose outcome is unknown (a conflict, an error of the server, no answer) is decided anew on
        what the record says then.
        """
        for _ in range(MAX_ATTEMPTS):
            try:
                read = await self._read(record_name(request.key_id))
                decision = await self._decide(read, request)
                if read is not None:
                    await self._carry_out(read, request, decision)
            except (Conflict, Unavailable):
                continue
            return decision.result
        return Busy("Contended", timedelta(seconds=5))

    async def change(self, name: str, change: Change) -> None:
        """Make a change if it still applies to the record as it is now.

        Raises ApiError: Conflict when others kept winning, Unavailable when nobody knows what happened.
        """
        for attempt in range(MAX_ATTEMPTS):
            read = await self._read(name)
            if read is None:
                return
            present = await self._presence(read.record.spec, change)
            if present is None:
                return
            spec = transition(read.record.spec, change, present, self._clock())
            if spec is None:
                return
            try:
                await self._swap(read, spec)
            except Conflict:
                if attempt == MAX_ATTEMPTS - 1:
                    raise
                continue
            return

    async def look(self, name: str) -> LinkRecord | None:
        """Return a record as it is now. Raises ApiError."""
        read = await self._read(name)
        return read.record if read is not None else None

    async def tell(self, name: str, told: SideReport) -> None:
        """Say this to the peer from now on, as far as it is news, with a `rev` that rises. Raises ApiError."""
        read = await self._read(name)
        if read is None or read.record.spec.state != "Established":
            return
        before = read.record.status.told or SideReport()
        if told == before.model_copy(update={"rev": told.rev}) and before.rev:
            return
        now = int(self._clock().timestamp() * 1000)
        told = told.model_copy(update={"rev": max(now, before.rev + 1)})
        await self._put_status(read, read.record.status.model_copy(update={"told": told}))

    async def reach(self, name: str, contact: Contact) -> None:
        """Ask the issuer there from now on, as its key says by now, until it says itself where. Raises ApiError."""
        read = await self._read(name)
        if read is None or read.record.spec.state != "Requested":
            return
        if contact != peer_contact(read.record):
            await self._put_status(read, read.record.status.model_copy(update={"contact": contact}))

    async def hear(
        self,
        name: str,
        peer: str,
        report: LinkReport,
        contact: Contact | None = None,
        successions: Successions = (),
        *,
        fresh: bool = True,
    ) -> LinkRecord | None:
        """Take a report of a peer whose signature was checked; return the record as it is then.

        None if it does not name this peer and this link, or if the link goes by a later key of this peer than
        `successions` leads to: whoever is not party to a link learns nothing of it.
        Raises ApiError: Conflict when others kept winning.
        """
        for _ in range(MAX_ATTEMPTS):
            read = await self._read(name)
            if read is None or not _is_party(read.record, peer, report.link_id, successions):
                return None
            heard = hear(read.record, report, contact, successions, fresh=fresh)
            if heard == Heard():
                return read.record
            try:
                await self._take(read, heard)
            except Conflict:
                continue
        raise Conflict(f"{LinkRecord.resource.plural} {name} was changed by others each time", status=409)

    async def _take(self, read: _Read, heard: Heard) -> None:
        if heard.change is not None:
            spec = transition(read.record.spec, heard.change, Presence(None), self._clock())
            if spec is not None:
                await self._swap(read, spec)
        elif heard.status is not None:
            await self._put_status(read, heard.status)

    async def _put_status(self, read: _Read, status: LinkRecordStatus) -> None:
        body = {**read.raw, "status": status.to_json()}
        self._witness.saw(LinkRecord.resource, await self._cluster.put_status(LinkRecord.resource, body))

    async def _decide(self, read: _Read | None, request: Redemption) -> Decision:
        if read is None:
            return Decision(Unknown())
        spec = read.record.spec
        issuer = interlink_of(spec, "issuer")
        if issuer is None:
            return Decision(Unknown())
        facts = IssuerFacts(
            issuer_present=not self._sees_interlinks or await self._alive(issuer),
            pair_linked=self._view.pair_linked(spec, request),
            namespace_records=self._view.namespace_records(issuer.namespace),
            restoring=self._view.restoring(),
        )
        return decide(spec, request, facts, self._clock())

    async def _carry_out(self, read: _Read, request: Redemption, decision: Decision) -> None:
        if decision.spec is not None:
            await self._swap(read, decision.spec)
        elif decision.replay and read.record.status.replay is None:
            replay = Replay(link_id=request.link_id, time=self._clock())
            await self._put_status(read, read.record.status.model_copy(update={"replay": replay}))

    async def _read(self, name: str) -> _Read | None:
        try:
            raw = await self._cluster.get(LinkRecord.resource, ObjectKey("", name))
        except Gone:
            self._witness.missed(LinkRecord.resource, ObjectKey("", name))
            return None
        self._witness.saw(LinkRecord.resource, raw)
        record = LinkRecord.model_validate(raw)
        return _Read(raw, record) if record.spec.instance == self._instance else None

    async def _swap(self, read: _Read, spec: LinkRecordSpec) -> None:
        raw = await self._cluster.put(LinkRecord.resource, {**read.raw, "spec": spec.to_json()})
        self._witness.saw(LinkRecord.resource, raw)

    async def _alive(self, identity: InterlinkIdentity) -> bool:
        metadata = await self._look(Interlink, identity.key)
        return metadata is not None and metadata.uid == identity.uid and not metadata.deleting

    async def _presence(self, spec: LinkRecordSpec, change: Change) -> Presence | None:
        """Look at the Interlink that the change is about; None if there is no such side in this cluster."""
        if isinstance(change, FromPeer):
            return Presence(None)
        identity = concerned(spec, change)
        if identity is None:
            return None
        metadata = await self._look(Interlink, identity.key)
        account = account_of(spec, change.side) if isinstance(change, Adopt | Abandon) else None
        absent = account is not None and await self._look(PBXAccount, account.key) is None
        if metadata is None:
            return Presence(None, account_absent=absent)
        return Presence(metadata.uid, metadata.deleting, account_absent=absent)

    async def _look(self, model: type[Resource], key: ObjectKey) -> ObjectMeta | None:
        """Read the metadata of an object that may be unreadable otherwise; None if it does not exist."""
        try:
            raw = await self._cluster.get(model.resource, key)
        except Gone:
            self._witness.missed(model.resource, key)
            return None
        self._witness.saw(model.resource, raw)
        return ObjectMeta.model_validate(raw["metadata"])


def _is_party(record: LinkRecord, peer: str, link_id: str, successions: Successions) -> bool:
    redeemer = record.spec.redeemer
    return redeemer is not None and redeemer.link_id == link_id and believes(record, peer, successions)
