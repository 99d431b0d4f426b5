"""What users, misfortune and time do to two installations; nobody may rely on it, but on time."""

from __future__ import annotations

from collections.abc import Iterator

from model.federation.state import (
    NAMES,
    A,
    B,
    Config,
    Side,
    State,
    forgetful,
    with_side,
)
from model.federation.steps import Steps
from model.search import Step


class Fate:
    """What happens to the installations of one world."""

    def __init__(self, config: Config, does: Steps) -> None:
        self.config = config
        self._does = does

    def steps(self, s: State) -> Iterator[Step[State]]:
        """Return what can happen next."""
        for who in (A, B):
            yield from self._user(s, who)
            yield from self._misfortune(s, who)
            yield from self._time(s, who)
        yield from self._owner(s)
        yield from self._rival(s)
        yield from self._restore(s)

    def _user(self, s: State, who: int) -> Iterator[Step[State]]:
        side, name = s.sides[who], NAMES[who]
        if side.phase == "present" and self.config.deletes[who]:
            yield Step("chance", ("user deletes", name), with_side(s, who, _deleted(side)))
        if side.phase == "absent" and side.births < self.config.lives[who]:
            births = side.births + 1
            born = side._replace(phase="present", life=births, births=births, finalizer=False, final=-1)
            yield Step("chance", ("user creates", name, births), with_side(s, who, born))

    def _owner(self, s: State) -> Iterator[Step[State]]:
        """Let the user of A have other wishes."""
        side = s.sides[A]
        if self.config.accounts and side.account:
            yield Step("chance", ("user deletes A's account",), with_side(s, A, side._replace(account=False)))
        if s.toggles and side.phase == "present":
            turned = with_side(s, A, side._replace(shut=not side.shut))
            yield Step("chance", ("user turns A's gate",), turned._replace(toggles=s.toggles - 1))

    def _misfortune(self, s: State, who: int) -> Iterator[Step[State]]:
        side = s.sides[who]
        if s.crashes:
            dead = self._process_gone(with_side(s, who, forgetful(side)), who)
            yield Step("chance", ("the operator dies at", NAMES[who]), dead._replace(crashes=s.crashes - 1))
        if s.forces and side.phase != "absent":
            gone = with_side(s, who, _gone(side))
            yield Step("chance", ("it vanishes:", NAMES[who]), gone._replace(forces=s.forces - 1))

    def _process_gone(self, s: State, who: int) -> State:
        """Nobody waits any more for what was asked; it may still arrive."""
        left = [i for i in s.wire if i.late or i.side != who]
        late = [i._replace(late=True) for i in s.wire if not i.late and i.side == who and i.answer < 0]
        return s._replace(wire=tuple(sorted([*left, *late])))

    def _rival(self, s: State) -> Iterator[Step[State]]:
        if self.config.rival:
            done = self._does.serve(A, s.sides[A], self._does.rivals_request, fresh=True)
            yield Step("chance", ("a rival presents the key",), with_side(s, A, done.side), done.wrong)

    def _time(self, s: State, who: int) -> Iterator[Step[State]]:
        side, name = s.sides[who], NAMES[who]
        if side.restoring:
            if side.coming is None:
                yield Step("time", ("the restore is over at", name), with_side(s, who, side._replace(restoring=False)))
            return
        for label, after in self._does.due(who, side):
            if label == "RunTimers":
                yield Step("time", (name, label), with_side(s, who, after))
            elif self.config.purges:
                yield Step("chance", (name, label), with_side(s, who, after))

    # --- backups --------------------------------------------------------------------------------------------------

    def _restore(self, s: State) -> Iterator[Step[State]]:
        for who in (A, B):
            coming = s.sides[who].coming
            if coming is not None:
                arrived = s.sides[who]._replace(records=coming, coming=None)
                yield Step("progress", ("the records come back to", NAMES[who]), with_side(s, who, arrived))
        if not self.config.restores or s.history.restored >= 0:
            return
        who = NAMES.index(self.config.restores)
        side = s.sides[who]
        if s.backup is None:
            kept = forgetful(side)._replace(ticks=0)
            yield Step("chance", ("backup of", NAMES[who]), s._replace(backup=kept))
        else:
            yield Step("chance", ("restore of", NAMES[who]), self._restored(s, who, s.backup))

    def _restored(self, s: State, who: int, backup: Side) -> State:
        now = s.sides[who]
        old = backup._replace(births=now.births, ticks=now.ticks + 1, restoring=self.config.carefully)
        if self.config.renewed and old.phase == "present":
            old = old._replace(life=now.births + 1, births=now.births + 1)
        if self.config.partly:
            old = old._replace(records=(-1,) * len(old.records), coming=old.records)
        s = self._process_gone(with_side(s, who, old), who)._replace(backup=None)
        return s._replace(history=s.history._replace(restored=who))


def _deleted(side: Side) -> Side:
    """What an object that goes has shown, and what its user wished of its gate, makes no difference any more."""
    return side._replace(phase="deleting", shut=False, status=0) if side.finalizer else _gone(side)


def _gone(side: Side) -> Side:
    return side._replace(phase="absent", finalizer=False, shut=False, status=0, final=-1)
