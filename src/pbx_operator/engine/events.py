"""Kubernetes Events: what happened to an object, told once to whoever looks at it.

Events are a courtesy.  They are written aside from the work, a few per second at most, and dropped when there are
too many, so that they never delay a link.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pbx_operator.api.meta import EVENTS, GROUP, Condition, ObjectKey
from pbx_operator.api.reasons import REVISION_WAITS
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.domain.conditions import is_true
from pbx_operator.domain.plan import StatusUpdate, Target
from pbx_operator.engine.store import Observation

CONTROLLER = f"{GROUP}/operator"
QUEUE_LENGTH = 1_000
PER_SECOND = 10.0
_TOLD = ("Ready", "KeyIssued")
"""Conditions whose reason is worth an event or a log line."""

_log = logging.getLogger(__name__)


class EventRecorder:
    """Writes an Event when the Ready reason of an object changes."""

    def __init__(self, cluster: Cluster, instance: str, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock
        self._told: dict[tuple[Target, str], str] = {}
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_LENGTH)

    def status_written(self, update: StatusUpdate) -> None:
        """Tell of a status that is shown from now on, if a condition has another reason than before."""
        conditions = update.status.conditions
        for condition in conditions:
            if condition.type in _TOLD and self._is_news(update.target, condition):
                _log.info(condition.message, extra={"object": update.target, "reason": condition.reason})
                if condition.type == "KeyIssued":
                    self._post(update.target, condition.reason, condition.message, warning=False)
                elif condition.status == "True" or is_true(conditions, "Stalled"):
                    self._post(update.target, condition.reason, condition.message, condition.status != "True")

    def observed(self, observation: Observation) -> None:
        """Tell of a key that was presented by a second party, and forget what is gone."""
        old, new = observation.old, observation.new
        if isinstance(old, LinkRecord) and isinstance(new, LinkRecord) and new.status.replay and not old.status.replay:
            named = new.spec.issuer.interlink
            target = Target(Interlink.resource, named.key, named.uid)
            self._post(target, "KeyReplay", f"somebody else presented the used key {new.spec.key_id}", warning=True)
        if old is not None and new is None:
            target = Target(old.resource, ObjectKey(old.metadata.namespace, old.metadata.name), old.metadata.uid)
            for type_ in _TOLD:
                self._told.pop((target, type_), None)

    def _is_news(self, target: Target, condition: Condition) -> bool:
        known = self._told.get((target, condition.type))
        self._told[target, condition.type] = condition.reason
        return known != condition.reason and (condition.type == "Ready" or condition.reason == REVISION_WAITS.name)

    def _post(self, target: Target, reason: str, note: str, warning: bool) -> None:
        try:
            self._waiting.put_nowait(self._event(target, reason, note, "Warning" if warning else "Normal"))
        except asyncio.QueueFull:
            _log.debug("too many events; one was dropped")

    def _event(self, target: Target, reason: str, note: str, type_: str) -> dict[str, Any]:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{target.key.name}.{uuid4().hex[:16]}", "namespace": target.key.namespace},
            "eventTime": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": reason,
            "note": note[:1024],
            "type": type_,
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
            event = await self._waiting.get()
            try:
                await self._cluster.create(EVENTS, event)
            except ApiError as error:
                _log.debug("an event was lost: %s", error)
            await asyncio.sleep(1 / PER_SECOND)
