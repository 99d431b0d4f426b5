"""Control planes that are not ready, go away, come back, or come back older than they were."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

import builders
from builders import interlink
from faultproxy import calls
from integration.api import Raw, manifest
from integration.conftest import install
from integration.harness import OPERATOR, Stage, World, number, open_stage
from pbx_operator.api.meta import ObjectKey
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.components import ComponentName
from support import CRDS, ROOT, install_crds, kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def empty() -> Iterator[ControlPlane]:
    """Return a control plane of the test's own, on which nothing was installed."""
    with ControlPlane.start() as control_plane:
        yield control_plane


@pytest_asyncio.fixture(loop_scope="module")
async def bare(empty: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a stage on an empty control plane, without an operator."""
    async with open_stage(empty, tmp_path) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def own(empty: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Return a stage on a control plane of the test's own, without an operator."""
    install_crds(empty)
    install(empty)
    async with open_stage(empty, tmp_path) as stage:
        yield stage


async def test_the_operator_waits_for_its_crds(bare: Stage) -> None:
    control_plane = bare.control_plane
    await asyncio.to_thread(install, control_plane)
    operator = bare.start()
    line = await operator.says("interlinks.pbx-operator.io", "kubectl apply")
    assert line["level"] == "error"
    await asyncio.to_thread(install_crds, control_plane)
    await bare.world("late").linked_offices()


async def test_the_operator_ends_in_order_while_it_waits(bare: Stage) -> None:
    """It is alive while it waits: to start it anew would not help."""
    await asyncio.to_thread(install, bare.control_plane)
    operator = bare.start()
    await operator.says("kubectl apply")
    assert (await operator.answers("/healthz"))[0] == 200
    operator.terminate()
    assert await operator.ended() == 0


async def test_the_operator_waits_for_its_rights_and_names_them(bare: Stage) -> None:
    control_plane = bare.control_plane
    await asyncio.to_thread(install_crds, control_plane)
    operator = bare.start()
    await operator.says("namespaces/kube-system", "cannot get")
    await asyncio.to_thread(install, control_plane)
    await bare.world("granted").linked_offices()


async def test_a_single_missing_right_is_named_and_does_not_stop_the_rest(own: Stage) -> None:
    role = json.loads(await asyncio.to_thread(kubectl, own.control_plane, "get", "clusterrole", OPERATOR, "-o", "json"))
    weak = {**role, "rules": [part for rule in role["rules"] for part in without_creating_records(rule)]}
    await asyncio.to_thread(kubectl, own.control_plane, "replace", "-f", "-", stdin=json.dumps(weak))
    operator = own.start()
    world = own.world("weak")
    a = await world.office("a", "201")
    issuer = interlink("x", "a", a.key.namespace)
    await world.apply(issuer)
    line = await operator.says("linkrecords", "cannot create", "ClusterRole")
    assert line["level"] == "warning"
    await asyncio.to_thread(kubectl, own.control_plane, "apply", "-f", str(ROOT / "examples/install/rbac.yaml"))
    await world.ready(issuer, "KeyIssued")
    assert len(world.records()) == 1


def without_creating_records(rule: dict[str, list[str]]) -> list[dict[str, list[str]]]:
    if "linkrecords" not in rule["resources"]:
        return [rule]
    weak = {**rule, "resources": ["linkrecords"], "verbs": [verb for verb in rule["verbs"] if verb != "create"]}
    return [{**rule, "resources": [name for name in rule["resources"] if name != "linkrecords"]}, weak]


async def test_the_periodic_lists_of_an_empty_cluster(own: Stage) -> None:
    own.start(periods={"prune": 0.2})
    lists = calls(verb="list", resource="dialplanslices", user_agent="pbx-operator")
    await own.proxy.journal.wait_for(lists, count=3)
    await own.world("first").linked_offices()
    assert own.operator.running


async def test_the_api_server_goes_away_and_comes_back(own: Stage) -> None:
    own.start()
    world = own.world("outage")
    await world.linked_offices()
    await asyncio.to_thread(own.control_plane.kill_component, "kube-apiserver")
    await asyncio.to_thread(own.control_plane.start_component, "kube-apiserver")
    assert own.operator.running
    await own.world("after").linked_offices()
    await world.green(interlink("x", "a", f"{world.name}-a"), interlink("y", "a", f"{world.name}-b"))


async def test_the_operator_starts_while_the_api_server_is_away(own: Stage) -> None:
    await asyncio.to_thread(own.control_plane.stop_component, "kube-apiserver")
    operator = own.start()
    await operator.says("looking for the CRDs failed", "trying again")
    await asyncio.to_thread(own.control_plane.start_component, "kube-apiserver")
    await own.world("patient").linked_offices()


async def test_the_operator_ends_when_time_went_back(own: Stage, tmp_path: Path) -> None:
    """etcd is replaced by its backup under a running operator; a new process starts from what is there then."""
    own.start(periods={"prune": 1.0})
    world = own.world("past")
    await world.linked_offices()
    await own.settle()
    etcd = own.control_plane.data_dir / "etcd"
    await swap(own.control_plane, lambda: shutil.copytree(etcd, tmp_path / "backup"))
    later = builders.account("later", f"{world.name}-a")
    await world.apply(later, *(number(str(n), f"{world.name}-a") for n in range(400, 440)))
    await world.ready(later, "Serving")

    def restore() -> None:
        shutil.rmtree(etcd)
        shutil.copytree(tmp_path / "backup", etcd)

    await swap(own.control_plane, restore)
    assert await own.operator.ended() == 1
    assert "older" in own.operator.logs() or "were at" in own.operator.logs()
    own.start()
    await own.settle()
    await world.green(interlink("x", "a", f"{world.name}-a"), interlink("y", "a", f"{world.name}-b"))


COMPONENTS: tuple[ComponentName, ...] = ("etcd", "kube-apiserver", "kube-controller-manager")


async def swap(control_plane: ControlPlane, act: Callable[[], object]) -> None:
    """Do something to the data of etcd while nothing runs on it."""

    def done() -> None:
        for component in reversed(COMPONENTS):
            control_plane.stop_component(component)
        act()
        for component in COMPONENTS:
            control_plane.start_component(component)

    await asyncio.to_thread(done)


async def test_objects_of_another_version_do_not_block_the_others(own: Stage) -> None:
    """CRDs are newer than the operator: it says so on the objects that it cannot read, and serves all others."""
    own.start()
    world = own.world("newer")
    a, b = await world.office("a", "201"), await world.office("b", "301")
    odd = await world.namespace("odd")
    await world.apply(builders.account("a", odd))
    changes: dict[str, tuple[Raw, str, str]] = {
        "internalnumbers": (manifest(number("999", odd)), "visibility", "Hidden"),
        "pbxaccounts": (manifest(builders.account("other", odd)), "country", "Netherlands"),
        "interlinks": (manifest(interlink("x", "a", odd)), "gate", "Ajar"),
    }
    for plural, (body, field, value) in changes.items():
        await loosen(own, plural)
        body["spec"][field] = value
        await until_applied(world, body)
        await world.until(partial(unreadable, own, plural, odd), f"one of {plural} is Unreadable")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.apply(number("202", a.key.namespace))
    await world.reaches(b, "202", a)
    await world.apply(number("999", odd))
    await world.ready(number("999", odd), "Serving")


def unreadable(stage: Stage, plural: str, namespace: str) -> bool:
    """Whether an object of the namespace says so, and which field is wrong."""
    own = [raw for raw in stage.observer.raws(plural) if raw["metadata"]["namespace"] == namespace]
    ready = [c for raw in own for c in raw.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
    return any(c["reason"] == "Unreadable" and "spec." in c["message"] for c in ready)


async def loosen(stage: Stage, plural: str) -> None:
    """Let a CRD take any values in its spec, as a later version might."""
    crd = await stage.api.cluster.get(CRDS, ObjectKey("", f"{plural}.pbx-operator.io"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd["spec"]["versions"][0].pop("selectableFields", None)
    await stage.api.cluster.put(CRDS, crd)


async def until_applied(world: World, body: Raw) -> None:
    """Apply as soon as the API server has taken the new schema into use."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await world.apply(body)
            except AssertionError:
                await asyncio.sleep(0.05)
