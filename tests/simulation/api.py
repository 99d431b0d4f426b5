"""A simulated API server: what the operator relies on, and nothing else.

Objects have UIDs and resourceVersions; writes are conditional on them; deletion waits for finalizers; what is owned
by an object that is gone is collected; every change is an event.  LinkRecords are held to the rules of their CRD.
Stored objects are never changed in place, so they can be handed out as they are.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pbx_operator.api.meta import SECRETS, ObjectKey, ResourceType, format_time
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.cluster import AlreadyExists, Conflict, Gone, Invalid, Listing
from record_rules import unlawful

JSON = dict[str, Any]
Place = tuple[str, ObjectKey]


@dataclass(frozen=True, slots=True)
class Event:
    """One change, as a watch tells of it."""

    resource: ResourceType
    change: str
    raw: JSON


Observer = Callable[[ResourceType, JSON | None, JSON | None], None]


@dataclass(slots=True)
class Api:
    """The objects of a cluster; `observer` sees every change, old and new."""

    clock: Callable[[], datetime]
    observer: Observer
    objects: dict[Place, JSON] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    """All changes of each kind, by its plural, in order."""
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _uids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def find(self, resource: ResourceType, key: ObjectKey) -> JSON | None:
        """Return an object, or None."""
        return self.objects.get((resource.plural, key))

    def all(self, resource: ResourceType) -> list[JSON]:
        """Return all objects of a kind."""
        return [raw for (plural, _), raw in self.objects.items() if plural == resource.plural]

    def list(self, resource: ResourceType) -> Listing:
        """Return all objects of a kind, as a list call does."""
        return Listing(self.all(resource), str(next(self._versions)))

    def get(self, resource: ResourceType, key: ObjectKey) -> JSON:
        """Return an object. Raises Gone."""
        raw = self.find(resource, key)
        if raw is None:
            raise Gone(f"{resource.plural} {key} not found", status=404)
        return raw

    def create(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        """Create an object. Raises AlreadyExists."""
        key = _key_of(body)
        if self.find(resource, key) is not None:
            raise AlreadyExists(f"{resource.plural} {key} already exists", status=409)
        metadata = {
            **body["metadata"],
            "uid": f"{resource.kind.lower()}-{key.name}-{next(self._uids)}",
            "generation": 1,
            "creationTimestamp": format_time(self.clock()),
        }
        return self._store(resource, key, {**body, "metadata": metadata})

    def put(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        """Replace a spec. Raises Gone, Conflict."""
        old = self._current(resource, _key_of(body), body["metadata"])
        return self._update(resource, old, spec=body["spec"])

    def put_status(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        """Replace a status. Raises Gone, Conflict."""
        old = self._current(resource, _key_of(body), body["metadata"])
        return self._update(resource, old, status=body["status"])

    def put_finalizers(self, resource: ResourceType, key: ObjectKey, patch: Mapping[str, Any]) -> JSON:
        """Replace the finalizers; the last one lets a deleted object go. Raises Gone, Conflict."""
        old = self._current(resource, key, patch["metadata"])
        finalizers = patch["metadata"]["finalizers"]
        if "deletionTimestamp" in old["metadata"] and not finalizers:
            return self._remove(resource, key, {**old, "metadata": {**old["metadata"], "finalizers": []}})
        return self._update(resource, old, metadata={**old["metadata"], "finalizers": finalizers})

    def delete(self, resource: ResourceType, key: ObjectKey, uid: str | None = None) -> JSON | None:
        """Delete an object, or mark and return it while it has finalizers. Raises Gone, Conflict."""
        old = self.get(resource, key)
        if uid is not None and uid != old["metadata"]["uid"]:
            raise Conflict(f"{resource.plural} {key} has another uid", status=409)
        if not old["metadata"].get("finalizers"):
            self._remove(resource, key, old)
            return None
        metadata = {"deletionTimestamp": format_time(self.clock()), **old["metadata"]}
        return self._update(resource, old, metadata=metadata)

    def edit(self, resource: ResourceType, key: ObjectKey, **spec: Any) -> JSON:
        """Change fields of a spec as a user does."""
        old = self.get(resource, key)
        return self._update(resource, old, spec={**old["spec"], **spec})

    def garbage(self) -> Sequence[ObjectKey]:
        """Return the Secrets whose owners are all gone."""
        living = {raw["metadata"]["uid"] for raw in self.objects.values()}
        return [
            _key_of(raw)
            for raw in self.all(SECRETS)
            if (owners := raw["metadata"].get("ownerReferences")) and not any(o["uid"] in living for o in owners)
        ]

    def _current(self, resource: ResourceType, key: ObjectKey, demanded: Mapping[str, Any]) -> JSON:
        old = self.get(resource, key)
        if demanded["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise Conflict(f"{resource.plural} {key} was changed meanwhile", status=409)
        return old

    def _update(self, resource: ResourceType, old: JSON, **parts: JSON) -> JSON:
        new = {**old, **parts}
        if new == old:
            return old
        if "spec" in parts:
            new["metadata"] = {**new["metadata"], "generation": old["metadata"]["generation"] + 1}
        return self._store(resource, _key_of(old), new)

    def _store(self, resource: ResourceType, key: ObjectKey, new: JSON) -> JSON:
        old = self.find(resource, key)
        if resource is LinkRecord.resource:
            _admit(old, new)
        new = {**new, "metadata": {**new["metadata"], "resourceVersion": str(next(self._versions))}}
        self.objects[resource.plural, key] = new
        self.events[resource.plural].append(Event(resource, "MODIFIED" if old else "ADDED", new))
        self.observer(resource, old, new)
        return new

    def _remove(self, resource: ResourceType, key: ObjectKey, last: JSON) -> JSON:
        last = {**last, "metadata": {**last["metadata"], "resourceVersion": str(next(self._versions))}}
        del self.objects[resource.plural, key]
        self.events[resource.plural].append(Event(resource, "DELETED", last))
        self.observer(resource, last, None)
        return last


def _key_of(raw: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(raw["metadata"].get("namespace", ""), raw["metadata"]["name"])


def _admit(old: JSON | None, new: JSON) -> None:
    before = LinkRecordSpec.model_validate(old["spec"]) if old else None
    broken = unlawful(before, LinkRecordSpec.model_validate(new["spec"]))
    if broken:
        raise Invalid(f"LinkRecord {new['metadata']['name']}: {', '.join(broken)}", status=422)
