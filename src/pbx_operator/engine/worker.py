"""The workers: take a key, gather, plan, act, and plan again until nothing is left to do; then show the status.

A key is in work at most once, so that everything about one object happens in order.  Errors of the API server
are met here and nowhere else: they delay the key that met them and no other.  Only a write without an answer concerns
all keys: until somebody has looked what became of it, nothing is planned (`Executor.settle_doubts`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pbx_operator.api.v1alpha1 import CommServer, Interlink, PBXAccount
from pbx_operator.cluster import ApiError, Conflict, Unavailable
from pbx_operator.cluster.errors import explained
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.plan import Plan, StatusUpdate, Target, WriteSlice
from pbx_operator.engine.executor import Executor
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.metrics import Metrics, Result
from pbx_operator.engine.queue import WorkQueue
from pbx_operator.network.pauses import jittered

MAX_ROUNDS = 20
"""More plans than any story needs; beyond that the key waits its turn again."""
FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 300.0

_KINDS = {"Link": Interlink, "Account": PBXAccount, "Server": CommServer, "Customer": PBXAccount}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two times: `now` is what objects show, `monotonic` (seconds) is what waiting is measured with."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]

    def at(self, moment: datetime) -> float:
        """Return the monotonic time of a moment."""
        return self.monotonic() + max((moment - self.now()) / timedelta(seconds=1), 0.0)


class Worker:
    """Runs keys from the queue; several of them may run side by side on one queue."""

    def __init__(
        self,
        queue: WorkQueue[WorkKey],
        plan: Callable[[WorkKey, datetime], Plan],
        executor: Executor,
        memory: Memory,
        clocks: Clocks,
        metrics: Metrics,
    ) -> None:
        self._queue = queue
        self._plan = plan
        self._executor = executor
        self._memory = memory
        self._clocks = clocks
        self._metrics = metrics
        self._pauses: dict[WorkKey, float] = {}
        """Seconds until the next try, by key that failed last time."""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            key, waited = await self._queue.get()
            try:
                with self._metrics.working(key, waited) as outcome:
                    outcome.result = await self._handle(key)
            finally:
                self._queue.done(key)

    async def _handle(self, key: WorkKey) -> Result:
        """Bring one key up to date; return the result by controller-runtime's names."""
        try:
            requeue = await self._reconcile(key)
            if requeue is not None:
                self._queue.add_at(key, self._clocks.at(requeue))
        except Conflict:
            self._queue.add(key)
            return "requeue"
        except ApiError as error:
            self._back_off(key, error)
            return "error"
        except Exception as error:
            _log.exception("planning failed", extra=_about(key, type(error).__name__))
            self._back_off(key, None)
            return "error"
        self._pauses.pop(key, None)
        return "success" if requeue is None else "requeue_after"

    async def _reconcile(self, key: WorkKey) -> datetime | None:
        for _ in range(MAX_ROUNDS):
            await self._executor.settle_doubts()
            self._queue.looked(key)
            now = self._clocks.now()
            plan = self._plan(key, now)
            if not plan.actions:
                await self._show(plan.statuses, now)
                return plan.requeue
            for action in plan.actions:
                await self._executor.execute(action)
            if any(isinstance(action, WriteSlice) for action in plan.actions):
                self._memory.note_published(key.key, now)
        _log.warning("still not settled after %d rounds, going on later", MAX_ROUNDS, extra=_about(key, "Unsettled"))
        return self._clocks.now() + timedelta(seconds=10)

    async def _show(self, updates: tuple[StatusUpdate, ...], now: datetime) -> None:
        for update in updates:
            self._memory.note_reason(update, now)
            written = await self._executor.write_status(update)
            if written and update.target.resource is PBXAccount.resource:
                self._memory.note_counted(update.target, now)

    def _back_off(self, key: WorkKey, error: ApiError | None) -> None:
        """Try the key again after a pause that doubles from failure to failure."""
        planned = self._pauses.get(key, FIRST_BACKOFF)
        self._pauses[key] = min(2 * planned, LONGEST_BACKOFF)
        pause = jittered(planned)
        if isinstance(error, Unavailable) and error.retry_after is not None:
            pause = max(pause, error.retry_after)
        self._queue.add_at(key, self._clocks.monotonic() + pause)
        if error is not None:
            reason = error.reason or type(error).__name__
            _log.warning("%s; next try in %.1f s", explained(error), pause, extra=_about(key, reason))


def _about(key: WorkKey, reason: str) -> dict[str, object]:
    """Return the fields of a log line about a key: the object that it stands for, and the reason."""
    return {"object": Target(_KINDS[key.kind].resource, key.key, uid=""), "reason": reason}
