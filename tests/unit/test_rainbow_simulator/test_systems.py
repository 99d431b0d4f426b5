"""Systems: creation, limits, look-ups, updates, activation, deletion, and their links to sites."""

from __future__ import annotations

from typing import Any

import pytest

from simulators.rainbow import Channels, EquipmentError, ManualClock
from test_rainbow_simulator.client import ADMIN, Client

RULE = {"regexpMatch": "^0321", "regexpReplace": "00", "description": "international"}
SHORT_ID = "0" * 23
NO_ID = "0" * 24


async def test_a_system_is_created_with_200_and_generated_identity(client: Client) -> None:
    reply = await client.call("POST", "/systems", client.system())
    assert reply.status == 200
    system = reply.data
    assert system["pbxId"].startswith("PBX")
    assert 1000 <= int(system["jid_pbxagent_password"]) <= 9999
    assert system["siteId"] == [client.world.site.id]
    assert system["status"] == "created"
    assert system["bpId"] == client.world.company.id
    assert system["pbxNumberingTranslator"] == []
    assert len(system["id"]) == 24


async def test_a_chosen_identity_is_kept_and_unique_on_the_platform(client: Client) -> None:
    system = await client.create(pbxId="ALE12-1234.5678.90", activationCode="ALE12-1234.5678.90")
    assert system["jid_pbxagent_password"] == "ALE12-1234.5678.90"
    assert (await client.call("GET", "/systems/pbxid/ALE12-1234.5678.90")).data == system
    again = await client.call("POST", "/systems", client.system(pbxId="ALE12-1234.5678.90"))
    assert (again.status, again.code) == (409, 409000)
    assert again.body["errorDetails"] == "System with pbxId = ALE12-1234.5678.90 already exists."


@pytest.mark.parametrize("field", ["name", "siteId", "type", "country"])
async def test_mandatory_fields_are_named(client: Client, field: str) -> None:
    body = client.system()
    del body[field]
    reply = await client.call("POST", "/systems", body)
    assert reply.params() == [field]
    assert "value" not in reply.body["errorDetails"][0]


GOOD: list[dict[str, Any]] = [
    {"pbxNumberingTranslator": [{"regexpMatch": "9" * 64, "regexpReplace": "9" * 64, "description": "d" * 255}]},
    {"pbxNumberingTranslator": [{"regexpMatch": "^18$", "regexpReplace": ""}]},
    {"pbxNumberingTranslator": [RULE] * 100},
    {"pbxNationalPrefix": "", "pbxInternationalPrefix": "0" * 32},
    {"pbxMainBundlePrefix": ["0", "9"], "usePbxMainBundlePrefix": False},
    {"activationCode": "c" * 256},
    {"searchResultOrder": ["PBX", "LDAP", "RAINBOW"], "serverPingTimeout": 60, "isOxoManaged": True},
    {"type": "third_party"},
]
BAD: list[dict[str, Any]] = [
    {"pbxNumberingTranslator": [{"regexpMatch": ""}]},
    {"pbxNumberingTranslator": [{"regexpMatch": "9" * 65}]},
    {"pbxNumberingTranslator": [{"regexpReplace": "1"}]},
    {"pbxNumberingTranslator": [RULE | {"regexpReplace": "9" * 65}]},
    {"pbxNumberingTranslator": [RULE | {"description": "d" * 256}]},
    {"pbxNumberingTranslator": [RULE | {"action": "Block"}]},
    {"pbxNumberingTranslator": "^0321"},
    {"pbxNationalPrefix": "0" * 33},
    {"pbxInternationalPrefix": 0},
    {"pbxMainBundlePrefix": "0"},
    {"activationCode": ""},
    {"activationCode": "c" * 257},
    {"country": "FR"},
    {"country": "XXX"},
    {"type": "OXO Connect"},
    {"siteId": SHORT_ID},
    {"name": ""},
    {"searchResultOrder": ["GOOGLE"]},
    {"usePbxMainBundlePrefix": "true"},
    {"serverPingTimeout": True},
    {"pbxID": "ALE12"},
]


@pytest.mark.parametrize("fields", GOOD)
async def test_what_the_documents_allow_is_kept(client: Client, fields: dict[str, Any]) -> None:
    system = await client.create(**fields)
    kept = {name: value for name, value in fields.items() if name != "activationCode"}
    assert kept.items() <= system.items()


@pytest.mark.parametrize("fields", BAD)
async def test_what_the_documents_do_not_allow_is_refused_by_name(client: Client, fields: dict[str, Any]) -> None:
    reply = await client.call("POST", "/systems", client.system(**fields))
    assert reply.params() == list(fields)
    assert reply.body["errorDetails"][0]["value"] == next(iter(fields.values()))
    assert not client.rainbow.state.systems


async def test_more_than_100_rules_are_refused_in_the_words_of_the_documents(client: Client) -> None:
    reply = await client.call("POST", "/systems", client.system(pbxNumberingTranslator=[RULE] * 101))
    assert reply.code == 400000
    assert "Array size is longer than 100" in reply.body["errorDetails"]


