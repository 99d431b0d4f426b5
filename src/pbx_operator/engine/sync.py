"""Where the Store's content comes from before and beside the watches: own lists.

Nothing is planned before all kinds were listed once, since what is missing would look deleted.  The same lists,
metadata only, find every few minutes what the watches missed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from pbx_operator.api.crd import missing_fields, root_schema
from pbx_operator.api.meta import API_VERSION, GROUP, ObjectKey, ObjectMeta, ResourceType
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.cluster import Cluster, Gone
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.store import Store

PRUNE_SECONDS = 600.0
LAG_SECONDS = 5.0
"""What a watch may take to tell of a change; only what it has not told by then is missed."""

_log = logging.getLogger(__name__)


class TimeWentBackError(RuntimeError):
    """The API server shows an older state than before: etcd was restored, and what we know is not true any more."""


async def require_definitions(cluster: Cluster) -> None:
    """Do nothing if every kind is served with all of its fields: what is written into an unknown one would be lost.

    Raises ValueError, which names the CRDs and fields that are missing and what to do, and ApiError.
    """
    served, schemas = await cluster.served(API_VERSION), await cluster.schemas(API_VERSION)
    missing = []
    for kind in KINDS:
        name, schema = f"{kind.resource.plural}.{GROUP}", schemas.get(kind.resource.kind)
        if kind.resource.plural not in served or schema is None:
            missing.append(name)
        elif fields := missing_fields(root_schema(kind), schema):
            missing.append(f"{', '.join(fields)} of {name}")
    if missing:
        step = "install them: kubectl apply --server-side -f crds/"
        raise ValueError(f"missing or too old: {', '.join(missing)}; {step}")


async def load(cluster: Cluster, intake: Intake, namespaces: Collection[str]) -> None:
    """List all kinds into the Store. Raises ApiError."""
    for kind in KINDS:
        count = 0
        for namespace in places(kind.resource, namespaces):
            listing = await cluster.list(kind.resource, namespace)
            for raw in listing.items:
                intake.saw(kind.resource, raw)
            count += len(listing.items)
        _log.info("listed %d objects", count, extra={"kind": kind.resource.kind})


def places(resource: ResourceType, namespaces: Collection[str]) -> list[str]:
    """Return the namespaces in which a kind is listed; the empty one stands for all, or for none at all."""
    return sorted(namespaces) if resource.namespaced and namespaces else [""]


class _Suspect(NamedTuple):
    """An object of which a list tells something else than the Store."""

    resource: ResourceType
    key: ObjectKey
    uid: str
    version: int | None
    """What the list had; None if it did not have the object."""


@dataclass(slots=True)
class Pruner:
    """Compares the Store with metadata lists, and knows how far behind the watches are."""

    cluster: Cluster
    store: Store
    intake: Intake
    namespaces: Collection[str]
    """The namespaces that are watched; none means all."""
    lagging: int = 0
    """How many rounds in a row found an object that the watches had not brought."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def round(self, *, began: bool = False) -> None:
        """Mend what the watches missed; if they `began` just now, to have missed something is no fault of theirs.

        Otherwise they are given the time to tell of what was written just now.  Raises TimeWentBackError if a list is
        older than what was seen before, ApiError if the API server fails.
        """
        suspects = [suspect for kind in KINDS for suspect in await self._suspects(kind.resource)]
        if suspects and not began:
            await self.sleep(LAG_SECONDS)
        missed = 0
        for suspect in suspects:
            if self._is_missed(suspect):
                missed += 1
                await self._mend(suspect)
        self.lagging = self.lagging + 1 if missed and not began else 0
        if missed:
            level = logging.INFO if began else logging.WARNING
            _log.log(level, "the watches had missed %d changes; mended", missed)

    async def _suspects(self, resource: ResourceType) -> list[_Suspect]:
        table = self.store.tables[resource.plural]
        known, listed = table.metadata(), await self._listed(resource, table.resource_version)
        absent = [_Suspect(resource, key, m.uid, None) for key, m in known.items() if m.uid not in listed]
        present = [
            _Suspect(resource, ObjectKey(m.namespace, m.name), m.uid, int(m.resource_version)) for m in listed.values()
        ]
        return [suspect for suspect in (*absent, *present) if self._is_missed(suspect)]

    def _is_missed(self, suspect: _Suspect) -> bool:
        """Whether the Store is still behind what the list had."""
        table = self.store.tables[suspect.resource.plural]
        if suspect.version is not None:
            return not table.knows(suspect.key, suspect.uid, suspect.version)
        current = table.metadata_of(suspect.key)
        return current is not None and current.uid == suspect.uid

    async def _mend(self, suspect: _Suspect) -> None:
        if suspect.version is None:
            self.intake.deleted(suspect.resource, suspect.key, suspect.uid)
        else:
            await self._fetch(suspect.resource, suspect.key)

    async def _listed(self, resource: ResourceType, seen: int) -> dict[str, ObjectMeta]:
        """Return the metadata of all objects by UID; no list may be older than what was `seen`."""
        listed: dict[str, ObjectMeta] = {}
        for namespace in places(resource, self.namespaces):
            listing = await self.cluster.list(resource, namespace, metadata_only=True)
            if int(listing.resource_version) < seen:
                now = listing.resource_version
                raise TimeWentBackError(f"{resource.plural} were at {seen} and are listed at {now}")
            listed |= {m.uid: m for m in (ObjectMeta.model_validate(item["metadata"]) for item in listing.items)}
        return listed

    async def _fetch(self, resource: ResourceType, key: ObjectKey) -> None:
        try:
            self.intake.saw(resource, await self.cluster.get(resource, key))
        except Gone:
            self.intake.missed(resource, key)
