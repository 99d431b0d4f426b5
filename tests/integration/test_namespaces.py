"""Operators that look after some namespaces only, with no right to others; two of them may share a cluster."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio
from helm_chart.rendering import objects, rendered

from builders import account, interlink
from integration.conftest import install
from integration.harness import OPERATOR, Stage, World, open_stage
from integration.process import OperatorProcess
from integration.two_clusters import DIALS
from pbx_operator.api.meta import RECONCILE_ANNOTATION
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port
from support import ROOT, install_crds, kubectl, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
TOKENS = count(1)
HOMES = ("pbx-system", "pbx-other")


@dataclass
class Rights:
    """Grants the operators' user what the chart grants service accounts that look after some namespaces only."""

    control_plane: ControlPlane

    @classmethod
    def narrowed(cls, control_plane: ControlPlane) -> Rights:
        """Take the rights to all namespaces away."""
        for binding in ("clusterrolebinding", "rolebinding"):
            kubectl(control_plane, "delete", binding, f"{OPERATOR}-user", "-n", HOMES[0])
        kubectl(control_plane, "create", "namespace", HOMES[1])
        return cls(control_plane)

    async def watched(self, world: World, *offices: PBXAccount, home: str = HOMES[0]) -> list[str]:
        """Grant what an operator of these offices needs; return the options with which it watches them."""
        namespaces = [office.key.namespace for office in offices]
        await asyncio.to_thread(self._grant, home, namespaces)
        return [part for namespace in namespaces for part in ("--watch-namespace", namespace)]

    def _grant(self, home: str, namespaces: list[str]) -> None:
        manifests = objects(rendered({"watchNamespaces": namespaces}, release=OPERATOR, namespace=home))
        group = "rbac.authorization.k8s.io"
        user = {"apiGroup": group, "kind": "User", "name": OPERATOR}
        granted = [
            {**each, "subjects": [user]} if "subjects" in each else each
            for each in manifests
            if each["apiVersion"] == f"{group}/v1"
        ]
        listed = {"apiVersion": "v1", "kind": "List", "items": granted}
        kubectl(self.control_plane, "apply", "-f", "-", stdin=json.dumps(listed))


@pytest_asyncio.fixture(loop_scope="module")
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a stage on a control plane of its own, without an operator."""
    with ControlPlane.start() as control_plane:
        await asyncio.to_thread(install_crds, control_plane)
        await asyncio.to_thread(install, control_plane)
        async with open_stage(control_plane, tmp_path) as stage:
            await stage.observer.ready()
            yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def rights(stage: Stage) -> Rights:
    return await asyncio.to_thread(Rights.narrowed, stage.control_plane)


@pytest_asyncio.fixture(loop_scope="module")
async def world(stage: Stage) -> World:
    return stage.world("narrow")


async def declared(world: World, *suffixes: str) -> list[PBXAccount]:
    """Declare accounts in namespaces of their own, which nobody looks after yet."""
    offices = [account("a", await world.namespace(suffix)) for suffix in suffixes]
    await world.apply(*offices)
    return offices


async def looked_at(world: World, *links: Interlink) -> None:
    """Wait until the operators that run have seen everything, and have nothing left to do."""
    for link in links:
        token = str(next(TOKENS))
        patch = {"metadata": {"annotations": {RECONCILE_ANNOTATION: token}}}
        await world.stage.api.cluster.patch(link.resource, link.key, patch)
        await world.until(partial(has_handled, world, link, token), f"a look at {link.key}")
    for operator in world.stage.operators:
        if operator.running:
            await operator.idle()


def has_handled(world: World, link: Interlink, token: str) -> bool:
    raw = world.raw(link.resource, link.key) or {}
    return bool(raw.get("status", {}).get("lastHandledReconcileAt") == token)


async def test_an_operator_without_rights_to_other_namespaces_does_all_in_its_own(
    stage: Stage, world: World, rights: Rights
) -> None:
    a, b, stranger = await declared(world, "a", "b", "stranger")
    untouched = world.raw(stranger.resource, stranger.key)
    operator = stage.start(*await rights.watched(world, a, b))
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.delete(redeemer)
    await world.gone(issuer, redeemer)
    await world.delete(b)
    await world.gone(b)
    assert await stage.api.find(stranger.resource, stranger.key) == untouched
    problems = [line for line in operator.lines() if line["level"] in ("warning", "error")]
    assert [line for line in problems if line["logger"] != "pbx_operator.engine.events"] == []
    assert [call for call in stage.proxy.journal.calls if call.status == 403] == []


async def test_a_namespace_that_is_not_watched_any_more_keeps_its_links(
    stage: Stage, world: World, rights: Rights
) -> None:
    a, b = await declared(world, "a", "b")
    stage.start(*await rights.watched(world, a, b))
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await stage.stop()
    only_a = await rights.watched(world, a)
    operator = stage.start(*only_a)
    await looked_at(world, issuer)
    (record,) = world.records()
    assert (record.spec.state, record.spec.closing.redeemer) == ("Established", None)
    await world.delete(issuer)
    await world.gone(issuer)
    assert operator.running
    assert world.now(redeemer) is not None


async def test_a_namespace_that_was_deleted_before_its_objects_goes_as_the_page_tells(
    stage: Stage, world: World, rights: Rights
) -> None:
    doomed, other = await declared(world, "doomed", "other")
    watched = await rights.watched(world, doomed, other)
    stage.start(*watched)
    issuer = interlink("x", "a", doomed.key.namespace)
    redeemer = interlink("y", "a", other.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await stage.stop()
    await asyncio.to_thread(delete_namespace, stage.control_plane, doomed.key.namespace)
    stage.start(*watched)
    await asyncio.to_thread(until, lambda: "403" in stage.logs(), "the operator is refused")
    assert world.now(issuer) is not None
    begin, plain, end = way_out(doomed.key.namespace)
    await asyncio.to_thread(run, stage.control_plane, plain, "--dry-run=server")
    assert named(begin, "clusterrole") != named(plain, "clusterrole") == OPERATOR
    await asyncio.to_thread(kubectl, stage.control_plane, "get", "clusterrole", named(plain, "clusterrole"))
    await asyncio.to_thread(run, stage.control_plane, begin)
    await world.gone(issuer, doomed, redeemer)
    await stage.stop()
    stage.start(*await rights.watched(world, other))
    await asyncio.to_thread(run, stage.control_plane, end)
    again = interlink("z", "a", other.key.namespace)
    await world.apply(again)
    await looked_at(world, again)


def delete_namespace(control_plane: ControlPlane, name: str) -> None:
    """Ask for the deletion of a namespace, and wait until the rights in it are gone."""
    kubectl(control_plane, "delete", "namespace", name, "--wait=false")
    kubectl(control_plane, "wait", "--for=delete", "rolebindings", "--all", "--namespace", name, "--timeout=30s")


def way_out(namespace: str) -> list[str]:
    """Return the page's blocks of commands for a namespace; the operator is a user here, not a service account."""
    account = f"--serviceaccount={HOMES[0]}:{OPERATOR}"
    text = PAGE.replace("namespace/tenant-a", f"namespace/{namespace}").replace(account, f"--user={OPERATOR}")
    return re.findall(r"^```sh\n(kubectl (?:create|delete) clusterrolebinding.*?)^```", text, re.DOTALL | re.MULTILINE)


