"""The operator of a small world: the real rules, on what it believes.

It plans with `plan_link`, reads what an action must read at one moment, as `links.authority` and `engine.issuing` do,
and then its write is on its way.  Whatever follows from the same facts is worked out once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from builders import NOW
from link_builders import gather
from model.cast import (
    ACCOUNTS,
    FAR,
    INDEX,
    INSTANCE,
    KEY_IDS,
    NAMES,
    PLACES,
    Cast,
    Config,
    I,
    Pool,
    Q,
    R,
    Slot,
    record_of,
    uid,
)
from model.state import State, Write, believed, deleted, seen, with_item, with_slot
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.links.facts import Attempts, ClusterFacts, KeyLook
from pbx_operator.domain.links.plan import plan_link
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
from pbx_operator.domain.records.facts import Party, account_of, interlink_of, pair_of
from pbx_operator.domain.records.machine import Change, Presence, RunTimers, concerned, transition
from pbx_operator.domain.records.redemption import IssuerFacts, decide

HERE = ClusterFacts(INSTANCE)
Step = tuple[tuple[object, ...], State]
"""What the operator does, in words, and what comes of it."""


class Operator:
    """What an operator can do next."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.cast = Cast(config)
        self.specs: Pool[LinkRecordSpec] = Pool()
        self._plans: dict[object, tuple[tuple[Action, ...], int]] = {}
        self._changes: dict[object, int] = {}
        self._timers: dict[object, bool] = {}

    def spec(self, s: State, key: int) -> LinkRecordSpec | None:
        """Return the record of a key."""
        return self.specs[s.recs[key]] if s.recs[key] >= 0 else None

    def status(self, slot: Slot) -> InterlinkStatus:
        """Return what an object shows."""
        return self.cast.statuses[slot.status]

    def records(self, s: State) -> list[LinkRecord]:
        """Return all records."""
        return [record_of(self.specs[number]) for number in s.recs if number >= 0]

    def work(self, s: State, place: int) -> Iterator[Step]:
        """Carry out one action of the plan, or show the status if there is none."""
        actions, status = self._plan(s, place)
        for action in actions:
            after = self._execute(s, place, action)
            if after is not None and after != s:
                yield (NAMES[place], type(action).__name__, *_about(action)), after
        slot = s.slots[place]
        if not actions and status >= 0 and believed(s, place) == slot and slot.status != status:
            shown = seen(with_slot(s, place, slot._replace(status=status)), place)
            yield (NAMES[place], "status"), shown

    def _plan(self, s: State, place: int) -> tuple[tuple[Action, ...], int]:
        """Return the plan on what the operator believes: the actions, and the status if there are none."""
        own = believed(s, place)
        others = tuple(believed(s, p)._replace(status=0) if p != place else None for p in (I, R, Q))
        shown = self._shown_key(s, place)
        swept = place != I or s.secret is None or s.secret[1] != own.life
        view = (place, own, others, s.account, s.recs, shown, swept, s.revision)
        if view not in self._plans:
            self._plans[view] = self._make_plan(s, place, shown, swept)
        return self._plans[view]

    def _make_plan(self, s: State, place: int, shown: int | None, swept: bool) -> tuple[tuple[Action, ...], int]:
        cast = self.cast
        slots = [believed(s, p) for p in (I, R, Q)]
        links = [cast.interlink(p, slot, s.revision) for p, slot in enumerate(slots) if slot.phase != "A"]
        attempts = _attempts(shown)
        snapshot = gather(PLACES[place], links, cast.accounts(s.account), self.records(s), attempts, HERE)
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
                return with_slot(s, place, deleted(slot))
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
        return slot.phase == "P" and slot.life == believed(s, place).life

    def _finalizer(self, s: State, place: int, *, add: bool) -> State | None:
        """Patch the finalizers, on the version that the operator knows."""
        slot = s.slots[place]
        if believed(s, place) != slot:
            return None
        if not add and slot.phase == "D":
            return seen(with_slot(s, place, Slot("A", slot.life)), place)
        return seen(with_slot(s, place, slot._replace(finalizer=add)), place)

    def _change(self, s: State, place: int, key: int, change: Change) -> State | None:
        spec = self.spec(s, key)
        identity = concerned(spec, change) if spec is not None else None
        if spec is None or identity is None:
            return None
        there = NAMES.index(identity.name)
        changed = self._transition(s, key, change, s.slots[there], NOW)
        return self._send(s, place, Write("put", key, changed)) if changed >= 0 else seen(s, there)

    def _transition(self, s: State, key: int, change: Change, slot: Slot, now: datetime) -> int:
        memo = (s.recs[key], change, slot.phase, slot.life, s.account.phase, now)
        if memo not in self._changes:
            spec = self.specs[s.recs[key]]
            identity = concerned(spec, change)
            assert identity is not None
            assert change.side is not None
            place = NAMES.index(identity.name)
            owner = account_of(spec, change.side)
            absent = owner is not None and owner.name == ACCOUNTS[I] and s.account.phase == "A"
            there = Presence(uid(place, slot.life) if slot.phase != "A" else None, slot.phase == "D", absent)
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
        return self.specs.number(self.cast.new_record(believed(s, I), s.revision, key))

    def _redeem(self, s: State, place: int) -> State | None:
        shown = self._shown_key(s, place)
        if shown is None or s.recs[shown] < 0:
            return None
        spec, slot, issuer = self.specs[s.recs[shown]], s.slots[place], s.slots[I]
        request = self.cast.request(place, slot.life, slot.moved, shown)
        present = issuer.phase == "P" and _issued_by(spec, uid(I, issuer.life))
        pair = (pair_of(spec.model_copy(update={"redeemer": None})) or frozenset()) | {
            Party(request.instance, request.account.key)
        }
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
        return self._send(s, place, Write("put", shown, decided_number)) if decided_number >= 0 else seen(s, I)

    def _send(self, s: State, place: int, write: Write) -> State:
        return s._replace(busy=with_item(s.busy, place, write))

    # --- time ---------------------------------------------------------------------------------------------------

    def run_timer(self, s: State, key: int) -> int:
        """Return what a record becomes when all time has passed, if its issuer's side would see to that; else -1."""
        if s.recs[key] < 0 or not self._timer_is_planned(s, key):
            return -1
        return self._transition(s, key, RunTimers(), s.slots[I], FAR)

    def _timer_is_planned(self, s: State, key: int) -> bool:
        own = believed(s, I)
        memo = (own, s.account, s.recs, key)
        if memo not in self._timers:
            links = [self.cast.interlink(I, own, s.revision)] if own.phase != "A" else []
            snapshot = gather(PLACES[I], links, self.cast.accounts(s.account), self.records(s), _attempts(None), HERE)
            planned = (a for a in plan_link(snapshot, FAR).actions if isinstance(a, ChangeRecord))
            self._timers[memo] = any(isinstance(a.change, RunTimers) and INDEX[a.record] == key for a in planned)
        return self._timers[memo]


def _issued_by(spec: LinkRecordSpec, owner: str) -> bool:
    named = interlink_of(spec, "issuer")
    return named is not None and named.uid == owner


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
