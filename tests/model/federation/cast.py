"""The objects of two installations, made from the numbers of a state, and the numbers of what came of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from builders import NOW, identity, interlink
from link_builders import ready_account, with_spec
from model.cast import Pool
from model.federation.state import A, B, Config, Side
from pbx_operator.api.meta import SECRETS, TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    Issuer,
    LinkRecordSpec,
    LinkRecordStatus,
    Policy,
    record_name,
    replica_name,
)
from pbx_operator.domain.links.facts import account_name
from pbx_operator.domain.protocol.keys import Bundle, IssuerAddress, base64url, instance_id, key_id, link_id
from pbx_operator.domain.protocol.messages import Answer, Request
from pbx_operator.engine.identity import Identity
from simulation.api import JSON
from simulation.site import signing_key

PLACES = (ObjectKey("default", "i"), ObjectKey("default", "r"))
ACCOUNTS = ("a", "b")
KEYS = (signing_key("issuer"), signing_key("redeemer"))
RIVAL_KEY = signing_key("rival")
INSTANCES = tuple(instance_id(key.public) for key in KEYS)
IDENTITIES = tuple(Identity(instance_id(key.public), key.public, key, confirmed=True) for key in KEYS)
KEY = signing_key("the key")
KEY_ID = key_id(KEY.public)
EXPIRES = NOW + timedelta(days=300)
LATE = NOW + timedelta(days=365)
"""When all that waits for its time is due."""


def contact(name: str) -> Contact:
    """Return how an installation with an exchange is reached."""
    return Contact(endpoints=(f"https://{name}.example.com",), pins=(base64url(b"\0" * 32),))


def uid(who: int, life: int) -> str:
    """Return the UID of an Interlink."""
    return f"{'ir'[who]}{life}"


LINK_IDS = tuple(link_id(INSTANCES[A], KEY_ID, INSTANCES[B], uid(B, life)) for life in (1, 2, 3))
"""The link that each life of B's Interlink asks for."""
RECORDS = (record_name(KEY_ID), *(replica_name(link) for link in LINK_IDS))
"""The names of all records: A's, and B's by the life that made the request."""


