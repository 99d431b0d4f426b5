"""The reasons that an account alone shows, of its customer at telecom.center; others are in `test_reasons_servers`."""

from __future__ import annotations

import pytest
import pytest_asyncio

from integration.conftest import providers_stage
from integration.harness import World
from integration.reason_stories import expect, expect_first_progress, shows
from integration.shop import Shop
from pbx_operator.api import provider_reasons as reasons
from simulators.telecom_center import Answer, Fault, calls

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}

stage = pytest_asyncio.fixture(providers_stage, scope="module", loop_scope="module")


@shows(reasons.CUSTOMER_IN_USE)
async def test_a_customer_that_another_account_has(shop: Shop, world: World) -> None:
    first, second = shop.account({"customerID": "21"}), shop.account({"customerID": "21"}, "b")
    await world.apply(first)
    await world.ready(first, "Serving")
    await world.apply(second)
    await expect_first_progress(world, second, reasons.CUSTOMER_IN_USE, "customer 21", "PBXAccount")
    await shop.end(first)
    await world.ready(second, "Serving")
    await shop.end(second)


@shows(reasons.CUSTOMER_NOT_OURS)
async def test_a_customer_of_somebody_else(shop: Shop, world: World) -> None:
    shop.center.customers.put("22", name="Somebody")
    account = shop.account({"customerID": "22"})
    await world.apply(account)
    await expect_first_progress(world, account, reasons.CUSTOMER_NOT_OURS, "customer 22")
    await world.apply(shop.account({"customerID": "22"}, displayName="Somebody"))
    await world.ready(account, "Serving")
    await shop.end(account)


@shows(reasons.CUSTOMER_GONE)
async def test_a_customer_that_somebody_deleted(shop: Shop, world: World) -> None:
    account = shop.account({"customerID": "23"}, driftPolicy="Report")
    await world.apply(account)
    await world.ready(account, "Serving")
    shop.center.customers.remove("23")
    await shop.look(account)
    await expect_first_progress(world, account, reasons.CUSTOMER_GONE, "customer 23", "Enforce")
    await shop.end(account)


@shows(reasons.ACCESS_DENIED)
async def test_a_login_that_may_not_do_this(shop: Shop, world: World) -> None:
    account = shop.account({"customerID": "24"})
    denied = Fault(calls(), times=None, then=Answer(403))
    shop.center.add(denied)
    await world.apply(account)
    await expect(world, account, reasons.ACCESS_DENIED, "Secret login")
    shop.center.clear()
    await shop.look(account)
    await world.ready(account, "Serving")
    shop.center.add(denied)
    await shop.look(account)
    await world.condition(account, "Provisioned", "Unknown", "AccessDenied")
    shop.center.clear()
    await shop.end(account)
