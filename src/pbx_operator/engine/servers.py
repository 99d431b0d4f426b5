"""The steps of CommServers: what the plan asked for, carried out at the provider and in the activation Secret.

Each runs beside the workers, since a provider is a network away, and meets its own errors; its outcome is noted and the
CommServer planned again.  Every step may break off after any call: the look that comes next finds out what it did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.cluster.errors import explained
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.server_facts import (
    POLL_PERIOD,
    FailedStep,
    ServerLook,
    StepName,
    known_revision,
    stock_code,
    wish_of,
)
from pbx_operator.domain.server_status import unapplied
from pbx_operator.domain.systems import SystemFacts
from pbx_operator.engine.activation_secrets import (
    NotOurSecretError,
    fresh_code,
    read_activation,
    write_activation,
)
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import FIRST_PAUSE, SLOW_RETRY, Memory, jittered, longer
from pbx_operator.engine.store import Store
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.systems import SystemProvider

_log = logging.getLogger(__name__)

Providers = Callable[[CommServer], SystemProvider]
"""Returns where a CommServer is declared."""


class ServerWork:
    """Carries out the steps of CommServers; `address` tells a box of provider Builtin where to connect to."""

    def __init__(
        self,
        cluster: Cluster,
        providers: Providers,
        store: Store,
        intake: Intake,
        memory: Memory,
        clock: Callable[[], datetime],
        errands: Errands,
        address: Mapping[str, str],
    ) -> None:
        self._cluster = cluster
        self._providers = providers
        self._store = store
        self._intake = intake
        self._memory = memory
        self._clock = clock
        self._errands = errands
        self._address = address

    async def begin(self, key: ObjectKey, step: StepName) -> None:
        """Begin a step; its end is an event."""
        server = self._store.servers.get(key)
        if server is not None:
            self._memory.note_server(server.metadata.uid, busy=True)
            await self._errands.run(self._carry_out(server, step))

    async def _carry_out(self, server: CommServer, step: StepName) -> None:
        """Carry out a step and note how it ended."""
        uid = server.metadata.uid
        before = self._memory.server(uid).failed
        failed = before if before is not None and before.step != step else None
        try:
            await self._step(server, step)
        except ProviderError as error:
            failed = self._failed(step, before, error.fault)
            _log.warning("CommServer %s, step '%s': %s", server.key, step, error)
        except ApiError as error:
            failed = self._failed(step, before, fault("Retry", provider_reasons.PROVIDER_UNAVAILABLE))
            _log.warning("CommServer %s, step '%s': %s", server.key, step, explained(error))
        except NotOurSecretError:
            self._note_look(server, ServerLook("Foreign", self._system(server), self._clock() + jittered(SLOW_RETRY)))
        except Exception:
            failed = self._failed(step, before, fault("Retry", provider_reasons.PROVIDER_UNAVAILABLE))
            _log.exception("CommServer %s, step '%s' failed", server.key, step)
        if failed is not None and failed is not before:
            self._memory.look_again(uid)
        self._memory.note_server(uid, busy=False, failed=failed)
        self._intake.stepped(server.key)

    def _failed(self, step: StepName, before: FailedStep | None, found: Fault) -> FailedStep:
        """Return the failure with the time of the next try: later from failure to failure."""
        pause = longer(before.pause) if before is not None and before.step == step else FIRST_PAUSE
        wait = jittered(SLOW_RETRY if found.kind == "Final" else pause)
        return FailedStep(step, found, self._clock() + max(wait, found.retry_after or wait), pause)

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
                    await provider.update(wish_of(server), system.system_id, unapplied(server, system))
                    self._memory.look_again(server.metadata.uid)
            case "recover" | "reset":
                if system := self._system(server):
                    await self._new_code(server, provider, system.system_id, reset=step == "reset")
            case "delete":
                if system := self._system(server):
                    await provider.delete(wish_of(server), system.system_id)
                    self._amend_look(server, system=None)

    async def _look(self, server: CommServer, provider: SystemProvider) -> None:
        self._memory.note_server(server.metadata.uid, outdated=False)
        activation, stock = await read_activation(self._cluster, server), stock_code(server)
        code = activation.code if activation is not None else stock
        system = await provider.observe(wish_of(server), code)
        next_look = self._next_look(server, system)
        if activation is not None:
            self._note_look(server, ServerLook("Ours", system, next_look, activation.revision))
        else:
            self._note_look(server, ServerLook("NotNeeded" if stock is not None else "Missing", system, next_look))

    def _next_look(self, server: CommServer, system: SystemFacts | None) -> datetime:
        """Return when to look again: at once if something happened while this look was under way."""
        now = self._clock()
        if self._memory.server(server.metadata.uid).outdated:
            return now
        poll = now + jittered(POLL_PERIOD)
        changes = system.good_until if system is not None else None
        return poll if changes is None else min(poll, changes)

    async def _create(self, server: CommServer, provider: SystemProvider) -> None:
        activation = await read_activation(self._cluster, server)
        code = activation.code if activation is not None else stock_code(server)
        if code is None:
            self._memory.look_again(server.metadata.uid)  # the Secret is gone again
            return
        self._amend_look(server, system=await provider.create(wish_of(server), code))

    async def _new_code(self, server: CommServer, provider: SystemProvider, system_id: str, *, reset: bool) -> None:
        """Put the code that the box must use now into the Secret; a new one if wanted, or if nobody knows it."""
        look, wish = self._memory.server(server.metadata.uid).look, wish_of(server)
        revision = server.spec.activation.revision if reset or look is None else known_revision(server, look)
        code = None if reset else await provider.current_code(wish, system_id)
        if code is None:
            code = await provider.reset(wish, system_id, fresh_code())
        await self._write_code(server, code, revision)
        self._memory.look_again(server.metadata.uid)

    async def _write_code(self, server: CommServer, code: str, revision: int) -> None:
        address = self._address if server.spec.provider.type == "Builtin" else {}
        await write_activation(self._cluster, server, code, revision, address)
        self._amend_look(server, secret="Ours", secret_revision=revision)

    # --- what is known ------------------------------------------------------------------------------------------

    def _system(self, server: CommServer) -> SystemFacts | None:
        look = self._memory.server(server.metadata.uid).look
        return look.system if look is not None else None

    def _note_look(self, server: CommServer, look: ServerLook) -> None:
        self._memory.note_server(server.metadata.uid, look=look)

    def _amend_look(self, server: CommServer, **changes: Any) -> None:
        """Take what a step did for what the next look would find."""
        look = self._memory.server(server.metadata.uid).look
        if look is not None:
            self._note_look(server, replace(look, **changes))
