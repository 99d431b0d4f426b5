"""Steps at providers, carried out beside the workers: begun, and noted however they end.

A provider is a network away and may be dead for hours, so no worker waits for it.  A step meets its own errors; its end
is noted in the memory and makes work for whoever planned it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from pbx_operator.api import provider_reasons
from pbx_operator.api.conditions import Reason
from pbx_operator.cluster import ApiError
from pbx_operator.cluster.errors import INSTALL_CRDS, explained, is_unserved
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.plan import Target
from pbx_operator.domain.steps import POLL_PERIOD, FailedStep
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.memory import FIRST_PAUSE, SLOW_RETRY, Memory, longer
from pbx_operator.network.pauses import jittered
from pbx_operator.providers.errors import ProviderError

_API_DOWN = fault(
    "Retry",
    provider_reasons.PROVIDER_UNAVAILABLE,
    problem="the API server of this cluster did not do what the operator asked it",
    advice="it is tried again; the operator's log says more",
)
_UNSERVED = fault(
    "Retry",
    provider_reasons.PROVIDER_UNAVAILABLE,
    problem="the API server of this cluster does not serve a kind that the operator needs",
    advice=f"have an administrator {INSTALL_CRDS}",
)
_BROKEN = fault(
    "Retry",
    provider_reasons.PROVIDER_UNAVAILABLE,
    problem="an error of the operator keeps it from asking the provider",
    advice="it is tried again; report it with what the operator's log says",
)
_log = logging.getLogger(__name__)


class Happenings(Protocol):
    """Whoever tells people what happened."""

    def happened(self, target: Target, reason: Reason, **facts: object) -> None:
        """Take note of something that no status will show."""


class StepRunner:
    """Carries out steps and remembers their outcomes, by the UID of the object that they are for."""

    def __init__(
        self, memory: Memory, clock: Callable[[], datetime], monotonic: Callable[[], float], errands: Errands
    ) -> None:
        self._memory = memory
        self._clock = clock
        self._monotonic = monotonic
        self._errands = errands

    async def begin(
        self, target: Target, step: str, work: Callable[[], Awaitable[None]], ended: Callable[[], None]
    ) -> None:
        """Begin a step; `ended` is called once its outcome is noted."""
        self._memory.note_steps(target.uid, busy=True, hurried=False)
        await self._errands.run(self._carry_out(target, step, work, ended))

    async def _carry_out(
        self, target: Target, step: str, work: Callable[[], Awaitable[None]], ended: Callable[[], None]
    ) -> None:
        uid, about = target.uid, {"object": target, "reason": "ProviderStep"}
        trouble, before = self._memory.trouble(uid, step), self._memory.steps(uid).failed
        failed = before if before is not None and before.step != step else None
        if step == "look":
            self._memory.note_steps(uid, outdated=False)
            failed = replace(failed, looked=True) if failed is not None else None
        try:
            await work()
        except ProviderError as error:
            failed = self._failed(step, before, error.fault)
            if not error.told and trouble.is_news(error.fault.message, self._monotonic()):
                _log.warning("step '%s': %s", step, error, extra=about)
        except ApiError as error:
            failed = self._failed(step, before, _UNSERVED if is_unserved(error) else _API_DOWN)
            if trouble.is_news(explained(error), self._monotonic()):
                _log.warning("step '%s': %s", step, explained(error), extra=about)
        except Exception as error:
            failed = self._failed(step, before, _BROKEN)
            if trouble.is_news(repr(error), self._monotonic()):
                _log.exception("step '%s' failed", step, extra=about)
        else:
            if trouble.end():
                _log.info("step '%s' succeeds again", step, extra=about)
        if failed is not None and failed.step == step:
            self._memory.look_again(uid)
        if failed is not None and self._memory.steps(uid).hurried:  # not at once: its status tells first what failed
            failed = replace(failed, next_try=self._clock() + FIRST_PAUSE, pause=FIRST_PAUSE)
        self._memory.note_steps(uid, busy=False, failed=failed)
        ended()

    def _failed(self, step: str, before: FailedStep | None, found: Fault) -> FailedStep:
        """Return the failure with the time of the next try: later from failure to failure."""
        pause = longer(before.pause) if before is not None and before.step == step else FIRST_PAUSE
        wait = jittered(SLOW_RETRY if found.kind == "Final" else pause)
        return FailedStep(step, found, self._clock() + max(wait, found.retry_after or wait), pause)

    def next_look(self, uid: str, changes: datetime | None = None) -> datetime:
        """Return when to look again after a look that ends now: at once if something happened meanwhile.

        `changes` is when time alone will change what was found.
        """
        now = self._clock()
        if self._memory.steps(uid).outdated:
            return now
        poll = now + jittered(POLL_PERIOD)
        return poll if changes is None else min(poll, changes)
