"""The Lease of the operator: one process works, others stand by.

Two processes that work at the same time would do no harm to any link, since every change that matters is written with
the resourceVersion that it was decided on; they would cost twice the calls, and log each other's conflicts.
`domain.leadership` has the rules.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pbx_operator.api.meta import LEASES, ObjectKey
from pbx_operator.cluster import AlreadyExists, ApiError, Cluster, Conflict, Gone
from pbx_operator.cluster.errors import explained
from pbx_operator.domain.leadership import PAUSE, RENEW_WITHIN, LeaseSpec, held, may_lead, released
from pbx_operator.engine.worker import Clocks

LEASE = "pbx-operator"

_log = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """Another process works, or may soon: the one that held the Lease must end its work."""


class Lease:
    """The Lease in the operator's namespace, as one process sees it."""

    def __init__(self, cluster: Cluster, namespace: str, holder: str, clocks: Clocks) -> None:
        """`holder` names this process and no other."""
        self._cluster = cluster
        self._key = ObjectKey(namespace, LEASE)
        self._holder = holder
        self._clocks = clocks
        self.standing_by = False
        """Whether another process is known to work."""
        self._keeping: asyncio.Task[None] | None = None
        self._seen: LeaseSpec | None = None
        self._since = 0.0
        """Since when the Lease has been as it was seen last."""

    @property
    def leads(self) -> bool:
        """Whether this process works: it has the Lease, and has not lost it."""
        return self._keeping is not None and not self._keeping.done()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[asyncio.Task[None]]:
        """Wait for the Lease, and give it back in the end; the task ends with LeaseLostError if it is lost."""
        began = await self._acquire()
        self.standing_by = False
        self._keeping = keeping = asyncio.create_task(self._keep(began))
        try:
            yield keeping
        finally:
            if not keeping.done():
                keeping.cancel()
                await asyncio.wait((keeping,))
                await self._release()

    async def _acquire(self) -> float:
        """Return when the first renewal began."""
        told = ""
        while True:
            began = self._clocks.monotonic()
            try:
                if (other := await self._try()) is None:
                    return began
                self.standing_by, level, text = True, logging.INFO, f"standing by, while {other} works"
            except (AlreadyExists, Conflict):
                continue  # another one was quicker
            except ApiError as error:
                self.standing_by, level, text = False, logging.ERROR, f"the Lease cannot be taken: {explained(error)}"
            if text != told:
                _log.log(level, "%s (Lease %s)", text, self._key)
            told = text
            await asyncio.sleep(PAUSE)

    async def _keep(self, renewed: float) -> None:
        """Renew the Lease. Raises LeaseLostError."""
        why = "no answer"
        while True:
            await asyncio.sleep(PAUSE)
            began = self._clocks.monotonic()
            try:
                async with asyncio.timeout(renewed + RENEW_WITHIN - began):
                    other = await self._try()
            except TimeoutError:
                raise LeaseLostError(f"Lease {self._key} could not be renewed in time: {why}") from None
            except ApiError as error:
                why = explained(error)
                continue
            if other is not None:
                raise LeaseLostError(f"{other} works now, as Lease {self._key} says")
            renewed = began

    async def _try(self) -> str | None:
        """Take the Lease or renew it; return who else has it, if somebody has. Raises ApiError."""
        try:
            lease = await self._cluster.get(LEASES, self._key)
        except Gone:
            await self._cluster.create(LEASES, self._body(held(None, self._holder, self._clocks.now())))
            return None
        spec = LeaseSpec.model_validate(lease.get("spec") or {})
        if spec != self._seen:
            self._seen, self._since = spec, self._clocks.monotonic()
        if not may_lead(spec, self._holder, self._clocks.monotonic() - self._since):
            return spec.holder_identity
        await self._cluster.put(LEASES, {**lease, "spec": held(spec, self._holder, self._clocks.now())})
        return None

    async def _release(self) -> None:
        try:
            lease = await self._cluster.get(LEASES, self._key)
            spec = LeaseSpec.model_validate(lease.get("spec") or {})
            if spec.holder_identity == self._holder:
                await self._cluster.put(LEASES, {**lease, "spec": released(spec, self._clocks.now())})
        except ApiError as error:
            _log.warning("Lease %s was not given back, and runs out by itself: %s", self._key, error)

    def _body(self, spec: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": self._key.name, "namespace": self._key.namespace},
            "spec": spec,
        }
