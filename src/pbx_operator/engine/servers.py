"""The steps of CommServers: what the plan asked for, carried out at the provider and in the activation Secret.

`steps` runs them beside the workers and remembers how they ended.  Every step may break off after any call: the look
that comes next finds out what it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import Cluster
from pbx_operator.domain.differences import described
from pbx_operator.domain.plan import target_of
from pbx_operator.domain.servers.facts import (
    ServerAttempts,
    ServerLook,
    StepName,
    known_revision,
    may_show_up,
    stock_code,
    system_to_delete,
    wish_of,
)
from pbx_operator.domain.servers.status import drift, unapplied
from pbx_operator.domain.servers.systems import SystemFacts, given
from pbx_operator.domain.steps import RELOOK
from pbx_operator.engine.activation_secrets import (
    NotOurSecretError,
    fresh_code,
    read_activation,
    write_activation,
)
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import FIRST_PAUSE, Memory, longer
from pbx_operator.engine.steps import Happenings, StepRunner
from pbx_operator.engine.store import Store
from pbx_operator.network.pauses import jittered
from pbx_operator.providers.systems import SystemProvider

Providers = Callable[[CommServer], SystemProvider]
"""Returns where a CommServer is declared."""


class ServerWork:
    """Carries out the steps of CommServers; `address` tells a box of provider Builtin where to connect to.

    Steps at provider Builtin call the API server of this cluster, on the connections of the workers, and at a start all
    CommServers look at once.  As many go at a time as there are `workers`, so that what a worker calls itself waits for
    as many other calls again at most.  Providers outside have limits of their own, and may hang without harm to these.
    """

    def __init__(
        self,
        cluster: Cluster,
        providers: Providers,
        store: Store,
        intake: Intake,
        memory: Memory,
        clock: Callable[[], datetime],
        runner: StepRunner,
        recorder: Happenings,
        address: Mapping[str, str],
        workers: int,
    ) -> None:
        self._cluster = cluster
        self._providers = providers
        self._store = store
        self._intake = intake
        self._memory = memory
        self._clock = clock
        self._runner = runner
        self._recorder = recorder
        self._address = address
        self._turns = asyncio.Semaphore(workers)

    async def begin(self, key: ObjectKey, step: StepName) -> None:
        """Begin a step; its end is an event."""
        server = self._store.servers.get(key)
        if server is not None:
            target = target_of(server)
            work, ended = partial(self._carry_out, server, step), partial(self._intake.server_stepped, target)
            await self._runner.begin(target, step, work, ended)

    async def _carry_out(self, server: CommServer, step: StepName) -> None:
        """Carry out a step; who meets a Secret that is not ours any more looks. Raises ProviderError, ApiError."""
        try:
            async with self._turns if server.spec.provider.type == "Builtin" else nullcontext():
                await self._step(server, step)
        except NotOurSecretError:
            self._memory.look_again(server.metadata.uid)

    async def _step(self, server: CommServer, step: StepName) -> None:
        """Carry out a step. Raises ProviderError, NotOurSecretError, ApiError."""
        provider = self._providers(server)
        match step:
            case "look":
                await self._look(server, provider)
            case "deliver":
                await self._write_code(server, fresh_code(), server.spec.activation.revision)
            case "create":
                await self._create(server, provider)
            case "update":
                if system := self._system(server):
                    await self._update(server, provider, system)
            case "recover" | "reset":
                if system := self._system(server):
                    await self._new_code(server, provider, system.system_id, reset=step == "reset")
            case "readdress":
                await self._readdress(server)
            case "delete":
                system_id = system_to_delete(server, self._look_of(server))
                if system_id is not None:
                    await provider.delete(wish_of(server), system_id)
                    self._amend_look(server, system=None, deleted=True)

    async def _look(self, server: CommServer, provider: SystemProvider) -> None:
        stock = stock_code(server)
        try:
            activation = await read_activation(self._cluster, server)
        except NotOurSecretError as error:
            self._note_foreign(server, await provider.observe(wish_of(server), stock), error.holder)
            return
        code = activation.code if activation is not None else stock
        system = await provider.observe(wish_of(server), code)
        changes = system.good_until if system is not None else None
        next_look = self._runner.next_look(server.metadata.uid, changes)
        if activation is not None:
            address = self._address_for(server)
            outdated = bool(address) and activation.address != address
            self._note_look(server, ServerLook("Ours", system, next_look, activation.revision, outdated))
        else:
            self._note_look(server, ServerLook("NotNeeded" if stock is not None else "Missing", system, next_look))
        now = self._clock()
        if may_show_up(server, self._memory.steps(server.metadata.uid), now):
            self._amend_look(server, next_look=min(next_look, now + RELOOK))

    async def _create(self, server: CommServer, provider: SystemProvider) -> None:
        activation = await read_activation(self._cluster, server)
        code = activation.code if activation is not None else stock_code(server)
        if code is None:
            self._memory.look_again(server.metadata.uid)  # the Secret is gone again
            return
        self._amend_look(server, system=await provider.create(wish_of(server), code))

    async def _update(self, server: CommServer, provider: SystemProvider, system: SystemFacts) -> None:
        """Give what is not applied, and tell of what somebody else had changed."""
        drifted, changes = drift(server, system), unapplied(server, system)
        await provider.update(wish_of(server), system.system_id, changes)
        self._amend_look(server, system=replace(system, settings=given(system.settings, changes)))
        if drifted:
            self._recorder.happened(target_of(server), provider_reasons.DRIFT_CORRECTED, drift=described(drifted))

    async def _new_code(self, server: CommServer, provider: SystemProvider, system_id: str, *, reset: bool) -> None:
        """Put the code that the box must use now into the Secret; a new one if wanted, or if nobody knows it."""
        look, wish = self._look_of(server), wish_of(server)
        revision = server.spec.activation.revision if reset or look is None else known_revision(server, look)
        code = None if reset else await provider.current_code(wish, system_id)
        if code is None:
            code = await provider.reset(wish, system_id, fresh_code())
        await self._write_code(server, code, revision)
        self._memory.look_again(server.metadata.uid)

    async def _readdress(self, server: CommServer) -> None:
        """Write the Secret anew with the same code, and with where the exchange is now."""
        activation = await read_activation(self._cluster, server)
        if activation is None:
            self._memory.look_again(server.metadata.uid)  # the Secret is gone by now
            return
        await self._write_code(server, activation.code, activation.revision)

    async def _write_code(self, server: CommServer, code: str, revision: int) -> None:
        await write_activation(self._cluster, server, code, revision, self._address_for(server))
        self._amend_look(server, secret="Ours", secret_revision=revision, address_outdated=False)

    def _address_for(self, server: CommServer) -> Mapping[str, str]:
        return self._address if server.spec.provider.type == "Builtin" else {}

    # --- what is known ------------------------------------------------------------------------------------------

    def _look_of(self, server: CommServer) -> ServerLook | None:
        attempts: ServerAttempts = self._memory.steps(server.metadata.uid)
        return attempts.look

    def _system(self, server: CommServer) -> SystemFacts | None:
        look = self._look_of(server)
        return look.system if look is not None else None

    def _note_foreign(self, server: CommServer, system: SystemFacts | None, holder: str | None) -> None:
        """Remember that somebody else has the Secret: looked at again soon, and ever later, as a key's is."""
        before = self._look_of(server)
        pause = longer(before.pause) if before is not None and before.secret == "Foreign" else FIRST_PAUSE
        freed = self._clock() + jittered(pause)
        changes = system.good_until if system is not None else None
        next_look = self._runner.next_look(server.metadata.uid, freed if changes is None else min(freed, changes))
        self._note_look(server, ServerLook("Foreign", system, next_look, pause=pause, holder=holder))

    def _note_look(self, server: CommServer, look: ServerLook) -> None:
        self._memory.note_steps(server.metadata.uid, look=look)

    def _amend_look(self, server: CommServer, **changes: Any) -> None:
        """Take what a step did for what the next look would find."""
        self._memory.amend_look(server.metadata.uid, **changes)
