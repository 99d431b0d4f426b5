"""Boxes for tests: their records, and what they say. Equal arguments give equal objects."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from typing import Any

from builders import INSTANCE, NAMESPACE, NOW, digest
from pbx_operator.api.meta import ObjectKey, ObjectMeta
from pbx_operator.api.v1alpha1 import EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import Channel
from pbx_operator.api.v1alpha1.equipmentrecord import (
    Device,
    DeviceReport,
    EquipmentOwner,
    EquipmentRecordSpec,
    EquipmentRecordStatus,
    EquipmentSettings,
)
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.servers.equipment import Association, code_key, record_name

EQUIPMENT, CODE = "ALE12-1234.5678.90", "AAAA-BBBB-CCCC-DDDD-EEEE"
PLACE = ObjectKey(NAMESPACE, "pbx")
UP, DOWN = Channel(name="sip", state="Up"), Channel(name="sip", state="Down")
SETTINGS = EquipmentSettings(display_name="pbx", country="FR")


@cache
def derived(code: str = CODE, equipment: str = EQUIPMENT) -> SigningKey:
    """Return the key that an activation code makes; that takes time, so it is made once."""
    return code_key(equipment, code)


def box(name: str) -> SigningKey:
    """Return the key of a box."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def declared(equipment: str = EQUIPMENT, code: str = CODE, **spec: Any) -> EquipmentRecordSpec:
    """Return the spec of a record whose activation code is not used yet."""
    facts: dict[str, Any] = {
        "equipment_id": equipment,
        "instance": INSTANCE,
        "owner": EquipmentOwner(namespace=PLACE.namespace, name=PLACE.name, uid="uid of pbx"),
        "code_key": derived(code, equipment).public,
        "settings": SETTINGS,
    }
    return EquipmentRecordSpec(**facts | spec)


def associated(name: str = "box", time: datetime = NOW, **spec: Any) -> EquipmentRecordSpec:
    """Return the spec of a record whose activation code was used by a box."""
    return declared(state="Associated", device=Device(public_key=box(name).public, time=time), **spec)


def record(spec: EquipmentRecordSpec, report: DeviceReport | None = None) -> EquipmentRecord:
    """Return a record with what was reported last."""
    metadata = ObjectMeta(name=record_name(spec.equipment_id), uid="1", resource_version="1")
    return EquipmentRecord(metadata=metadata, spec=spec, status=EquipmentRecordStatus(report=report))


def reported(*channels: Channel, time: datetime = NOW, rev: int = 1) -> DeviceReport:
    return DeviceReport(time=time, rev=rev, channels=channels)


def wish(name: str = "box", code: str = CODE, equipment: str = EQUIPMENT, instance: str = INSTANCE) -> Association:
    """Return a box's wish, proven by this code."""
    unsigned = Association(instance, equipment, box(name).public)
    proof = derived(code, equipment).sign(unsigned.payload())
    return Association(instance, equipment, box(name).public, proof)


OTHER_INSTANCE = digest("another installation", 26)
