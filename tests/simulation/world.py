"""A cluster with users, accounts, Interlinks and one or two processes of the operator, stepped by hand.

Users act at any moment.  Between their acts the world goes on by steps: a worker takes up work, a call arrives and
is answered (or not), a watch tells of a change, garbage is collected.  `run` takes steps in an order drawn from a
seed; `settle` takes them fairly until nothing is left to do.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from unittest import mock

from builders import NAMESPACE, NOW
from link_builders import gather, ready_account
from pbx_operator.api.meta import SECRETS, TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.conditions import check
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.links.facts import ClusterFacts, LinkSnapshot, key_reference
from pbx_operator.domain.protocol.keys import SigningKey, instance_id, key_text
from pbx_operator.domain.records.facts import SIDES, any_closing, interlink_of
from pbx_operator.engine.identity import Identity
from pbx_operator.links.peer import Peer
from simulation.api import Api
from simulation.invariants import Invariants
from simulation.process import NoPeer, Process, Request, Task

Step = Callable[[], object]
HOME = SigningKey(hashlib.sha256(b"this installation").digest())
INSTANCE = instance_id(HOME.public)
LIFE_OF_A_REQUEST = timedelta(minutes=10)
"""How late a write may still arrive; the API server itself gives up after one minute."""
OTHER_FINALIZER = "another.example/keeps"
MAX_STEPS = 5_000
"""More than any story needs to settle: beyond that it runs in circles."""


def key_named(name: str) -> str:
    """Return the text of a key that belongs to a name."""
    return key_text(SigningKey(hashlib.sha256(name.encode()).digest()))


class World:
    """Everything; `close` must be called at the end."""

    def __init__(self, facts: ClusterFacts | None = None, peer: Peer | None = None) -> None:
        self.now = NOW
        self.peer = peer or NoPeer()
        self.invariants = Invariants(lambda: self.now)
        self.api = Api(lambda: self.now, self.invariants.changed)
        self.identity = Identity(INSTANCE, HOME.public, HOME, confirmed=True)
        self.facts = facts or ClusterFacts(INSTANCE)
        self.processes: list[Process] = []
        self.late: list[Request] = []
        """Writes of dead processes that may still arrive."""
        self.after_step: Callable[[], object] = lambda: None
        """What a test wants to happen after each step of `settle`."""
        seeds = itertools.count()

        def fresh(size: int) -> bytes:
            return hashlib.sha256(f"seed {next(seeds)}".encode()).digest()[:size]

        self._patch = mock.patch("pbx_operator.engine.key_secrets.secrets.token_bytes", fresh)
        self._patch.start()
        logging.getLogger("pbx_operator").addHandler(self.invariants)

    def close(self) -> None:
        """Stop all processes and give back what was patched."""
        for process in self.processes:
            process.die()
        self._patch.stop()
        logging.getLogger("pbx_operator").removeHandler(self.invariants)

    # --- users --------------------------------------------------------------------------------------------------

    def account(self, name: str, *, ready: bool = True) -> None:
        """Create an account, or change whether it is ready."""
        wanted = ready_account(name, ready=ready)
        key = wanted.key
        if self.api.find(PBXAccount.resource, key) is None:
            metadata = {"name": name, "namespace": NAMESPACE, "finalizers": [TEARDOWN_FINALIZER]}
            self.api.create(PBXAccount.resource, {"metadata": metadata, "spec": wanted.spec.to_json()})
        raw = self.api.get(PBXAccount.resource, key)
        self.api.put_status(PBXAccount.resource, {**raw, "status": wanted.status.to_json()})

    def delete_account(self, name: str) -> None:
        """Delete an account."""
        self._delete(PBXAccount.resource, name)

    def lose_account(self, name: str) -> None:
        """Let an account vanish without a deletion that anybody could see."""
        key = ObjectKey(NAMESPACE, name)
        raw = self.api.find(PBXAccount.resource, key)
        if raw is not None:
            self.api.put_finalizers(PBXAccount.resource, key, {"metadata": {**raw["metadata"], "finalizers": []}})
            self._delete(PBXAccount.resource, name)

    def interlink(self, name: str, account: str, **spec: Any) -> None:
        """Create an Interlink, if there is none of that name; the spec is written as in a manifest."""
        if self.api.find(Interlink.resource, ObjectKey(NAMESPACE, name)) is None:
            body = {
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {"accountRef": {"name": account}, **spec},
            }
            self.api.create(Interlink.resource, body)

    def edit(self, name: str, **spec: Any) -> None:
        """Change an Interlink, if it is there."""
        if self.api.find(Interlink.resource, ObjectKey(NAMESPACE, name)) is not None:
            self.api.edit(Interlink.resource, ObjectKey(NAMESPACE, name), **spec)

    def delete(self, name: str) -> None:
        """Delete an Interlink."""
        self._delete(Interlink.resource, name)

    def force(self, name: str) -> None:
        """Remove all finalizers of an Interlink by force, as an impatient user does."""
        key = ObjectKey(NAMESPACE, name)
        raw = self.api.find(Interlink.resource, key)
        if raw is not None:
            self.invariants.excused.add(raw["metadata"]["uid"])
            self.api.put_finalizers(Interlink.resource, key, {"metadata": {**raw["metadata"], "finalizers": []}})

    def hold(self, name: str, *, hold: bool) -> None:
        """Put the finalizer of another controller on an Interlink, or take it off."""
        key = ObjectKey(NAMESPACE, name)
        raw = self.api.find(Interlink.resource, key)
        if raw is None or (hold and "deletionTimestamp" in raw["metadata"]):
            return
        kept = [f for f in raw["metadata"].get("finalizers", []) if f != OTHER_FINALIZER]
        patch = {**raw["metadata"], "finalizers": [*kept, OTHER_FINALIZER] if hold else kept}
        self.api.put_finalizers(Interlink.resource, key, {"metadata": patch})

    def secret(self, name: str, text: str) -> None:
        """Put a key into a Secret."""
        self.lose_secret(name)
        data = {"key": base64.b64encode(text.encode()).decode()}
        self.api.create(SECRETS, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data})

    def lose_secret(self, name: str) -> None:
        """Delete a Secret of a user; who relied on it cannot know its key any more."""
        users = (link for link in self.interlinks() if (ref := key_reference(link)) and ref.name == name)
        self.invariants.excused |= {link.metadata.uid for link in users}
        self._delete(SECRETS, name)

    def carry(self, issuer: str, secret: str) -> bool:
        """Copy the key of an issuer into the Secret of a redeemer; return whether there was one."""
        raw = self.api.find(SECRETS, ObjectKey(NAMESPACE, f"{issuer}-key"))
        if raw is None or raw["metadata"]["ownerReferences"][0]["name"] != issuer:
            return False
        self.secret(secret, base64.b64decode(raw["data"]["key"]).decode())
        return True

    def _delete(self, resource: Any, name: str) -> None:
        if self.api.find(resource, ObjectKey(NAMESPACE, name)) is not None:
            self.api.delete(resource, ObjectKey(NAMESPACE, name))

    # --- the operator -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start a process; a second one beside the first is what a handover of the lease looks like."""
        facts = replace(self.facts, started=self.now)
        self.processes.append(Process(self.api, self.identity, facts, lambda: self.now, self.peer))

    def crash(self) -> None:
        """Let the oldest process die; what it had sent may still arrive."""
        if self.processes:
            self.late += self.processes.pop(0).die()

    # --- time ---------------------------------------------------------------------------------------------------

    def wait(self, period: timedelta) -> None:
        """Let time pass; what is due by then becomes work."""
        self.now += period
        self.late = [request for request in self.late if self.now - request.sent <= LIFE_OF_A_REQUEST]

    def next_appointment(self) -> datetime | None:
        """Return when some process wants to look again."""
        times = [when for p in self.processes if (when := p.queue.next_appointment()) is not None]
        return NOW + timedelta(seconds=min(times), microseconds=1) if times else None

    # --- steps --------------------------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """Return what can happen next when nothing goes wrong."""
        found: list[Step] = []
        for process in self.processes:
            found += [task.resume for task in process.idle()[:1]]
            found += [partial(self._serve, task) for task in process.requests()]
            found += [partial(process.watch, kind) for kind in process.unseen()]
        found += [partial(self.api.delete, SECRETS, key) for key in self.api.garbage()]
        return found + [partial(self._let_account_go, key) for key in self._accounts_to_let_go()]

    def mishaps(self) -> list[Step]:
        """Return what can go wrong."""
        found: list[Step] = [partial(self._arrive_late, request) for request in self.late]
        for process in self.processes:
            for task in process.requests():
                found += [partial(self.lose, task, arrives=arrives) for arrives in (True, False)]
        return found

    def run(self, count: int, seed: int) -> None:
        """Take so many steps in an order drawn from the seed; one in twenty goes wrong."""
        chance = random.Random(seed)
        for _ in range(count):
            wrong = self.mishaps() if chance.random() < 0.05 else []
            possible = wrong or self.steps()
            if not possible:
                return
            chance.choice(possible)()
            self.check()

    def settle(self) -> None:
        """Go on fairly until nothing is left to do now."""
        for _ in range(MAX_STEPS):
            possible = self.steps()
            if not possible:
                self.check()
                return
            possible[0]()
            self.after_step()
        raise AssertionError(f"still at work after {MAX_STEPS} steps")

    def settle_for(self, period: timedelta) -> None:
        """Go on until that much time has passed, keeping every appointment."""
        end = self.now + period
        self.settle()
        while (due := self.next_appointment()) is not None and due <= end:
            self.wait(max(due - self.now, timedelta(0)))
            self.settle()
        self.wait(end - self.now)
        self.settle()

    def _serve(self, task: Task) -> None:
        if isinstance(task.waiting, Request):
            task.waiting.arrive()
            task.resume()

    def lose(self, task: Task, *, arrives: bool) -> None:
        """Let a worker wait in vain for an answer, whether its call arrived or not."""
        request = task.waiting
        if isinstance(request, Request):
            if arrives:
                request.arrive()
            elif request.writes:
                self.late.append(replace(request))
            request.lose()
            task.resume()

    def _arrive_late(self, request: Request) -> None:
        self.late.remove(request)
        request.arrive()

    def _accounts_to_let_go(self) -> list[ObjectKey]:
        """Accounts leave when their links have ended; `plan_account` does that in the real engine."""
        going = [
            ObjectKey(NAMESPACE, raw["metadata"]["name"])
            for raw in self.api.all(PBXAccount.resource)
            if "deletionTimestamp" in raw["metadata"]
        ]
        live = [r.spec for r in self.records() if r.spec.state != "Ended"]
        busy = {a.key for spec in live for a in (spec.issuer.account, spec.redeemer and spec.redeemer.account) if a}
        return [key for key in going if key not in busy]

    def _let_account_go(self, key: ObjectKey) -> None:
        raw = self.api.get(PBXAccount.resource, key)
        self.api.put_finalizers(PBXAccount.resource, key, {"metadata": {**raw["metadata"], "finalizers": []}})

    # --- looking ------------------------------------------------------------------------------------------------

    def interlinks(self) -> list[Interlink]:
        """Return all Interlinks."""
        return [Interlink.model_validate(raw) for raw in self.api.all(Interlink.resource)]

    def records(self) -> list[LinkRecord]:
        """Return all records."""
        return [LinkRecord.model_validate(raw) for raw in self.api.all(LinkRecord.resource)]

    def status(self, name: str) -> InterlinkStatus:
        """Return the status of an Interlink."""
        return Interlink.model_validate(self.api.get(Interlink.resource, ObjectKey(NAMESPACE, name))).status

    def check(self) -> None:
        """Hold the story so far against the invariants."""
        assert not self.invariants.broken, self.invariants.broken

    def check_rest(self) -> None:
        """Hold what is left when nothing moves any more against what everybody may rely on."""
        self.check()
        for link in self.interlinks():
            assert not (link.metadata.deleting and TEARDOWN_FINALIZER in link.metadata.finalizers), f"stuck: {link.key}"
            problems = check(link.status, link.metadata.generation, deleting=link.metadata.deleting)
            assert not problems, f"{link.key}: {problems}"
            self._check_gate(link)
        places = {link.key for link in self.interlinks()} | {
            place.key
            for r in self.records()
            for place in (r.spec.issuer.interlink, r.spec.redeemer and r.spec.redeemer.interlink)
            if place
        }
        for process in self.processes:
            for place in places:
                self._check_plan(process, place)

    def _check_plan(self, process: Process, place: ObjectKey) -> None:
        """Nothing may be left to do that nobody will do, and nothing left to be shown."""
        plan = process.planner.plan(WorkKey("Link", place), self.now)
        assert not plan.actions, f"{place} was not woken: {plan.actions}"
        for update in plan.statuses:
            shown = process.store.interlinks.status_of(place)
            assert update.status == shown, f"{place} was not woken: it shows {shown}, and should {update.status}"
        known, store = process.snapshots.link(place), process.store
        attempts = process.memory.attempts(known.interlink.metadata.uid) if known.interlink else known.attempts
        twin = gather(
            place,
            store.interlinks,
            store.accounts,
            store.records,
            attempts,
            process.snapshots.link(place).cluster,
            since=known.since,
            older_prefix_holder=known.older_prefix_holder,
        )
        assert _unordered(twin) == _unordered(known), "tests plan on other snapshots than the engine"

    def _check_gate(self, link: Interlink) -> None:
        """A gate is open on both sides of a link that is up, or on none."""
        records = [r.spec for r in self.records() if r.spec.state == "Established"]
        spec = next((s for s in records if link.metadata.uid in _uids(s)), None)
        if link.status.gate != "Open" or link.metadata.deleting:
            return
        assert spec is not None, f"{link.key} has an open gate and no link"
        assert not any_closing(spec), f"{link.key} has an open gate on a link that ends"
        present = {i.metadata.uid: i for i in self.interlinks() if not i.metadata.deleting}
        assert all(present[uid].status.gate == "Open" for uid in _uids(spec)), "the gate is open on one side only"


def _uids(spec: LinkRecordSpec) -> set[str]:
    return {named.uid for side in SIDES if (named := interlink_of(spec, side)) is not None}


def _unordered(s: LinkSnapshot) -> LinkSnapshot:
    return replace(s, records=_by_name(s.records), rivals=_by_name(s.rivals))


def _by_name(records: tuple[LinkRecord, ...]) -> tuple[LinkRecord, ...]:
    return tuple(sorted(records, key=lambda r: r.metadata.name))
