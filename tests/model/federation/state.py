"""The state of two installations and of what is on its way between them, in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

A, B = 0, 1
"""The installation of the issuer, and that of the redeemer."""
NAMES = "AB"
Phase = Literal["absent", "present", "deleting"]
Line = Literal["key", "talk"]
"""Who asks: a redemption, or the conversation."""


@dataclass(frozen=True, slots=True)
class Config:
    """How large a world is, and what may happen in it."""

    name: str
    lives: tuple[int, int] = (1, 1)
    """How often the Interlinks of A and B may come to life."""
    slow: int = 1
    """How many messages may be under way; others are answered at once."""
    nat: bool = False
    """B has no exchange: A cannot dial it."""
    window: bool = False
    """Deletions have an undo window."""
    retain: bool = False
    """onPeerDeletion is Retain."""
    brought: bool = False
    """The user brought the key along."""
    beside: bool = False
    """A's desk stands in an exchange server of its own, which goes by the one record."""
    crashes: int = 0
    """How often an operator may die and forget all that is only in its memory."""
    deletes: tuple[bool, bool] = (True, True)
    """Whether users may delete the Interlinks of A and B."""
    forces: int = 0
    """How often an Interlink may vanish without the operator."""
    accounts: bool = False
    """A's account may be deleted."""
    purges: bool = False
    """A record that ended may be deleted, as long after its end as the operator waits."""
    toggles: int = 0
    """How often the user may open or close A's gate."""
    rival: bool = False
    """Another installation has the key, too."""
    restores: Literal["", "A", "B"] = ""
    """Whose cluster may go back, once, to an older state of all its objects."""
    carefully: bool = True
    """The operator is told of the restore (`--after-restore`)."""
    partly: bool = False
    """LinkRecords come back later than the other objects."""
    renewed: bool = False
    """The Interlink comes back with another UID, as into another cluster, and with its status."""
    largest: int = 400_000
    """More states than this are not explored."""


class Side(NamedTuple):
    """One installation: its objects, then what its process remembers."""

    phase: Phase
    life: int
    births: int
    finalizer: bool
    shut: bool
    """The user closed the gate."""
    status: int
    records: tuple[int, ...]
    """A has the record of the key; B one for each life of its Interlink that may make a request; -1 for none."""
    account: bool = True
    """The account is there and not being deleted."""
    final: int = -1
    """The final answer to a redemption."""
    settled: int = 0
    """Bits: the ended records whose peer has answered."""
    known: int = 0
    """Bits: the records whose present `told` the peer says it has."""
    restoring: bool = False
    coming: tuple[int, ...] | None = None
    """Records that are not restored yet."""
    ticks: int = 0
    """How often this side has spoken of itself anew: its clock."""


class Item(NamedTuple):
    """A question under way; `answer` is -1 while there is none.

    `late` ones are waited for no more: nobody will see the answer.
    """

    late: bool
    side: int
    line: Line
    ask: int
    answer: int = -1


class History(NamedTuple):
    """What happened, for ever."""

    winners: frozenset[int] = frozenset()
    """Who was named as redeemer by A's record: lives of B's Interlink, from 0; RIVAL."""
    ended: tuple[int, int] = (0, 0)
    """Bits, on each side: the links whose end it has recorded, or that can never be."""
    confirmed: int = 0
    """Bits: the links that B gave up unanswered, and was then told to be over."""
    restored: int = -1
    """Whose cluster went back to an older state."""


class State(NamedTuple):
    """Everything."""

    sides: tuple[Side, Side]
    wire: tuple[Item, ...]
    history: History
    backup: Side | None
    crashes: int
    forces: int
    toggles: int


RIVAL = 9


def with_side(s: State, who: int, side: Side) -> State:
    """Return the state with another installation."""
    return s._replace(sides=(side, s.sides[B]) if who == A else (s.sides[A], side))


def with_wire(s: State, *gone: Item, add: tuple[Item, ...] = ()) -> State:
    """Return the state with other messages under way."""
    left = list(s.wire)
    for item in gone:
        left.remove(item)
    return s._replace(wire=tuple(sorted([*left, *add])))


def waiting(s: State, who: int, line: str) -> Item | None:
    """Return the question whose answer an installation waits for."""
    return next((i for i in s.wire if not i.late and i.side == who and i.line == line), None)


def forgetful(side: Side) -> Side:
    """Return the installation with a new process."""
    return side._replace(final=-1, settled=0, known=0)
