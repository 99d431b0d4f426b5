"""Steps at a provider: what this process knows of them, and when the next one may be tried.

Whatever is brought about at a provider (`domain/servers/plan`, `domain/customers/plan`) has one order of steps, and
only the next one is planned, from what the last look found.  A step may break off at any moment; looking again tells
what became of it, so no step is recorded anywhere.  The rules of patience are the same for all and stand here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from pbx_operator.domain.faults import Fault

POLL_PERIOD = timedelta(minutes=10)
"""How often a provider is asked whether somebody changed something there."""
SETTLING = timedelta(minutes=2)
"""How long a provider may take to show what was just created there."""
RELOOK = timedelta(seconds=10)
"""How often it is looked for meanwhile, if its object is to go."""


class Look(Protocol):
    """What the last look found."""

    @property
    def next_look(self) -> datetime:
        """When to look again."""


L = TypeVar("L", bound=Look)


@dataclass(frozen=True, slots=True)
class FailedStep:
    """The step that failed last, and when it may be tried again."""

    step: str
    fault: Fault
    next_try: datetime
    pause: timedelta
    looked: bool = False
    """A look has succeeded since: if the step is not needed any more, it turned out to be done."""


@dataclass(frozen=True, slots=True)
class StepAttempts(Generic[L]):
    """Outcomes that only this process remembers; losing them costs another question and nothing else."""

    look: L | None = None
    failed: FailedStep | None = None
    busy: bool = False
    """A step is under way."""
    outdated: bool = False
    """Something happened since the last look began, so it may have seen too little."""
    hurried: bool = False
    """Somebody asked for another try since the last step began, which may have known too little."""


def look_due(look: Look | None, now: datetime) -> bool:
    """Whether nothing is known, or not any more."""
    return look is None or look.next_look <= now


def current_failure(attempts: StepAttempts[L], needed: str | None) -> FailedStep | None:
    """Return the failure that the needed step has to do with; one of a step that is not needed any more is history.

    The look that follows a failure tells what became of the step, so it waits for the time of the next try.
    """
    failed = attempts.failed
    if failed is None or needed == failed.step:
        return failed
    return failed if needed == "look" and not failed.looked else None


def may_try(attempts: StepAttempts[L], needed: str, now: datetime) -> bool:
    """Whether the needed step may be tried now."""
    failure = current_failure(attempts, needed)
    return not attempts.busy and (failure is None or failure.next_try <= now)


def next_due(attempts: StepAttempts[L], needed: str | None, now: datetime) -> datetime | None:
    """Return when time alone makes a step due; the end of one that is under way is an event.

    A look that is overdue and yet not needed waits for something else than time.
    """
    if attempts.busy:
        return None
    failure = current_failure(attempts, needed)
    if failure is not None:
        return failure.next_try
    look = attempts.look
    return look.next_look if look is not None and not look_due(look, now) else None


def settled_at(deleted: datetime, attempts: StepAttempts[L]) -> datetime:
    """Return from when on a provider shows whatever was created before an object was deleted.

    A creation that was under way then may have ended later, without an answer.
    """
    failed = attempts.failed
    late = failed is not None and failed.step == "create" and failed.fault.kind == "Retry"
    return max(deleted, failed.next_try if failed is not None and late else deleted) + SETTLING


def rejected_credentials(
    before: str | None, look: Look | None, failure: FailedStep | None, now: datetime
) -> str | None:
    """Return the version of the credentials that were refused, until others were accepted; `before` is as shown.

    A look that is due does not tell: the credentials may have been refused since.
    """
    if failure is not None:
        return failure.fault.credentials or before
    return before if look_due(look, now) else None
