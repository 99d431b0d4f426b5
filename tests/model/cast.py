"""The objects of a small world, made from a few numbers: so that states are small and objects are made once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from builders import NOW, identity, interlink
from link_builders import ready_account
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import (
    Issuer,
    LinkRecordSpec,
    Policy,
    record_name,
)
from pbx_operator.domain.links.facts import account_name
from pbx_operator.domain.protocol.keys import SigningKey, instance_id, key_id
from pbx_operator.domain.records.redemption import Redemption, sign_redemption

T = TypeVar("T", bound=Hashable)

I, R, Q = range(3)  # noqa: E741 - issuer, redeemer, rival
NAMES = "irq"
ACCOUNTS = "abc"
LATER = NOW + timedelta(days=1)
"""When everything that waits for its time is due."""
FAR = NOW + timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Config:
    """How large a world is, and what may happen in it."""

    name: str
    lives: tuple[int, int, int] = (2, 2, 0)
    """How often I, R and Q may come to life; the rival is absent with 0."""
    windows: bool = True
    """Deletions have an undo window."""
    brought: bool = False
    """The key is brought along: it is known from the start, and its Secret is never touched."""
    keys: int = 2
    """How many keys may be made."""
    kills: int = 0
    """How often the operator may die."""
    late: int = 2
    """How many writes of dead operators may be on their way."""
    forces: int = 0
    """How often a finalizer may be removed by force."""
    expires: bool = False
    """An unused key may expire."""
    raises: bool = False
    """The user may raise the revision once."""
    retain: bool = False
    """onPeerDeletion is Retain."""
    stale: bool = False
    """The Store may lag behind the API server."""
    two: bool = False
    """Two operators are at work, as in a handover that went wrong."""
    moves_account: bool = False
    """A re-created I or R may belong to another account."""
    accounts: int = 1
    """How often I's account may come to life; 1 means that nobody ever deletes it."""
    new_key: bool = False
    """The user may put the second key into R's Secret."""
    largest: int = 500_000
    """More states than this are not explored."""


class Slot(NamedTuple):
    """The object at one of the three places: `phase` is A(bsent), P(resent) or D(eleting)."""

    phase: str
    life: int
    finalizer: bool = False
    moved: bool = False
    """It belongs to another account than the first one did."""
    status: int = 0


class Account(NamedTuple):
    """The account of I, if it is not the moved one; its phases are those of a slot."""

    phase: str
    life: int


class Pool(Generic[T]):
    """Numbers for things, so that states hold numbers."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self._things: list[T] = []

    def number(self, thing: T) -> int:
        """Return the number of a thing; equal things have one."""
        found = self._numbers.get(thing)
        if found is None:
            found = self._numbers[thing] = len(self._things)
            self._things.append(thing)
        return found

    def __getitem__(self, number: int) -> T:
        return self._things[number]


def _signing_key(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


HOME = _signing_key("home")
INSTANCE = instance_id(HOME.public)
KEYS = [_signing_key(f"key {n}") for n in range(3)]
KEY_IDS = [key_id(key.public) for key in KEYS]
INDEX = {record_name(name): n for n, name in enumerate(KEY_IDS)}
"""Which key a record is about, by its name."""
PLACES = [ObjectKey("default", name) for name in NAMES]


def uid(place: int, life: int) -> str:
    """Return the UID of an object."""
    return f"{NAMES[place]}{life}"


def life_of(text: str) -> int:
    """Return the life that a UID stands for."""
    return int(text[1:])


class Cast:
    """Makes the objects of one world."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.statuses: Pool[InterlinkStatus] = Pool()
        self.statuses.number(InterlinkStatus())
        self._others: list[PBXAccount] = [ready_account(name) for name in (*ACCOUNTS[1:], "z")]
        self.accounts = cache(self._accounts)
        self.interlink = cache(self._interlink)
        self.request = cache(self._request)

    def _accounts(self, own: Account) -> list[PBXAccount]:
        """Return the accounts that there are."""
        if own.phase == "A":
            return self._others
        return [ready_account("a", uid=f"a{own.life}", deleting=own.phase == "D"), *self._others]

    def _interlink(self, place: int, slot: Slot, revision: int) -> Interlink:
        """Return the object in a slot; only I has a revision."""
        config = self.config
        spec: dict[str, Any] = {
            "undo_window_seconds": 600 if config.windows else 0,
            "on_peer_deletion": "Retain" if config.retain else "Delete",
        }
        if place == I:
            spec["issue"] = {"revision": revision}
            if config.brought:
                spec["issue"] |= {"from_secret_ref": {"name": "own"}, "expiration_time": FAR}
        else:
            spec["redeem"] = "s"
        return interlink(
            NAMES[place],
            "z" if slot.moved else ACCOUNTS[place],
            uid=uid(place, slot.life),
            deleting=slot.phase == "D",
            finalizers=(TEARDOWN_FINALIZER,) if slot.finalizer else (),
            status=self.statuses[slot.status],
            **spec,
        )

    def new_record(self, slot: Slot, revision: int, key: int) -> LinkRecordSpec:
        """Return the record that I makes for a key."""
        link = self.interlink(I, slot, revision)
        return LinkRecordSpec(
            instance=INSTANCE,
            key_id=KEY_IDS[key],
            key_public=KEYS[key].public,
            origin="BringYourOwn" if self.config.brought else "Generated",
            revision=revision,
            issued_time=NOW,
            issuer=Issuer(
                instance=INSTANCE, public_key=HOME.public, account=account_name(link), interlink=identity(link)
            ),
            policy=Policy(expiration_time=LATER if self.config.expires else None),
        )

    def _request(self, place: int, life: int, moved: bool, key: int) -> Redemption:
        """Return how an object presents a key."""
        link = self.interlink(place, Slot("P", life, moved=moved), 1)
        return sign_redemption(KEYS[key], KEY_IDS[key], HOME, INSTANCE, account_name(link), identity(link))


@cache
def record_of(spec: LinkRecordSpec) -> LinkRecord:
    """Return the object around a spec."""
    return LinkRecord.model_validate(
        {"metadata": {"name": record_name(spec.key_id), "uid": spec.key_id, "resourceVersion": "1"}, "spec": spec}
    )
