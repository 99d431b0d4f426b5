"""Kubernetes Events: what happened to an object, told once to whoever looks at it, and in the log.

What is news follows from the conditions before and after a write alone, so that neither a status that stays as it is
nor a restart of the operator repeats anything.  Events are a courtesy.  They are written aside from the work, a few
per second at most, and dropped when there are too many, so that they never delay a link.

An installation that falls silent is news about all of its links in one second, be they a thousand, and each owner
should hear of it.  Such Events wait in a line of their own and are written while no other waits.  So a thousand spread
over some minutes, and neither delay nor crowd out what is about one object; of an outage that is over before its turn
has come, nothing is told but the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

from pbx_operator.api.conditions import Reason
from pbx_operator.api.gate_reasons import NOT_ESTABLISHED
from pbx_operator.api.meta import EVENTS, GROUP, Condition
from pbx_operator.api.provider_reasons import ACTIVATED, DEGRADED, DRIFTED
from pbx_operator.api.reasons import (
    ACCEPTED,
    KEY_REPLAY,
    PEER_UNAVAILABLE,
    REVISION_WAITS,
    Verdict,
)
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.domain.plan import StatusUpdate, Target
from pbx_operator.domain.records.facts import interlink_of
from pbx_operator.engine.tables import Observation

CONTROLLER = f"{GROUP}/operator"
QUEUE_LENGTH = 1_000
"""Events that may wait in each of the two lines."""
PER_SECOND = 10.0
MAX_NAME = 253
"""Characters of a name, as of every object (RFC 1123)."""
MAX_NOTE = 1024
"""Bytes of a note: the API server refuses an Event with more (`NoteLengthLimit` of Kubernetes)."""

_log = logging.getLogger(__name__)


class News(NamedTuple):
    """Something that is told once about an object; without a type it is for the log alone."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] | None
    outage: bool = False
    """It is about a peer's installation, and so the same for many objects at once."""