def place_of(name: str) -> int:
    """Return the place of a record among those of its side."""
    return max(RECORDS.index(name) - 1, 0)


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, and how the conversation that asks it began: on these records, with these answers before."""

    request: Request
    records: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()
    bits: tuple[int, int] = (0, 0)
    """What the conversation remembered: `settled` and `known`."""


class Cast:
    """Makes the objects of one world."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.statuses: Pool[InterlinkStatus] = Pool()
        self.statuses.number(InterlinkStatus())
        self.records: Pool[tuple[LinkRecordSpec, LinkRecordStatus]] = Pool()
        self.asks: Pool[Ask] = Pool()
        self.answers: Pool[Answer] = Pool()
        self.finals: Pool[Any] = Pool()
        self.contacts = (contact("issuer"), Contact() if config.nat else contact("redeemer"))
        self.record = cache(self._record)
        self._link = cache(self._make_link)
        self._account = cache(_make_account)
        self._secrets = (self._own_key(), self._carried_key())

    def objects(self, who: int, side: Side) -> dict[tuple[str, ObjectKey], JSON]:
        """Return what the API server of an installation holds."""
        found: dict[tuple[str, ObjectKey], JSON] = {}
        if side.phase != "absent":
            found[Interlink.resource.plural, PLACES[who]] = self.link_json(who, side)
        for place, number in enumerate(side.records):
            if number >= 0:
                name = RECORDS[place + who]
                found[LinkRecord.resource.plural, ObjectKey("", name)] = self.record(name, number)
        owner = self._account(who, side.account)
        found[PBXAccount.resource.plural, ObjectKey("default", ACCOUNTS[who])] = owner
        found |= self._secrets[who]
        return found

    def link_json(self, who: int, side: Side) -> JSON:
        """Return the Interlink of an installation; the same object for the same facts."""
        return self._link(who, side.life, side.phase, side.finalizer, side.shut, side.status)

    def interlink(self, who: int, life: int) -> Interlink:
        """Return the Interlink of an installation in one of its lives, as it was made."""
        return Interlink.model_validate(self._link(who, life, "present", True, False, 0))

    def number_of(self, raw: JSON) -> int:
        """Return the number of a record, without what makes no difference.

        That is when it ended, that it was presented again, and what was said of a link that is over.
        """
        made = LinkRecord.model_validate(raw)
        spec, status = made.spec, made.status.model_copy(update={"replay": None})
        if spec.end is not None:
            spec = spec.model_copy(update={"end": spec.end.model_copy(update={"time": NOW})})
            status = status.model_copy(update={"told": None, "heard": None})
        return self.records.number((spec, status))

    def spec(self, number: int) -> LinkRecordSpec | None:
        """Return what a record says."""
        return self.records[number][0] if number >= 0 else None

    def told_rev(self, number: int) -> int:
        """Return the number of what a side tells of itself; 0 for nothing."""
        told = self.records[number][1].told if number >= 0 else None
        return told.rev if told is not None else 0

    def with_records(self, side: Side, records: tuple[int, ...]) -> Side:
        """Return the installation with other records; a peer has nothing of what is not told any more."""
        told = sum(1 << place for place, number in enumerate(records) if self.told_rev(number))
        there = sum(1 << place for place, number in enumerate(records) if number >= 0)
        return side._replace(records=records, known=side.known & told, settled=side.settled & there)

    def first_record(self) -> int:
        """Return the record of the key, when nobody has used it."""
        issuer = self.interlink(A, 1)
        spec = LinkRecordSpec(
            instance=INSTANCES[A],
            key_id=KEY_ID,
            key_public=KEY.public,
            origin="BringYourOwn" if self.config.brought else "Generated",
            revision=1,
            issued_time=NOW,
            issuer=Issuer(
                instance=INSTANCES[A],
                public_key=KEYS[A].public,
                account=account_name(issuer),
                interlink=identity(issuer),
            ),
            policy=Policy(expiration_time=EXPIRES if self.config.brought else None),
        )
        return self.records.number((spec, LinkRecordStatus()))

    def _record(self, name: str, number: int) -> JSON:
        spec, status = self.records[number]
        metadata = {"name": name, "uid": name, "resourceVersion": "0", "generation": 1}
        return {"metadata": metadata, "spec": spec.to_json(), "status": status.to_json()}

    def _make_link(self, who: int, life: int, phase: str, finalizer: bool, shut: bool, status: int) -> JSON:
        config = self.config
        spec: dict[str, Any] = {
            "undo_window_seconds": 600 if config.window else 0,
            "on_peer_deletion": "Retain" if config.retain else "Delete",
        }
        if who == B:
            spec["redeem"] = "s"
        elif config.brought:
            spec["issue"] = {"from_secret_ref": {"name": "s"}, "expiration_time": EXPIRES}
        made = interlink(
            PLACES[who].name,
            ACCOUNTS[who],
            uid=uid(who, life),
            deleting=phase == "deleting",
            finalizers=(TEARDOWN_FINALIZER,) if finalizer else (),
            status=self.statuses[status],
            resource_version="0",
            **spec,
        )
        return with_spec(made, gate="Closed" if shut else "Open").to_json()

    def _own_key(self) -> dict[tuple[str, ObjectKey], JSON]:
        return _secret(Bundle(KEY).text()) if self.config.brought else {}

    def _carried_key(self) -> dict[tuple[str, ObjectKey], JSON]:
        issuer = self.interlink(A, 1)
        address = IssuerAddress(
            public_key=KEYS[A].public,
            account=account_name(issuer),
            interlink=identity(issuer),
            contact=self.contacts[A],
        )
        return _secret(Bundle(KEY, INSTANCES[A], ACCOUNTS[A], issuer=address).text())


def _secret(text: str) -> dict[tuple[str, ObjectKey], JSON]:
    data = {"key": base64.b64encode(text.encode()).decode()}
    metadata = {"name": "s", "namespace": "default", "uid": "s", "resourceVersion": "0"}
    return {(SECRETS.plural, ObjectKey("default", "s")): {"metadata": metadata, "data": data}}


def _make_account(who: int, present: bool) -> JSON:
    return ready_account(ACCOUNTS[who], deleting=not present, resource_version="0").to_json()
