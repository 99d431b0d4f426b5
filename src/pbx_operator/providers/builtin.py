"""Provider Builtin: servers that connect to the exchange of this operator.

A system is an EquipmentRecord, read and swapped at the API server itself, like the records of links.  What boxes say to
it is the matter of `association`; what a record means, that of `domain.servers.equipment`.

Whether our activation code is the record's takes a slow hash on purpose.  A thousand boxes that wait must not cost a
thousand of them at each start and each look, so each is made once in a process, and not at its first look at a system
that the status knows.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.equipmentrecord import (
    EquipmentOwner,
    EquipmentRecord,
    EquipmentRecordSpec,
    EquipmentSettings,
    equipment_manifest,
)
from pbx_operator.cluster import AlreadyExists, Cluster, Conflict, Gone
from pbx_operator.domain.differences import Difference
from pbx_operator.domain.faults import fault
from pbx_operator.domain.servers.equipment import (
    channels_of,
    code_key,
    good_until,
    heard_at,
    is_silent,
    record_name,
    renewed,
    state_of,
)
from pbx_operator.domain.servers.systems import (
    CodeState,
    SystemFacts,
    SystemOwner,
    SystemSettings,
    SystemWish,
    given,
)
from pbx_operator.network.recent import Recent
from pbx_operator.providers.errors import ProviderError

MAX_ATTEMPTS = 5
"""How often a change is made anew on what others wrote meanwhile, such as a report."""

MAX_CODES = 16_384
"""Activation codes whose keys are remembered, in about 10 MiB; one that is forgotten costs another slow hash."""

Change = Callable[[EquipmentRecordSpec], EquipmentRecordSpec]


@dataclass(slots=True)
class _CodeKey:
    """The public half of a code's key, once it was made."""

    public: str | None = None


