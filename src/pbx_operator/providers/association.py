"""The desk for boxes: lets in whoever proves an activation code, once, and writes down what boxes report.

The exchange has checked by then who signed and that it is for this installation.  Every answer is decided on a record
that was just read from the API server, and written with the resourceVersion that was read; a conflict starts again.  So
of two boxes with one code one wins, however many exchange servers answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecord
from pbx_operator.cluster import Cluster, Conflict, Gone, Unavailable
from pbx_operator.domain.servers.equipment import (
    Association,
    Report,
    decide,
    hear,
    is_device,
    last_report,
    record_name,
)
from pbx_operator.domain.servers.equipment_messages import AssociateRequest, AssociationResult, ReportRequest

MAX_ATTEMPTS = 5
"""How often a box is answered anew on what others wrote meanwhile, before it is asked to come back."""

_RESOURCE = EquipmentRecord.resource

T = TypeVar("T")
Attempt = Callable[[dict[str, Any] | None], Awaitable[T]]
"""Answers on a record as it was read, None if there is none."""


@dataclass(frozen=True, slots=True)
class AssociateReply:
    """Whether a box is in; the fields are those of an AssociateAnswer."""

    result: AssociationResult
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportReply:
    """Whether a report was heard; the fields are those of a ReportAnswer."""

    result: Literal["Heard", "Unknown"]
    known_rev: int = 0


class EquipmentDesk:
    """Answers the boxes of one installation; any number of these may stand beside each other."""

    def __init__(self, cluster: Cluster, instance: str, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock

    async def associate(self, request: AssociateRequest, public_key: str) -> AssociateReply:
        """Answer a box that presents an activation code; when it says Associated, the record says so too.

        Raises ApiError: nobody knows then, and the box asks again.
        """
        wish = Association(self._instance, request.equipment_id, public_key, request.proof)

        async def attempt(raw: dict[str, Any] | None) -> AssociateReply:
            spec = EquipmentRecord.model_validate(raw).spec if raw is not None else None
            decision = decide(spec, wish, self._clock())
            if raw is not None and decision.spec is not None:
                await self._cluster.put(_RESOURCE, {**raw, "spec": decision.spec.to_json()})
            return AssociateReply(decision.result, decision.time)

        return await self._decided(request.equipment_id, attempt)

    async def report(self, request: ReportRequest, public_key: str) -> ReportReply:
        """Take a report of a box; unless it is the one that used the activation code, it learns nothing.

        Raises ApiError.
        """
        report = Report(public_key, request.rev, request.channels)

        async def attempt(raw: dict[str, Any] | None) -> ReportReply:
            record = EquipmentRecord.model_validate(raw) if raw is not None else None
            if raw is None or record is None or not is_device(record, public_key):
                return ReportReply("Unknown")
            status = hear(record, report, self._clock())
            if status is not None:
                await self._cluster.put_status(_RESOURCE, {**raw, "status": status.to_json()})
                return ReportReply("Heard", report.rev)
            known = last_report(record)
            return ReportReply("Heard", known.rev if known is not None else 0)

        return await self._decided(request.equipment_id, attempt)

    async def _decided(self, equipment_id: str, attempt: Attempt[T]) -> T:
        """Decide on the record as it is; anew if others changed it meanwhile, or nobody knows what happened."""
        tries = 0
        while True:
            try:
                return await attempt(await self._read(equipment_id))
            except (Conflict, Unavailable):
                tries += 1
                if tries == MAX_ATTEMPTS:
                    raise

    async def _read(self, equipment_id: str) -> dict[str, Any] | None:
        try:
            return await self._cluster.get(_RESOURCE, ObjectKey("", record_name(equipment_id)))
        except Gone:
            return None
