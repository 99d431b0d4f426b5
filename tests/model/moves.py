"""What can happen next in a small world: users, the operator, its late writes, the API server, time.

A write of the operator is on its way until it lands, and anything may happen meanwhile.  It is conditional on the
version that was read, so whatever lands first turns the others into conflicts.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.cast import ACCOUNTS, NAMES, Account, Config, I, Q, R, Slot
from model.operator import Operator
from model.search import Kind
from model.state import State, Write, deleted, seen, with_item, with_slot
from pbx_operator.domain.records.facts import accounts_of

Move = tuple[Kind, tuple[object, ...], State]


class World:
    """The moves of one small world."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.operator = Operator(config)

    def moves(self, s: State) -> Iterator[Move]:
        """Return all that can happen next."""
        yield from self._landings(s)
        yield from self._users(s)
        yield from self._server(s)
        for place in (I, R, Q):
            if s.busy[place] is None:
                for label, after in self.operator.work(s, place):
                    yield "progress", label, after
            yield from self._second_operator(s, place)
        yield from self._time(s)

    # --- writes that land ---------------------------------------------------------------------------------------

    def _landings(self, s: State) -> Iterator[Move]:
        for place, write in enumerate(s.busy):
            if write is not None:
                freed = s._replace(busy=with_item(s.busy, place, None))
                yield "progress", ("lands", NAMES[place], write.verb, write.key), self._land(freed, write, place)
        for write in s.late:
            rest = s._replace(late=s.late - {write})
            yield "chance", ("lands late", write.verb, write.key), self._land(rest, write, None)
        if s.kills and any(s.busy):
            late = s.late | {w for w in s.busy if w is not None}
            reborn = s.slots if s.belief is not None else None
            if len(late) <= self.config.late:
                dead = s._replace(busy=(None, None, None), late=late, kills=s.kills - 1, belief=reborn)
                yield "chance", ("the operator dies",), dead

    def _land(self, s: State, write: Write, place: int | None) -> State:
        if write.verb == "put":
            return self._put(s, write.key, write.spec)
        if write.verb == "record":
            return s if s.recs[write.key] >= 0 else self._put(s, write.key, write.spec)
        if s.secret is not None:
            return s
        s = s._replace(secret=(write.key, write.life), known=s.known | 1 << write.key)
        if place is None:
            return s
        return s._replace(busy=with_item(s.busy, place, Write("record", write.key, write.spec)))

    def _put(self, s: State, key: int, spec: int) -> State:
        """Write a record; every other write that read it before is a conflict now."""
        i, r, q = (None if _conflicts(w, key) else w for w in s.busy)
        recs = (*s.recs[:key], spec, *s.recs[key + 1 :])
        late = frozenset(w for w in s.late if not _conflicts(w, key))
        return s._replace(recs=recs, busy=(i, r, q), late=late)

    # --- users and misfortune -----------------------------------------------------------------------------------

    def _users(self, s: State) -> Iterator[Move]:
        for place, slot in enumerate(s.slots):
            name = f"{NAMES[place]}{slot.life}"
            if slot.phase == "P":
                yield "chance", ("user deletes", name), with_slot(s, place, deleted(slot))
            if slot.phase == "D" and s.forces:
                forced = with_slot(s, place, Slot("A", slot.life))._replace(forces=s.forces - 1)
                yield "chance", ("finalizer removed by force of", name), forced
            if slot.phase == "P" and slot.finalizer and s.forces:
                forced = with_slot(s, place, slot._replace(finalizer=False))._replace(forces=s.forces - 1)
                yield "chance", ("a replace drops the finalizer of", name), forced
            if slot.phase == "A" and slot.life < self.config.lives[place]:
                for moved in (False, True) if self.config.moves_account and place != Q else (False,):
                    born = Slot("P", slot.life + 1, moved=moved)
                    yield "chance", ("user creates", NAMES[place], slot.life + 1), with_slot(s, place, born)
        yield from self._account(s)
        if self.config.raises and s.revision == 1 and s.slots[I].phase == "P":
            yield "chance", ("user raises the revision",), s._replace(revision=2)
        if self.config.new_key and s.carried == 0 and s.known & 2:
            yield "chance", ("user puts key 1 into R's Secret",), s._replace(carried=1)

    def _account(self, s: State) -> Iterator[Move]:
        phase, life = s.account
        if self.config.accounts == 1:
            return
        if phase == "P":
            yield "chance", ("user deletes the account",), s._replace(account=Account("D", life))
        if phase != "A" and s.forces:
            lost = s._replace(account=Account("A", life), forces=s.forces - 1)
            yield "chance", ("the account is lost",), lost
        if phase == "A" and life < self.config.accounts:
            yield "chance", ("user creates the account again",), s._replace(account=Account("P", life + 1))

    # --- the API server -----------------------------------------------------------------------------------------

    def _server(self, s: State) -> Iterator[Move]:
        owner = s.slots[I]
        if s.secret is not None and (owner.phase == "A" or owner.life != s.secret[1]):
            yield "progress", ("garbage collection",), s._replace(secret=None)
        if s.account.phase == "D" and not any(
            r.spec.state != "Ended" and ACCOUNTS[I] in {a.name for a in accounts_of(r.spec)}
            for r in self.operator.records(s)
        ):
            yield "progress", ("the account is let go",), s._replace(account=Account("A", s.account.life))
        if s.belief is not None:
            for place in (I, R, Q):
                if s.belief[place] != s.slots[place]:
                    yield "progress", ("watch tells of", NAMES[place]), seen(s, place)

    def _second_operator(self, s: State, place: int) -> Iterator[Move]:
        """A second operator, that should not be, does the same on its own belief; nobody may rely on it."""
        if s.second is None:
            return
        if s.second[place] != s.slots[place]:
            seen = s._replace(second=with_item(s.second, place, s.slots[place]))
            yield "chance", ("second operator: watch tells of", NAMES[place]), seen
        alone = s._replace(belief=s.second, busy=(None, None, None))
        for label, after in self.operator.work(alone, place):
            late = s.late | {w for w in after.busy if w is not None}
            if len(late) <= self.config.late:
                done = after._replace(belief=s.belief, second=after.belief, busy=s.busy, late=late)
                yield "chance", ("second operator:", *label), done

    # --- time ---------------------------------------------------------------------------------------------------

    def _time(self, s: State) -> Iterator[Move]:
        """Let the timer of a record run; that a key expires is nothing that anybody waits for."""
        for key in range(self.config.keys):
            done = self.operator.run_timer(s, key)
            if done < 0:
                continue
            after = self._put(s, key, done)
            if self.operator.specs[s.recs[key]].state == "Established":
                yield "time", ("closing ends of", key), after
            elif not s.expired:
                yield "chance", ("expires", key), after._replace(expired=True)


def _conflicts(write: Write | None, key: int) -> bool:
    return write is not None and write.verb == "put" and write.key == key
