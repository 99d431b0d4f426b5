"""Accounts with customers at telecom.center: the operator as a process, a real API server, the simulator over HTTPS."""

from __future__ import annotations

import base64
import json

import pytest
import pytest_asyncio

from integration.conftest import MAY_DIAL_LOOPBACK, providers_stage
from integration.harness import Stage, World, number
from integration.shop import PASSWORD, Shop
from simulators.telecom_center import Fault, calls, writes

pytestmark = pytest.mark.asyncio(loop_scope="module")

stage = pytest_asyncio.fixture(providers_stage, scope="module", loop_scope="module")


async def test_a_customer_from_its_account_to_its_deletion(shop: Shop, world: World, stage: Stage) -> None:
    account = shop.account({"customerID": "7", "language": "LT"}, displayName="Acme")
    await world.apply(account, number("200", shop.namespace))
    shown = await world.ready(account, "Serving")
    assert (shown.status.customer_id, shown.status.applied_generation) == ("7", 1)
    assert shop.center.customers["7"]["name"] == "Acme"
    await world.ready(number("200", shop.namespace), "Serving")

    await world.apply(shop.account({"customerID": "7", "language": "LT", "capacityLimit": 10}, displayName="Acme"))
    await world.condition(account, "Provisioned", "True", "Provisioned")
    await stage.settle()
    assert shop.center.customers["7"]["capacity_limit"] == 10
    written = len(world.writes())
    await stage.settle()
    assert len(world.writes()) == written

    await shop.end(account)
    assert "7" not in shop.center.customers
    assert [call for call in shop.calls if not call.startswith("GET")] == ["POST 201", "PATCH 200", "DELETE 204"]


async def test_what_others_change_is_taken_back_or_reported_and_told(shop: Shop, world: World) -> None:
    account = shop.account({"customerID": "8"})
    await world.apply(account)
    await world.ready(account, "Serving")
    shop.center.customers.put("8", language="RU")
    await shop.look(account)
    (event, *_) = await world.event(account, "DriftCorrected")
    assert "language is 'RU', wanted is 'EN'" in event["note"]
    assert shop.center.customers["8"]["language"] == "EN"

    reporting = shop.account({"customerID": "8"}, driftPolicy="Report")
    await world.apply(reporting)
    await world.condition(account, "Provisioned", "True", "Provisioned")
    shop.center.customers.put("8", language="LV")
    await shop.look(account)
    await world.event(account, "Drifted")
    await world.condition(account, "Provisioned", "True", "Drifted")
    assert world.shows(account, "Ready") == ("True", "Serving")
    assert shop.center.customers["8"]["language"] == "LV"
    await shop.end(account)


async def test_a_wrong_password_is_tried_once_also_by_the_next_operator(shop: Shop, world: World, stage: Stage) -> None:
    await shop.write_login("wrong")
    account = shop.account()
    await world.apply(account)
    await world.condition(account, "Stalled", "True", "CredentialsRejected")
    await stage.stop()
    stage.start(*MAY_DIAL_LOOPBACK)
    await stage.settle()
    await shop.look(account)
    await stage.settle()
    assert shop.calls == ["GET 401"]
    await shop.write_login()
    await shop.look(account)
    await world.ready(account, "Serving")
    await shop.end(account)


async def test_an_operator_killed_behind_the_creation_creates_no_second_customer(
    shop: Shop, world: World, stage: Stage
) -> None:
    killed = shop.center.add(Fault(calls(method="POST"), at="after-commit", do=stage.operator.kill, then="drop"))
    account = shop.account()
    await world.apply(account)
    await killed.hit()
    await stage.operator.ended()
    stage.start(*MAY_DIAL_LOOPBACK)
    shown = await world.ready(account, "Serving")
    assert shop.center.customers.ids() == [shown.status.customer_id]
    await shop.end(account)
    assert not shop.center.customers.ids()


async def test_a_dead_provider_slows_nobody_and_holds_the_deletion_until_it_is_orphaned(
    shop: Shop, world: World, stage: Stage
) -> None:
    account = shop.account({"customerID": "9"})
    await world.apply(account)
    await world.ready(account, "Serving")
    shop.center.add(Fault(writes(), times=None, then="drop"))
    await world.delete(account)
    await world.until(lambda: "spec.deletionPolicy to Orphan" in world.message(account), "the deletion is explained")
    other = await world.office("b", "100")
    assert world.shows(other, "Ready") == ("True", "Serving")
    await world.apply(shop.account({"customerID": "9"}, deletionPolicy="Orphan"))
    await world.gone(account)
    assert "9" in shop.center.customers
    (event,) = await world.event(account, "Orphaned")
    assert event["type"] == "Warning", "somebody should delete it there"
    assert event["note"].startswith(f"customer 9 at {shop.center.url} stays")
    shop.center.customers.remove("9")


async def test_an_account_that_never_reached_its_provider_goes_at_once(shop: Shop, world: World) -> None:
    account = shop.account({"credentialsSecretRef": {"name": "logni"}})
    await world.apply(account)
    await world.ready(account, "CredentialsMissing")
    await shop.end(account)
    assert not shop.calls


async def test_the_password_is_nowhere_but_in_its_secret(shop: Shop, world: World, stage: Stage) -> None:
    account = shop.account()
    await world.apply(account)
    await world.ready(account, "Serving")
    texts = [json.dumps(one) for one in await stage.api.everything() if one["kind"] != "Secret"]
    texts += [json.dumps(raw) for plural, _, raw in stage.observer.history if plural != "secrets"]
    texts.append(stage.logs())
    encoded = base64.b64encode(f"operator:{PASSWORD}".encode()).decode()
    assert not [trace for trace in (PASSWORD, encoded) if any(trace in text for text in texts)]
    await shop.end(account)