async def test_a_body_that_is_no_json_object_is_refused(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.token}", "Content-Type": "application/json"}
    for content in (b"{", b"[]", b""):
        assert (await client.send("POST", f"{ADMIN}/systems", headers, data=content)).code == 400000
    headers["Content-Type"] = "text/plain"
    assert (await client.send("POST", f"{ADMIN}/systems", headers, data=b"{}")).params() == ["content-type"]


async def test_flags_that_exclude_each_other(client: Client) -> None:
    both = client.system(isCentrex=True, isShared=True)
    assert (await client.call("POST", "/systems", both)).params() == ["isShared"]
    oxe = client.system(type="oxe", isOxoManaged=True)
    assert (await client.call("POST", "/systems", oxe)).params() == ["isOxoManaged"]
    await client.create(isOxoManaged=True)
    assert (await client.call("POST", "/systems", client.system(isOxoManaged=True))).code == 409000
    assert (await client.call("POST", "/systems", client.system(isCentrex=True))).code == 403710


async def test_only_a_superadmin_sets_the_partner(client: Client) -> None:
    body = client.system(bpId=client.world.company.id)
    assert (await client.call("POST", "/systems", body)).code == 403000
    client.world.admin.role = "superadmin"
    assert (await client.call("POST", "/systems", body | {"bpId": NO_ID})).params() == ["bpId"]
    assert (await client.call("POST", "/systems", body)).data["bpId"] == client.world.company.id


async def test_an_update_changes_only_what_it_names(client: Client) -> None:
    system = await client.create(pbxNumberingTranslator=[RULE], pbxNationalPrefix="0")
    path = f"/systems/{system['id']}"
    updated = (await client.call("PUT", path, {"name": "New", "pbxMainBundlePrefix": ["9"]})).data
    assert updated == system | {"name": "New", "pbxMainBundlePrefix": ["9"]}
    assert (await client.call("GET", path)).data == updated
    assert (await client.call("PUT", path, {"pbxMainBundlePrefix": "8"})).data["pbxMainBundlePrefix"] == ["8"]
    assert (await client.call("PUT", path, {"pbxNumberingTranslator": []})).data["pbxNumberingTranslator"] == []


@pytest.mark.parametrize("field", ["pbxId", "activationCode", "isCentrex", "isOxoManaged", "status", "id"])
async def test_what_is_fixed_at_creation_cannot_be_updated(client: Client, field: str) -> None:
    system = await client.create()
    reply = await client.call("PUT", f"/systems/{system['id']}", {field: "x", "name": "New"})
    assert reply.params() == [field]
    assert client.rainbow.state.systems[system["id"]].settings["name"] == "PBX"


async def test_an_empty_update_has_a_code_of_its_own(client: Client) -> None:
    system = await client.create()
    assert (await client.call("PUT", f"/systems/{system['id']}", {})).code == 400100


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/state"), ("POST", "/reset-password")],
)
async def test_identifiers_have_24_characters_and_must_exist(client: Client, method: str, path: str) -> None:
    body = {"name": "x"} if method == "PUT" else None
    assert (await client.call(method, f"/systems/{SHORT_ID}{path}", body)).params() == ["systemId"]
    missing = await client.call(method, f"/systems/{NO_ID}{path}", body)
    assert (missing.status, missing.code) == (404, 404000)


async def test_a_system_is_deleted_once(client: Client) -> None:
    system = await client.create()
    path = f"/systems/{system['id']}"
    deleted = await client.call("DELETE", path)
    assert deleted.body == {"status": f"Systems {system['id']} successfully deleted", "data": []}
    assert (await client.call("DELETE", path)).code == 404000


async def test_a_media_pillar_keeps_a_system(client: Client) -> None:
    system = await client.create()
    client.rainbow.equipment.set_media_pillar(system["pbxId"], linked=True)
    assert (await client.call("GET", f"/systems/{system['id']}")).data["hasMediaPillar"] is True
    assert (await client.call("DELETE", f"/systems/{system['id']}")).code == 403030
    client.rainbow.equipment.set_media_pillar(system["pbxId"], linked=False)
    assert (await client.call("DELETE", f"/systems/{system['id']}")).status == 200


async def test_a_pbx_activates_itself_and_its_code_is_gone(client: Client, clock: ManualClock) -> None:
    equipment = client.rainbow.equipment
    system = await client.create()
    path, pbx_id, code = f"/systems/{system['id']}", system["pbxId"], system["jid_pbxagent_password"]
    with pytest.raises(EquipmentError):
        equipment.connect(pbx_id, "0000")
    clock.advance(60)
    equipment.connect(pbx_id, code, until="activating")
    activating = (await client.call("GET", path)).data
    assert (activating["status"], activating["jid_pbxagent_password"]) == ("activating", code)
    assert activating["jid_pbxagent_password_activating"]
    equipment.connect(pbx_id, code)
    activated = (await client.call("GET", path)).data
    assert activated["status"] == "activated"
    assert activated["statusUpdatedDate"] > system["statusUpdatedDate"]
    assert len(activated["jid_pbxagent_password"]) == 8
    assert activated["jid_pbxagent_password_activating"] == ""
    with pytest.raises(EquipmentError):
        equipment.connect(pbx_id, code)


