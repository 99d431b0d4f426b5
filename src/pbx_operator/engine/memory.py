"""What only this process remembers: the last outcome of what cannot be read from the Store.

Losing it costs a repetition and nothing else, so it is never written anywhere.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pbx_operator.api.meta import ObjectKey
from pbx_operator.domain.conditions import find
from pbx_operator.domain.link_facts import Attempts
from pbx_operator.domain.plan import StatusUpdate, Target

Since = tuple[str, datetime]
"""A Ready reason, and since when it was seen."""

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)
SLOW_RETRY = timedelta(minutes=15)


def longer(pause: timedelta) -> timedelta:
    """Return the pause after this one: doubled, up to 5 minutes."""
    return min(pause * 2, LONGEST_PAUSE)


def jittered(pause: timedelta) -> timedelta:
    """Spread a pause over 80 to 120 %, so that many that fail together do not return together."""
    return pause * random.uniform(0.8, 1.2)


class Memory:
    """Attempts per Interlink (by UID, since a successor starts afresh) and reasons per object."""

    def __init__(self) -> None:
        self._attempts: dict[str, Attempts] = {}
        self._reasons: dict[Target, Since] = {}
        self._shown: dict[Target, datetime] = {}
        self._published: dict[ObjectKey, datetime] = {}

    def attempts(self, uid: str) -> Attempts:
        """Return what was tried for an Interlink."""
        return self._attempts.get(uid, Attempts())

    def note(self, uid: str, **outcome: Any) -> None:
        """Remember the outcome of a try, by the fields of Attempts."""
        self._attempts[uid] = replace(self.attempts(uid), **outcome)

    def forget(self, target: Target) -> None:
        """Drop what is known of an object that is gone."""
        self._attempts.pop(target.uid, None)
        self._reasons.pop(target, None)
        self._shown.pop(target, None)
        self._published.pop(target.key, None)

    def hurry(self, uid: str) -> None:
        """Look and try anew at once, as on the first day."""
        self._attempts.pop(uid, None)

    def since(self, target: Target) -> Since | None:
        """Return the Ready reason that this process saw last on an object, and since when."""
        return self._reasons.get(target)

    def shown(self, target: Target) -> datetime | None:
        """Return when this process last wrote the status of an object."""
        return self._shown.get(target)

    def note_reason(self, update: StatusUpdate, now: datetime) -> None:
        """Remember since when an object has had its Ready reason."""
        ready = find(update.status.conditions, "Ready")
        if ready is None or ready.status == "True":
            self._reasons.pop(update.target, None)
        elif (seen := self._reasons.get(update.target)) is None or seen[0] != ready.reason:
            self._reasons[update.target] = (ready.reason, now)

    def note_shown(self, target: Target, now: datetime) -> None:
        """Remember that the status of an object was written."""
        self._shown[target] = now

    def published(self, account: ObjectKey) -> datetime | None:
        """Return when this process last wrote a slice of an account."""
        return self._published.get(account)

    def note_published(self, account: ObjectKey, now: datetime) -> None:
        """Remember that a slice of an account was written."""
        self._published[account] = now
