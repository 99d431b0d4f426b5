"""Carries out plans: one small handler per action, and the one writer of statuses.

Handlers let ApiError pass; the worker knows when to try again.  Whatever the API server answers goes to the
intake, so that the next plan starts from it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any, Protocol

from pbx_operator.api.meta import TEARDOWN_FINALIZER, Condition, ObjectKey, ResourceType
from pbx_operator.api.provider_reasons import LEFT_AT_PROVIDER
from pbx_operator.api.reasons import Verdict
from pbx_operator.api.v1alpha1 import DialPlanSlice
from pbx_operator.cluster import AlreadyExists, Cluster, Conflict, Gone, Unavailable
from pbx_operator.domain.customers.facts import CustomerStepName
from pbx_operator.domain.links.ready import gone_with_peer
from pbx_operator.domain.plan import (
    Action,
    AddFinalizer,
    ChangeRecord,
    CustomerStep,
    DeleteInterlink,
    DeleteSlice,
    DeleteSpentSecret,
    IssueOwnKey,
    MintKey,
    PurgeRecord,
    ReadKey,
    Redeem,
    RemoveFinalizer,
    ServerStep,
    StatusUpdate,
    Target,
    TellOrphan,
    TellPeer,
    WriteSlice,
    target_of,
)
from pbx_operator.domain.servers.facts import StepName
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.issuing import KeyWork
from pbx_operator.engine.steps import Happenings
from pbx_operator.engine.store import Store
from pbx_operator.links.authority import Authority


class Recorder(Happenings, Protocol):
    """Whoever tells people of statuses, too."""

    def status_written(self, update: StatusUpdate, before: Iterable[Condition]) -> None:
        """Take note of a status that is shown from now on, in place of one with the conditions `before`."""

    def warn(self, target: Target, verdict: Verdict) -> None:
        """Take note of what no status will show, since the object goes."""


class Servers(Protocol):
    """Whoever carries out the steps of CommServers."""

    async def begin(self, key: ObjectKey, step: StepName) -> None:
        """Begin a step."""


class Customers(Protocol):
    """Whoever carries out the steps of customers."""

    async def begin(self, account: ObjectKey, step: CustomerStepName) -> None:
        """Begin a step."""


class Executor:
    """Does what a plan says."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        intake: Intake,
        authority: Authority,
        keys: KeyWork,
        recorder: Recorder,
        servers: Servers,
        customers: Customers,
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._intake = intake
        self._authority = authority
        self._keys = keys
        self._recorder = recorder
        self._servers = servers
        self._customers = customers
        self._doubtful: set[Target] = set()

    async def settle_doubts(self) -> None:
        """Read again what a write may or may not have changed, before any key is planned. Raises ApiError.

        Not only before the key that wrote: its status may show a SIP domain by now, for example, and a rival whose plan
        does not know of that would show it, too (see `domain/claims`).
        """
        while self._doubtful:
            target = next(iter(self._doubtful))
            await self._refresh(target)
            self._doubtful.discard(target)

    async def execute(self, action: Action) -> None:
        """Carry out one action. Raises ApiError."""
        match action:
            case AddFinalizer(target) | RemoveFinalizer(target):
                await self._finalizers(target, add=isinstance(action, AddFinalizer))
            case TellOrphan(target, left, next_step):
                self._recorder.happened(target, LEFT_AT_PROVIDER, left=left, next_step=next_step)
            case ChangeRecord(record, change):
                await self._authority.change(record, change)
            case TellPeer(record, told):
                await self._authority.tell(record, told)
            case DeleteSlice(target) | PurgeRecord(target):
                await self._delete(target)
            case DeleteInterlink(target):
                if await self._delete(target):
                    self._recorder.warn(target, gone_with_peer())
            case WriteSlice(slice_):
                await self._write_slice(slice_)
            case ServerStep(server, server_step):
                await self._servers.begin(server, server_step)
            case CustomerStep(account, customer_step):
                await self._customers.begin(account, customer_step)
            case ReadKey() | MintKey() | IssueOwnKey() | Redeem() | DeleteSpentSecret():
                await self._key_work(action)

    async def _key_work(self, action: ReadKey | MintKey | IssueOwnKey | Redeem | DeleteSpentSecret) -> None:
        if isinstance(action, DeleteSpentSecret):
            await self._keys.sweep(action.secret, action.owner_uid, action.key_id)
            return
        link = self._store.interlinks.get(action.interlink)
        if link is None:
            return
        match action:
            case ReadKey(_, reference):
                await self._keys.look(link, reference)
            case MintKey():
                await self._keys.mint(link)
            case IssueOwnKey():
                await self._keys.issue_own(link)
            case Redeem(_, basis):
                await self._keys.redeem(link, basis)

    async def write_status(self, update: StatusUpdate) -> bool:
        """Show a status unless it is shown already; return whether anything was written. Raises ApiError."""
        target, status = update.target, update.status
        table = self._store.tables[target.resource.plural]
        metadata, before = table.metadata_of(target.key), table.status_of(target.key)
        if metadata is None or metadata.uid != target.uid or before == status:
            return False
        body = _reference(target.resource, target.key, metadata.resource_version)
        call = self._cluster.put_status(target.resource, {**body, "status": status.to_json()})
        if not await self._guarded(target, call):
            return False
        self._recorder.status_written(update, before.conditions if before is not None else ())
        return True

    async def _finalizers(self, target: Target, *, add: bool) -> None:
        metadata = self._store.tables[target.resource.plural].metadata_of(target.key)
        if metadata is None or metadata.uid != target.uid or add == (TEARDOWN_FINALIZER in metadata.finalizers):
            return
        others = [f for f in metadata.finalizers if f != TEARDOWN_FINALIZER]
        patch = {
            "metadata": {
                "resourceVersion": metadata.resource_version,
                "finalizers": [*others, TEARDOWN_FINALIZER] if add else others,
            }
        }
        await self._guarded(target, self._cluster.patch(target.resource, target.key, patch))

    async def _guarded(self, target: Target, call: Awaitable[dict[str, Any]]) -> bool:
        """Await a write that names the version it rests on, and return whether the object was there to be written.

        If that version is outdated, the object is looked at again before the next plan.
        """
        try:
            raw = await call
        except Conflict:
            await self._refresh(target)
            raise
        except Unavailable:
            self._doubtful.add(target)
            raise
        except Gone:
            self._intake.deleted(target.resource, target.key, target.uid)
            return False
        metadata = raw["metadata"]
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            self._intake.deleted(target.resource, target.key, metadata["uid"])
        else:
            self._intake.saw(target.resource, raw)
        return True

    async def _refresh(self, target: Target) -> None:
        try:
            self._intake.saw(target.resource, await self._cluster.get(target.resource, target.key))
        except Gone:
            self._intake.missed(target.resource, target.key)

    async def _delete(self, target: Target) -> bool:
        """Delete an object in this life only, and return whether it was there; if it is held, a watch tells its end."""
        try:
            held = await self._cluster.delete(target.resource, target.key, uid=target.uid)
        except (Gone, Conflict):
            await self._refresh(target)
            return False
        if held is None:
            self._intake.deleted(target.resource, target.key, target.uid)
        else:
            self._intake.saw(target.resource, held)
        return True

    async def _write_slice(self, slice_: DialPlanSlice) -> None:
        resource, target = DialPlanSlice.resource, target_of(slice_)
        body = _slice_body(slice_)
        if target.uid:
            await self._guarded(target, self._cluster.put(resource, body))
            return
        try:
            self._intake.saw(resource, await self._cluster.create(resource, body))
        except AlreadyExists:
            await self._refresh(target)


def _reference(resource: ResourceType, key: ObjectKey, version: str) -> dict[str, Any]:
    metadata = {"name": key.name, "namespace": key.namespace, "resourceVersion": version}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def _slice_body(slice_: DialPlanSlice) -> dict[str, Any]:
    metadata = slice_.metadata
    body = _reference(DialPlanSlice.resource, slice_.key, metadata.resource_version)
    if not metadata.uid:
        del body["metadata"]["resourceVersion"]
    owners = [{**o.to_json(), "controller": True, "blockOwnerDeletion": False} for o in metadata.owner_references]
    body["metadata"]["ownerReferences"] = owners
    return {**body, "spec": slice_.spec.to_json()}
