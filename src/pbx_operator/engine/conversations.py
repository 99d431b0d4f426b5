"""Conversations: one per peer installation, whatever the number of links, about all that both must know.

Each sync tells our side of every link and hears the peer's, so that an end reaches a peer that was down for days,
and one that can only dial learns what it cannot be told.  Nothing is written while nothing changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from pbx_operator.api.reasons import PEER_REACHABLE, PEER_UNREACHABLE
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.cluster import ApiError
from pbx_operator.domain.protocol.envelope import envelope_of
from pbx_operator.domain.protocol.messages import (
    MAX_LINKS,
    CancelAnswer,
    CancelRequest,
    LinkReport,
    SyncAnswer,
    SyncRequest,
)
from pbx_operator.domain.records.facts import peer_instance
from pbx_operator.domain.records.reports import Heard, believes, cancel_is_due, hear, is_spoken_about, report_of
from pbx_operator.engine.identity import IdentityKeeper
from pbx_operator.engine.store import Store
from pbx_operator.engine.tables import Observation
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import Peer, PeerUnavailable
from pbx_operator.network.pauses import jittered

SOON = 0.2
"""Seconds that a conversation waits after a change, for others to come along."""

MAX_BATCH = 200_000
"""Bytes of reports that one sync holds, well below what an envelope does."""
OVERHEAD = 400
"""Bytes of a report beside what its side says of itself."""

_log = logging.getLogger(__name__)


class Conversations:
    """Speaks with every installation that a link of ours leads to; `interval` is in seconds.

    Nothing is said while the identity is not confirmed: it may be another cluster's, which lives.  `found_out` is told
    after each round whether the installation answered, or for one that only dials us, what `is_silent` says.
    """

    def __init__(
        self,
        store: Store,
        authority: Authority,
        peer: Peer,
        contact: Contact,
        clock: Callable[[], datetime],
        interval: float,
        keeper: IdentityKeeper,
        found_out: Callable[[str, bool], None],
        is_silent: Callable[[str], Awaitable[bool | None]],
    ) -> None:
        self._is_silent = is_silent
        self._keeper = keeper
        self._found_out = found_out
        self._store = store
        self._authority = authority
        self._peer = peer
        self._contact = contact
        self._clock = clock
        self._interval = interval
        self._wakes: dict[str, asyncio.Event] = {}
        self._news = asyncio.Event()
        self._problems: dict[str, str] = {}
        """What the log says is wrong with a peer, beside what `peer` itself logs of those that it cannot reach."""
        self._acknowledged: dict[str, int] = {}
        """The `rev` of each record's report that the peer says it has."""
        self._settled: set[str] = set()
        """UIDs of Ended records whose peer says the same.

        One that answers Unknown may find its record again, in a backup or by a request that is late, and must then
        hear of the end.
        """

    def observed(self, observation: Observation) -> None:
        """Speak at once of what changed on our side of a link."""
        old, new = observation.old, observation.new
        if isinstance(old, LinkRecord) and new is None:
            self._acknowledged.pop(old.metadata.uid, None)
            self._settled.discard(old.metadata.uid)
        if not isinstance(new, LinkRecord) or (peer := peer_instance(new.spec)) is None:
            return
        if _said(old) == _said(new):
            return
        self._wakes.setdefault(peer, asyncio.Event()).set()
        self._news.set()

    async def run(self) -> None:
        """Begin a conversation with every peer that turns up, until cancelled."""
        for record in self._store.records:
            peer = peer_instance(record.spec)
            if peer is not None:
                self._wakes.setdefault(peer, asyncio.Event()).set()
        begun: set[str] = set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._news.clear()
                for peer in self._wakes.keys() - begun:
                    tasks.create_task(self._converse(peer))
                    begun.add(peer)
                await self._news.wait()

    async def _converse(self, peer: str) -> None:
        wake = self._wakes[peer]
        while True:
            try:
                async with asyncio.timeout(jittered(self._interval)):
                    await wake.wait()
                await asyncio.sleep(SOON)
            except TimeoutError:
                pass
            wake.clear()
            if not self._keeper.identity.confirmed:
                continue
            try:
                if await self._round(peer):
                    self._found_out(peer, True)
                    self._tell_end_of_problem(peer)
            except PeerUnavailable:
                self._found_out(peer, False)
            except ApiError as error:
                _log.warning("what peer %s says could not be recorded: %s", peer, error)
            except ValueError as error:
                _log.error("there is something that cannot be said to peer %s: %s", peer, error)

    async def _round(self, peer: str) -> bool:
        """Say everything once; return whether there was anything to say. Raises PeerUnavailable and ApiError."""
        known = self._store.records.select("peer", peer)
        records = [r for r in known if _contact([r]).endpoints]
        if not records:
            return await self._listen(peer) if any(r.spec.state != "Ended" for r in known) else False
        spoken_about = [r for r in records if is_spoken_about(r) and r.metadata.uid not in self._settled]
        for some in _batched(spoken_about):
            await self._sync(peer, some)
        for record in records:  # last: each goes where its own key said, which may be nowhere
            if cancel_is_due(record, self._clock()):
                with suppress(PeerUnavailable):
                    await self._cancel(record)
        return bool(spoken_about)

    async def _listen(self, peer: str) -> bool:
        """Return whether a peer that only dials has spoken. Raises PeerUnavailable if it fell silent, and ApiError."""
        silent = await self._is_silent(peer)
        if silent:
            self._tell_problem(peer, "it dials us, at no address that we could dial, and was not heard for 3 minutes")
            raise PeerUnavailable
        return silent is not None

    async def _sync(self, peer: str, records: list[LinkRecord]) -> None:
        reports = [(r, report_of(r, self._acknowledged.get(r.metadata.uid))) for r in records]
        told = {report.link_id: record for record, report in reports if report is not None}
        draft = partial(
            SyncRequest,
            links=tuple(report for _, report in reports if report is not None),
            endpoints=self._contact.endpoints,
            pins=self._contact.pins,
        )
        contact = _contact(records)
        answer = await self._peer.ask(contact, peer, draft, SyncAnswer)
        about = [(told.pop(report.link_id), report) for report in answer.links if report.link_id in told]
        forgotten = any(r.spec.state != "Ended" and report.state == "Unknown" for r, report in about)
        if forgotten and await self._keeper.look():
            self._wakes[peer].set()  # the peer may have heard our new identity before we did: ask again, with that
            return
        if about and not any(believes(record, peer, answer.successions) for record, _ in about):
            where = ", ".join(contact.endpoints)
            self._tell_problem(peer, f"{where}: it answers by an identity that our links with it do not go by")
            raise PeerUnavailable
        for record, report in about:
            await self._take(peer, record, report, answer)

    async def _take(self, peer: str, record: LinkRecord, report: LinkReport, answer: SyncAnswer) -> None:
        """Take what the peer says of one link, unless that is gone by now, or it says so by a key that it gave up.

        Most reports say what is known; only for news the record is read from the API server.
        """
        contact = Contact(endpoints=answer.endpoints, pins=answer.pins)
        name, uid, how = record.metadata.name, record.metadata.uid, (report, contact, answer.successions)
        known = believes(record, peer, answer.successions) and hear(record, *how) == Heard()
        if not known and await self._authority.hear(name, peer, *how) is None:
            return
        self._acknowledged[uid] = report.known_rev
        if record.spec.state == "Ended" and report.state == "Ended":
            self._settled.add(uid)

    def _tell_problem(self, peer: str, problem: str) -> None:
        """Log what is wrong when that begins, not with every round."""
        if self._problems.get(peer) != problem:
            self._problems[peer] = problem
            _log.warning("Peer %s cannot be reached: %s", peer, problem, extra={"reason": PEER_UNREACHABLE.name})

    def _tell_end_of_problem(self, peer: str) -> None:
        if self._problems.pop(peer, None) is not None:
            _log.info("Peer %s answers again", peer, extra={"reason": PEER_REACHABLE.name})

    async def _cancel(self, record: LinkRecord) -> None:
        spec, peer = record.spec, peer_instance(record.spec)
        if spec.cancel is None or spec.redeemer is None or peer is None:
            return
        draft = partial(CancelRequest, cancel=envelope_of(spec.cancel))
        answer = await self._peer.ask(_contact([record]), peer, draft, CancelAnswer)
        if answer.result == "Done":
            done = LinkReport(key_id=spec.key_id, link_id=spec.redeemer.link_id, state="Ended")
            await self._authority.hear(record.metadata.name, peer, done, successions=answer.successions)


def _said(record: Any) -> object:
    """Return what of a record the peer must hear at once."""
    if not isinstance(record, LinkRecord):
        return None
    told = record.status.told
    return (record.spec.state, record.spec.closing, told.rev if told is not None else 0)


def _contact(records: Iterable[LinkRecord]) -> Contact:
    """Return how the peer can be reached: by its newest link, and what it said itself before what a bundle said."""
    newest = sorted(records, key=lambda r: r.spec.issued_time, reverse=True)
    known = [c for r in newest for c in (r.status.contact, r.spec.contact) if c is not None and c.endpoints]
    return known[0] if known else Contact()


def _batched(records: list[LinkRecord]) -> Iterable[list[LinkRecord]]:
    """Divide records so that each part fits one message, with the numbers of each."""
    batch: list[LinkRecord] = []
    room = MAX_BATCH
    for record in records:
        size = len(record.status.told.model_dump_json()) if record.status.told is not None else 0
        if batch and (len(batch) == MAX_LINKS or size > room):
            yield batch
            batch, room = [], MAX_BATCH
        batch.append(record)
        room -= size + OVERHEAD
    if batch:
        yield batch
