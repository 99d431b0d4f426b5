"""What can happen next in a small world: users, the operator, its late writes, the API server, time.

The operator plans with the real `plan_link` on what it believes, reads what it must at one moment, and then its
write is on its way: until it lands, anything may happen.  A write is conditional on the version that was read, so
whatever lands first turns the others into conflicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, TypeVar

from builders import NOW
from link_builders import gather
from model.cast import FAR, INDEX, INSTANCE, KEY_IDS, NAMES, PLACES, Cast, Config, I, Pool, Q, R, Slot, record_of, uid
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.interlink import plan_link
from pbx_operator.domain.link_facts import Attempts, ClusterFacts, KeyLook
from pbx_operator.domain.plan import (
    Action,
    AddFinalizer,
    ChangeRecord,
    DeleteInterlink,
    DeleteSpentSecret,
    IssueOwnKey,
    MintKey,
    Redeem,
    RemoveFinalizer,
)
from pbx_operator.domain.record import Change, Presence, RunTimers, concerned, pair_of, transition
from pbx_operator.domain.redemption import IssuerFacts, decide

T = TypeVar("T")
Kind = Literal["progress", "time", "chance"]
"""Chance is what users and misfortune do; nobody may rely on it."""


class Write(NamedTuple):
    """A write on its way: put or create a record, or create the key Secret (and then the record)."""

    verb: Literal["put", "record", "secret"]
    key: int
    spec: int
    life: int = 0


class State(NamedTuple):
    """Everything about a world; numbers stand for specs and statuses, -1 for none."""

    slots: tuple[Slot, Slot, Slot]
    belief: tuple[Slot, Slot, Slot] | None
    """What the operator believes of the slots, if that may lag."""
    second: tuple[Slot, Slot, Slot] | None
    """What a second operator believes, if there is one."""
    recs: tuple[int, ...]
    secret: tuple[int, int] | None
    """The generated key Secret: which key, and whose (a life of I)."""
    known: int
    """Bits: the keys that anybody could have carried to R and Q."""
    carried: int
    """Which key R's Secret shows, once that is known."""
    revision: int
    minted: int
    busy: tuple[Write | None, Write | None, Write | None]
    late: frozenset[Write]
    kills: int
    forces: int
    expired: bool


Move = tuple[Kind, tuple[object, ...], State]


