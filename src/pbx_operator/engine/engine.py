"""The engine as a whole: its parts put together, started, fed and drained."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from pbx_operator.api.meta import ObjectKey, ObjectMeta, ResourceType
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.links.facts import ClusterFacts
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.activation_secrets import address_entries
from pbx_operator.engine.conversations import Conversations
from pbx_operator.engine.customers import CustomerProviders, CustomerWork
from pbx_operator.engine.elsewhere import Elsewhere
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.events import EventRecorder
from pbx_operator.engine.executor import Executor
from pbx_operator.engine.identity import IDENTITY_SECRET, Identity, IdentityKeeper
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.issuing import KeyWork
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.metrics import Metrics
from pbx_operator.engine.planning import Planner
from pbx_operator.engine.queue import WorkQueue
from pbx_operator.engine.servers import Providers, ServerWork
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.state_metrics import StateMetrics
from pbx_operator.engine.steps import StepRunner
from pbx_operator.engine.store import Store
from pbx_operator.engine.sync import PRUNE_SECONDS, Pruner, load
from pbx_operator.engine.tables import Observation
from pbx_operator.engine.worker import Clocks, Worker
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import Peer
from pbx_operator.links.records import RecordDesk
from pbx_operator.links.signs import SignsOfLife

COMPARE_AGAIN_SECONDS = 30.0
"""After a comparison with the API server's lists that failed."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What an administrator decides about the engine."""

    namespace: str = "pbx-system"
    """Where the operator keeps its identity."""
    domain_suffix: str = "pbx.local"
    """The domain below which accounts without an own SIP domain get theirs."""
    workers: int = 16
    restoring_until: datetime | None = None
    """A backup is being restored: leave records alone until then."""
    namespaces: frozenset[str] = frozenset()
    """The namespaces to watch; none means all."""


@dataclass(frozen=True, slots=True)
class Federation:
    """How this installation speaks with others."""

    peer: Peer
    """Asks them."""
    contact: Contact
    """Where they reach ours, if at all."""
    interval: float
    """Seconds between two syncs with an installation where nothing changes."""


