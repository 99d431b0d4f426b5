"""The reasons that a CommServer shows of its spec, its box, its equipment ID, and what others have or do at Rainbow.

What Rainbow refuses is in `test_reasons_rainbow`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest
import pytest_asyncio

from integration.conftest import providers_stage
from integration.harness import World
from integration.office import Office
from integration.reason_stories import expect, expect_first_progress, shows
from pbx_operator.api import provider_reasons as reasons
from pbx_operator.api import rainbow_reasons
from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey
from pbx_operator.api.reasons import Reason
from pbx_operator.api.v1alpha1 import CommServer
from server_builders import STOCK
from simulators.rainbow import Answer, Channels, Company, Fault, Site, State, calls, failure

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = {"grace": 1.0}

stage = pytest_asyncio.fixture(providers_stage, scope="module", loop_scope="module")


def from_stock(office: Office, box: str, name: str | None = None, **spec: object) -> CommServer:
    """Return a server whose box, from stock, has the equipment ID `ALE14-` and its name."""
    stock = {"fleetReference": "ALE14", "installationReference": box}
    return office.server(name or box, **{**STOCK, "stock": stock, **spec})


def equipment_id(box: str) -> str:
    return f"ALE14-{box}"


async def look(office: Office, *servers: CommServer) -> None:
    for server in servers:
        await office.look(server)


async def end(world: World, servers: Iterable[CommServer]) -> None:
    """Delete servers together, and wait until they are gone."""
    await world.delete(*servers)
    await world.gone(*servers)


# --- the spec ---------------------------------------------------------------------------------------------------


@shows(reasons.INVALID_NUMBERING_RULE, reasons.EMERGENCY_CALL, reasons.ACCEPTED_WITH_WARNINGS, reasons.NOT_PROVISIONED)
async def test_numbering_rules(office: Office, world: World) -> None:
    def blocks(name: str, match: str) -> CommServer:
        dialing = {"country": "FR", "outboundPrefix": "0"}
        return office.server(name, dialing=dialing, numberingRules=[{"match": match, "action": "Block"}])

    wrong, dangerous, doubtful = blocks("wrong", "^("), blocks("dangerous", "^18$"), blocks("doubtful", r"^\d{7}$")
    await world.apply(wrong, dangerous, doubtful)
    await expect(world, wrong, reasons.INVALID_NUMBERING_RULE, "numberingRules[0].match")
    await expect(world, dangerous, reasons.EMERGENCY_CALL, "emergency number 18")
    await world.condition(doubtful, "Accepted", "True", "AcceptedWithWarnings")
    assert r"^\d{7}$" in world.message(doubtful, "Accepted")
    assert [event["type"] for event in await world.event(doubtful, "AcceptedWithWarnings")] == ["Warning"]
    await world.ready(doubtful, "Declared")
    assert "Accepted has warnings" in world.message(doubtful)
    changed = blocks("doubtful", "^0112$")
    await world.apply(changed)
    await expect(world, changed, reasons.EMERGENCY_CALL, "112 behind", "the settings of generation 1 stay in force")
    await end(world, (wrong, dangerous, doubtful))


# --- the box ----------------------------------------------------------------------------------------------------


@shows(
    reasons.PROVISIONED,
    reasons.NOT_DECLARED,
    reasons.STOCK_CODE,
    reasons.DECLARED,
    reasons.AWAITING_CONNECTION,
    reasons.RUNNING,
    reasons.DEGRADED,
    reasons.ACTIVATED,
)
async def test_a_box_that_is_connected_and_unplugged(office: Office, world: World) -> None:
    box, awaited = from_stock(office, "box"), from_stock(office, "awaited", readyWhen="Running")
    await world.apply(box, awaited)
    await world.ready(box, "Declared")
    assert equipment_id("box") in world.message(box)
    await expect(world, awaited, reasons.AWAITING_CONNECTION, "connect the box")
    for name in ("box", "awaited"):
        office.rainbow.equipment.connect(equipment_id(name), equipment_id(name))
    await look(office, box, awaited)
    await world.ready(box, "Running")
    await world.ready(awaited, "Running")
    office.rainbow.equipment.set_channels(equipment_id("box"), Channels(conf=True, csta=False, http=True, xmpp=True))
    office.rainbow.equipment.disconnect(equipment_id("awaited"))
    await look(office, box, awaited)
    await world.ready(box, "Degraded")
    assert "channels are down: csta;" in world.message(box)
    await world.ready(awaited, "Activated")
    await end(world, (box, awaited))


@shows(reasons.EXCHANGE_MISSING)
async def test_a_box_that_has_no_exchange_to_connect_to(office: Office, world: World) -> None:
    manifest = {"metadata": {"name": "box", "namespace": office.namespace}, "spec": STOCK}
    server = CommServer.model_validate(manifest)
    await world.apply(server)
    await expect(world, server, reasons.EXCHANGE_MISSING, "--exchange-endpoint")
    await end(world, (server,))


@shows(reasons.PROVISIONING)
async def test_a_code_that_the_box_seems_to_have_used_just_now(office: Office, world: World) -> None:
    """The Secret with the code is lost, and Rainbow, asked for the code, does not tell it any more."""
    server = office.server()
    await world.apply(server)
    await world.ready(server, "Declared")
    system = office.system((await office.secret())["equipmentID"])
    spent = Answer(200, json.dumps({"data": {"id": system.id, "status": "activated"}}).encode())
    office.rainbow.add(Fault(calls(operation="GetSystemsId"), times=None, then=spent))
    await world.stage.api.cluster.delete(SECRETS, ObjectKey(office.namespace, "pbx-activation"))
    await office.look(server)
    await world.condition(server, "Provisioned", "Unknown", "Provisioning")
    office.rainbow.clear()
    await office.look(server)
    await world.condition(server, "Provisioned", "True", "Provisioned")
    assert (await office.secret())["activationCode"] == system.activation_code
    await end(world, (server,))


# --- what others have, or do --------------------------------------------------------------------------------------


@shows(reasons.EQUIPMENT_IN_USE, reasons.SYSTEM_NOT_OURS)
async def test_an_equipment_id_that_others_have(office: Office, world: World) -> None:
    """First another CommServer, then, as that one leaves its system behind, somebody at Rainbow."""
    first = from_stock(office, "shared", "first", deletionPolicy="Orphan")
    second = from_stock(office, "shared", "second")
    await world.apply(first)
    await world.ready(first, "Declared")
    await world.apply(second)
    await expect_first_progress(world, second, reasons.EQUIPMENT_IN_USE, equipment_id("shared"), "CommServer first")
    office.rainbow.equipment.connect(equipment_id("shared"), equipment_id("shared"))
    await end(world, (first,))
    await expect_first_progress(world, second, reasons.SYSTEM_NOT_OURS, equipment_id("shared"))
    await end(world, (second,))
    assert office.system(equipment_id("shared")).status == "activated"


async def test_a_namespace_that_is_deleted_with_its_logins(office: Office, world: World) -> None:
    """What was never declared goes with it; what was declared waits, as nobody can log in, until it is orphaned."""
    branch = Office(world, office.rainbow, office.customer, await world.namespace("branch"))
    await branch.prepare()
    mistaken, declared = from_stock(branch, "mistaken", login="logni"), from_stock(branch, "declared")
    await world.apply(mistaken, declared)
    await expect(world, mistaken, reasons.CREDENTIALS_MISSING, "Secret logni")
    await world.ready(declared, "Declared")
    office.rainbow.add(Fault(calls(operation="DeleteSystems"), times=None, then=failure(500)))
    cluster, namespace = world.stage.api.cluster, ObjectKey("", branch.namespace)
    await cluster.delete(NAMESPACES, namespace)
    await world.gone(mistaken)
    await world.until(lambda: "does not exist" in world.message(declared), "the login is missed")
    assert "set spec.deletionPolicy to Orphan" in world.message(declared)
    await cluster.patch(declared.resource, declared.key, {"spec": {"deletionPolicy": "Orphan"}})
    await world.gone(declared)
    await world.absent(NAMESPACES, namespace)
    office.rainbow.clear()
    assert office.system(equipment_id("declared")).status == "created"


@shows(reasons.DRIFTED, reasons.DRIFT_CORRECTED, reasons.SYSTEM_DELETED)
async def test_what_others_change_at_rainbow(office: Office, world: World) -> None:
    enforcing, reporting = from_stock(office, "enforced"), from_stock(office, "reported", driftPolicy="Report")
    await world.apply(enforcing, reporting)
    for server in (enforcing, reporting):
        await world.ready(server, "Declared")
        office.system(equipment_id(server.metadata.name)).settings["name"] = "Elsewhere"
    await look(office, enforcing, reporting)
    await world.event(enforcing, "DriftCorrected")
    await world.condition(reporting, "Provisioned", "True", "Drifted")
    assert "Elsewhere" in world.message(reporting, "Provisioned")
    del office.rainbow.state.systems[office.system(equipment_id("reported")).id]
    await office.look(reporting)
    await expect(world, reporting, reasons.SYSTEM_DELETED, "driftPolicy")
    await end(world, (enforcing, reporting))


async def test_a_gateway_that_keeps_a_server(office: Office, world: World) -> None:
    """Rainbow deletes no system with a WebRTC gateway; while a server waits for that, its reason is Deleting."""
    server = from_stock(office, "gateway")
    await world.apply(server)
    await world.ready(server, "Declared")
    office.rainbow.equipment.set_media_pillar(equipment_id("gateway"), linked=True)
    await world.delete(server)
    await world.until(lambda: rainbow_reasons.MEDIA_PILLAR_LINKED.what in world.message(server), "the gateway is named")
    office.rainbow.equipment.set_media_pillar(equipment_id("gateway"), linked=False)
    await office.look(server)
    await world.gone(server)


# --- the place at Rainbow, and the way to it ----------------------------------------------------------------------

Trouble = Callable[[State, Company, Site], AbstractContextManager[None]]


@contextmanager
def renamed_company(_: State, company: Company, __: Site) -> Iterator[None]:
    name, company.name = company.name, "Somebody"
    yield
    company.name = name


@contextmanager
def second_company(state: State, company: Company, _: Site) -> Iterator[None]:
    twin = state.add_company(company.name)
    twin.bp_id = company.bp_id
    yield
    del state.companies[twin.id]


@contextmanager
def no_site(state: State, _: Company, site: Site) -> Iterator[None]:
    del state.sites[site.id]
    yield
    state.sites[site.id] = site


@contextmanager
def second_site(state: State, company: Company, _: Site) -> Iterator[None]:
    other = state.add_site(company, "Branch")
    yield
    del state.sites[other.id]


TROUBLES: dict[Reason, Trouble] = {
    rainbow_reasons.COMPANY_NOT_FOUND: renamed_company,
    rainbow_reasons.COMPANY_AMBIGUOUS: second_company,
    rainbow_reasons.SITE_NOT_FOUND: no_site,
    rainbow_reasons.SITE_MISSING: no_site,
    rainbow_reasons.SITE_AMBIGUOUS: second_site,
}


class Customer:
    """A company with one site, and a server there that meets one trouble."""

    def __init__(self, office: Office, reason: Reason) -> None:
        self.state, self.reason = office.rainbow.state, reason
        self.name = f"{office.namespace} {reason.name}"
        self.company = self.state.add_company(self.name, bp=office.customer.company)
        self.site = self.state.add_site(self.company, "Headquarters")
        place = {"company": self.name}
        if reason is rainbow_reasons.SITE_NOT_FOUND:
            place["siteID"] = self.site.id
        self.server = from_stock(office, reason.name, reason.name.lower(), place=place)

    def trouble(self) -> AbstractContextManager[None]:
        return TROUBLES[self.reason](self.state, self.company, self.site)


@contextmanager
def troubled(customers: Iterable[Customer]) -> Iterator[None]:
    """Let all customers have their troubles."""
    with ExitStack() as troubles:
        for customer in customers:
            troubles.enter_context(customer.trouble())
        yield


@shows(*TROUBLES)
async def test_companies_and_sites(office: Office, world: World) -> None:
    """At the first declaration, and at another one after somebody deleted the system."""
    customers = [Customer(office, reason) for reason in TROUBLES]
    servers = [customer.server for customer in customers]
    with troubled(customers):
        await world.apply(*servers)
        for customer in customers:
            await expect(world, customer.server, customer.reason, customer.name)
    await look(office, *servers)
    for customer in customers:
        await world.ready(customer.server, "Declared")
        del office.rainbow.state.systems[office.system(equipment_id(customer.reason.name)).id]
    with troubled(customers):
        await look(office, *servers)
        for customer in customers:
            await world.condition(customer.server, "Provisioned", "Unknown", customer.reason.name)
    await end(world, servers)


@shows(reasons.INVALID_ENDPOINT, reasons.ADDRESS_FORBIDDEN)
async def test_a_provider_that_nobody_may_dial(office: Office, world: World) -> None:
    """At the first declaration, and of a server that has its system already."""
    inside = "https://169.254.169.254"
    await office.write("inside", username="u", password="p", url=inside)
    wrong = from_stock(office, "wrong", place={"url": "https://a..b"}, deletionPolicy="Orphan")
    hidden = from_stock(office, "hidden", login="inside", place={"url": inside}, deletionPolicy="Orphan")
    await world.apply(wrong, hidden)
    await expect(world, wrong, reasons.INVALID_ENDPOINT, "spec.provider.rainbow.url 'https://a..b' has a host")
    await expect(world, hidden, reasons.ADDRESS_FORBIDDEN, "169.254.169.254", "is link-local", "--allow-network")
    cluster = world.stage.api.cluster
    for server, reason in ((wrong, reasons.INVALID_ENDPOINT), (hidden, reasons.ADDRESS_FORBIDDEN)):
        await world.condition(server, "Provisioned", "False", reason.name)
        raw = await cluster.get(server.resource, server.key)
        await cluster.put_status(server.resource, {**raw, "status": {**raw["status"], "systemID": "0" * 24}})
        await world.condition(server, "Provisioned", "Unknown", reason.name)
    await end(world, (wrong, hidden))


@shows(
    reasons.CREDENTIALS_MISSING,
    reasons.CREDENTIALS_INVALID,
    reasons.CREDENTIALS_ELSEWHERE,
    rainbow_reasons.COUNTRY_UNSUPPORTED,
)
async def test_no_login_and_no_code_for_the_country(office: Office, world: World) -> None:
    lonely = from_stock(office, "lonely", login="other")
    island = from_stock(office, "abroad", dialing={"country": "AC"})
    await world.apply(lonely, island)
    await expect(world, lonely, reasons.CREDENTIALS_MISSING, "Secret other (", "'username' and 'password'")
    await expect(world, island, rainbow_reasons.COUNTRY_UNSUPPORTED, "'AC'")
    admin = office.customer.admin
    await office.write("other", username=admin.login, password=f"{admin.password}\n", url=office.rainbow.url)
    await office.look(lonely)
    await expect(world, lonely, reasons.CREDENTIALS_INVALID, "Secret other (", "entry 'password'")
    assert {call.status for call in office.rainbow.journal.select(operation="GetBasicLogin")} <= {200}
    await office.write("other", username=admin.login, password=admin.password)
    await office.look(lonely)
    await expect(world, lonely, reasons.CREDENTIALS_ELSEWHERE, "Secret other", "'url'")
    await office.write("other", username=admin.login, password=admin.password, url=office.rainbow.url)
    await world.apply(from_stock(office, "abroad"))
    await look(office, lonely, island)
    await world.ready(lonely, "Declared")
    await world.ready(island, "Declared")
    await world.stage.api.cluster.delete(SECRETS, ObjectKey(office.namespace, "other"))
    await world.apply(island)
    await office.look(lonely)
    await world.condition(lonely, "Provisioned", "Unknown", "CredentialsMissing")
    await world.condition(island, "Provisioned", "Unknown", "CountryUnsupported")
    await office.write("other", username=admin.login, password=f"{admin.password}\n", url=office.rainbow.url)
    await office.look(lonely)
    await world.condition(lonely, "Provisioned", "Unknown", "CredentialsInvalid")
    await office.write("other", username=admin.login, password=admin.password)
    await office.look(lonely)
    await world.condition(lonely, "Provisioned", "Unknown", "CredentialsElsewhere")
    await office.write("other", username=admin.login, password=admin.password, url=office.rainbow.url)
    await end(world, (lonely, island))
