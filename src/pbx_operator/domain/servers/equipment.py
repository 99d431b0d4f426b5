"""The record machine of a box: how its activation code is used once, and what its reports and its silence mean.

`decide` is the only place where a record gets its device.  The code itself is in no record and in no message: a slow
hash of it is the seed of a key (`code_key`), whose public half the record has, and by which a box proves the code.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from pbx_operator.api.meta import ALLOW_DELETION_ANNOTATION
from pbx_operator.api.v1alpha1.commserver import Channel, ServerState
from pbx_operator.api.v1alpha1.equipmentrecord import (
    Device,
    DeviceReport,
    EquipmentRecord,
    EquipmentRecordSpec,
    EquipmentRecordStatus,
)
from pbx_operator.domain.protocol.keys import SEED_BYTES, SigningKey, base32, verify
from pbx_operator.domain.servers.equipment_messages import AssociationResult
from pbx_operator.domain.servers.typed import canonical_code, canonical_equipment_id

SILENT = timedelta(minutes=3)
"""After so long without a report a server that runs counts as Degraded."""
GONE = timedelta(minutes=15)
"""After so long it counts as Activated: it was connected once, and is not now."""
REPORT_PERIOD = timedelta(minutes=1)
"""Reports that say nothing new are written down so often, however many come."""
CHANGE_PERIOD = timedelta(seconds=5)
"""Changed channels are written down so often; a box whose lines flap writes no faster."""

_NAME_LENGTH = 26
_COST = {"n": 2**14, "r": 8, "p": 1}
"""About 50 ms and 16 MiB for each guess (RFC 7914), the parameters that its authors give for interactive logins."""


def record_name(equipment_id: str) -> str:
    """Return the name of the record of a box: made of its equipment ID, so that there is one at most."""
    return "e-" + base32(hashlib.sha256(canonical_equipment_id(equipment_id).encode()).digest())[:_NAME_LENGTH]


def deletion_of_record(name: str) -> str:
    """Return the commands by which an administrator deletes a record, whether or not the policies are in force."""
    record = f"equipmentrecord {name}"
    return f"kubectl annotate {record} {ALLOW_DELETION_ANNOTATION}=true && kubectl delete {record}"


def code_key(equipment_id: str, code: str) -> SigningKey:
    """Return the key that whoever knows the activation code can make, however it is spelled.

    It takes time on purpose.
    """
    secret, salt = canonical_code(code).encode(), canonical_equipment_id(equipment_id).encode()
    return SigningKey(hashlib.scrypt(secret, salt=salt, dklen=SEED_BYTES, **_COST))


# --- association ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Association:
    """A box's wish to be the one with this equipment ID; `public_key` is its own, which signed the wish."""

    instance: str
    equipment_id: str
    public_key: str
    proof: str = ""

    def payload(self) -> bytes:
        """Return the bytes that the proof covers."""
        facts = {"equipmentID": self.equipment_id, "instance": self.instance, "publicKey": self.public_key}
        return b"pbx-operator/v1\0activation\0" + json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a box, and what must be written before it may be given."""

    result: AssociationResult
    time: datetime | None = None
    spec: EquipmentRecordSpec | None = None


def decide(spec: EquipmentRecordSpec | None, wish: Association, now: datetime) -> Decision:
    """Answer a box that presents an activation code.

    The same box gets the same answer again, so that one that lost it can finish.  Whoever cannot prove the code learns
    nothing, not even whether there is such equipment.
    """
    if spec is None or not _proven(spec, wish):
        return Decision("Unknown")
    if spec.device is not None:
        same = spec.device.public_key == wish.public_key
        return Decision("Associated" if same else "Used", spec.device.time)
    device = Device(public_key=wish.public_key, time=now.replace(microsecond=0))
    return Decision("Associated", device.time, spec.model_copy(update={"state": "Associated", "device": device}))


def _proven(spec: EquipmentRecordSpec, wish: Association) -> bool:
    same_box = canonical_equipment_id(spec.equipment_id) == canonical_equipment_id(wish.equipment_id)
    return same_box and spec.instance == wish.instance and verify(spec.code_key, wish.proof, wish.payload())


def renewed(spec: EquipmentRecordSpec, code_key: str) -> EquipmentRecordSpec:
    """Return the record with another activation code: whoever was in is out."""
    changes = {"revision": spec.revision + 1, "code_key": code_key, "state": "Declared", "device": None}
    return spec.model_copy(update=changes)


# --- reports ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Report:
    """What a box says of itself; `public_key` signed it."""

    public_key: str
    rev: int
    channels: tuple[Channel, ...] = ()


def is_device(record: EquipmentRecord, public_key: str) -> bool:
    """Whether this key is the one of the box that used the activation code."""
    return record.spec.device is not None and record.spec.device.public_key == public_key


def last_report(record: EquipmentRecord) -> DeviceReport | None:
    """Return what the present device said last; what one before it said does not count."""
    device, report = record.spec.device, record.status.report
    return report if device is not None and report is not None and report.time >= device.time else None


def hear(record: EquipmentRecord, report: Report, now: datetime) -> EquipmentRecordStatus | None:
    """Return the status to write for a report of the record's device; None if there is nothing to write.

    Periods count in both directions: what another exchange, whose clock is ahead, wrote down must not keep this one
    from writing for longer than its own writes would.
    """
    before, named = last_report(record), {channel.name: channel for channel in report.channels}
    channels = tuple(named[name] for name in sorted(named))
    if before is not None:
        period = REPORT_PERIOD if before.channels == channels else CHANGE_PERIOD
        if report.rev <= before.rev or abs(now - before.time) < period:
            return None
    return EquipmentRecordStatus(
        report=DeviceReport(time=now.replace(microsecond=0), rev=report.rev, channels=channels)
    )


# --- what that means --------------------------------------------------------------------------------------------


def heard_at(record: EquipmentRecord) -> datetime | None:
    """Return when the present device was heard last; using the activation code counts."""
    device, report = record.spec.device, last_report(record)
    if report is not None:
        return report.time
    return device.time if device is not None else None


def channels_of(record: EquipmentRecord) -> tuple[Channel, ...]:
    """Return the channels that the present device reported."""
    return _reported_channels(record) or ()


def is_silent(record: EquipmentRecord, now: datetime) -> bool:
    """Whether the present device has not been heard for so long that nobody knows how its lines are."""
    heard = heard_at(record)
    return heard is not None and now - heard >= SILENT


def state_of(record: EquipmentRecord, now: datetime) -> ServerState:
    """Return the state of the server.

    A box that has just used the activation code is Pending until its first report, which follows at once: before that
    nobody knows how its lines are.
    """
    heard = heard_at(record)
    if heard is None:
        return "Pending"
    if now - heard >= GONE:
        return "Activated"
    if is_silent(record, now):
        return "Degraded"
    if last_report(record) is None:
        return "Pending"
    return "Degraded" if any(channel.state == "Down" for channel in channels_of(record)) else "Running"


def good_until(record: EquipmentRecord, now: datetime) -> datetime | None:
    """Return when silence alone will change the state, or what it is called for; None if it will not."""
    heard = heard_at(record)
    if heard is None or now - heard >= GONE:
        return None
    return heard + (GONE if is_silent(record, now) else SILENT)


def is_news(old: EquipmentRecord | None, new: EquipmentRecord | None) -> bool:
    """Whether a change of the record may change what its CommServer shows: not the next report of the same lines."""
    if old is None or new is None or old.spec != new.spec:
        return True
    before, after = heard_at(old), heard_at(new)
    was_silent = before is not None and after is not None and after - before >= SILENT
    return was_silent or _reported_channels(old) != _reported_channels(new)


def _reported_channels(record: EquipmentRecord) -> tuple[Channel, ...] | None:
    """Return the channels of the last report; None if there is none yet."""
    report = last_report(record)
    return report.channels if report is not None else None
