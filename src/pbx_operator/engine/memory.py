"""What only this process remembers: the last outcome of what cannot be read from the Store.

Losing it costs a repetition and nothing else, so it is never written anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.domain.conditions import Since, find
from pbx_operator.domain.links.facts import Attempts
from pbx_operator.domain.plan import StatusUpdate, Target
from pbx_operator.domain.steps import StepAttempts
from pbx_operator.network.trouble import Trouble

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
SLOW_RETRY = timedelta(minutes=15)
MISSED = 5
"""Answers missed in a row after which an installation counts as out of reach."""
GOOD = 2
"""Answers in a row after which it counts as back."""


_AT_ONCE = datetime.min.replace(tzinfo=UTC)


def longer(pause: timedelta) -> timedelta:
    """Return the pause after this one: doubled, up to 5 minutes."""
    return min(pause * 2, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class Reach:
    """How an installation in another cluster answered lately; one lost answer says nothing."""

    reachable: bool | None = None
    streak: int = 0
    """Answers in a row, or, if negative, missed ones."""

    def after(self, *, answered: bool) -> Reach:
        """Return what is known after one more try."""
        streak = max(self.streak, 0) + 1 if answered else min(self.streak, 0) - 1
        if answered and (self.reachable is None or streak >= GOOD):
            return Reach(True, streak)
        return Reach(False if streak <= -MISSED else self.reachable, streak)


class Memory:
    """What was tried for objects, by UID, since a successor starts afresh; what they show; which peers answer."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempts] = {}
        self._steps: dict[str, StepAttempts[Any]] = {}
        self._troubles: dict[str, dict[str, Trouble]] = {}
        self._reasons: dict[Target, Since] = {}
        self._counted: dict[Target, datetime] = {}
        self._published: dict[ObjectKey, datetime] = {}
        self._reach: dict[str, Reach] = {}

    def reachable(self, peer: str | None) -> bool | None:
        """Return whether an installation in another cluster answers; None if that is not known."""
        reach = self._reach.get(peer) if peer is not None else None
        return reach.reachable if reach is not None else None

    def note_reach(self, peer: str, *, answered: bool) -> bool:
        """Remember whether an installation answered; return whether that changes what is said of it."""
        before = self._reach.get(peer, Reach())
        self._reach[peer] = after = before.after(answered=answered)
        return after.reachable != before.reachable

    def attempts(self, uid: str) -> Attempts:
        """Return what was tried for an Interlink."""
        return self._attempts.get(uid, Attempts())

    def note(self, uid: str, **outcome: Any) -> None:
        """Remember the outcome of a try, by the fields of Attempts."""
        self._attempts[uid] = replace(self.attempts(uid), **outcome)

    def steps(self, uid: str) -> StepAttempts[Any]:
        """Return what was tried at a provider for a CommServer, or for the customer of an account."""
        return self._steps.get(uid, StepAttempts())

    def note_steps(self, uid: str, **outcome: Any) -> None:
        """Remember the outcome of a step, by the fields of StepAttempts."""
        self._steps[uid] = replace(self.steps(uid), **outcome)

    def trouble(self, uid: str, step: str) -> Trouble:
        """Return what the log was told of the failures of a step."""
        return self._troubles.setdefault(uid, {}).setdefault(step, Trouble())

    def amend_look(self, uid: str, **changes: Any) -> None:
        """Take what a step did for what the next look would find."""
        look = self.steps(uid).look
        if look is not None:
            self.note_steps(uid, look=replace(look, **changes))

    def forget(self, target: Target) -> None:
        """Drop what is known of an object that is gone."""
        self._attempts.pop(target.uid, None)
        self._steps.pop(target.uid, None)
        self._troubles.pop(target.uid, None)
        self._reasons.pop(target, None)
        self._counted.pop(target, None)
        if target.resource == PBXAccount.resource:
            self._published.pop(target.key, None)

    def hurry(self, uid: str) -> None:
        """Look and try anew at once, as on the first day."""
        self._attempts.pop(uid, None)

    def look_again(self, uid: str) -> None:
        """Look at the provider at once; what the last look found stays known until then."""
        self.amend_look(uid, next_look=_AT_ONCE)
        self.note_steps(uid, outdated=True)

    def try_again(self, uid: str) -> None:
        """Look and try anew at once, as on the first day; a step that is under way and fails keeps its pause."""
        self.look_again(uid)
        self.note_steps(uid, failed=None)

    def hurry_steps(self, uid: str) -> None:
        """Do so also after the step that is under way, which began before somebody asked for it, should that fail."""
        self.try_again(uid)
        self.note_steps(uid, hurried=True)

    def since(self, target: Target) -> Since | None:
        """Return the Ready reason that this process saw last on an object, and since when."""
        return self._reasons.get(target)

    def counted(self, account: Target) -> datetime | None:
        """Return when this process last wrote the status of an account, which has its counters."""
        return self._counted.get(account)

    def note_reason(self, update: StatusUpdate, now: datetime) -> None:
        """Remember since when an object has had its Ready reason."""
        ready = find(update.status.conditions, "Ready")
        if ready is None or ready.status == "True":
            self._reasons.pop(update.target, None)
        elif (seen := self._reasons.get(update.target)) is None or seen[0] != ready.reason:
            self._reasons[update.target] = (ready.reason, now)

    def note_counted(self, account: Target, now: datetime) -> None:
        """Remember that the status of an account was written."""
        self._counted[account] = now

    def published(self, account: ObjectKey) -> datetime | None:
        """Return when this process last wrote a slice of an account."""
        return self._published.get(account)

    def note_published(self, account: ObjectKey, now: datetime) -> None:
        """Remember that a slice of an account was written."""
        self._published[account] = now
