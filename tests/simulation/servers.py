"""CommServers, a provider of systems, and a process of the operator that may die at every call.

The provider is the least that can be one: it has systems by equipment ID and does what it is asked.  It comes in the
two sorts that differ in what matters for a crash: one makes activation codes itself and shows them until they are used,
as Rainbow does; the other takes ours and shows none.
"""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, field
from typing import Any

from builders import NAMESPACE, NOW
from pbx_operator.api import rainbow_reasons
from pbx_operator.api.meta import SECRETS, TEARDOWN_FINALIZER, ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import CommServer, EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import Channel, CommServerStatus, ServerState
from pbx_operator.domain.conditions import check, find
from pbx_operator.domain.differences import Difference
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.servers.systems import CodeState, SystemFacts, SystemSettings, SystemWish, given
from pbx_operator.providers.errors import ProviderError
from server_builders import BTCO
from simulation.api import JSON, Api
from simulation.process import Process, Request
from simulation.scene import Scene


@dataclass(slots=True)
class System:
    """What a provider has of a server."""

    id: str
    equipment_id: str
    code: str
    settings: SystemSettings
    state: ServerState = "Pending"
    connection: tuple[Channel, ...] = ()


@dataclass(slots=True)
class Provider:
    """The systems of a provider, and all that it was asked to change."""

    makes_codes: bool = True
    systems: dict[str, System] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    refuses: dict[str, Fault] = field(default_factory=dict)
    """Calls that it refuses, by name."""
    hides: bool = False
    """Whether looks find nothing, as in a copy that is behind."""
    _ids: Any = field(default_factory=lambda: itertools.count(1))

    def declare(self, equipment_id: str, code: str) -> System:
        """Have a system that somebody else declared."""
        system = System(f"system-{next(self._ids)}", equipment_id, code, SystemSettings("theirs", "FR"))
        self.systems[equipment_id] = system
        return system

    def connect(self, equipment_id: str, code: str) -> bool:
        """Let a box connect; return whether its code was right."""
        system = self.systems[equipment_id]
        if system.state != "Pending" or system.code != code:
            return False
        system.state, system.connection = "Running", (Channel(name="csta", state="Up"),)
        return True

    def call(self, name: str, wish: SystemWish, *values: Any) -> Any:
        """Do what is asked. Raises ProviderError."""
        if name in self.refuses:
            raise ProviderError(self.refuses[name])
        if name not in ("observe", "current_code"):
            self.changes.append(name)
        return getattr(self, f"_{name}")(wish, *values)

    def _observe(self, wish: SystemWish, code: str | None) -> SystemFacts | None:
        system = self.systems.get(wish.equipment_id)
        return self._facts(system, wish, code) if system is not None and not self.hides else None

    def _facts(self, system: System, wish: SystemWish, code: str | None) -> SystemFacts:
        pending = system.state == "Pending"
        same = code == system.code
        ours = wish.system_id == system.id or (pending and same)
        state: CodeState = "Current" if pending and same else "Changed" if pending else "Spent"
        return SystemFacts(system.id, ours, system.state, system.settings, state, system.connection)

    def _create(self, wish: SystemWish, code: str) -> SystemFacts:
        if wish.equipment_id in self.systems:
            raise ProviderError(fault("Conflict", rainbow_reasons.EQUIPMENT_TAKEN, equipment=wish.equipment_id))
        system = self.declare(wish.equipment_id, code)
        system.settings = wish.settings
        return self._facts(system, wish, code)

    def _update(self, wish: SystemWish, system_id: str, differences: tuple[Difference, ...]) -> None:
        system = self._named(system_id)
        system.settings = given(system.settings, differences)

    def _reset(self, wish: SystemWish, system_id: str, code: str) -> str:
        system = self._named(system_id)
        system.code = str(4000 + next(self._ids)) if self.makes_codes else code
        system.state, system.connection = "Pending", ()
        return system.code

    def _current_code(self, wish: SystemWish, system_id: str) -> str | None:
        system = self._named(system_id)
        return system.code if self.makes_codes and system.state == "Pending" else None

    def _delete(self, wish: SystemWish, system_id: str) -> None:
        self.systems = {name: system for name, system in self.systems.items() if system.id != system_id}

    def _named(self, system_id: str) -> System:
        return next(system for system in self.systems.values() if system.id == system_id)


