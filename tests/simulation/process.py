"""One process of the operator, driven by hand.

The engine's own parts are put together as in `engine.Engine`; only the API server is simulated, and every call to
it stops the caller until somebody lets the call arrive and its answer return.  No event loop runs, so all that is
left to chance is the order of these steps, and that is the test's to choose.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn

from prometheus_client import CollectorRegistry

from builders import NOW
from pbx_operator.api.conditions import Reason
from pbx_operator.api.meta import Condition, ObjectKey, ObjectMeta, ResourceType
from pbx_operator.api.reasons import Verdict
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.cluster import ApiError, Cluster, Listing, Unavailable
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.links.facts import ClusterFacts
from pbx_operator.domain.plan import StatusUpdate, Target
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.customers import CustomerProviders, CustomerWork
from pbx_operator.engine.elsewhere import Elsewhere
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.executor import Customers, Executor, Servers
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.issuing import KeyWork
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.metrics import Metrics
from pbx_operator.engine.planning import Planner
from pbx_operator.engine.queue import WorkQueue
from pbx_operator.engine.servers import Providers, ServerWork
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.steps import StepRunner
from pbx_operator.engine.store import Store
from pbx_operator.engine.sync import load
from pbx_operator.engine.tables import Observation
from pbx_operator.engine.worker import Clocks, Worker
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import AnswerT, Draft, Peer, PeerUnavailable
from pbx_operator.providers.errors import ProviderError
from simulation.api import JSON, Api

WORKERS = 3
ADDRESS = {"instance": "here", "endpoint": "https://pbx.example:8443", "pin": "sha256:pin"}
"""What a box is told of the exchange."""


@dataclass(eq=False, slots=True)
class Request:
    """A call on its way: it may arrive, its answer may return, both, or neither."""

    what: str
    writes: bool
    perform: Callable[[], Any]
    sent: datetime
    arrived: bool = False
    answer: Any = None
    error: ApiError | ProviderError | None = None

    def arrive(self) -> None:
        """Let the API server, or a provider, do what was asked."""
        self.arrived = True
        try:
            self.answer = self.perform()
        except (ApiError, ProviderError) as error:
            self.error = error

    def lose(self) -> None:
        """Let the caller wait in vain; whether the call arrived is another matter."""
        self.error = Unavailable(f"{self.what}: no answer")

    def __await__(self) -> Generator[Request, None, Any]:
        yield self
        if self.error is not None:
            raise self.error
        return self.answer


class Idle:
    """A worker waits for work."""

    def __await__(self) -> Generator[Idle, None, None]:
        yield self


class Wire(Cluster):
    """The way to the API server."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.written: list[str] = []
        """The writes that succeeded, in order."""

    async def get(self, resource: ResourceType, key: ObjectKey) -> JSON:
        return await self._read(f"GET {resource.plural} {key}", lambda: self._api.get(resource, key))

    async def list(self, resource: ResourceType, namespace: str = "", *, metadata_only: bool = False) -> Listing:
        perform = lambda: self._api.list(resource)  # noqa: E731
        listing: Listing = await Request(f"LIST {resource.plural}", False, perform, self._api.clock())
        return listing

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return await self._write(f"POST {resource.plural}", lambda: self._api.create(resource, body))

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return await self._write(f"PUT {resource.plural}", lambda: self._api.put(resource, body))

    async def put_status(self, resource: ResourceType, body: Mapping[str, Any]) -> JSON:
        return await self._write(f"PUT {resource.plural}/status", lambda: self._api.put_status(resource, body))

    async def patch(self, resource: ResourceType, key: ObjectKey, patch: Mapping[str, Any]) -> JSON:
        perform = lambda: self._api.put_finalizers(resource, key, patch)  # noqa: E731
        return await self._write(f"PATCH {resource.plural} {key}", perform)

    async def delete(
        self, resource: ResourceType, key: ObjectKey, *, uid: str | None = None, resource_version: str | None = None
    ) -> JSON | None:
        perform = lambda: self._api.delete(resource, key, uid)  # noqa: E731
        what = f"DELETE {resource.plural} {key}"
        held: JSON | None = await Request(what, True, perform, self._api.clock())
        self.written.append(what)
        return held

    async def _read(self, what: str, perform: Callable[[], JSON]) -> JSON:
        answer: JSON = await Request(what, False, perform, self._api.clock())
        return answer

    async def _write(self, what: str, perform: Callable[[], JSON]) -> JSON:
        answer: JSON = await Request(what, True, perform, self._api.clock())
        self.written.append(what)
        return answer


class Queue(WorkQueue[WorkKey]):
    """The work queue without an event loop.

    Unless it is about them, accounts are not worked on: the simulation looks after them.
    """

    def __init__(self, clock: Callable[[], float], *, accounts: bool = False) -> None:
        super().__init__(clock)
        self._accounts = accounts

    def add(self, key: WorkKey) -> None:
        if self._accounts or key.kind != "Account":
            super().add(key)

    async def get(self) -> tuple[WorkKey, float]:
        while not self.available():
            await Idle()
        return await super().get()

    def available(self) -> bool:
        """Whether a worker would find something to do."""
        return self._collect_due()

    def next_appointment(self) -> float | None:
        """Return when something becomes due, in seconds of the clock."""
        return min(self._due.values(), default=None)


