"""Servers of provider Builtin: boxes that connect to the operator's exchange, from the Secret to the deletion."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from integration.box import Box, Line
from integration.harness import Stage, World, open_stage
from integration.reason_stories import shows
from pbx_operator.api import provider_reasons as reasons
from pbx_operator.api.meta import RECONCILE_ANNOTATION, SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, EquipmentRecord
from pbx_operator.domain.servers.equipment import deletion_of_record, record_name
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port
from server_builders import BTCO, STOCK

pytestmark = pytest.mark.asyncio(loop_scope="module")

PERIODS = {"silent": 2.0, "gone": 3.0, "reports": 0.25, "changes": 0.1}
STOCK_CODE = "ALE12-1234.5678.90"
LEFT = {**STOCK, "stock": {"fleetReference": "ALE15", "installationReference": "left"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(installed: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """Return a stage whose operator can be reached by boxes."""
    port = unused_port()
    async with open_stage(installed, tmp_path_factory.mktemp("stage")) as stage:
        await stage.observer.ready()
        endpoint = ("--exchange-endpoint", f"https://localhost:{port}", "--exchange-port", str(port))
        stage.start(*endpoint, periods=PERIODS)
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def boxes(tmp_path: Path) -> AsyncIterator[Callable[[str], Box]]:
    """Return what makes boxes; afterwards none of them runs."""
    made: list[Box] = []

    def make(name: str) -> Box:
        made.append(Box(tmp_path, name, PERIODS))
        return made[-1]

    yield make
    for box in made:
        await box.kill()


@pytest_asyncio.fixture(loop_scope="module")
async def line() -> AsyncIterator[Line]:
    """Return a line that is up."""
    line = Line()
    await line.up()
    yield line
    await line.down()


async def declare(world: World, name: str = "pbx", **spec: Any) -> CommServer:
    """Declare a server and wait until its provider has it."""
    namespace = world.namespaces[0] if world.namespaces else await world.namespace()
    server = server_in(namespace, name, **spec)
    await world.apply(server)
    return await world.ready(server, "Declared")


def server_in(namespace: str, name: str = "pbx", **spec: Any) -> CommServer:
    return CommServer.model_validate({"metadata": {"name": name, "namespace": namespace}, "spec": {**BTCO, **spec}})


async def secret_of(world: World, server: CommServer, **wanted: str) -> dict[str, str]:
    """Wait for an activation Secret with these entries, by default the first revision; return what it says."""
    key, expected = ObjectKey(server.key.namespace, f"{server.metadata.name}-activation"), {"revision": "1", **wanted}

    def read() -> dict[str, str] | None:
        data = (world.raw(SECRETS, key) or {}).get("data", {})
        entries = {name: base64.b64decode(value).decode() for name, value in data.items()}
        return entries if expected.items() <= entries.items() else None

    return await world.until(read, f"{expected} in {key}") or {}


async def state(world: World, server: CommServer, wanted: str, **channels: str) -> None:
    """Wait until the status shows a state, and these channels."""

    def holds() -> bool:
        now = world.now(server)
        shown = {c.name: c.state for c in now.status.connection} if now is not None else {}
        return now is not None and now.status.state == wanted and channels.items() <= shown.items()

    await world.until(holds, f"{server.key} is {wanted} {channels}")


def record_of(world: World, equipment_id: str) -> EquipmentRecord | None:
    return world.stage.observer.get(EquipmentRecord, ObjectKey("", record_name(equipment_id)))


async def test_the_log_says_where_boxes_connect(stage: Stage) -> None:
    await stage.operator.says("operators of other clusters and boxes reach it at https://localhost:")


async def test_built_to_order_from_its_secret_to_its_deletion(
    world: World, boxes: Callable[[str], Box], line: Line
) -> None:
    server = await declare(world)
    secret = await secret_of(world, server)
    assert set(secret) == {"equipmentID", "activationCode", "revision", "instance", "endpoint", "pin"}
    await state(world, server, "Pending")

    box = boxes("box")
    box.start(secret, secret["activationCode"], line)
    await state(world, server, "Running", sip="Up")
    await world.condition(server, "Connected", "True", "Running")
    await line.down()
    await state(world, server, "Degraded", sip="Down")
    assert world.shows(server, "Ready") == ("True", "Degraded")
    assert "channels are down: sip;" in world.message(server)
    await line.up()
    await state(world, server, "Running", sip="Up")

    await box.kill()
    await world.until(lambda: "the box was connected, and has been silent" in world.message(server), "it is silent")
    await state(world, server, "Activated")
    await world.condition(server, "Connected", "False", "Activated")
    box.start(secret, secret["activationCode"], line)
    await state(world, server, "Running", sip="Up")

    await world.apply(server_in(server.key.namespace, activation={"revision": 2}))
    assert await box.ended() == 2
    assert "does not know this box" in box.logs()
    renewed = await secret_of(world, server, revision="2")
    assert renewed["equipmentID"] == secret["equipmentID"]
    assert renewed["activationCode"] != secret["activationCode"]
    await state(world, server, "Pending")
    box.start(renewed, secret["activationCode"], line)
    assert await box.ended() == 2
    box.start(renewed, renewed["activationCode"], line)
    await state(world, server, "Running", sip="Up")

    thief = boxes("thief")
    thief.start(renewed, renewed["activationCode"])
    assert await thief.ended() == 2
    assert "another box has used the activation code" in thief.logs()
    assert await box.terminate() == 0

    await world.delete(server)
    await world.gone(server)
    await world.until(lambda: record_of(world, secret["equipmentID"]) is None, "the record is gone")


async def test_from_stock_with_a_code_that_can_be_guessed(
    world: World, boxes: Callable[[str], Box], line: Line
) -> None:
    address = await secret_of(world, await declare(world, "address"))
    server = await declare(world, **STOCK)
    await world.condition(server, "WeakActivationCode", "True", "StockCode")
    stock = {**address, "equipmentID": STOCK_CODE}
    wrong = boxes("wrong")
    wrong.start(stock, "ALE12-1234.5678.91")
    assert await wrong.ended() == 2
    assert f"knows no equipment {STOCK_CODE} with the activation code" in wrong.logs()

    box = boxes("box")
    box.start(stock, STOCK_CODE, line)
    await state(world, server, "Running", sip="Up")
    await world.until(lambda: world.shows(server, "WeakActivationCode") is None, "the code is spent")
    await world.delete(server)
    await world.gone(server)
    assert await box.ended() == 2


async def test_a_power_cut_at_any_moment_loses_no_login(world: World, boxes: Callable[[str], Box], line: Line) -> None:
    server = await declare(world)
    secret = await secret_of(world, server)
    box = boxes("box")
    box.start(secret, secret["activationCode"], line)
    await world.until(lambda: (r := record_of(world, secret["equipmentID"])) and r.spec.device, "the box is in")
    await box.kill()
    key = box.state.read_text()
    assert box.state.stat().st_mode & 0o777 == 0o600
    box.start(secret, secret["activationCode"], line)
    await state(world, server, "Running", sip="Up")
    assert box.state.read_text() == key


async def test_a_server_that_is_restored_finds_its_box(world: World, boxes: Callable[[str], Box], line: Line) -> None:
    address = await secret_of(world, await declare(world, "address"))
    stock = {**STOCK, "stock": {"fleetReference": "ALE13", "installationReference": "1"}}
    server = await declare(world, **stock)
    box = boxes("box")
    box.start({**address, "equipmentID": "ALE13-1"}, "ALE13-1", line)
    await state(world, server, "Running", sip="Up")
    await world.vanish(server)
    await world.apply(server_in(server.key.namespace, **stock))
    await state(world, server, "Running", sip="Up")
    now, record = world.now(server), record_of(world, "ALE13-1")
    assert now is not None
    assert record is not None
    assert (record.spec.owner.uid, record.spec.revision) == (now.metadata.uid, 1)
    assert now.metadata.uid != server.metadata.uid


async def test_a_box_whose_line_is_dead_is_never_said_to_run(world: World, boxes: Callable[[str], Box]) -> None:
    server = await declare(world)
    secret = await secret_of(world, server)
    assert "of Secret pbx-activation" in world.message(server)
    boxes("box").start(secret, secret["activationCode"], Line())
    await world.event(server, "Degraded")
    now = world.now(server)
    assert now is not None
    assert (now.status.state, now.status.channels_up) == ("Degraded", "0/1")
    events = [e for e in world.stage.observer.raws("events") if e["regarding"].get("uid") == now.metadata.uid]
    assert [e["reason"] for e in events if e["reason"] != "StockCode"] == ["Declared", "Degraded"]


async def test_an_exchange_that_moves_is_told_to_its_boxes(
    stage: Stage, world: World, boxes: Callable[[str], Box], line: Line
) -> None:
    connected, waiting = await declare(world), await declare(world, "waiting")
    used, unused = await secret_of(world, connected), await secret_of(world, waiting)
    box = boxes("box")
    box.start(used, used["activationCode"], line)
    await state(world, connected, "Running", sip="Up")
    await box.terminate()
    await stage.stop()
    endpoint = used["endpoint"].replace("localhost", "127.0.0.1")
    port = endpoint.rpartition(":")[2]
    stage.start("--exchange-endpoint", endpoint, "--exchange-port", port, periods=PERIODS)
    for server, before, name in ((connected, used, "box"), (waiting, unused, "another")):
        told = await secret_of(world, server, endpoint=endpoint)
        assert told == {**before, "endpoint": endpoint}
        boxes(name).start(told, told["activationCode"], line)
        await state(world, server, "Running", sip="Up")


async def test_codes_are_nowhere_but_in_their_secrets(
    stage: Stage, world: World, boxes: Callable[[str], Box], line: Line
) -> None:
    server = await declare(world)
    first = await secret_of(world, server)
    box = boxes("box")
    box.start(first, first["activationCode"], line)
    await state(world, server, "Running", sip="Up")
    await world.apply(server_in(server.key.namespace, activation={"revision": 2}))
    second = await secret_of(world, server, revision="2")
    await box.ended()
    texts = [json.dumps(one) for one in await stage.api.everything() if one["kind"] != "Secret"]
    texts += [json.dumps(raw) for plural, _, raw in stage.observer.history if plural != "secrets"]
    texts += [call.body.decode() for call in stage.proxy.journal.calls if call.resource != "secrets"]
    texts += [stage.logs(), box.logs()]
    for code in (first["activationCode"], second["activationCode"]):
        for trace in (code, code.replace("-", ""), base64.b64encode(code.encode()).decode(), code[:14]):
            assert not [text for text in texts if trace in text], f"a trace of a code: {trace}"
    assert box.state.read_text().strip() not in "".join(texts)


@shows(reasons.LEFT_AT_PROVIDER)
async def test_a_record_that_an_orphan_leaves(world: World) -> None:
    """The Event and the reason name what an administrator deletes, and that helps."""
    first = await declare(world, "first", **LEFT, deletionPolicy="Orphan")
    second = server_in(first.key.namespace, "second", **LEFT)
    await world.delete(first)
    await world.gone(first)
    record = ObjectKey("", record_name("ALE15-left"))
    (event,) = await world.event(first, "Orphaned")
    assert f"({deletion_of_record(record.name)})" in event["note"]
    await world.apply(second)
    await world.ready(second, reasons.SYSTEM_NOT_OURS.name)
    assert f"({deletion_of_record(record.name)})" in world.message(second)
    await world.stage.api.cluster.delete(EquipmentRecord.resource, record)
    patch = {"metadata": {"annotations": {RECONCILE_ANNOTATION: "now"}}}
    await world.stage.api.cluster.patch(second.resource, second.key, patch)
    await world.ready(second, "Declared")
    await world.delete(second)
    await world.gone(second)
