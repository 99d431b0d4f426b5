"""Upgrade and downgrade: what an older release left in a cluster serves on under the present one, and under the old
definitions again."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from builders import interlink
from integration.api import Raw
from integration.box import Box, Line
from integration.conftest import install
from integration.etcd import Etcd
from integration.harness import Stage, World, open_stage
from integration.releases import OFFICES, RELEASES, captured, confirm, leave
from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import KINDS, CommServer, EquipmentRecord, Interlink
from pbx_operator.domain.servers.equipment import record_name
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port
from server_builders import STOCK
from support import install_crds

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXCHANGE = ("--exchange-endpoint", "https://pbx.example.com", "--exchange-port", "0")
PARTS = ("metadata", "spec", "status", "data")
MAY_CHANGE = {"message", "tls.crt"}
"""A release may say it in other words, and a certificate is renewed; its key is not."""
TO_ROME = interlink("to-rome", "paris", OFFICES)
TO_PARIS = interlink("to-paris", "rome", OFFICES)
FOR_BERN = interlink("for-bern", "rome", OFFICES)
FROM_BERN = interlink("from-bern", "bern", OFFICES)
CONNECTED = "menton"
"""The CommServer whose box was connected."""


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest) -> Path:
    """Return the folder of an older release."""
    folder: Path = request.param
    return folder


@pytest.fixture
def left(release: Path) -> list[Raw]:
    """Return all objects as the older operator left them."""
    return captured(release)


@pytest.fixture
def old_plane(release: Path) -> Iterator[ControlPlane]:
    """Yield a cluster with the definitions of the older release."""
    with ControlPlane.start() as control_plane:
        install_crds(control_plane, release / "crds")
        yield install(control_plane)


@pytest_asyncio.fixture(loop_scope="module")
async def stage(left: list[Raw], old_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Stage]:
    """Yield a stage with everything that the older release left; no operator runs."""
    async with open_stage(old_plane, tmp_path) as stage:
        await stage.api.cluster.create(NAMESPACES, {"metadata": {"name": OFFICES}})
        stage.observer.namespaces.add(OFFICES)
        await leave(Etcd(old_plane), left)
        await confirm(stage)
        yield stage
        assert stage.observer.problems == []


def server_in(namespace: str, name: str) -> CommServer:
    """Return a CommServer by its name."""
    return CommServer.model_validate({"metadata": {"name": name, "namespace": namespace}, "spec": STOCK})


async def served(stage: Stage) -> dict[str, Raw]:
    """Return all objects that the API server has now, by UID."""
    kinds = [*(kind.resource for kind in KINDS), SECRETS]
    items = [raw for kind in kinds for raw in (await stage.api.cluster.list(kind)).items]
    return {raw["metadata"]["uid"]: raw for raw in items}


def missing(before: Any, now: Any, path: str = "") -> list[str]:
    """Return what of an object is not so any more; more may have come."""
    if isinstance(before, dict) and isinstance(now, dict):
        names = before.keys() - MAY_CHANGE
        return [each for name in sorted(names) for each in missing(before[name], now.get(name), f"{path}.{name}")]
    if path.endswith(".conditions"):
        return missing(by_type(before), by_type(now), path)
    return [] if before == now else [f"{path}: {before} became {now}"]


def by_type(conditions: list[Raw] | None) -> Raw:
    return {condition["type"]: condition for condition in conditions or []}


def losses(before: list[Raw], now: dict[str, Raw]) -> list[str]:
    """Return which objects are gone, and what of the others is not so any more."""
    return [
        f"{raw['kind']} {raw['metadata']['name']}{loss}"
        for raw in before
        for loss in missing({part: raw[part] for part in PARTS if part in raw}, now.get(raw["metadata"]["uid"], {}))
    ]


async def test_an_upgrade_keeps_everything_and_a_downgrade_of_the_definitions_too(
    release: Path, left: list[Raw], stage: Stage
) -> None:
    assert losses(left, await served(stage)) == []

    install_crds(stage.control_plane)
    assert losses(left, await served(stage)) == []

    await stage.observer.ready()
    stage.start(*EXCHANGE)
    await stage.settle()
    upgraded = await served(stage)
    assert losses(left, upgraded) == []
    await World(stage, "upgrade").green(TO_ROME, TO_PARIS)

    await stage.stop()
    install_crds(stage.control_plane, release / "crds")
    assert losses(left, await served(stage)) == []
    assert (await served(stage)).keys() == upgraded.keys()


async def test_the_present_operator_goes_on_with_what_the_older_one_left(stage: Stage) -> None:
    """A key that the older one issued links, a link that it made ends, and its servers go."""
    install_crds(stage.control_plane)
    await stage.observer.ready()
    stage.start(*EXCHANGE)
    world = World(stage, "upgrade")
    await world.ready(FOR_BERN, "KeyIssued")
    spec = {"redeemKey": {"secretRef": {"name": "for-bern-key"}}}
    await stage.api.cluster.patch(Interlink.resource, FROM_BERN.key, {"spec": spec})
    await world.green(FOR_BERN, FROM_BERN)
    await world.delete(TO_ROME)
    await world.gone(TO_ROME, TO_PARIS)
    await stage.settle()
    for name in ("lyon", "nice", CONNECTED):
        await world.delete(server_in(OFFICES, name))
        await world.gone(server_in(OFFICES, name))
    await world.until(lambda: not list(stage.observer.all(EquipmentRecord)), "the records of their boxes are gone")


async def test_a_box_that_the_older_one_let_in_goes_on(
    release: Path, left: list[Raw], stage: Stage, tmp_path: Path
) -> None:
    """It needs no other code, stays connected, and is heard."""
    install_crds(stage.control_plane)
    port, line = unused_port(), Line()
    await line.up()
    await stage.observer.ready()
    stage.start(*EXCHANGE[:-1], str(port))
    world, server = World(stage, "upgrade"), server_in(OFFICES, CONNECTED)
    secret = activation(left)
    shutil.copy(release / "box.key", tmp_path)
    box = Box(tmp_path, "box", {})
    box.start({**secret, "endpoint": f"https://localhost:{port}"}, secret["activationCode"], line)
    try:
        for change, state in ((line.down, "Degraded"), (line.up, "Running")):
            await change()
            await world.ready(server, state, "Connected")
    finally:
        await box.terminate()
        await line.down()
    record = stage.observer.get(EquipmentRecord, ObjectKey("", record_name(secret["equipmentID"])))
    (before,) = (raw for raw in left if raw["kind"] == "EquipmentRecord" and "device" in raw["spec"])
    assert record is not None
    assert record.spec.to_json() == before["spec"]


def activation(objects: list[Raw]) -> dict[str, str]:
    """Return what the box was told."""
    (secret,) = (raw for raw in objects if raw["metadata"]["name"] == f"{CONNECTED}-activation")
    return {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