class Builtin:
    """Implements `providers.systems.SystemProvider` for one installation; every call may raise ApiError.

    Until `restoring_until` a backup is being restored: a record that is missing may still come, with its spent code.
    """

    def __init__(
        self,
        cluster: Cluster,
        instance: str,
        clock: Callable[[], datetime],
        restoring_until: datetime | None = None,
    ) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock
        self._restoring_until = restoring_until
        self._keys: Recent[_CodeKey] = Recent(MAX_CODES)
        self._making = asyncio.Lock()

    async def observe(self, wish: SystemWish, code: str | None) -> SystemFacts | None:
        """Return the system with the wished equipment ID; None if there is none."""
        record = await self._read(record_name(wish.equipment_id))
        return await self._facts(record, wish, code) if record is not None else None

    async def create(self, wish: SystemWish, code: str) -> SystemFacts:
        """Declare the system, or take up the one that an earlier CommServer of this place declared.

        Raises ProviderError if another CommServer has it, or while a backup is being restored.
        """
        if self._restoring:
            raise ProviderError(fault("Retry", provider_reasons.PROVIDER_BUSY))
        key = await self._derived(wish.equipment_id, code)
        spec = EquipmentRecordSpec(
            equipment_id=wish.equipment_id,
            instance=self._instance,
            owner=_owner(wish.owner),
            code_key=key,
            settings=_settings(wish.settings),
        )
        name = record_name(wish.equipment_id)
        try:
            raw = await self._cluster.create(EquipmentRecord.resource, equipment_manifest(name, spec))
            record = EquipmentRecord.model_validate(raw)
        except AlreadyExists:
            record = await self._change(wish, name, lambda spec: spec.model_copy(update={"owner": _owner(wish.owner)}))
        return await self._facts(record, wish, code)

    async def update(self, wish: SystemWish, system_id: str, differences: tuple[Difference, ...]) -> None:
        """Set the settings that differ. Raises ProviderError if another CommServer has the system."""

        def changed(spec: EquipmentRecordSpec) -> EquipmentRecordSpec:
            settings = given(_system_settings(spec.settings), differences)
            return spec.model_copy(update={"settings": _settings(settings)})

        await self._change(wish, system_id, changed)

    async def reset(self, wish: SystemWish, system_id: str, code: str) -> str:
        """Let the box that has this code in, and whoever is in out.

        Raises ProviderError if another CommServer has the system.
        """
        key = await self._derived(wish.equipment_id, code)
        await self._change(wish, system_id, lambda spec: renewed(spec, key))
        return code

    async def current_code(self, wish: SystemWish, system_id: str) -> str | None:
        """Return None: a record does not have the code, only what proves it."""
        return None

    async def delete(self, wish: SystemWish, system_id: str) -> None:
        """Delete the record of this place; that it is gone already, or another's by now, is a success."""
        for _ in range(MAX_ATTEMPTS):
            record = await self._read(system_id)
            if record is None or not _declared_by(record.spec, wish.owner):
                return
            seen = record.metadata
            try:
                await self._cluster.delete(
                    EquipmentRecord.resource, record.key, uid=seen.uid, resource_version=seen.resource_version
                )
            except Gone:
                return
            except Conflict:
                continue
            return
        raise Conflict(f"{EquipmentRecord.resource.plural} {system_id} was changed by others each time", status=409)

    async def _change(self, wish: SystemWish, name: str, change: Change) -> EquipmentRecord:
        """Change a record of this place, on whatever others make of it meanwhile; return it as it is then."""
        for _ in range(MAX_ATTEMPTS):
            raw = await self._cluster.get(EquipmentRecord.resource, ObjectKey("", name))
            record = EquipmentRecord.model_validate(raw)
            if not _declared_by(record.spec, wish.owner):  # since the last look: the next one tells of it
                raise ProviderError(fault("Retry", provider_reasons.PROVISIONING), "another CommServer has it by now")
            spec = change(record.spec)
            if spec == record.spec:
                return record
            try:
                raw = await self._cluster.put(EquipmentRecord.resource, {**raw, "spec": spec.to_json()})
            except Conflict:
                continue
            return EquipmentRecord.model_validate(raw)
        raise Conflict(f"{EquipmentRecord.resource.plural} {name} was changed by others each time", status=409)

    async def _read(self, name: str) -> EquipmentRecord | None:
        try:
            raw = await self._cluster.get(EquipmentRecord.resource, ObjectKey("", name))
        except Gone:
            return None
        return EquipmentRecord.model_validate(raw)

    async def _facts(self, record: EquipmentRecord, wish: SystemWish, code: str | None) -> SystemFacts:
        spec, now = record.spec, self._clock()
        return SystemFacts(
            system_id=record.metadata.name,
            ours=_declared_by(spec, wish.owner),
            state=state_of(record, now),
            settings=_system_settings(spec.settings),
            code=await self._code_state(record, wish, code),
            connection=channels_of(record),
            last_seen=heard_at(record),
            silent=is_silent(record, now),
            good_until=good_until(record, now),
            inherited=_declared_by(spec, wish.owner) and spec.owner.uid != wish.owner.uid,
        )

    async def _code_state(self, record: EquipmentRecord, wish: SystemWish, code: str | None) -> CodeState:
        """Return what the box may still do with our code.

        The first look of a process believes the status, which named the system once its code was ours; the next look
        makes sure.  Only a record that was replaced meanwhile, as by a backup, is found out so late.
        """
        spec = record.spec
        if spec.device is not None:
            return "Spent"
        if code is None:
            return "Changed"
        seen = self._keys.find(_digest(spec.equipment_id, code)) is not None
        if not seen and wish.system_id == record.metadata.name and not self._restoring:
            self._remembered(spec.equipment_id, code)
            return "Current"
        return "Current" if await self._derived(spec.equipment_id, code) == spec.code_key else "Changed"

    async def _derived(self, equipment_id: str, code: str) -> str:
        """Return the public half of the code's key, made once, in a thread, one at a time: it takes 40 ms of CPU."""
        key = self._remembered(equipment_id, code)
        async with self._making:
            if key.public is None:
                key.public = (await asyncio.to_thread(code_key, equipment_id, code)).public
        return key.public

    def _remembered(self, equipment_id: str, code: str) -> _CodeKey:
        return self._keys.get(_digest(equipment_id, code), _CodeKey)

    @property
    def _restoring(self) -> bool:
        return self._restoring_until is not None and self._clock() < self._restoring_until


def _digest(equipment_id: str, code: str) -> bytes:
    """Return what a code is remembered by, so that it stays in its Secret."""
    return hashlib.sha256(f"{equipment_id}\0{code}".encode()).digest()


def _declared_by(spec: EquipmentRecordSpec, owner: SystemOwner) -> bool:
    """Whether a CommServer of this place declared it; its UID changes when it is restored or made again."""
    return spec.owner.key == owner.key


def _owner(owner: SystemOwner) -> EquipmentOwner:
    return EquipmentOwner(namespace=owner.key.namespace, name=owner.key.name, uid=owner.uid)


def _settings(wanted: SystemSettings) -> EquipmentSettings:
    return EquipmentSettings(
        display_name=wanted.display_name,
        country=wanted.country,
        national_prefix=wanted.national_prefix or None,
        international_prefix=wanted.international_prefix or None,
        outbound_prefix=wanted.outbound_prefix or None,
        numbering_rules=wanted.numbering_rules,
        web_rtc_gateway=wanted.web_rtc_gateway or "Disabled",
    )


def _system_settings(found: EquipmentSettings) -> SystemSettings:
    return SystemSettings(
        display_name=found.display_name,
        country=found.country,
        national_prefix=found.national_prefix or "",
        international_prefix=found.international_prefix or "",
        outbound_prefix=found.outbound_prefix or "",
        numbering_rules=found.numbering_rules,
        web_rtc_gateway=found.web_rtc_gateway,
    )