def named(block: str, option: str) -> str:
    """Return the value of an option in a block of commands."""
    (value,) = re.findall(rf"--{option}=(\S+)", block)
    return str(value)


def run(control_plane: ControlPlane, block: str, *options: str) -> None:
    """Run a block of kubectl's commands, each with further options."""
    for line in block.replace("\\\n", " ").splitlines():
        kubectl(control_plane, *shlex.split(line)[1:], *options)


async def test_two_operators_link_through_an_exchange_and_leave_each_others_records_alone(
    stage: Stage, world: World, rights: Rights
) -> None:
    a, b = await declared(world, "a", "b")
    ports = {home: unused_port() for home in HOMES}

    async def start(office: PBXAccount, home: str) -> None:
        port = str(ports[home])
        exchange = ("--exchange-endpoint", f"https://localhost:{port}", "--exchange-port", port)
        stage.start("--namespace", home, *await rights.watched(world, office, home=home), *DIALS, *exchange)

    for office, home in zip((a, b), HOMES, strict=True):
        await start(office, home)
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    records = {record.spec.role: record for record in world.records()}
    assert set(records) == {"Authority", "Replica"}
    assert records["Authority"].spec.instance != records["Replica"].spec.instance

    await stage.stop()
    for office, home in zip((a, b), HOMES, strict=True):
        await start(office, home)
    await looked_at(world, issuer, redeemer)
    assert {record.spec.state for record in world.records()} == {"Established"}
    await world.delete(issuer)
    await world.gone(issuer, redeemer)
    assert {record.spec.state for record in world.records()} == {"Ended"}


async def test_of_two_operators_on_one_namespace_one_leaves_it_alone(
    stage: Stage, world: World, rights: Rights
) -> None:
    (office,) = await declared(world, "shared")
    operators = [stage.start("--namespace", home, *await rights.watched(world, office, home=home)) for home in HOMES]
    await world.ready(office, "Serving")
    for operator in operators:
        await operator.idle()
    first, second, last = (interlink(name, "a", office.key.namespace) for name in ("x", "y", "z"))
    await world.apply(first)
    worker, other = await worker_and_other(operators, office)
    await world.apply(second)
    for link in (first, second):
        await world.ready(link, "KeyIssued")
    await looked_at(world, first, second)
    before = {link.key: world.raw(link.resource, link.key) for link in (first, second)}

    worker.terminate()
    assert await worker.ended() == 0
    await world.apply(last)
    await other.idle()
    assert {key: world.raw(Interlink.resource, key) for key in before} == before
    assert world.shows(last, "Ready") is None
    assert len(world.records()) == len(before)
    _, metrics = await other.answers("/metrics")
    assert 'pbx_operator_standing_back{reason="AnotherInstallation"} 1.0' in metrics


async def worker_and_other(
    operators: list[OperatorProcess], office: PBXAccount
) -> tuple[OperatorProcess, OperatorProcess]:
    """Return the operator that looks after the namespace, and the one that says that it leaves it alone."""
    said = f"namespace {office.key.namespace} is looked after by installation"
    waiting = [asyncio.create_task(operator.says(said)) for operator in operators]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    first, second = operators
    worker, other = (second, first) if waiting[0].done() else (first, second)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert said not in worker.logs()
    return worker, other