async def test_the_state_shows_the_channels_of_its_format(client: Client, clock: ManualClock) -> None:
    equipment = client.rainbow.equipment
    system = await client.create()
    path, pbx_id = f"/systems/{system['id']}/state", system["pbxId"]
    at = str(int(clock.now))
    assert (await client.call("GET", path)).data == {"timestamp": at, "connection": "false"}
    with pytest.raises(EquipmentError):
        equipment.set_channels(pbx_id, Channels(xmpp=True))
    equipment.connect(pbx_id, system["jid_pbxagent_password"])
    up = {"timestamp": at, "conf": "true", "csta": "true", "http": "true"}
    assert (await client.call("GET", path, format="medium")).data == up
    assert (await client.call("GET", path, format="full")).data == up | {"xmpp": "true"}
    equipment.set_channels(pbx_id, Channels(conf=True, http=None, xmpp=True))
    degraded = {"timestamp": at, "conf": "true", "csta": "false", "xmpp": "true"}
    assert (await client.call("GET", path, format="full")).data == degraded
    equipment.disconnect(pbx_id)
    assert "http" not in (await client.call("GET", path, format="full")).data
    history = (await client.call("GET", path, connectionHistory="true")).data["connectionHistory"]
    assert [event["eventType"] for event in history] == ["connected", "disconnected"]
    assert (await client.call("GET", path, format="tiny")).params() == ["format"]


async def test_a_reset_makes_a_new_code_and_disconnects(client: Client) -> None:
    system = await client.create(activationCode="long-and-secret")
    path, pbx_id = f"/systems/{system['id']}", system["pbxId"]
    client.rainbow.equipment.connect(pbx_id, "long-and-secret")
    reset = (await client.call("POST", f"{path}/reset-password")).data
    assert (reset["pbxId"], reset["status"]) == (pbx_id, "created")
    code = reset["jid_pbxagent_password"]
    assert 1000 <= int(code) <= 9999
    assert (await client.call("GET", f"{path}/state")).data["connection"] == "false"
    assert (await client.call("POST", f"{path}/reset-password")).data["jid_pbxagent_password"] != code
    with pytest.raises(EquipmentError):
        client.rainbow.equipment.connect(pbx_id, code)


async def test_countries_are_served(client: Client) -> None:
    served = (await client.call("GET", "/systems/countries")).data
    assert {"isoAlpha3Code": "FRA", "fullname": "France"} in served
    del client.rainbow.state.countries["FRA"]
    assert (await client.call("POST", "/systems", client.system())).params() == ["country"]


async def test_the_last_site_of_a_system_stays(client: Client) -> None:
    system = await client.create()
    site = client.world.site
    branch = client.rainbow.state.add_site(client.world.customer, "Branch")
    for _ in range(2):
        linked = await client.call("POST", f"/sites/{branch.id}/systems", {"systemId": system["id"]})
        assert linked.data["siteId"] == [site.id, branch.id]
    assert len((await client.call("GET", f"/sites/{branch.id}/systems")).data) == 1
    unlinked = await client.call("DELETE", f"/sites/{site.id}/systems/{system['id']}")
    assert unlinked.body["status"] == f"Site {site.id} successfully removed"
    last = await client.call("DELETE", f"/sites/{branch.id}/systems/{system['id']}")
    assert (last.status, last.code) == (409, 409000)
    assert (await client.call("DELETE", f"/sites/{site.id}/systems/{system['id']}")).code == 404000


async def test_a_shared_system_may_lose_its_last_site_and_is_unshared_with_one(client: Client) -> None:
    system = await client.create(isShared=True)
    path, site_id = f"/systems/{system['id']}", client.world.site.id
    assert (await client.call("DELETE", f"/sites/{site_id}{path}")).status == 200
    assert (await client.call("PUT", path, {"isShared": False})).code == 409000
    await client.call("POST", f"/sites/{site_id}/systems", {"systemId": system["id"]})
    assert (await client.call("PUT", path, {"isShared": False})).data["bpId"] is None


async def test_a_multi_tenant_site_takes_only_multi_tenant_systems(client: Client) -> None:
    system = await client.create()
    client.world.site.is_centrex = True
    link = await client.call("POST", f"/sites/{client.world.site.id}/systems", {"systemId": system["id"]})
    assert link.code == 403709


async def test_a_system_moves_to_another_site(client: Client) -> None:
    system = await client.create()
    branch = client.rainbow.state.add_site(client.world.customer, "Branch")
    moved = await client.call("PUT", f"/systems/{system['id']}", {"siteId": branch.id})
    assert moved.data["siteId"] == [branch.id]
    assert (await client.call("PUT", f"/systems/{system['id']}", {"siteId": NO_ID})).code == 404000
