"""CommServers at Rainbow: the operator as a process, a real API server, and Rainbow's simulator over HTTPS."""

from __future__ import annotations

import json

import pytest
import pytest_asyncio

from integration.conftest import MAY_DIAL_LOOPBACK, providers_stage
from integration.harness import Stage, World
from integration.office import Office
from server_builders import STOCK
from simulators.rainbow import Fault, calls

pytestmark = pytest.mark.asyncio(loop_scope="module")

STOCK_CODE = "ALE12-1234.5678.90"


stage = pytest_asyncio.fixture(providers_stage, scope="module", loop_scope="module")


async def test_built_to_order_from_its_secret_to_its_deletion(office: Office, world: World) -> None:
    server = office.server(displayName="Reception")
    await world.apply(server)
    await world.ready(server, "Declared")
    secret = await office.secret()
    system = office.system(secret["equipmentID"])
    assert (system.activation_code, system.settings["name"]) == (secret["activationCode"], "Reception")

    office.rainbow.equipment.connect(system.pbx_id, secret["activationCode"])
    await office.look(server)
    await office.state(server, "Running")
    await world.condition(server, "Connected", "True", "Running")

    await world.apply(office.server(displayName="Reception", activation={"revision": 2}))
    renewed = await office.secret(revision=2)
    await office.state(server, "Pending")
    assert renewed["activationCode"] == system.activation_code != secret["activationCode"]

    await world.apply(office.server(displayName="Desk", activation={"revision": 2}))
    await office.rainbow.journal.wait_for(calls(operation="PutSystems", status=200))
    assert [call.body for call in office.rainbow.journal.select(operation="PutSystems")] == [{"name": "Desk"}]

    await world.delete(server)
    await world.gone(server)
    assert office.rainbow.state.by_pbx_id(system.pbx_id) is None


async def test_from_stock_with_no_secret(office: Office, world: World) -> None:
    server = office.server(**STOCK)
    await world.apply(server)
    await world.condition(server, "WeakActivationCode", "True", "StockCode")
    office.rainbow.equipment.connect(STOCK_CODE, STOCK_CODE)
    await office.look(server)
    await office.state(server, "Running")
    await world.delete(server)
    await world.gone(server)


async def test_a_wrong_password_is_tried_once_also_by_the_next_operator(
    office: Office, world: World, stage: Stage
) -> None:
    await office.write_login("wrong")
    server = office.server()
    await world.apply(server)
    await world.condition(server, "Ready", "False", "CredentialsRejected")
    await stage.stop()
    stage.start(*MAY_DIAL_LOOPBACK)
    await stage.settle()
    await office.look(server)
    await stage.settle()
    assert len(office.rainbow.journal.select(operation="GetBasicLogin")) == 1
    await office.write_login(office.customer.admin.password)
    await office.look(server)
    await world.ready(server, "Declared")
    await world.delete(server)
    await world.gone(server)


async def test_an_operator_killed_behind_the_creation_finds_its_system(
    office: Office, world: World, stage: Stage
) -> None:
    killed = office.rainbow.add(
        Fault(calls(operation="PostSystems"), at="after-commit", do=stage.operator.kill, then="drop")
    )
    server = office.server()
    await world.apply(server)
    await killed.hit()
    await stage.operator.ended()
    stage.start(*MAY_DIAL_LOOPBACK)
    await world.ready(server, "Declared")
    secret = await office.secret()
    assert office.system(secret["equipmentID"]).activation_code == secret["activationCode"]
    assert len([call for call in office.rainbow.journal.select(operation="PostSystems") if call.committed]) == 1
    await world.delete(server)
    await world.gone(server)


async def test_codes_and_passwords_are_nowhere_but_in_their_secrets(office: Office, world: World, stage: Stage) -> None:
    server = office.server()
    await world.apply(server)
    await world.ready(server, "Declared")
    code = (await office.secret())["activationCode"]
    texts = [json.dumps(one) for one in await stage.api.everything() if one["kind"] != "Secret"]
    texts += [json.dumps(raw) for plural, _, raw in stage.observer.history if plural != "secrets"]
    texts.append(stage.logs())
    secrets = (code, office.customer.admin.password, office.customer.application.secret)
    assert not [trace for trace in secrets if any(trace in text for text in texts)]
    await world.delete(server)
    await world.gone(server)
