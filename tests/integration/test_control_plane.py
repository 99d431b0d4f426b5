"""Control planes that are not ready, go away, come back, or come back older than they were."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

import builders
from builders import interlink
from integration.conftest import install, install_crds
from integration.harness import Stage, World, number, open_stage
from pbx_operator.api.meta import CRDS, ObjectKey
from pbx_operator.sandbox import ControlPlane
from support import ROOT, kubectl

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


async def linked(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b", "301")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.reaches(a, "301", b)


async def test_the_operator_waits_for_its_crds(bare: Stage) -> None:
    control_plane = bare.control_plane
    await asyncio.to_thread(install, control_plane)
    operator = bare.start()
    line = await operator.says("interlinks.pbx-operator.io", "kubectl apply")
    assert line["level"] == "error"
    await asyncio.to_thread(install_crds, control_plane)
    await linked(bare.world("late"))


async def test_the_operator_waits_for_its_rights_and_names_them(bare: Stage) -> None:
    control_plane = bare.control_plane
    await asyncio.to_thread(install_crds, control_plane)
    operator = bare.start()
    await operator.says("customresourcedefinitions", "cannot get")
    await asyncio.to_thread(install, control_plane)
    await linked(bare.world("granted"))


async def test_a_single_missing_right_is_named_and_does_not_stop_the_rest(own: Stage) -> None:
    role = json.loads(await asyncio.to_thread(kubectl, own.control_plane, "get", "clusterrole", OPERATOR, "-o", "json"))
    weak = {**role, "rules": [without_records(rule) for rule in role["rules"]]}
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


OPERATOR = "pbx-operator"


def without_records(rule: dict[str, list[str]]) -> dict[str, list[str]]:
    if "linkrecords" not in rule["resources"]:
        return rule
    return {**rule, "verbs": [verb for verb in rule["verbs"] if verb != "create"]}


async def test_the_api_server_goes_away_and_comes_back(own: Stage) -> None:
    own.start()
    world = own.world("outage")
    await linked(world)
    await asyncio.to_thread(own.control_plane.kill_component, "kube-apiserver")
    await asyncio.to_thread(own.control_plane.start_component, "kube-apiserver")
    assert own.operator.running
    await linked(own.world("after"))
    await world.green(interlink("x", "a", f"{world.name}-a"), interlink("y", "a", f"{world.name}-b"))


async def test_the_operator_starts_while_the_api_server_is_away(own: Stage) -> None:
    await asyncio.to_thread(own.control_plane.stop_component, "kube-apiserver")
    operator = own.start()
    await operator.says("looking for the CRDs failed", "trying again")
    await asyncio.to_thread(own.control_plane.start_component, "kube-apiserver")
    await linked(own.world("patient"))


async def test_the_operator_ends_when_time_went_back(own: Stage, tmp_path: Path) -> None:
    """etcd is replaced by its backup under a running operator; a new process starts from what is there then."""
    own.start(periods={"prune": 1.0})
    world = own.world("past")
    await linked(world)
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


async def swap(control_plane: ControlPlane, act: object) -> None:
    """Do something to the data of etcd while nothing runs on it."""

    def done() -> None:
        for component in ("kube-controller-manager", "kube-apiserver", "etcd"):
            control_plane.stop_component(component)  # type: ignore[arg-type]
        act()  # type: ignore[operator]
        for component in ("etcd", "kube-apiserver", "kube-controller-manager"):
            control_plane.start_component(component)  # type: ignore[arg-type]

    await asyncio.to_thread(done)


async def test_objects_of_another_version_do_not_block_the_others(own: Stage) -> None:
    """CRDs are newer than the operator: it says so on the objects that it cannot read, and serves all others."""
    own.start()
    world = own.world("newer")
    a, b = await world.office("a", "201"), await world.office("b", "301")
    for kind in ("internalnumbers", "pbxaccounts", "interlinks"):
        await loosen(own, kind)
    odd = {
        "number": number("999", a.key.namespace),
        "account": builders.account("odd", a.key.namespace),
        "link": interlink("odd", "a", a.key.namespace),
    }
    bodies = {name: builders_manifest(one) for name, one in odd.items()}
    bodies["number"]["spec"]["visibility"] = "Hidden"
    bodies["account"]["spec"]["country"] = "Netherlands"
    bodies["link"]["spec"]["gate"] = "Ajar"
    await world.apply(*bodies.values())
    for one, kind in zip(odd.values(), ("internalnumbers", "pbxaccounts", "interlinks"), strict=True):
        await world.until(lambda one=one, kind=kind: unreadable(own, kind, one.key), f"{one.key} is Unreadable")  # type: ignore[misc]
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    own.observer.problems.clear()
    await world.join(issuer, redeemer)
    await world.reaches(b, "201", a)
    await world.apply(number("202", a.key.namespace))
    await world.reaches(b, "202", a)
    await world.apply(odd["number"])
    await world.ready(odd["number"], "Serving")


def unreadable(stage: Stage, plural: str, key: ObjectKey) -> bool:
    raw = next((raw for raw in stage.observer.raws(plural) if raw["metadata"]["name"] == key.name), {})
    return ("Ready", "Unreadable") in {(c["type"], c["reason"]) for c in raw.get("status", {}).get("conditions", [])}


async def loosen(stage: Stage, plural: str) -> None:
    """Let a CRD take any values in its spec, as a later version might."""
    crd = await stage.api.cluster.get(CRDS, ObjectKey("", f"{plural}.pbx-operator.io"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    crd["spec"]["versions"][0].pop("selectableFields", None)
    await stage.api.cluster.put(CRDS, crd)


def builders_manifest(one: object) -> dict[str, dict[str, str]]:
    from integration.api import manifest

    return manifest(one)  # type: ignore[arg-type]
