"""The stage of the integration tests: a control plane behind the fault proxy, an observer on it, and the operator.

Each test has a `World` on it: namespaces of its own, in which it acts as users do and waits for what they would
see.  Tests share a stage, so they look at their own namespaces only.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import builders
from faultproxy import Call, EventDrop, FaultProxy
from gitops.judges import JUDGED, disagreements
from integration.api import Api, Raw, manifest
from integration.observer import Observer, shown, status_of
from integration.process import OperatorProcess
from pbx_operator.api.meta import NAMESPACES, RECONCILE_ANNOTATION, SECRETS, ObjectKey, Resource, ResourceType
from pbx_operator.api.v1alpha1 import KINDS, DialPlanSlice, Interlink, InternalNumber, LinkRecord, PBXAccount
from pbx_operator.cluster import AlreadyExists, Conflict, Gone
from pbx_operator.domain.dialplan.reader import Answer, DialPlan
from pbx_operator.domain.records.facts import account_of
from pbx_operator.sandbox import ControlPlane

R = TypeVar("R", bound=Resource)
V = TypeVar("V")
OPERATOR = "pbx-operator"
RESOURCES = {kind.resource.kind: kind.resource for kind in KINDS}
RESOURCES |= {"Secret": SECRETS, "Namespace": NAMESPACES}

_WORLDS = count(1)
"""One count for all: modules share a control plane, and what a world left there must not meet another."""


class Stage:
    """A control plane with at most one operator of ours on it at a time, unless a test starts more."""

    def __init__(self, control_plane: ControlPlane, proxy: FaultProxy, api: Api, directory: Path) -> None:
        self.control_plane = control_plane
        self.proxy = proxy
        self.api = api
        self.observer = Observer(api)
        self.operators: list[OperatorProcess] = []
        self._kubeconfig = proxy.kubeconfig(directory / "kubeconfig")
        self._directory = directory
        self._tokens = count(1)
        self._probes: World | None = None

    @property
    def operator(self) -> OperatorProcess:
        """The operator that was started last."""
        return self.operators[-1]

    def prepare(self, *arguments: str, periods: dict[str, float] | None = None) -> OperatorProcess:
        """Start a process; with `periods` it becomes the operator only when told to `go`."""
        log = self._directory / f"operator-{len(self.operators)}.log"
        operator = OperatorProcess(self._kubeconfig, log, *arguments, periods=periods)
        self.operators.append(operator)
        return operator

    def start(self, *arguments: str, periods: dict[str, float] | None = None) -> OperatorProcess:
        """Start the operator."""
        operator = self.prepare(*arguments, periods=periods)
        if periods is not None:
            operator.go()
        return operator

    async def stop(self) -> None:
        """Let all operators end in order."""
        running = [operator for operator in self.operators if operator.running]
        for operator in running:
            operator.terminate()
        await asyncio.gather(*(operator.ended() for operator in self.operators))

    def logs(self) -> str:
        """Return what all operators said."""
        return "".join(operator.logs() for operator in self.operators)

    def world(self, name: str) -> World:
        """Return a world whose namespaces nobody else has."""
        return World(self, f"{name}-{next(_WORLDS)}")

    async def settle(self) -> None:
        """Wait until the operator has seen everything that was written before, and has nothing left to do.

        Watches bring the changes of a kind in order, so once a change made now shows its effect, all earlier
        ones were seen.
        """
        probes = await self._probe_objects()
        token = str(next(self._tokens))
        patch = {"metadata": {"annotations": {RECONCILE_ANNOTATION: token}}}
        for probe in probes:
            await self.api.cluster.patch(probe.resource, probe.key, patch)
        for probe in probes:
            await self.observer.until(partial(self._has_handled, probe, token), f"a look at {probe.key}")
        for operator in self.operators:
            if operator.running:
                await operator.idle()

    def _has_handled(self, probe: Resource, token: str) -> bool:
        raw = self.observer.raw(probe.resource, probe.key) or {}
        return bool(raw.get("status", {}).get("lastHandledReconcileAt") == token)

    async def _probe_objects(self) -> tuple[Resource, ...]:
        if self._probes is None:
            self._probes = self.world("probe")
            await self._probes.namespace()
        namespace = self._probes.namespaces[0]
        probes = builders.account("a", namespace), builders.interlink("x", "a", namespace), number("100", namespace)
        await self._probes.apply(*probes)
        return probes


def number(digits: str, namespace: str, **options: Any) -> InternalNumber:
    """Return an InternalNumber of the account `a`."""
    return builders.number(digits, "a", namespace, **options)


@asynccontextmanager
async def open_stage(control_plane: ControlPlane, directory: Path) -> AsyncIterator[Stage]:
    """Set the stage; the operator is not started yet.

    In the end nothing of it is left running, and GitOps tools agree on every status that was seen.
    """
    async with (
        FaultProxy(control_plane.kubeconfig_for(OPERATOR)) as proxy,
        Api(control_plane.kubeconfig) as api,
    ):
        stage = Stage(control_plane, proxy, api, directory)
        watching = asyncio.create_task(stage.observer.run())
        try:
            yield stage
        finally:
            for operator in stage.operators:
                operator.kill()
                await operator.ended()
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        seen = [raw for _, _, raw in stage.observer.history if raw["kind"] in JUDGED]
        assert await asyncio.to_thread(disagreements, seen) == []


class World:
    """The namespaces of one test, as their users see them."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.namespaces: list[str] = []

    # --- acting -------------------------------------------------------------------------------------------------

    async def namespace(self, suffix: str = "a") -> str:
        """Create a namespace."""
        name = f"{self.name}-{suffix}"
        with suppress(AlreadyExists):
            await self.stage.api.cluster.create(NAMESPACES, {"metadata": {"name": name}})
        self.namespaces.append(name)
        self.stage.observer.namespaces.add(name)
        return name

    async def apply(self, *objects: Resource | Raw) -> None:
        """Apply objects one after the other, as `kubectl apply --server-side` does, until all were observed."""
        applied = [await self.stage.api.apply(RESOURCES[(b := manifest(one))["kind"]], b) for one in objects]
        for body in applied:
            await self.stage.observer.caught_up(RESOURCES[body["kind"]], body)

    async def delete(self, *objects: Resource) -> None:
        """Ask for the deletion of objects."""
        for one in objects:
            await self.stage.api.cluster.delete(one.resource, one.key)

    async def vanish(self, one: Resource) -> None:
        """Remove an object by force; the operator learns that it is gone, and never that somebody deleted it."""
        raw = await self.stage.api.cluster.get(one.resource, one.key)
        uid = raw["metadata"]["uid"]
        drop = EventDrop(lambda e: e.type == "MODIFIED" and e.object["metadata"]["uid"] == uid, times=None)
        self.stage.proxy.add(drop)
        await self.delete(one)
        await self.release(one)
        await self.gone(one)

    async def release(self, one: Resource) -> None:
        """Remove all finalizers of an object, as impatient people do."""
        while (raw := await self.stage.api.find(one.resource, one.key)) is not None:
            metadata = {"resourceVersion": raw["metadata"]["resourceVersion"], "finalizers": None}
            with suppress(Conflict, Gone):  # the operator changes it, or lets it go, at the same time
                await self.stage.api.cluster.patch(one.resource, one.key, {"metadata": metadata})
                return

    async def put_key(self, namespace: str, name: str, text: str) -> None:
        """Enter a key into a Secret, as the person does who received it."""
        data = {"key": base64.b64encode(text.encode()).decode()}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
        await self.apply({**secret, "data": data})

    async def key_of(self, issuer: Interlink) -> str:
        """Wait for the key of an issuer, and read it as its user does."""
        return await self.key_in(ObjectKey(issuer.key.namespace, f"{issuer.metadata.name}-key"))

    async def key_in(self, secret: ObjectKey) -> str:
        """Wait for a Secret and return the key in it."""
        found = await self.until(lambda: self.raw(SECRETS, secret), f"Secret {secret}") or {}
        return base64.b64decode(found["data"]["key"]).decode()

    async def office(self, suffix: str, *digits: str, **options: Any) -> PBXAccount:
        """Create a namespace with an account `a` that has these numbers, and wait until it serves."""
        namespace = await self.namespace(suffix)
        account = builders.account("a", namespace, **options)
        await self.apply(account, *(number(d, namespace) for d in digits))
        await self.ready(account, "Serving")
        return account

    async def offer_key(self, issuer: Interlink, redeemer: Interlink) -> str:
        """Apply the issuer and carry its key to where the redeemer expects it; return the key."""
        await self.apply(issuer)
        await self.ready(issuer, "KeyIssued")
        text = await self.key_of(issuer)
        assert redeemer.spec.redeem_key is not None
        await self.put_key(redeemer.key.namespace, redeemer.spec.redeem_key.secret_ref.name, text)
        return text

    async def join(self, issuer: Interlink, redeemer: Interlink) -> str:
        """Link two accounts as their users would, wait until both sides are green, and return the key."""
        text = await self.offer_key(issuer, redeemer)
        await self.apply(redeemer)
        await self.green(issuer, redeemer)
        return text

    async def linked_offices(self) -> tuple[PBXAccount, PBXAccount, Interlink, Interlink]:
        """Link offices with the numbers 201 and 301; return both accounts, the issuer and the redeemer."""
        a, b = await self.office("a", "201"), await self.office("b", "301")
        issuer = builders.interlink("x", "a", a.key.namespace)
        redeemer = builders.interlink("y", "a", b.key.namespace, redeem="key")
        await self.join(issuer, redeemer)
        await self.reaches(a, "301", b)
        return a, b, issuer, redeemer

    # --- seeing -------------------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], V], what: str) -> V:
        """Wait until a condition on the observed objects holds; a failure shows this world and the log."""
        try:
            return await self.stage.observer.until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.describe()}") from None

    def raw(self, resource: ResourceType, key: ObjectKey) -> Raw | None:
        return self.stage.observer.raw(resource, key)

    def now(self, one: R) -> R | None:
        """Return an object as it is now."""
        return self.stage.observer.get(type(one), one.key)

    def shows(self, one: Resource, type_: str) -> tuple[str, str] | None:
        """Return status and reason of a condition, if it is about the present generation of the object."""
        raw = self.raw(one.resource, one.key)
        if raw is None:
            return None
        status = status_of(raw)
        return shown(status, type_) if status.observed_generation == raw["metadata"]["generation"] else None

    async def condition(self, one: Resource, type_: str, status: str, reason: str) -> None:
        """Wait until an object, which may be unreadable, shows a condition with this status and reason."""
        wanted = (status, reason)
        await self.until(lambda: self.shows(one, type_) == wanted, f"{one.key} shows {type_}={status} with {reason}")

    async def ready(self, one: R, reason: str, type_: str = "Ready") -> R:
        """Wait until a condition has this reason, and return the object."""

        def found() -> R | None:
            about = self.shows(one, type_)
            return self.now(one) if about is not None and about[1] == reason else None

        now = await self.until(found, f"{one.key} shows {type_} with {reason}")
        assert now is not None
        return now

    async def green(self, *links: Interlink) -> None:
        """Wait until links are Established with their gates open."""
        for link in links:
            await self.ready(link, "Established")
            await self.ready(link, "GateOpen", "CallsAllowed")

    async def gone(self, *objects: Resource) -> None:
        """Wait until objects do not exist any more."""
        for one in objects:
            await self.absent(one.resource, one.key)

    async def absent(self, resource: ResourceType, key: ObjectKey) -> None:
        """Wait until there is no such object."""
        await self.until(lambda: self.raw(resource, key) is None, f"{resource.kind} {key} is gone")

    async def event(self, one: Resource, reason: str) -> list[Raw]:
        """Wait until there is an Event of this reason about an object, and return all of them."""

        def told() -> list[Raw]:
            found = [e for e in self.stage.observer.raws("events") if e["reason"] == reason]
            about = {"namespace": one.key.namespace, "name": one.key.name}
            return [e for e in found if about.items() <= e["regarding"].items()]

        return await self.until(told, f"an Event {reason} about {one.key}")

    def message(self, one: Resource, type_: str = "Ready") -> str:
        """Return the message of a condition."""
        status = status_of(self.raw(one.resource, one.key) or {})
        return next(c.message for c in status.conditions if c.type == type_)

    def records(self) -> list[LinkRecord]:
        """Return the records that name an account of this world, oldest first."""
        found = [r for r in self.stage.observer.all(LinkRecord) if self._concerns(r)]
        return sorted(found, key=lambda r: int(r.metadata.resource_version))

    def _concerns(self, record: LinkRecord) -> bool:
        sides = (account_of(record.spec, "issuer"), account_of(record.spec, "redeemer"))
        return any(side is not None and side.namespace in self.namespaces for side in sides)

    def dial(self, account: PBXAccount, digits: str) -> Answer:
        """Return what happens when a phone of the account dials, by the published dial plan alone."""
        now = self.now(account)
        assert now is not None
        seen, namespace = self.stage.observer, account.key.namespace
        return DialPlan(now, seen.all(DialPlanSlice, namespace), seen.all(Interlink, namespace)).answer(digits)

    async def reaches(self, account: PBXAccount, digits: str, owner: PBXAccount) -> None:
        """Wait until a phone of the account reaches the number of the owner's account."""

        def reached() -> bool:
            there = self.now(owner)
            target = f"{digits}@{there.status.sip_domain}" if there is not None else ""
            return self.dial(account, digits).target == target

        await self.until(reached, f"{account.key} reaches {digits} of {owner.key}")

    def writes(self, **fields: object) -> list[Call]:
        """Return the writes of the operator to the objects of this world, in order; events do not count."""
        own = {r.metadata.name for r in self._records_ever()}
        calls = [c for c in self.stage.proxy.journal.writes(**fields) if c.resource != "events"]
        return [c for c in calls if c.namespace in self.namespaces or (c.resource == "linkrecords" and c.name in own)]

    def _records_ever(self) -> list[LinkRecord]:
        seen = [raw for plural, _, raw in self.stage.observer.history if plural == "linkrecords"]
        return [r for r in map(LinkRecord.model_validate, seen) if self._concerns(r)]

    def describe(self) -> str:
        """Return what is there, for the message of a failure."""
        lines = [f"  {r.metadata.name} {r.spec.state} {r.spec.end}" for r in self.records()]
        for plural in ("pbxaccounts", "interlinks", "internalnumbers"):
            for raw in self.stage.observer.raws(plural):
                if raw["metadata"]["namespace"] in self.namespaces:
                    about = [f"{c['type']}={c['status']}/{c['reason']}" for c in raw["status"].get("conditions", [])]
                    lines.append(f"  {plural} {raw['metadata']['namespace']}/{raw['metadata']['name']} {about}")
        last = self.stage.operator.logs().splitlines()[-12:] if self.stage.operators else []
        return "\n".join([*lines, *last])
