"""The state of a small world: a few numbers and names, so that millions of them fit into memory."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeVar

from model.cast import Account, Config, Slot

T = TypeVar("T")


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
    account: Account
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


def initial_state(config: Config) -> State:
    """Return the world in which I, R and perhaps Q have just been created."""
    slots = tuple(Slot("P", 1, True) if lives else Slot("A", 0) for lives in config.lives)
    i, r, q = slots
    return State(
        slots=(i, r, q),
        belief=(i, r, q) if config.stale else None,
        second=(i, r, q) if config.two else None,
        account=Account("P", 1),
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


def with_item(items: tuple[T, T, T], place: int, item: T) -> tuple[T, T, T]:
    """Return the items with another one at a place."""
    changed = [*items]
    changed[place] = item
    i, r, q = changed
    return i, r, q


def with_slot(s: State, place: int, slot: Slot) -> State:
    """Return the state with another object at a place."""
    return s._replace(slots=with_item(s.slots, place, slot))


def seen(s: State, place: int) -> State:
    """Return the state in which the operator knows what is at a place."""
    return s if s.belief is None else s._replace(belief=with_item(s.belief, place, s.slots[place]))


def believed(s: State, place: int) -> Slot:
    """Return what the operator believes to be at a place."""
    return s.belief[place] if s.belief is not None else s.slots[place]


def deleted(slot: Slot) -> Slot:
    """Return what becomes of an object that is deleted."""
    return slot._replace(phase="D") if slot.finalizer else Slot("A", slot.life)