def is_kept(api: Api, server: ObjectKey) -> bool:
    """Whether a CommServer has the finalizer, so that nobody forgets what a provider has of it."""
    raw = api.find(CommServer.resource, server)
    return raw is not None and TEARDOWN_FINALIZER in raw["metadata"].get("finalizers", [])


@dataclass(slots=True)
class Line:
    """The way of one process to the provider: every call may be lost."""

    provider: Provider
    api: Api

    async def _ask(self, name: str, wish: SystemWish, *values: Any) -> Any:
        writes = name not in ("observe", "current_code")

        def perform() -> Any:
            if writes:
                assert is_kept(self.api, wish.owner.key), f"'{name}' for an object that could go any moment"
            return self.provider.call(name, wish, *values)

        return await Request(name, writes, perform, NOW)

    async def observe(self, wish: SystemWish, code: str | None) -> SystemFacts | None:
        found: SystemFacts | None = await self._ask("observe", wish, code)
        return found

    async def create(self, wish: SystemWish, code: str) -> SystemFacts:
        created: SystemFacts = await self._ask("create", wish, code)
        return created

    async def update(self, wish: SystemWish, system_id: str, differences: tuple[Difference, ...]) -> None:
        await self._ask("update", wish, system_id, differences)

    async def reset(self, wish: SystemWish, system_id: str, code: str) -> str:
        return str(await self._ask("reset", wish, system_id, code))

    async def current_code(self, wish: SystemWish, system_id: str) -> str | None:
        code: str | None = await self._ask("current_code", wish, system_id)
        return code

    async def delete(self, wish: SystemWish, system_id: str) -> None:
        await self._ask("delete", wish, system_id)


class Site(Scene):
    """A cluster with CommServers, and a provider."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        super().__init__()
        self.api.observer = self._check_kept

    def _check_kept(self, resource: ResourceType, old: JSON | None, new: JSON | None) -> None:
        """No code or record is written for a CommServer without the finalizer."""
        if old is not None or new is None:
            return
        if resource is EquipmentRecord.resource:
            owner = new["spec"]["owner"]
            assert is_kept(self.api, ObjectKey(owner["namespace"], owner["name"]))
        for owner in new["metadata"].get("ownerReferences", []):
            assert is_kept(self.api, ObjectKey(new["metadata"]["namespace"], owner["name"]))

    def begin(self) -> Process:
        line = Line(self.provider, self.api)
        return self.new_process(lambda _: line)

    def apply(self, name: str = "pbx", **spec: Any) -> None:
        """Create a CommServer, or change fields of its spec."""
        key = ObjectKey(NAMESPACE, name)
        if self.api.find(CommServer.resource, key) is not None:
            self.api.edit(CommServer.resource, key, **spec)
        else:
            metadata = {"name": name, "namespace": NAMESPACE}
            self.api.create(CommServer.resource, {"metadata": metadata, "spec": {**BTCO, **spec}})

    def delete(self, name: str = "pbx") -> None:
        """Delete a CommServer."""
        self.api.delete(CommServer.resource, ObjectKey(NAMESPACE, name))

    def server(self, name: str = "pbx") -> CommServer | None:
        """Return a CommServer."""
        raw = self.api.find(CommServer.resource, ObjectKey(NAMESPACE, name))
        return CommServer.model_validate(raw) if raw is not None else None

    def status(self, name: str = "pbx") -> CommServerStatus:
        """Return the status of a CommServer that is there."""
        server = self.server(name)
        assert server is not None
        return server.status

    def secret(self, name: str = "pbx-activation") -> dict[str, str] | None:
        """Return what a Secret says."""
        raw = self.api.find(SECRETS, ObjectKey(NAMESPACE, name))
        return {k: base64.b64decode(v).decode() for k, v in raw["data"].items()} if raw is not None else None

    def ready(self) -> tuple[str, str]:
        """Return status and reason of Ready."""
        server = self.server()
        assert server is not None
        assert not check(server.status, server.metadata.generation)
        condition = find(server.status.conditions, "Ready")
        assert condition is not None
        return condition.status, condition.reason

    def message(self) -> str:
        """Return the message of Ready."""
        condition = find(self.status().conditions, "Ready")
        assert condition is not None
        return condition.message

    def equipment(self) -> str:
        """Return the equipment ID that is shown."""
        found = self.status().equipment_id
        assert found is not None
        return found

    def secret_code(self) -> str:
        """Return the activation code of the Secret."""
        secret = self.secret()
        assert secret is not None
        return secret["activationCode"]
