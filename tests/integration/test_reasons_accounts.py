"""Every reason that an account or an internal number shows, as its user meets it.

See `test_reasons_interlinks` for what is checked; the numbers themselves are in `test_numbers`.
"""

from __future__ import annotations

import pytest

import builders
from builders import number_range
from faultproxy import Answer, Fault, writes
from integration.harness import World, number
from integration.reason_stories import expect, expect_first_progress, shows
from pbx_operator.api import reasons
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import Numbering

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}


# --- PBXAccount -------------------------------------------------------------------------------------------------


@shows(reasons.SERVING)
async def test_serving(world: World) -> None:
    a = await world.office("a", "200")
    await world.ready(number("200", a.key.namespace), "Serving")


@shows(reasons.UNKNOWN_COUNTRY)
async def test_unknown_country(world: World) -> None:
    account = builders.account("a", await world.namespace(), country="XX")
    await world.apply(account)
    await expect(world, account, reasons.UNKNOWN_COUNTRY, '"XX"', "correct it")
    await world.apply(builders.account("a", account.key.namespace))
    await world.ready(account, "Serving")


@shows(reasons.DOMAIN_CONFLICT)
async def test_domain_conflict(world: World) -> None:
    domain = f"{world.name}.example.com"
    a = await world.office("a", sipDomain=domain)
    b = builders.account("a", await world.namespace("b"), sipDomain=domain)
    await world.apply(b)
    await expect_first_progress(world, b, reasons.DOMAIN_CONFLICT, domain, "sipDomain")
    await world.delete(a)
    taken = await world.ready(b, "Serving")
    assert taken.status.sip_domain == domain


@shows(reasons.DOMAIN_RESERVED)
async def test_domain_reserved(world: World) -> None:
    """Whoever may have such a domain gets it although somebody else asked first."""
    owner = builders.account("a", await world.namespace("b"))
    domain = f"a.{owner.key.namespace}.pbx.local"
    squatter = builders.account("a", await world.namespace(), sipDomain=domain)
    await world.apply(squatter)
    await expect(world, squatter, reasons.DOMAIN_RESERVED, domain, owner.key.namespace, "leave it out")
    await world.apply(owner)
    assert (await world.ready(owner, "Serving")).status.sip_domain == domain
    await world.apply(builders.account("a", squatter.key.namespace))
    await world.ready(squatter, "Serving")


@shows(reasons.DOMAIN_RELEASING)
async def test_domain_releasing(world: World) -> None:
    """The holder chose another domain, and its status cannot be written: until then it has the old one."""
    domain = f"{world.name}.example.com"
    a = await world.office("a", sipDomain=domain)
    b = builders.account("a", await world.namespace("b"), sipDomain=domain)
    await world.apply(b)
    await world.ready(b, "DomainConflict")
    letting_go = writes(resource="pbxaccounts", namespace=a.key.namespace, subresource="status")
    world.stage.proxy.add(Fault(letting_go, times=None, then=Answer(500)))
    await world.apply(builders.account("a", a.key.namespace, sipDomain=f"new.{domain}"))
    await expect(world, b, reasons.DOMAIN_RELEASING, domain)
    world.stage.proxy.clear()
    assert (await world.ready(b, "Serving")).status.sip_domain == domain


@shows(reasons.SLICE_NAME_TAKEN)
async def test_slice_name_taken(world: World) -> None:
    namespace = await world.namespace()
    foreign = {
        "apiVersion": "pbx-operator.io/v1alpha1",
        "kind": "DialPlanSlice",
        "metadata": {"name": "a.own", "namespace": namespace},
        "spec": {"accountRef": {"name": "a"}, "source": {"type": "Own"}, "rank": "0", "rev": "a" * 26},
    }
    await world.apply(foreign)
    account = builders.account("a", namespace)
    await world.apply(account)
    await expect_first_progress(world, account, reasons.SLICE_NAME_TAKEN, "a.own", "delete it")


@shows(reasons.DELETING)
async def test_account_waits_for_its_links_when_it_is_deleted(world: World) -> None:
    """With the finalizer of somebody else on it, so that there is something to see."""
    namespace = await world.namespace()
    account = builders.account("a", namespace)
    await world.apply(manifest_with_finalizer(account))
    await world.ready(account, "Serving")
    await world.delete(account)
    await world.ready(account, "Deleting")
    await world.release(account)
    await world.gone(account)


# --- InternalNumber ---------------------------------------------------------------------------------------------


@shows(reasons.NOT_CHECKED)
async def test_number_without_account(world: World) -> None:
    lonely = number("200", await world.namespace())
    await world.apply(lonely)
    await expect(world, lonely, reasons.REF_NOT_FOUND, "PBXAccount a", "create it")
    assert world.shows(lonely, "Accepted") == ("Unknown", "NotChecked")


async def test_number_of_an_account_that_is_not_ready(world: World) -> None:
    namespace = await world.namespace()
    await world.apply(builders.account("a", namespace, country="XX"), number("200", namespace))
    await expect(world, number("200", namespace), reasons.ACCOUNT_NOT_READY, "PBXAccount a")


@shows(reasons.NUMBER_CONFLICT)
async def test_number_conflict(world: World) -> None:
    a = await world.office("a", "200")
    second = number("200", a.key.namespace, name="second")
    await world.apply(second)
    await expect_first_progress(world, second, reasons.NUMBER_CONFLICT, "n200", "free that one")


@shows(reasons.NUMBER_RELEASING)
async def test_number_releasing(world: World) -> None:
    """The holder chose another number, and its status cannot be written: until then it has the old one."""
    a = await world.office("a", "200")
    second = number("200", a.key.namespace, name="second")
    await world.apply(second)
    await world.ready(second, "NumberConflict")
    letting_go = writes(resource="internalnumbers", namespace=a.key.namespace, name="n200", subresource="status")
    world.stage.proxy.add(Fault(letting_go, times=None, then=Answer(500)))
    await world.apply(number("201", a.key.namespace, name="n200"))
    await expect(world, second, reasons.NUMBER_RELEASING, "200", "n200")
    world.stage.proxy.clear()
    assert (await world.ready(second, "Serving")).status.number == "200"


@shows(reasons.EMERGENCY_NUMBER, reasons.NUMBER_OUT_OF_RANGE, reasons.RESERVED_PREFIX)
async def test_refused_numbers(world: World) -> None:
    numbering = Numbering(ranges=(number_range("200-299"),), out_of_range="Reject", reserved_prefixes=("28",))
    a = await world.office("a", numbering=numbering)
    refusals = {
        "112": (reasons.EMERGENCY_NUMBER, "112"),
        "300": (reasons.NUMBER_OUT_OF_RANGE, "PBXAccount a"),
        "280": (reasons.RESERVED_PREFIX, "28"),
    }
    await world.apply(*(number(digits, a.key.namespace) for digits in refusals))
    for digits, (reason, word) in refusals.items():
        await expect(world, number(digits, a.key.namespace), reason, digits, word)
        assert world.shows(number(digits, a.key.namespace), "Accepted") == ("False", reason.name)


def manifest_with_finalizer(account: PBXAccount) -> dict[str, object]:
    metadata = {"name": account.metadata.name, "namespace": account.key.namespace, "finalizers": ["example.com/hold"]}
    return {
        "apiVersion": "pbx-operator.io/v1alpha1",
        "kind": "PBXAccount",
        "metadata": metadata,
        "spec": {"country": "NL"},
    }
