"""What the operator knows of the cluster: parsed objects with the indexes that planning needs.

Fed by the first LIST, by watches, and by the responses to our own writes, in any order and more than once.
An object is taken only if it is newer than what is known of it, and never again after its deletion was seen, so
a late event or response cannot bring anything back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from pbx_operator.api.meta import ObjectKey, ObjectMeta, Resource, ResourceType
from pbx_operator.api.v1alpha1 import (
    CommServer,
    DialPlanSlice,
    EquipmentRecord,
    Interlink,
    InternalNumber,
    LinkRecord,
    PBXAccount,
)
from pbx_operator.api.v1alpha1.shared import AccountReference, Status
from pbx_operator.domain.account import wanted_domain
from pbx_operator.domain.customers.facts import claimed_customers
from pbx_operator.domain.link_facts import key_reference
from pbx_operator.domain.numbers import server_of
from pbx_operator.domain.record_facts import Party, accounts_of, interlink_of, pair_of, peer_instance, places_of
from pbx_operator.domain.servers.facts import equipment_of
from pbx_operator.domain.slices import owner_of
from pbx_operator.domain.unreadable import OpaqueStatus, Unreadable

R = TypeVar("R", bound=Resource)
IndexFunction = Callable[[Any], Iterable[Hashable]]

_REMEMBERED_DEATHS = 10_000
"""UIDs of deleted objects that a table remembers; far more than the responses that can be late at a time."""


@dataclass(frozen=True, slots=True)
class Observation:
    """How one object changed in the Store; None stands for absent."""

    old: Resource | Unreadable | None
    new: Resource | Unreadable | None


def _everything(_: Any) -> bool:
    return True


class Table(Generic[R]):
    """All objects of one kind, with lookups by index."""

    def __init__(self, model: type[R], holds: Callable[[R], bool] = _everything, **indexes: IndexFunction) -> None:
        """`holds` tells whether an object is ours; of others, nothing but the metadata is known."""
        self.model = model
        self._holds = holds
        self.resource_version = 0
        """The newest resourceVersion seen of this kind."""
        self._objects: dict[ObjectKey, R] = {}
        self._unreadable: dict[ObjectKey, Unreadable] = {}
        self._others: dict[ObjectKey, ObjectMeta] = {}
        """Objects that are not ours."""
        self._gone: dict[str, None] = {}
        self._functions = indexes
        self._indexes: dict[str, dict[Hashable, dict[ObjectKey, R]]] = {name: defaultdict(dict) for name in indexes}

    def __iter__(self) -> Iterator[R]:
        return iter(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects) + len(self._unreadable)

    def find(self, key: ObjectKey) -> R | Unreadable | None:
        """Return the object at a place, readable or not."""
        return self._objects.get(key) or self._unreadable.get(key)

    def get(self, key: ObjectKey) -> R | None:
        """Return the object at a place, if there is one that could be read."""
        return self._objects.get(key)

    def unreadable(self, key: ObjectKey) -> Unreadable | None:
        """Return the object at a place that could not be read."""
        return self._unreadable.get(key)

    def unreadables(self, account: ObjectKey | None = None) -> list[Unreadable]:
        """Return the objects that could not be read, of one account or all; there are few, if any."""
        return [u for u in self._unreadable.values() if account is None or u.account == account]

    def status_of(self, key: ObjectKey) -> Status | None:
        """Return the status that the object at a place shows."""
        found = self.find(key)
        return getattr(found, "status", None)

    def statuses(self) -> list[Status]:
        """Return what every object of a kind with conditions shows; copied at once, so another thread may ask, too."""
        found: list[Any] = [*self._objects.values(), *self._unreadable.values()]
        return [each.status for each in found]

    def select(self, index: str, value: Hashable) -> list[R]:
        """Return the objects that an index lists under a value, in no particular order."""
        return list(self._indexes[index].get(value, {}).values())

    def metadata(self) -> dict[ObjectKey, ObjectMeta]:
        """Return the metadata of every object, readable or not, ours or not."""
        readable = {key: o.metadata for key, o in self._objects.items()}
        return readable | {key: o.metadata for key, o in self._unreadable.items()} | self._others

    def metadata_of(self, key: ObjectKey) -> ObjectMeta | None:
        """Return the metadata of the object at a place, readable or not, ours or not."""
        found = self.find(key)
        return found.metadata if found is not None else self._others.get(key)

    def put(self, raw: dict[str, Any]) -> Observation | None:
        """Take an object; return what changed, or None if it was no news.

        Most of what comes in is the echo of our own writes, so an object is parsed only if it is news.
        """
        metadata = raw["metadata"]
        key, uid = ObjectKey(metadata.get("namespace", ""), metadata["name"]), metadata["uid"]
        version = int(metadata["resourceVersion"])
        self.resource_version = max(self.resource_version, version)
        known = self.metadata_of(key)
        if uid in self._gone or (known is not None and version <= int(known.resource_version)):
            return None
        if known is not None and known.uid != uid:
            self._bury(known.uid)
        old, new = self.find(key), self._parse(raw)
        if isinstance(new, Unreadable) or self._holds(new):
            self._replace(key, old, new)
            return Observation(old, new)
        self._replace(key, old, None)
        self._others[key] = new.metadata
        return Observation(old, None) if old is not None else None

    def remove(self, key: ObjectKey, uid: str) -> Observation | None:
        """Forget an object whose deletion was seen; return what changed."""
        self._bury(uid)
        return self.forget(key, uid)

    def forget(self, key: ObjectKey, uid: str) -> Observation | None:
        """Forget an object that could not be found; a later event may still show it."""
        other = self._others.get(key)
        if other is not None and other.uid == uid:
            del self._others[key]
        old = self.find(key)
        if old is None or old.metadata.uid != uid:
            return None
        self._replace(key, old, None)
        return Observation(old, None)

    def _parse(self, raw: dict[str, Any]) -> R | Unreadable:
        try:
            return self.model.model_validate(raw)
        except ValidationError as error:
            return _unreadable(self.model.resource, raw, error)

    def _replace(self, key: ObjectKey, old: R | Unreadable | None, new: R | Unreadable | None) -> None:
        if isinstance(old, Resource):
            for name, function in self._functions.items():
                for value in function(old):
                    self._drop_entry(name, value, key)
        self._objects.pop(key, None)
        self._unreadable.pop(key, None)
        self._others.pop(key, None)
        if isinstance(new, Unreadable):
            self._unreadable[key] = new
        elif new is not None:
            self._objects[key] = new
            for name, function in self._functions.items():
                for value in function(new):
                    self._indexes[name][value][key] = new

    def _drop_entry(self, index: str, value: Hashable, key: ObjectKey) -> None:
        entries = self._indexes[index]
        entries[value].pop(key, None)
        if not entries[value]:
            del entries[value]

    def _bury(self, uid: str) -> None:
        """Remember a dead UID for as long as a late response could still name it."""
        self._gone[uid] = None
        if len(self._gone) > _REMEMBERED_DEATHS:
            del self._gone[next(iter(self._gone))]


def _unreadable(resource: ResourceType, raw: dict[str, Any], error: ValidationError) -> Unreadable:
    fields = sorted({".".join(str(part) for part in e["loc"]) for e in error.errors(include_input=False)})
    metadata = ObjectMeta.model_validate(raw["metadata"])
    try:
        account = AccountReference.model_validate(raw["spec"]["accountRef"]).name
    except (ValidationError, KeyError, TypeError):
        account = ""
    spec = raw.get("spec")
    orphan = isinstance(spec, dict) and spec.get("deletionPolicy") == "Orphan"
    try:
        status = OpaqueStatus.model_validate(raw.get("status", {}))
    except ValidationError:
        status = OpaqueStatus()
    problem = f"{', '.join(fields)}: not as this version of the operator expects"
    return Unreadable(resource, metadata, problem, account, status, orphan)


def _account_of_reference(o: Interlink | InternalNumber | DialPlanSlice) -> Iterable[ObjectKey]:
    return (ObjectKey(o.key.namespace, o.spec.account_ref.name),)


def _server_of_number(number: InternalNumber) -> Iterable[ObjectKey]:
    server = server_of(number)
    return (ObjectKey(number.key.namespace, server),) if server is not None else ()


def _account_of_server(server: CommServer) -> Iterable[ObjectKey]:
    account = server.spec.account_ref
    return (ObjectKey(server.key.namespace, account.name),) if account is not None else ()


def _key_of_status(link: Interlink) -> Iterable[str]:
    return (link.status.key_id,) if link.status.key_id else ()


def _secret_of_user(link: Interlink) -> Iterable[ObjectKey]:
    reference = key_reference(link)
    return (ObjectKey(link.key.namespace, reference.name),) if reference else ()


def _places_of_record(record: LinkRecord) -> Iterable[ObjectKey]:
    return places_of(record.spec)


def _accounts_of_record(record: LinkRecord) -> Iterable[ObjectKey]:
    return accounts_of(record.spec)


def _namespace_of_record(record: LinkRecord) -> Iterable[str]:
    issuer = interlink_of(record.spec, "issuer")
    return (issuer.namespace,) if issuer is not None else ()


def _pair_of_record(record: LinkRecord) -> Iterable[frozenset[Party]]:
    pair = pair_of(record.spec)
    return (pair,) if pair is not None and record.spec.state == "Established" else ()


def _peer_of_record(record: LinkRecord) -> Iterable[str]:
    peer = peer_instance(record.spec)
    return (peer,) if peer is not None else ()


def _key_of_record(record: LinkRecord) -> Iterable[str]:
    return (record.spec.key_id,)


def _prefix_of_link(link: Interlink) -> Iterable[tuple[ObjectKey, str]]:
    prefix = link.spec.dial_prefix
    return ((ObjectKey(link.key.namespace, link.spec.account_ref.name), prefix),) if prefix else ()


def _interlink_of_offer(part: DialPlanSlice) -> Iterable[ObjectKey]:
    source = part.spec.source
    return (ObjectKey(part.key.namespace, source.interlink),) if source.type == "Offer" and source.interlink else ()


def _owner_by_name(part: DialPlanSlice) -> Iterable[ObjectKey]:
    return (ObjectKey(part.key.namespace, owner_of(part.metadata.name).name),)


class Store:
    """The tables of our kinds."""

    def __init__(self, domain_suffix: str, holds: Callable[[LinkRecord], bool] = _everything) -> None:
        """`holds` tells whether a record is this installation's."""
        self.domain_suffix = domain_suffix
        """The domain below which accounts without an own SIP domain get theirs."""
        self.accounts = Table(PBXAccount, domain=self.domains_of, customer=claimed_customers)
        self.interlinks = Table(
            Interlink, account=_account_of_reference, key=_key_of_status, secret=_secret_of_user, prefix=_prefix_of_link
        )
        self.numbers = Table(InternalNumber, account=_account_of_reference, server=_server_of_number)
        self.servers = Table(CommServer, account=_account_of_server, equipment=equipment_of)
        self.records = Table(
            LinkRecord,
            holds,
            interlink=_places_of_record,
            account=_accounts_of_record,
            namespace=_namespace_of_record,
            pair=_pair_of_record,
            peer=_peer_of_record,
            key=_key_of_record,
        )
        self.equipment = Table(EquipmentRecord)
        self.slices = Table(
            DialPlanSlice, account=_account_of_reference, offer=_interlink_of_offer, owner=_owner_by_name
        )
        self.tables: dict[str, Table[Any]] = {
            table.model.resource.plural: table
            for table in (
                self.accounts,
                self.interlinks,
                self.numbers,
                self.servers,
                self.records,
                self.equipment,
                self.slices,
            )
        }

    def domains_of(self, account: PBXAccount) -> set[str]:
        """Return the SIP domains that an account wants or shows."""
        shown = account.status.sip_domain
        return {wanted_domain(account, self.domain_suffix), *([shown] if shown is not None else [])}