class Engine:
    """Watching goes in by `feed`; planning and acting happen in `run`."""

    def __init__(
        self,
        cluster: Cluster,
        identity: Identity,
        settings: EngineSettings,
        clocks: Clocks,
        registry: CollectorRegistry,
        federation: Federation,
        providers: Providers,
        customers: CustomerProviders,
    ) -> None:
        self._cluster = cluster
        self._identity = identity
        self._settings = settings
        self._clocks = clocks
        self._federation = federation
        self._address = address_entries(identity.instance, federation.contact)
        scope = Scope(identity.instance, settings.namespaces)
        self._store = Store(settings.domain_suffix, scope)
        self._memory = Memory()
        metrics = Metrics(registry, settings.workers)
        self._queue: WorkQueue[WorkKey] = WorkQueue(clocks.monotonic, metrics.waiting)
        self._events = EventRecorder(cluster, identity.instance, clocks.now)
        self._intake = Intake(self._store, self._queue, self._memory, self._observe)
        self._pruner = Pruner(cluster, self._store, self._intake, settings.namespaces)
        self._compare = asyncio.Event()
        facts = _facts(identity, settings, clocks.now(), reachable=bool(self._address))
        self._snapshots = Snapshots(self._store, self._memory, facts, clocks.now)
        self._keeper = IdentityKeeper(cluster, settings.namespace, identity, self._identity_changed)
        authority = Authority(cluster, identity.instance, self._snapshots, clocks.now, self._intake)
        signs = SignsOfLife(cluster, settings.namespace, clocks.now)
        self._conversations = self._converse(authority, signs)
        self.desk = RecordDesk(authority, identity, federation.contact, signs)
        """Answers other installations."""
        self._errands = Errands(settings.workers)
        executor = self._carry_out(authority, providers, customers)
        planner = Planner(self._store, self._snapshots, scope)
        registry.register(StateMetrics(self._store, self._memory, identity, planner.left))
        self._worker = Worker(self._queue, planner.plan, executor, self._memory, clocks, metrics)

    def _converse(self, authority: Authority, signs: SignsOfLife) -> Conversations:
        """Return what speaks with other installations about links that exist."""
        return Conversations(
            self._store,
            authority,
            self._federation.peer,
            self._federation.contact,
            self._clocks.now,
            self._federation.interval,
            self._keeper,
            self._intake.found_out,
            signs.is_silent,
        )

    def _carry_out(self, authority: Authority, providers: Providers, customers: CustomerProviders) -> Executor:
        """Return what carries out plans: at the API server, at other installations, and at providers."""
        cluster, identity, now, errands = self._cluster, self._identity, self._clocks.now, self._errands
        store, intake, memory, events = self._store, self._intake, self._memory, self._events
        contact = self._federation.contact
        elsewhere = Elsewhere(cluster, authority, identity, intake, now, self._federation.peer)
        keys = KeyWork(cluster, authority, identity, intake, memory, now, contact, elsewhere, errands)
        runner = StepRunner(memory, now, self._clocks.monotonic, errands)
        workers = self._settings.workers
        servers = ServerWork(cluster, providers, store, intake, memory, now, runner, events, self._address, workers)
        steps = (servers, CustomerWork(customers, store, intake, memory, now, runner, events))
        return Executor(cluster, store, intake, authority, keys, events, *steps)

    async def load(self) -> None:
        """List everything; must be complete before `run`. Raises ApiError."""
        await load(self._cluster, self._intake, self._settings.namespaces)

    def feed(self, resource: ResourceType, change: str | None, raw: dict[str, Any]) -> None:
        """Take one watch event; `change` is its type, None for an entry of the watch's own first list."""
        if change == "DELETED":
            metadata = ObjectMeta.model_validate(raw["metadata"])
            self._intake.deleted(resource, ObjectKey(metadata.namespace, metadata.name), metadata.uid)
        else:
            self._intake.saw(resource, raw)

    async def run(self) -> None:
        """Work until cancelled. Raises TimeWentBackError if etcd was restored under our feet."""
        self._intake.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(self._settings.workers):
                    tasks.create_task(self._worker.run())
                tasks.create_task(self._events.run())
                tasks.create_task(self._conversations.run())
                tasks.create_task(self._prune())
                tasks.create_task(self._keeper.run())
        finally:
            await self._errands.end()

    def _observe(self, observation: Observation) -> None:
        self._events.observed(observation)
        self._conversations.observed(observation)

    async def drain(self, seconds: float) -> None:
        """Hand out no more work, and wait for what is in work to end, at most so long."""
        self._queue.close()
        try:
            async with asyncio.timeout(seconds):
                await self._queue.finished()
        except TimeoutError:
            return

    def compare(self) -> None:
        """Find soon what the watches did not bring: call it when they began anew."""
        self._compare.set()

    @property
    def lagging(self) -> bool:
        """Whether the watches have been found behind twice in a row."""
        return self._pruner.lagging >= 2

    def _identity_changed(self) -> None:
        """Plan all anew with an identity that is back, or that an administrator says may be used in this cluster."""
        self._snapshots.know_identity(confirmed=self._identity.confirmed)
        self._intake.open()

    async def _prune(self) -> None:
        pause = PRUNE_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._compare.wait()
            began = self._compare.is_set()
            self._compare.clear()
            try:
                await self._pruner.round(began=began)
                pause = PRUNE_SECONDS
            except ApiError as error:
                pause = min(COMPARE_AGAIN_SECONDS, PRUNE_SECONDS)
                _log.warning("what the watches missed cannot be found: %s; next try in %.0f s", error, pause)


def _facts(identity: Identity, settings: EngineSettings, now: datetime, *, reachable: bool) -> ClusterFacts:
    return ClusterFacts(
        identity.instance,
        confirmed=identity.confirmed,
        identity_lost=identity.key is None,
        identity=ObjectKey(settings.namespace, IDENTITY_SECRET),
        started=now,
        restoring_until=settings.restoring_until,
        reachable=reachable,
    )
