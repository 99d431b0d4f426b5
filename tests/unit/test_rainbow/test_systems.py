"""Systems at Rainbow: declared, found again, followed, changed and deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pbx_operator.api.v1alpha1.commserver import NumberingRule
from pbx_operator.domain.servers.systems import SystemSettings, differences
from pbx_operator.providers.rainbow.client import MAX_PAGES
from simulators.rainbow import NO_ROUTE, NO_SUCH_PAGE, Answer, Channels, Fault, calls, failure
from test_rainbow.bench import CODE, WISH, Bench, fault_of

ALL = SystemSettings(
    display_name="Réception",
    country="DE",
    national_prefix="0",
    international_prefix="00",
    outbound_prefix="9",
    numbering_rules=(
        NumberingRule(match="^0321", action="Rewrite", replace="00", description="long way round"),
        NumberingRule(match="^0800", action="Block"),
    ),
    web_rtc_gateway="Disabled",
)


# --- declared ---------------------------------------------------------------------------------------------------


async def test_what_is_sent_to_declare_a_system(bench: Bench) -> None:
    facts = await bench.provider().create(replace(WISH, settings=ALL), CODE)
    (call,) = bench.rainbow.journal.select(operation="PostSystems")
    assert call.body == {
        "siteId": bench.world.site.id,
        "type": "oxo",
        "pbxId": "PBXAAAA-BBBB",
        "activationCode": "***",
        "name": "Réception",
        "country": "DEU",
        "pbxNationalPrefix": "0",
        "pbxInternationalPrefix": "00",
        "pbxMainBundlePrefix": ["9"],
        "usePbxMainBundlePrefix": True,
        "pbxNumberingTranslator": [
            {"regexpMatch": "^0321", "regexpReplace": "00", "description": "long way round"},
            {"regexpMatch": "^0800", "regexpReplace": ""},
        ],
    }
    system = bench.rainbow.state.systems[facts.system_id]
    assert system.activation_code == CODE
    assert (facts.ours, facts.state, facts.code, facts.connection) == (True, "Pending", "Current", ())


@pytest.mark.parametrize(
    ("type_", "sent"),
    [("OXOConnect", "oxo"), ("OXOConnectEvolution", "oxo"), ("OXE", "oxe"), ("ThirdParty", "third_party")],
)
async def test_types(bench: Bench, type_: Any, sent: str) -> None:
    facts = await bench.provider().create(replace(WISH, type=type_), CODE)
    assert bench.rainbow.state.systems[facts.system_id].settings["type"] == sent


@pytest.mark.parametrize("settings", [ALL, WISH.settings], ids=["all", "fewest"])
async def test_what_was_declared_is_found_without_a_difference(bench: Bench, settings: SystemSettings) -> None:
    wish, _ = await bench.declared(replace(WISH, settings=settings))
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert differences(facts.settings, settings) == ()
    assert bench.operations() == ["GetSystemsIdByPbxId"]


async def test_a_hundred_rules(bench: Bench) -> None:
    rules = tuple(NumberingRule(match=f"^{number}$", action="Rewrite", replace="$0") for number in range(100))
    wish, _ = await bench.declared(replace(WISH, settings=replace(ALL, numbering_rules=rules)))
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert facts.settings.numbering_rules == rules


async def test_a_country_that_rainbow_cannot_know(bench: Bench) -> None:
    wish = replace(WISH, settings=replace(ALL, country="AC"))
    fault = await fault_of(bench.provider().create(wish, CODE))
    assert (fault.kind, fault.reason.name) == ("Final", "CountryUnsupported")
    assert "PostSystems" not in bench.operations()


async def test_an_equipment_id_that_somebody_has_is_a_conflict(bench: Bench) -> None:
    await bench.declared()
    fault = await fault_of(bench.provider().create(WISH, "another"))
    assert (fault.kind, fault.reason.name) == ("Conflict", "EquipmentTaken")
    assert "PBXAAAA-BBBB" in fault.message


# --- where ------------------------------------------------------------------------------------------------------


async def test_a_company_is_found_by_its_whole_name_however_many_there_are(bench: Bench) -> None:
    for number in range(230):
        bench.rainbow.state.add_company(f"A Customer {number}", bp=bench.world.company)
    bench.rainbow.state.add_company("customer", bp=bench.world.company)
    await bench.provider().create(WISH, CODE)
    assert bench.operations().count("GetCompanies") == 3
    (system,) = bench.rainbow.state.systems.values()
    assert system.site_ids == [bench.world.site.id]


async def test_a_list_without_an_end_is_given_up(bench: Bench) -> None:
    page = b'{"data": [{"id": "1", "name": "x"}], "total": 1000000}'
    bench.rainbow.add(Fault(calls(operation="GetCompanies"), times=None, then=Answer(200, page)))
    assert (await fault_of(bench.provider().create(WISH, CODE))).reason.name == "ProviderUnavailable"
    assert bench.operations().count("GetCompanies") == MAX_PAGES


@pytest.mark.parametrize(
    ("more", "place", "reason"),
    [
        ((), {"company": "Custom"}, "CompanyNotFound"),
        (("company",), {}, "CompanyAmbiguous"),
        ((), {"siteID": "0" * 24}, "SiteNotFound"),
        (("site",), {}, "SiteAmbiguous"),
    ],
)
async def test_a_place_that_is_not_one(bench: Bench, more: tuple[str, ...], place: dict[str, str], reason: str) -> None:
    if "company" in more:
        bench.rainbow.state.add_company("Customer", bp=bench.world.company)
    if "site" in more:
        bench.rainbow.state.add_site(bench.world.customer, "Branch")
    fault = await fault_of(bench.provider(**place).create(WISH, CODE))
    assert (fault.kind, fault.reason.name) == ("Final", reason)
    assert not bench.rainbow.state.systems


async def test_a_company_without_sites(bench: Bench) -> None:
    bench.rainbow.state.sites.clear()
    assert (await fault_of(bench.provider().create(WISH, CODE))).reason.name == "SiteMissing"


async def test_the_named_site_of_several(bench: Bench) -> None:
    branch = bench.rainbow.state.add_site(bench.world.customer, "Branch")
    facts = await bench.provider(siteID=branch.id).create(WISH, CODE)
    assert bench.rainbow.state.systems[facts.system_id].site_ids == [branch.id]


# --- ours -------------------------------------------------------------------------------------------------------


async def test_nothing_is_found_where_nothing_is(bench: Bench) -> None:
    assert await bench.provider().observe(WISH, CODE) is None


async def test_after_a_crash_the_code_tells_that_a_system_is_ours(bench: Bench) -> None:
    _, system = await bench.declared()
    facts = await bench.provider().observe(WISH, CODE)
    assert facts is not None
    assert (facts.ours, facts.system_id) == (True, system.id)


@pytest.mark.parametrize("code", ["another", None])
async def test_a_system_with_another_code_is_not_ours(bench: Bench, code: str | None) -> None:
    await bench.declared()
    facts = await bench.provider().observe(WISH, code)
    assert facts is not None
    assert not facts.ours


async def test_a_guessable_code_at_another_site_proves_nothing(bench: Bench) -> None:
    await bench.declared()
    other = bench.rainbow.state.add_company("Other", bp=bench.world.company)
    bench.rainbow.state.add_site(other, "Elsewhere")
    facts = await bench.provider(company="Other").observe(WISH, CODE)
    assert facts is not None
    assert not facts.ours


async def test_a_system_that_was_connected_is_ours_by_its_id_alone(bench: Bench) -> None:
    wish, system = await bench.declared()
    bench.rainbow.equipment.connect(system.pbx_id, CODE)
    for known, ours in ((wish, True), (WISH, False)):
        facts = await bench.provider().observe(known, CODE)
        assert facts is not None
        assert (facts.ours, facts.code) == (ours, "Spent")


# --- states -----------------------------------------------------------------------------------------------------

UP = Channels(conf=True, csta=True, http=True, xmpp=True)


@pytest.mark.parametrize(
    ("channels", "state"),
    [
        (UP, "Running"),
        (Channels(conf=True, csta=True, http=None, xmpp=True), "Running"),
        (Channels(conf=True, csta=False, http=True, xmpp=True), "Degraded"),
        (Channels(conf=False, csta=False, http=False, xmpp=True), "Degraded"),
        (Channels(), "Activated"),
    ],
)
async def test_the_state_follows_the_channels(bench: Bench, channels: Channels, state: str) -> None:
    wish, system = await bench.declared()
    bench.rainbow.equipment.connect(system.pbx_id, CODE, channels=channels)
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert facts.state == state
    found = {channel.name: channel.state == "Up" for channel in facts.connection}
    assert found == {name: up for name, up in vars(channels).items() if up is not None}
    assert facts.last_seen == datetime.fromtimestamp(bench.clock(), UTC)


@pytest.mark.parametrize("until", ["activating", "activated"])
async def test_a_box_is_pending_until_it_took_its_own_code(bench: Bench, until: Any) -> None:
    wish, system = await bench.declared()
    bench.rainbow.equipment.connect(system.pbx_id, CODE, until=until)
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert (facts.state, facts.code) == (("Pending", "Current") if until == "activating" else ("Running", "Spent"))


# --- changed ----------------------------------------------------------------------------------------------------


async def test_only_what_differs_is_sent(bench: Bench) -> None:
    wish, system = await bench.declared(replace(WISH, settings=ALL))
    system.settings |= {"name": "renamed", "pbxNationalPrefix": "1", "usePbxMainBundlePrefix": False}
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    found = differences(facts.settings, ALL)
    assert [difference.field for difference in found] == ["display_name", "national_prefix", "outbound_prefix"]
    await bench.provider().update(wish, system.id, found)
    (call,) = bench.rainbow.journal.select(operation="PutSystems")
    assert call.body == {
        "name": "Réception",
        "pbxNationalPrefix": "0",
        "pbxMainBundlePrefix": ["9"],
        "usePbxMainBundlePrefix": True,
    }
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert differences(facts.settings, ALL) == ()


async def test_nothing_is_sent_when_nothing_differs(bench: Bench) -> None:
    wish, system = await bench.declared()
    await bench.provider().update(wish, system.id, ())
    assert not bench.rainbow.journal.calls


async def test_what_others_wrote_is_read_whatever_it_is(bench: Bench) -> None:
    wish, system = await bench.declared()
    long = [{"regexpMatch": "é" * 64, "regexpReplace": "", "description": ""}] * 3
    prefixes = {"pbxMainBundlePrefix": ["0", "9"], "usePbxMainBundlePrefix": True}
    system.settings |= {"country": "XXX", "pbxNumberingTranslator": long, **prefixes}
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert {d.field: d.actual for d in differences(facts.settings, wish.settings) if d.field != "numbering_rules"} == {
        "country": "XXX",
        "outbound_prefix": "0,9",
    }
    assert [rule.action for rule in facts.settings.numbering_rules] == ["Block"] * 3


async def test_a_reset_brings_a_code_of_rainbows_making(bench: Bench) -> None:
    wish, system = await bench.declared()
    bench.rainbow.equipment.connect(system.pbx_id, CODE)
    code = await bench.provider().reset(wish, system.id, "not used")
    assert code == system.activation_code != CODE
    assert await bench.provider().current_code(wish, system.id) == code
    facts = await bench.provider().observe(wish, CODE)
    assert facts is not None
    assert (facts.state, facts.code, facts.ours) == ("Pending", "Changed", True)


async def test_a_code_that_was_just_used_is_not_made_anew(bench: Bench) -> None:
    wish, system = await bench.declared()
    bench.rainbow.equipment.connect(system.pbx_id, CODE)
    fault = await fault_of(bench.provider().current_code(wish, system.id))
    assert (fault.kind, fault.reason.name) == ("Retry", "Provisioning")


# --- deleted ----------------------------------------------------------------------------------------------------


async def test_a_system_that_is_gone_counts_as_deleted(bench: Bench) -> None:
    wish, system = await bench.declared()
    for _ in range(2):
        await bench.provider().delete(wish, system.id)
    assert [call.code for call in bench.rainbow.journal.select(operation="DeleteSystems")] == [None, 404000]


@pytest.mark.parametrize("answer", [NO_SUCH_PAGE, NO_ROUTE, Answer(404, b'{"errorCode": "404"}'), Answer(404, b"[]")])
async def test_a_404_that_is_not_rainbows_says_nothing_about_a_system(answer: Answer, bench: Bench) -> None:
    wish, system = await bench.declared()
    bench.rainbow.add(Fault(calls(operation="GetSystemsIdByPbxId"), then=answer))
    bench.rainbow.add(Fault(calls(operation="DeleteSystems"), then=answer))
    assert (await fault_of(bench.provider().observe(wish, CODE))).reason.name == "ProviderUnavailable"
    assert (await fault_of(bench.provider().delete(wish, system.id))).reason.name == "ProviderUnavailable"
    assert system.id in bench.rainbow.state.systems


async def test_a_media_pillar_keeps_a_system(bench: Bench) -> None:
    wish, system = await bench.declared()
    bench.rainbow.equipment.set_media_pillar(system.pbx_id, linked=True)
    fault = await fault_of(bench.provider().delete(wish, system.id))
    assert (fault.kind, fault.reason.name) == ("Final", "MediaPillarLinked")
    assert system.id in bench.rainbow.state.systems


async def test_a_deletion_that_failed_is_not_a_success(bench: Bench) -> None:
    wish, system = await bench.declared()
    bench.rainbow.add(Fault(calls(operation="DeleteSystems"), then=failure(500)))
    assert (await fault_of(bench.provider().delete(wish, system.id))).reason.name == "ProviderUnavailable"