def news(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[News]:
    """Yield what a status tells that the one before did not."""
    old, new = {c.type: c for c in before}, {c.type: c for c in after}
    parts = (_of_ready, _of_connection, _of_acceptance, _of_gate, _of_revision, _of_drift, _of_peer)
    for found in (part(old, new) for part in parts):
        if found is not None:
            yield found


_Conditions = Mapping[str, Condition]
_OUT_OF_ORDER = (DEGRADED.name, ACTIVATED.name)
"""What is wrong with a box or its lines, whether Ready says so or, being about the spec, does not."""


def _is_news(old: _Conditions, new: Condition) -> bool:
    known = old.get(new.type)
    return known is None or (known.status, known.reason) != (new.status, new.reason)


def _of_ready(old: _Conditions, new: _Conditions) -> News | None:
    """A person hears of what is ready, and of what is not once patience with it has run out.

    With an issuer that cannot be reached patience has no end, so this is told at once, and so is what comes after it.
    A server that is Degraded or Activated is Ready, and yet somebody should look at its box or its lines.
    """
    was, ready, stalled = old.get("Ready"), new.get("Ready"), new.get("Stalled")
    if stalled is not None and _is_news(old, stalled):
        return News(stalled.reason, stalled.message, "Warning")
    if ready is None or not _is_news(old, ready):
        return None
    if ready.reason == PEER_UNAVAILABLE.name:
        return News(ready.reason, ready.message, "Warning", outage=True)
    if ready.reason in _OUT_OF_ORDER:
        return News(ready.reason, ready.message, "Warning")
    waited = was is not None and was.reason == PEER_UNAVAILABLE.name
    return News(ready.reason, ready.message, "Normal" if ready.status == "True" or waited else None)


def _of_connection(old: _Conditions, new: _Conditions) -> News | None:
    """A box or its lines fail while Ready tells of something else, as of a spec that is refused."""
    connected, ready = new.get("Connected"), new.get("Ready")
    if connected is None or connected.reason not in _OUT_OF_ORDER or not _is_news(old, connected):
        return None
    told_by_ready = ready is not None and ready.reason == connected.reason
    return None if told_by_ready else News(connected.reason, connected.message, "Warning")


def _of_acceptance(old: _Conditions, new: _Conditions) -> News | None:
    """What is not accepted, or with a warning, is told here unless Ready says the same; other warnings anew."""
    accepted, ready = new.get("Accepted"), new.get("Ready")
    if accepted is None or accepted.status == "Unknown" or accepted.reason == ACCEPTED.name:
        return None
    told_by_ready = ready is not None and ready.reason == accepted.reason
    was = old.get("Accepted")
    warned_anew = accepted.status == "True" and was is not None and was.message != accepted.message
    if told_by_ready or not (_is_news(old, accepted) or warned_anew):
        return None
    return News(accepted.reason, accepted.message, "Warning")


def _of_gate(old: _Conditions, new: _Conditions) -> News | None:
    """Calls stop, or may pass again, while there is a link; where there is none, Ready tells."""
    was, calls = old.get("CallsAllowed"), new.get("CallsAllowed")
    if was is None or calls is None or was.status == calls.status:
        return None
    if NOT_ESTABLISHED.name in (was.reason, calls.reason):
        return None
    return News(calls.reason, calls.message, "Normal" if calls.status == "True" else "Warning")


def _of_revision(old: _Conditions, new: _Conditions) -> News | None:
    issued = new.get("KeyIssued")
    if issued is None or issued.reason != REVISION_WAITS.name or not _is_news(old, issued):
        return None
    return News(issued.reason, issued.message, "Normal")


def _of_drift(old: _Conditions, new: _Conditions) -> News | None:
    """What somebody changed at a provider is told again when something else is changed there."""
    was, provisioned = old.get("Provisioned"), new.get("Provisioned")
    if provisioned is None or provisioned.reason != DRIFTED.name:
        return None
    told = was is not None and (was.reason, was.message) == (provisioned.reason, provisioned.message)
    return News(provisioned.reason, provisioned.message, "Warning") if not told else None


def _of_peer(old: _Conditions, new: _Conditions) -> News | None:
    """The peer of a link falls silent, or answers again; that it answers at first is what everybody expects.

    Nor is it told of a link that was made just now: whatever was found out before, the peer has answered since.
    """
    was, reachable, linked = old.get("PeerReachable"), new.get("PeerReachable"), old.get("Established")
    if reachable is None or not _is_news(old, reachable):
        return None
    if reachable.status == "True":
        return News(reachable.reason, reachable.message, "Normal", outage=True) if was is not None else None
    made_now = linked is None or linked.status != "True"
    return None if made_now else News(reachable.reason, reachable.message, "Warning", outage=True)


class _Backlog:
    """Events that wait to be written: in the order they came, those of outages after all others."""

    def __init__(self) -> None:
        self._others: deque[dict[str, Any]] = deque()
        self._outages: dict[Target, dict[str, Any]] = {}
        """At most one of each object: later news of it takes its place, in either line."""
        self._some = asyncio.Event()

    def add(self, target: Target, event: dict[str, Any], *, outage: bool) -> bool:
        """Let an event wait; return whether there was room for it."""
        self._outages.pop(target, None)
        if len(self._outages if outage else self._others) >= QUEUE_LENGTH:
            return False
        if outage:
            self._outages[target] = event
        else:
            self._others.append(event)
        self._some.set()
        return True

    async def next(self) -> dict[str, Any]:
        """Take the event whose turn it is, once there is one."""
        while not self._others and not self._outages:
            self._some.clear()
            await self._some.wait()
        return self._others.popleft() if self._others else self._outages.pop(next(iter(self._outages)))


class EventRecorder:
    """Tells news as log lines and Events."""

    def __init__(self, cluster: Cluster, instance: str, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock
        self._waiting = _Backlog()

    def status_written(self, update: StatusUpdate, before: Iterable[Condition]) -> None:
        """Tell what a status says that is shown from now on, and that the conditions `before` did not say."""
        for found in news(before, update.status.conditions):
            self._tell(update.target, found)

    def warn(self, target: Target, verdict: Verdict) -> None:
        """Tell of what no status will show, since the object goes."""
        self._tell(target, News(verdict.reason.name, verdict.message, "Warning"))

    def happened(self, target: Target, reason: Reason, **facts: object) -> None:
        """Tell of what no status will show: with a Warning if the reason leaves a next step to do."""
        self._tell(target, News(reason.name, reason.message(**facts), "Warning" if reason.fix else "Normal"))

    def observed(self, observation: Observation) -> None:
        """Tell the issuer of a key that was presented by a second party."""
        old, new = observation.old, observation.new
        if isinstance(old, LinkRecord) and isinstance(new, LinkRecord) and new.status.replay and not old.status.replay:
            named = interlink_of(new.spec, "issuer")
            if named is not None:
                message = KEY_REPLAY.message(key_id=new.spec.key_id)
                self._tell(Target(Interlink.resource, named.key, named.uid), News(KEY_REPLAY.name, message, "Warning"))

    def _tell(self, target: Target, found: News) -> None:
        level = logging.WARNING if found.type == "Warning" else logging.INFO
        if found.outage:  # whoever dials has logged it, once for all links
            level = logging.DEBUG
        _log.log(level, found.message, extra={"object": target, "reason": found.reason})
        if found.type is None:
            return
        if not self._waiting.add(target, self._event(target, found), outage=found.outage):
            _log.debug("too many events; one was dropped")

    def _event(self, target: Target, found: News) -> dict[str, Any]:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": _name_for(target.key.name), "namespace": target.key.namespace},
            "eventTime": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": found.reason,
            "note": found.message.encode()[:MAX_NOTE].decode(errors="ignore"),
            "type": found.type,
            "regarding": {
                "apiVersion": target.resource.api_version,
                "kind": target.resource.kind,
                "name": target.key.name,
                "namespace": target.key.namespace,
                "uid": target.uid,
            },
        }

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            event = await self._waiting.next()
            try:
                await self._cluster.create(EVENTS, event)
            except ApiError as error:
                _log.debug("an event was lost: %s", error)
            await asyncio.sleep(1 / PER_SECOND)


def _name_for(regarding: str) -> str:
    """Return a name for an Event that begins with that of its object, as far as there is room."""
    own = f".{uuid4().hex[:16]}"
    return regarding[: MAX_NAME - len(own)].rstrip("-.") + own
