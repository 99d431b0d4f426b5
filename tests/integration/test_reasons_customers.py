"""The reasons that rest on the customer behind an account."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from integration.harness import Stage, World, open_stage
from integration.reason_stories import expect, expect_first_progress, shows
from integration.shop import Shop
from pbx_operator.api import provider_reasons as reasons
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.pki import CertificateAuthority
from simulators.telecom_center import Answer, Fault, calls

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(
    installed: ControlPlane, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """Return a stage whose operator trusts the simulator, may dial it, and has little patience."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(authority.files.certificate))
        async with open_stage(installed, tmp_path_factory.mktemp("stage")) as stage:
            await stage.observer.ready()
            stage.start("--allow-network", "127.0.0.0/8", periods=PERIODS)
            yield stage


@shows(reasons.CUSTOMER_IN_USE)
async def test_two_accounts_for_one_customer(shop: Shop, world: World) -> None:
    older, younger = (shop.account({"customerID": "7"}, name) for name in ("older", "younger"))
    await world.apply(older)
    await world.ready(older, "Serving")
    await world.apply(younger)
    await expect_first_progress(world, younger, reasons.CUSTOMER_IN_USE, "customer 7")
    await shop.end(younger)
    assert "7" in shop.center.customers
    await shop.end(older)


@shows(reasons.CUSTOMER_NOT_OURS)
async def test_a_customer_of_somebody_else(shop: Shop, world: World) -> None:
    shop.center.customers.put("8", name="theirs")
    account = shop.account({"customerID": "8"})
    await world.apply(account)
    await expect_first_progress(world, account, reasons.CUSTOMER_NOT_OURS, "customer 8")
    await world.apply(shop.account({"customerID": "8"}, displayName="theirs"))
    await world.ready(account, "Serving")
    await shop.end(account)


@shows(reasons.CUSTOMER_GONE)
async def test_a_customer_that_somebody_deleted(shop: Shop, world: World) -> None:
    account = shop.account({"customerID": "9"}, driftPolicy="Report")
    await world.apply(account)
    await world.ready(account, "Serving")
    shop.center.customers.remove("9")
    await shop.look(account)
    await expect_first_progress(world, account, reasons.CUSTOMER_GONE, "customer 9", "Enforce")
    await world.apply(shop.account({"customerID": "9"}))
    await world.ready(account, "Serving")
    await shop.end(account)


@shows(reasons.ACCESS_DENIED)
async def test_a_login_without_the_right(shop: Shop, world: World) -> None:
    denied = Fault(calls(), times=None, then=Answer(403))
    shop.center.add(denied)
    account = shop.account({"customerID": "10"})
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


@shows(reasons.DRIFT_CORRECTED)
async def test_a_change_that_is_taken_back(shop: Shop, world: World) -> None:
    account = shop.account({"customerID": "11"})
    await world.apply(account)
    await world.ready(account, "Serving")
    shop.center.customers.put("11", language="RU")
    await shop.look(account)
    await world.event(account, "DriftCorrected")
    await shop.end(account)