class World:
    """The moves of one small world."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cast = Cast(config)
        self.specs: Pool[LinkRecordSpec] = Pool()
        self._plans: dict[object, tuple[tuple[Action, ...], int]] = {}
        self._changes: dict[object, int] = {}
        self._timers: dict[object, bool] = {}

    def initial(self) -> State:
        """Return the world in which I, R and perhaps Q have just been created."""
        config = self.config
        slots = tuple(Slot("P", 1, True) if lives else Slot("A", 0) for lives in config.lives)
        i, r, q = slots
        return State(
            slots=(i, r, q),
            belief=(i, r, q) if config.stale else None,
            second=(i, r, q) if config.two else None,
            recs=(-1,) * config.keys,
            secret=None,
            known=1 if config.brought else 0,
            carried=0,
            revision=1,
            minted=0,
            busy=(None, None, None),
            late=frozenset(),
            kills=config.kills,
            forces=config.forces,
            expired=False,
        )

    def moves(self, s: State) -> Iterator[Move]:
        """Return all that can happen next."""
        yield from self._landings(s)
        yield from self._users(s)
        yield from self._server(s)
        for place in (I, R, Q):
            if s.busy[place] is None:
                yield from self._work(s, place)
            if s.second is not None:
                yield from self._second_operator(s, place)
        yield from self._time(s)

    def spec(self, s: State, key: int) -> LinkRecordSpec | None:
        """Return the record of a key."""
        return self.specs[s.recs[key]] if s.recs[key] >= 0 else None

    def status(self, slot: Slot) -> InterlinkStatus:
        """Return what an object shows."""
        return self.cast.statuses[slot.status]

    # --- writes that land ---------------------------------------------------------------------------------------

    def _landings(self, s: State) -> Iterator[Move]:
        for place, write in enumerate(s.busy):
            if write is not None:
                freed = s._replace(busy=_with(s.busy, place, None))
                yield "progress", ("lands", NAMES[place], write.verb, write.key), self._land(freed, write, place)
        for write in s.late:
            rest = s._replace(late=s.late - {write})
            yield "chance", ("lands late", write.verb, write.key), self._land(rest, write, None)
        if s.kills and any(s.busy):
            late = s.late | {w for w in s.busy if w is not None}
            if len(late) <= self.config.late:
                reborn = s.slots if s.belief is not None else None
                yield "chance", ("the operator dies",), s._replace(
                    busy=(None, None, None), late=late, kills=s.kills - 1, belief=reborn
                )

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
        return s._replace(busy=_with(s.busy, place, Write("record", write.key, write.spec)))

    def _put(self, s: State, key: int, spec: int) -> State:
        """Write a record; every other write that read it before is a conflict now."""
        stale = lambda w: w is not None and w.verb == "put" and w.key == key  # noqa: E731
        i, r, q = (None if stale(w) else w for w in s.busy)
        recs = (*s.recs[:key], spec, *s.recs[key + 1 :])
        return s._replace(recs=recs, busy=(i, r, q), late=frozenset(w for w in s.late if not stale(w)))

    # --- users and misfortune -----------------------------------------------------------------------------------

    def _users(self, s: State) -> Iterator[Move]:
        for place, slot in enumerate(s.slots):
            name = f"{NAMES[place]}{slot.life}"
            if slot.phase == "P":
                yield "chance", ("user deletes", name), self._set(s, place, _deleted(slot))
            if slot.phase == "D" and s.forces:
                forced = self._set(s, place, Slot("A", slot.life))._replace(forces=s.forces - 1)
                yield "chance", ("finalizer removed by force of", name), forced
            if slot.phase == "P" and slot.finalizer and s.forces:
                forced = self._set(s, place, slot._replace(finalizer=False))._replace(forces=s.forces - 1)
                yield "chance", ("a replace drops the finalizer of", name), forced
            if slot.phase == "A" and slot.life < self.config.lives[place]:
                for moved in (False, True) if self.config.moves_account and place != Q else (False,):
                    born = Slot("P", slot.life + 1, moved=moved)
                    yield "chance", ("user creates", NAMES[place], slot.life + 1), self._set(s, place, born)
        if self.config.raises and s.revision == 1 and s.slots[I].phase == "P":
            yield "chance", ("user raises the revision",), s._replace(revision=2)
        if self.config.new_key and s.carried == 0 and s.known & 2:
            yield "chance", ("user puts key 1 into R's Secret",), s._replace(carried=1)

    # --- the API server -----------------------------------------------------------------------------------------

    def _server(self, s: State) -> Iterator[Move]:
        owner = s.slots[I]
        if s.secret is not None and (owner.phase == "A" or owner.life != s.secret[1]):
            yield "progress", ("garbage collection",), s._replace(secret=None)
        if s.belief is not None:
            for place in (I, R, Q):
                if s.belief[place] != s.slots[place]:
                    yield "progress", ("watch tells of", NAMES[place]), self._see(s, place)

    def _see(self, s: State, place: int) -> State:
        return s if s.belief is None else s._replace(belief=_with(s.belief, place, s.slots[place]))

    def _set(self, s: State, place: int, slot: Slot) -> State:
        return s._replace(slots=_with(s.slots, place, slot))

    # --- the operator -------------------------------------------------------------------------------------------

    def _work(self, s: State, place: int) -> Iterator[Move]:
        """Carry out one action of the plan, or show the status if there is none."""
        actions, status = self._plan(s, place)
        for action in actions:
            after = self._execute(s, place, action)
            if after is not None and after != s:
                yield "progress", (NAMES[place], type(action).__name__, *_about(action)), after
        slot = s.slots[place]
        if not actions and status >= 0 and self._believed(s, place) == slot and slot.status != status:
            shown = self._see(self._set(s, place, slot._replace(status=status)), place)
            yield "progress", (NAMES[place], "status"), shown

    def _second_operator(self, s: State, place: int) -> Iterator[Move]:
        """A second operator, that should not be, does the same on its own belief; nobody may rely on it."""
        if s.second is None:
            return
        if s.second[place] != s.slots[place]:
            seen = s._replace(second=_with(s.second, place, s.slots[place]))
            yield "chance", ("second operator: watch tells of", NAMES[place]), seen
        alone = s._replace(belief=s.second, busy=(None, None, None))
        for _, label, after in self._work(alone, place):
            late = s.late | {w for w in after.busy if w is not None}
            if len(late) <= self.config.late:
                done = after._replace(belief=s.belief, second=after.belief, busy=s.busy, late=late)
                yield "chance", ("second operator:", *label), done

    def _believed(self, s: State, place: int) -> Slot:
        return s.belief[place] if s.belief is not None else s.slots[place]

    def _plan(self, s: State, place: int) -> tuple[tuple[Action, ...], int]:
        """Return the plan on what the operator believes: the actions, and the status if there are none."""
        own = self._believed(s, place)
        others = tuple(self._believed(s, p)._replace(status=0) if p != place else None for p in (I, R, Q))
        shown = self._shown_key(s, place)
        swept = place != I or s.secret is None or s.secret[1] != own.life
        view = (place, own, others, s.recs, shown, swept, s.revision)
        if view not in self._plans:
            self._plans[view] = self._make_plan(s, place, shown, swept)
        return self._plans[view]

    def _make_plan(self, s: State, place: int, shown: int | None, swept: bool) -> tuple[tuple[Action, ...], int]:
        cast = self.cast
        believed = [self._believed(s, p) for p in (I, R, Q)]
        links = [cast.interlink(p, slot, s.revision) for p, slot in enumerate(believed) if slot.phase != "A"]
        attempts = _attempts(shown)
        snapshot = gather(PLACES[place], links, cast.accounts, self._records(s), attempts, HERE)
        plan = plan_link(snapshot, NOW)
        while swept and (sweep := next((a for a in plan.actions if isinstance(a, DeleteSpentSecret)), None)):
            attempts = replace(attempts, swept_key=sweep.key_id)
            plan = plan_link(replace(snapshot, attempts=attempts), NOW)
        if plan.actions or not plan.statuses:
            return plan.actions, -1
        status = plan.statuses[0].status
        assert isinstance(status, InterlinkStatus)
        lean = status.model_copy(update={"conditions": (), "peer": None, "observed_generation": -1})
        return (), cast.statuses.number(lean)

    def _records(self, s: State) -> list[LinkRecord]:
        return [record_of(self.specs[number]) for number in s.recs if number >= 0]

    def _shown_key(self, s: State, place: int) -> int | None:
        """Return the key in the Secret that a user filled; None if there is none (yet)."""
        if place == I:
            return 0 if self.config.brought else None
        key = s.carried if place == R else 0
        return key if s.known >> key & 1 else None

    def _execute(self, s: State, place: int, action: Action) -> State | None:
        slot = s.slots[place]
        match action:
            case AddFinalizer() | RemoveFinalizer():
                return self._finalizer(s, place, add=isinstance(action, AddFinalizer))
            case DeleteInterlink(target):
                if slot.phase == "A" or uid(place, slot.life) != target.uid:
                    return None
                return self._set(s, place, _deleted(slot))
            case DeleteSpentSecret(_, owner, _):
                ours = s.secret is not None and uid(I, s.secret[1]) == owner
                return s._replace(secret=None) if ours else None
            case ChangeRecord(record, change):
                return self._change(s, place, INDEX[record], change)
            case MintKey():
                return self._mint(s)
            case IssueOwnKey():
                return self._send(s, I, Write("record", 0, self._new_record(s, 0))) if self._alive(s, I) else None
            case Redeem():
                return self._redeem(s, place) if self._alive(s, place) else None
            case _:
                raise AssertionError(f"the model knows no {action}")

    def _alive(self, s: State, place: int) -> bool:
        """Whether the object that the operator believes in is really there."""
        slot = s.slots[place]
        return slot.phase == "P" and slot.life == self._believed(s, place).life

    def _finalizer(self, s: State, place: int, *, add: bool) -> State | None:
        """Patch the finalizers, on the version that the operator knows."""
        slot = s.slots[place]
        if self._believed(s, place) != slot:
            return None
        if not add and slot.phase == "D":
            return self._see(self._set(s, place, Slot("A", slot.life)), place)
        return self._see(self._set(s, place, slot._replace(finalizer=add)), place)

    def _change(self, s: State, place: int, key: int, change: Change) -> State | None:
        spec = self.spec(s, key)
        identity = concerned(spec, change) if spec is not None else None
        if spec is None or identity is None:
            return None
        there = NAMES.index(identity.name)
        changed = self._transition(s, key, change, s.slots[there], NOW)
        return self._send(s, place, Write("put", key, changed)) if changed >= 0 else self._see(s, there)

    def _transition(self, s: State, key: int, change: Change, slot: Slot, now: datetime) -> int:
        memo = (s.recs[key], change, slot.phase, slot.life, now)
        if memo not in self._changes:
            spec = self.specs[s.recs[key]]
            identity = concerned(spec, change)
            assert identity is not None
            place = NAMES.index(identity.name)
            there = Presence(uid(place, slot.life) if slot.phase != "A" else None, slot.phase == "D")
            changed = transition(spec, change, there, now)
            self._changes[memo] = -1 if changed is None else self.specs.number(_at_once(changed))
        return self._changes[memo]

    def _mint(self, s: State) -> State | None:
        """Make the Secret and then the record; the steps of the engine's `KeyWork.mint`."""
        if not self._alive(s, I):
            return None
        life = s.slots[I].life
        if s.secret is None:
            if s.minted == self.config.keys:
                return None
            made = Write("secret", s.minted, self._new_record(s, s.minted), life)
            return self._send(s._replace(minted=s.minted + 1), I, made)
        key, owner = s.secret
        spec = self.spec(s, key)
        if owner != life:
            return None
        if spec is None:
            return self._send(s, I, Write("record", key, self._new_record(s, key)))
        return s._replace(secret=None) if spec.state == "Ended" else None

    def _new_record(self, s: State, key: int) -> int:
        return self.specs.number(self.cast.new_record(self._believed(s, I), s.revision, key))

    def _redeem(self, s: State, place: int) -> State | None:
        shown = self._shown_key(s, place)
        if shown is None or s.recs[shown] < 0:
            return None
        spec, slot, issuer = self.specs[s.recs[shown]], s.slots[place], s.slots[I]
        request = self.cast.request(place, slot.life, slot.moved, shown)
        present = issuer.phase == "P" and uid(I, issuer.life) == spec.issuer.interlink.uid
        pair = frozenset({spec.issuer.account.key, request.account.key})
        linked = any(
            other.state == "Established" and pair_of(other) == pair
            for k in range(self.config.keys)
            if k != shown and (other := self.spec(s, k)) is not None
        )
        memo = ("redeem", s.recs[shown], place, slot.life, slot.moved, present, linked)
        if memo not in self._changes:
            decided = decide(spec, request, IssuerFacts(present, linked), NOW).spec
            self._changes[memo] = -1 if decided is None else self.specs.number(decided)
        decided_number = self._changes[memo]
        return self._send(s, place, Write("put", shown, decided_number)) if decided_number >= 0 else self._see(s, I)

    def _send(self, s: State, place: int, write: Write) -> State:
        return s._replace(busy=_with(s.busy, place, write))

    # --- time ---------------------------------------------------------------------------------------------------

    def _time(self, s: State) -> Iterator[Move]:
        """Let the timer of a record run, if the plan of its issuer's place would run it."""
        for key in range(self.config.keys):
            spec = self.spec(s, key)
            if spec is None or not self._timer_is_planned(s, key):
                continue
            if spec.state == "Issued" and s.expired:
                continue
            done = self._transition(s, key, RunTimers(), s.slots[I], FAR)
            if done >= 0:
                kind: Kind = "chance" if spec.state == "Issued" else "time"
                after = self._put(s, key, done)._replace(expired=s.expired or spec.state == "Issued")
                yield kind, ("timer of", key), after

    def _timer_is_planned(self, s: State, key: int) -> bool:
        own = self._believed(s, I)
        memo = (own, s.recs, key)
        if memo not in self._timers:
            links = [self.cast.interlink(I, own, s.revision)] if own.phase != "A" else []
            snapshot = gather(PLACES[I], links, self.cast.accounts, self._records(s), _attempts(None), HERE)
            planned = (a for a in plan_link(snapshot, FAR).actions if isinstance(a, ChangeRecord))
            self._timers[memo] = any(isinstance(a.change, RunTimers) and INDEX[a.record] == key for a in planned)
        return self._timers[memo]


HERE = ClusterFacts(INSTANCE)


def _with(items: tuple[T, T, T], place: int, item: T) -> tuple[T, T, T]:
    changed = [*items]
    changed[place] = item
    i, r, q = changed
    return i, r, q


def _deleted(slot: Slot) -> Slot:
    return slot._replace(phase="D") if slot.finalizer else Slot("A", slot.life)


def _attempts(shown: int | None) -> Attempts:
    """Return the memory of a process that has just read the Secret."""
    found: Literal["Key", "Missing"] = "Missing" if shown is None else "Key"
    key_id = None if shown is None else KEY_IDS[shown]
    return Attempts(look=KeyLook(found, FAR + timedelta(days=1), timedelta(minutes=5), key_id))


def _at_once(spec: LinkRecordSpec) -> LinkRecordSpec:
    """Return the record as if its end had come now: no two stories shall differ by the hour alone."""
    if spec.end is None:
        return spec
    return spec.model_copy(update={"end": spec.end.model_copy(update={"time": NOW})})


def _about(action: Action) -> tuple[object, ...]:
    if isinstance(action, ChangeRecord):
        return (type(action.change).__name__, INDEX[action.record])
    return ()