@dataclass(eq=False, slots=True)
class Task:
    """A coroutine, and what it waits for."""

    coroutine: Coroutine[Any, Any, None]
    waiting: Request | Idle = field(default_factory=Idle)

    def resume(self) -> bool:
        """Go on until the next call; return whether there is one."""
        try:
            self.waiting = self.coroutine.send(None)
        except StopIteration:
            return False
        return True


class Silence:
    """Nobody is told of anything."""

    def status_written(self, update: StatusUpdate, before: Iterable[Condition]) -> None:
        """Ignore it: the status itself is looked at."""

    def warn(self, target: Target, verdict: Verdict) -> None:
        """Ignore it: that the object goes is seen."""

    def happened(self, target: Target, reason: Reason, **facts: object) -> None:
        """Ignore it: nothing depends on it."""


class Heard(Silence):
    """What only events tell."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def happened(self, target: Target, reason: Reason, **facts: object) -> None:
        """Take note of it."""
        self.messages.append(reason.message(**facts))


class NoSteps:
    """There are no CommServers, or no customers."""

    async def begin(self, key: ObjectKey, step: str) -> None:
        """Fail: nobody asked for one."""
        raise AssertionError(f"step '{step}' of {key}")


class NoPeer:
    """There is no other installation."""

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> NoReturn:
        raise PeerUnavailable


class InTurn(Errands):
    """There is no event loop, so whoever begins an errand waits for its end."""

    async def run(self, errand: Coroutine[None, None, None]) -> None:
        await errand


def ignore(observation: Observation) -> None:
    """Take no note of changes."""


class Process:
    """A process of the operator that is up and has listed everything."""

    def __init__(
        self,
        api: Api,
        identity: Identity,
        facts: ClusterFacts,
        now: Callable[[], datetime],
        peer: Peer,
        providers: Providers | None = None,
        customers: CustomerProviders | None = None,
        address: Mapping[str, str] = ADDRESS,
    ) -> None:
        facts, scope = replace(facts, reachable=bool(address)), Scope(identity.instance)
        clocks = Clocks(now, lambda: (now() - NOW).total_seconds())
        self.wire = wire = Wire(api)
        self.store, self.memory, self.queue = (
            Store("pbx.example", scope),
            Memory(),
            Queue(clocks.monotonic, accounts=customers is not None),
        )
        self.intake = Intake(self.store, self.queue, self.memory, ignore)
        self.snapshots = Snapshots(self.store, self.memory, facts, now)
        authority = Authority(wire, identity.instance, self.snapshots, now, self.intake)
        elsewhere = Elsewhere(wire, authority, identity, self.intake, now, peer)
        keys = KeyWork(
            wire, authority, identity, self.intake, self.memory, now, Contact(), elsewhere, InTurn(workers=1)
        )
        self.heard, runner = Heard(), StepRunner(self.memory, now, clocks.monotonic, InTurn(workers=1))
        servers: Servers = NoSteps()
        customer_work: Customers = NoSteps()
        if providers is not None:
            store, intake, memory = self.store, self.intake, self.memory
            servers = ServerWork(wire, providers, store, intake, memory, now, runner, self.heard, address, WORKERS)
        if customers is not None:
            customer_work = CustomerWork(customers, self.store, self.intake, self.memory, now, runner, self.heard)
        executor = Executor(wire, self.store, self.intake, authority, keys, self.heard, servers, customer_work)
        self.planner = Planner(self.store, self.snapshots, scope)
        metrics = Metrics(CollectorRegistry(), WORKERS)
        worker = Worker(self.queue, self.planner.plan, executor, self.memory, clocks, metrics)
        self._api, self._seen = api, {kind.resource.plural: len(api.events[kind.resource.plural]) for kind in KINDS}
        self._load(Task(load(wire, self.intake, ())))
        self.intake.open()
        self.tasks = [Task(worker.run()) for _ in range(WORKERS)]

    def _load(self, task: Task) -> None:
        while task.resume():
            assert isinstance(task.waiting, Request)
            task.waiting.arrive()

    def requests(self) -> list[Task]:
        """Return the workers that wait for the API server."""
        return [task for task in self.tasks if isinstance(task.waiting, Request)]

    def idle(self) -> list[Task]:
        """Return the workers that could take work which is there."""
        return [t for t in self.tasks if isinstance(t.waiting, Idle)] if self.queue.available() else []

    def unseen(self) -> list[str]:
        """Return the kinds of which the watch has not told everything yet."""
        return [plural for plural, seen in self._seen.items() if seen < len(self._api.events[plural])]

    def watch(self, plural: str) -> None:
        """Take the next event of a kind."""
        event = self._api.events[plural][self._seen[plural]]
        self._seen[plural] += 1
        if event.change == "DELETED":
            metadata = ObjectMeta.model_validate(event.raw["metadata"])
            self.intake.deleted(event.resource, ObjectKey(metadata.namespace, metadata.name), metadata.uid)
        else:
            self.intake.saw(event.resource, event.raw)

    def die(self) -> list[Request]:
        """Stop at once; return the writes that are still on their way."""
        waiting = [task.waiting for task in self.tasks]
        for task in self.tasks:
            task.coroutine.close()
        self.tasks = []
        return [w for w in waiting if isinstance(w, Request) and w.writes and not w.arrived]
