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

from pbx_operator.api.meta import EVENTS, GROUP, Condition
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.domain.conditions import find, is_true
from pbx_operator.domain.plan import StatusUpdate, Target

CONTROLLER = f"{GROUP}/operator"
QUEUE_LENGTH = 1_000
PER_SECOND = 10.0

_log = logging.getLogger(__name__)


class EventRecorder:
    """Writes an Event when the Ready reason of an object changes."""

    def __init__(self, cluster: Cluster, instance: str, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock
        self._told: dict[Target, str] = {}
        self._waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE_LENGTH)

    def status_written(self, update: StatusUpdate) -> None:
        """Take note of a status that is shown from now on."""
        ready = find(update.status.conditions, "Ready")
        if ready is None or self._told.get(update.target) == ready.reason:
            return
        self._told[update.target] = ready.reason
        stalled = is_true(update.status.conditions, "Stalled")
        _log.info(ready.message, extra={"object": update.target, "reason": ready.reason})
        if ready.status == "True" or stalled:
            self._post(update.target, ready, "Warning" if stalled else "Normal")

    def forget(self, target: Target) -> None:
        """Drop what was told about an object that is gone."""
        self._told.pop(target, None)

    def _post(self, target: Target, ready: Condition, type_: str) -> None:
        try:
            self._waiting.put_nowait(self._event(target, ready, type_))
        except asyncio.QueueFull:
            _log.debug("too many events; one was dropped")

    def _event(self, target: Target, ready: Condition, type_: str) -> dict[str, Any]:
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": f"{target.key.name}.{uuid4().hex[:16]}", "namespace": target.key.namespace},
            "eventTime": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": "Reconcile",
            "reason": ready.reason,
            "note": ready.message[:1024],
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
