"""Lists: pages, formats, sorting and filters; companies and sites."""

from __future__ import annotations

import pytest

from simulators.rainbow import ManualClock
from test_rainbow_simulator.client import Client


async def names(client: Client, path: str, **query: str | int) -> list[str]:
    return [item["name"] for item in (await client.call("GET", path, format="full", **query)).data]


async def test_pages_cover_everything_once(client: Client) -> None:
    for number in range(7):
        await client.create(pbxId=f"P{number}")
    seen = []
    for offset in (0, 3, 6):
        reply = await client.call("GET", "/systems", limit=3, offset=offset)
        assert (reply.body["total"], reply.body["limit"], reply.body["offset"]) == (7, 3, offset)
        seen += [system["pbxId"] for system in reply.data]
    assert seen == [f"P{number}" for number in range(7)]
    assert (await client.call("GET", "/systems", offset=8)).data == []


async def test_a_page_has_100_entries_unless_told_and_at_most_1000(client: Client) -> None:
    for number in range(101):
        client.rainbow.state.add_site(client.world.customer, f"Site {number}")
    assert len((await client.call("GET", "/sites")).data) == 100
    assert len((await client.call("GET", "/sites", limit=1000)).data) == 102


@pytest.mark.parametrize(
    "query", [{"limit": 1001}, {"limit": 0}, {"limit": "all"}, {"offset": -1}, {"sortField": "x"}, {"sortOrder": 2}]
)
async def test_bad_paging_is_refused_by_name(client: Client, query: dict[str, str | int]) -> None:
    for path in ("/systems", "/sites", "/companies", f"/sites/{client.world.site.id}/systems"):
        assert (await client.call("GET", path, None, **query)).params() == list(query)


@pytest.mark.parametrize("query", [{"pbxId": "x"}, {"isShared": "maybe"}, {"format": "huge"}])
async def test_an_unknown_parameter_or_value_is_refused(client: Client, query: dict[str, str]) -> None:
    assert (await client.call("GET", "/systems", None, **query)).params() == list(query)


async def test_formats_cut(client: Client) -> None:
    await client.create()
    assert set((await client.call("GET", "/systems")).data[0]) == {"id", "pbxId", "version"}
    medium = (await client.call("GET", "/systems", format="medium")).data[0]
    assert set(medium) == {"id", "name", "pbxId", "version", "status"}
    full = (await client.call("GET", "/systems", format="full")).data[0]
    assert full == (await client.call("GET", f"/systems/{full['id']}")).data
    assert set((await client.call("GET", "/companies")).data[0]) == {"id", "name"}


async def test_systems_are_sorted_and_filtered(client: Client, clock: ManualClock) -> None:
    await client.create(name="Alpha OXO", isShared=True)
    clock.advance(60)
    beta = await client.create(name="beta oxe", type="oxe")
    client.rainbow.equipment.connect(beta["pbxId"], beta["jid_pbxagent_password"])
    assert await names(client, "/systems", sortField="name", sortOrder=-1) == ["beta oxe", "Alpha OXO"]
    for query, found in [
        ({"name": "OX"}, 2),
        ({"name": "alpha"}, 1),
        ({"type": "oxe"}, 1),
        ({"status": "activated"}, 1),
        ({"status": "activating"}, 0),
        ({"siteId": client.world.site.id}, 2),
        ({"companyId": client.world.company.id}, 0),
        ({"companyId": client.world.customer.id}, 2),
        ({"bpId": client.world.company.id}, 2),
        ({"isShared": "true"}, 1),
        ({"isSharedOrCentrex": "false"}, 1),
        ({"isOxoManaged": "true"}, 0),
        ({"fromCreationDate": beta["creationDate"]}, 1),
        ({"toCreationDate": "2001-01-01T00:00:00.000Z"}, 0),
    ]:
        assert len(await names(client, "/systems", **query)) == found, query


async def test_companies_are_found_by_name(client: Client) -> None:
    assert await names(client, "/companies", name="custom") == ["Customer"]
    assert await names(client, "/companies", isBP="true") == ["Reseller"]
    assert await names(client, "/companies", bpId=client.world.company.id) == ["Customer"]
    assert await names(client, "/companies", status="hold") == []
    customer = client.world.customer
    assert (await client.call("GET", f"/companies/{customer.id}")).data["bpId"] == client.world.company.id
    assert (await client.call("GET", f"/companies/{client.world.company.id}")).data["isBP"] is True
    assert (await client.call("GET", "/companies/000000000000000000000000")).code == 404000


async def test_sites_are_listed_read_and_created(client: Client) -> None:
    customer = client.world.customer
    body = {"name": "Branch", "status": "active", "companyId": customer.id}
    site = (await client.call("POST", "/sites", body)).data
    assert await names(client, f"/companies/{customer.id}/sites") == ["Branch", "Headquarters"]
    assert await names(client, "/sites", name="quarter") == ["Headquarters"]
    assert (await client.call("GET", f"/sites/{site['id']}")).data == site
    assert (await client.call("POST", "/sites", body | {"status": "open"})).params() == ["status"]
    assert (await client.call("POST", "/sites", body | {"name": "n" * 256})).params() == ["name"]
    assert (await client.call("GET", "/sites/000000000000000000000000")).code == 404000
