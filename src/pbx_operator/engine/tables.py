"""Tables of objects: what was seen of one kind, with lookups by index.

An object is taken only if it is newer than what is known of it, and never again after its deletion was seen, so a late
event or response cannot bring anything back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from pbx_operator.api.meta import ObjectKey, ObjectMeta, Resource, ResourceType
from pbx_operator.api.v1alpha1.shared import AccountReference, Status
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


class Table(Generic[R]):
    """All objects of one kind, with lookups by index."""

    def __init__(self, model: type[R], **indexes: IndexFunction) -> None:
        self.model = model
        self.resource_version = 0
        """The newest resourceVersion seen of this kind."""
        self._objects: dict[ObjectKey, R] = {}
        self._unreadable: dict[ObjectKey, Unreadable] = {}
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
        """Return the metadata of every object, readable or not."""
        readable = {key: o.metadata for key, o in self._objects.items()}
        return readable | {key: o.metadata for key, o in self._unreadable.items()}

    def metadata_of(self, key: ObjectKey) -> ObjectMeta | None:
        """Return the metadata of the object at a place, readable or not."""
        found = self.find(key)
        return found.metadata if found is not None else None

    def knows(self, key: ObjectKey, uid: str, version: int) -> bool:
        """Whether this version of an object was seen, or a later one, or its end."""
        known = self.metadata_of(key)
        return uid in self._gone or (known is not None and version <= int(known.resource_version))

    def put(self, raw: dict[str, Any]) -> Observation | None:
        """Take an object; return what changed, or None if it was no news.

        Most of what comes in is the echo of our own writes, so an object is parsed only if it is news.
        """
        metadata = raw["metadata"]
        key, uid = ObjectKey(metadata.get("namespace", ""), metadata["name"]), metadata["uid"]
        version = int(metadata["resourceVersion"])
        self.resource_version = max(self.resource_version, version)
        if self.knows(key, uid, version):
            return None
        known = self.metadata_of(key)
        if known is not None and known.uid != uid:
            self._bury(known.uid)
        return self.take(self._parse(raw))

    def take(self, new: R | Unreadable) -> Observation:
        """Take an object that is news; return what changed."""
        old = self.find(new.key)
        self._replace(new.key, old, new)
        return Observation(old, new)

    def remove(self, key: ObjectKey, uid: str) -> Observation | None:
        """Forget an object whose deletion was seen; return what changed."""
        self._bury(uid)
        return self.forget(key, uid)

    def forget(self, key: ObjectKey, uid: str) -> Observation | None:
        """Forget an object that could not be found; a later event may still show it."""
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


class SharedTable(Table[R]):
    """All objects of a kind that the installations of a cluster share: ours, and beside them those of others."""

    def __init__(self, model: type[R], holds: Callable[[R], bool], others: Table[R], **indexes: IndexFunction) -> None:
        """`holds` tells whether an object is ours."""
        super().__init__(model, **indexes)
        self._holds = holds
        self.others = others

    def metadata(self) -> dict[ObjectKey, ObjectMeta]:
        """Return the metadata of every object, readable or not, ours or not."""
        return super().metadata() | self.others.metadata()

    def metadata_of(self, key: ObjectKey) -> ObjectMeta | None:
        """Return the metadata of the object at a place, readable or not, ours or not."""
        return super().metadata_of(key) or self.others.metadata_of(key)

    def put(self, raw: dict[str, Any]) -> Observation | None:
        """Take an object; return what changed of ours, or None if that is nothing."""
        observation = super().put(raw)
        if observation is None:
            return None
        old, new = observation.old, observation.new
        if isinstance(new, self.model) and not self._holds(new):
            self._replace(new.key, new, None)
            self.others.take(new)
            return Observation(old, None) if old is not None else None
        if new is not None:
            self.others.forget(new.key, new.metadata.uid)
        return observation

    def forget(self, key: ObjectKey, uid: str) -> Observation | None:
        """Forget an object that could not be found; a later event may still show it."""
        self.others.forget(key, uid)
        return super().forget(key, uid)


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
