"""The simulator of the Operator API keeps its documents: a forgiving one would hide the faults of a provider."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import aiohttp
import pytest

from simulators.telecom_center import PATH, TelecomCenter

MEDIA_TYPE = "application/vnd.api+json"
USER, PASSWORD = "operator", "correct horse"
NONE: Mapping[str, str | None] = {}
JOHN = {
    "name": "John Johnson",
    "language": "EN",
    "capacity_limit": 10,
    "sip_account_limit": 5,
    "trm_mode": "operator",
}


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    document: Any
    """Parsed if it is JSON:API, else the text."""

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Return code and source of each error."""
        errors = self.document["errors"]
        assert all(error["title"] and error["detail"] and error["status"] == str(self.status) for error in errors)
        return [(error["code"], "".join(error.get("source", {}).values())) for error in errors]


class Client:
    """Sends exactly what it is told to."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.authorization = aiohttp.encode_basic_auth(USER, PASSWORD)

    async def send(
        self, method: str, path: str = PATH, json: Any = None, headers: Mapping[str, str | None] = NONE
    ) -> Reply:
        """Send a request; headers replace those of a good client, None takes one away."""
        good = {"Authorization": self.authorization, "Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        sent = {name: value for name, value in {**good, **headers}.items() if value is not None}
        skipped = {"Accept", "Content-Type"} - sent.keys()
        async with self._session.request(
            method, self._url + path, json=json, headers=sent, skip_auto_headers=skipped
        ) as answer:
            is_document = answer.headers.get("Content-Type") == MEDIA_TYPE
            document = await answer.json(content_type=MEDIA_TYPE) if is_document else await answer.text()
            return Reply(answer.status, dict(answer.headers), document)

    async def create(self, key: Any = "7", **attributes: Any) -> Reply:
        return await self.send("POST", json=customer(key, **attributes))

    async def names(self, query: str = "") -> list[str]:
        reply = await self.send("GET", f"{PATH}?fields[customers]=name{query}")
        assert reply.status == 200, reply.document
        return [each["attributes"]["name"] for each in reply.document["data"]]


def customer(key: Any = "7", **attributes: Any) -> dict[str, Any]:
    data = {"type": "customers", "attributes": attributes or JOHN}
    return {"data": data if key is None else {"id": key, **data}}


@asynccontextmanager
async def talking_to(center: TelecomCenter) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(force_close=True)
    async with center, aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, center.url)


@pytest.fixture
def center() -> TelecomCenter:
    return TelecomCenter(USER, PASSWORD, page_size=2)


@pytest.fixture
async def client(center: TelecomCenter) -> AsyncIterator[Client]:
    async with talking_to(center) as client:
        yield client


async def test_a_customer_lives_as_documented(center: TelecomCenter, client: Client) -> None:
    location = f"{center.url}{PATH}/123"
    resource = {
        "id": "123",
        "type": "customers",
        "links": {"self": location},
        "attributes": JOHN,
    }
    created = await client.create("123")
    assert (created.status, created.document) == (201, {"data": resource})
    assert created.headers["Location"] == location
    read = await client.send("GET", f"{PATH}/123")
    assert (read.status, read.document) == (200, {"data": resource})
    updated = await client.send("PATCH", f"{PATH}/123", customer("123", name="Jane", capacity_limit=None))
    assert (updated.status, updated.document["data"]["id"]) == (200, "123")
    assert updated.document["data"]["attributes"] == {**JOHN, "name": "Jane", "capacity_limit": None}
    deleted = await client.send("DELETE", f"{PATH}/123")
    assert (deleted.status, deleted.document) == (204, "")
    again = await client.send("DELETE", f"{PATH}/123")
    assert again.status == 404
    assert again.document == {
        "errors": [
            {
                "title": "Record not found",
                "detail": "The record identified by 123 could not be found.",
                "code": "404",
                "status": "404",
            }
        ]
    }
    assert (await client.create("123")).status == 201


async def test_what_the_known_client_sends_is_accepted(center: TelecomCenter, client: Client) -> None:
    created = await client.send("POST", json=customer(7, name="n"), headers={"Accept": "*/*"})
    assert (created.status, created.document["data"]["id"]) == (201, "7")
    assert center.customers["7"] == {
        "name": "n",
        "language": "EN",
        "capacity_limit": None,
        "sip_account_limit": None,
        "trm_mode": "operator",
    }
    assert (await client.send("DELETE", f"{PATH}/7", headers={"Accept": "*/*"})).status == 204


async def test_an_id_is_given_to_a_customer_without_one(center: TelecomCenter, client: Client) -> None:
    center.customers.put("41", name="n")
    assert (await client.create(None)).document["data"]["id"] == "42"


@pytest.mark.parametrize(
    ("status", "error"), [(409, ("409", "/data/id")), (422, ("100", "/data/attributes/id"))], ids=["409", "422"]
)
async def test_a_taken_id_changes_nothing(status: Literal[409, 422], error: tuple[str, str]) -> None:
    center = TelecomCenter(USER, PASSWORD, taken_id=status)
    async with talking_to(center) as client:
        await client.create("7", name="first")
        refused = await client.create("7", name="second")
    assert (refused.status, refused.errors) == (status, [error])
    assert center.customers["7"]["name"] == "first"


@pytest.mark.parametrize(
    ("document", "status", "errors"),
    [
        ([], 400, [("400", "")]),
        ({}, 400, [("106", "")]),
        ({"data": []}, 400, [("122", "/data")]),
        ({"data": {"attributes": JOHN}}, 400, [("106", "/data")]),
        ({"data": {"type": "sessions", "attributes": JOHN}}, 409, [("101", "/data/type")]),
        ({"data": {"type": "customers", "attributes": []}}, 400, [("122", "/data/attributes")]),
        ({"data": {"type": "customers", "relationships": {}}}, 400, [("105", "/data/relationships")]),
        ({"data": {"type": "customers"}}, 422, [("100", "/data/attributes/name")]),
        (customer(True), 400, [("103", "/data/id")]),
        (customer("acme"), 400, [("103", "/data/id")]),
        (customer("0"), 400, [("103", "/data/id")]),
        (customer("007"), 400, [("103", "/data/id")]),
        (customer(str(2**63)), 400, [("103", "/data/id")]),
        (customer(name="n", termination_mode="system"), 400, [("105", "/data/attributes/termination_mode")]),
        (customer(name=" "), 422, [("100", "/data/attributes/name")]),
        (customer(name=7), 422, [("100", "/data/attributes/name")]),
        (customer(name="n", language="DE"), 422, [("100", "/data/attributes/language")]),
        (customer(name="n", language=None), 422, [("100", "/data/attributes/language")]),
        (customer(name="n", capacity_limit="10"), 422, [("100", "/data/attributes/capacity_limit")]),
        (customer(name="n", capacity_limit=1.0), 422, [("100", "/data/attributes/capacity_limit")]),
        (customer(name="n", sip_account_limit=True), 422, [("100", "/data/attributes/sip_account_limit")]),
        (customer(name="n", trm_mode="AUTO"), 422, [("100", "/data/attributes/trm_mode")]),
        (
            customer(language="DE", trm_mode=""),
            422,
            [
                ("100", "/data/attributes/name"),
                ("100", "/data/attributes/language"),
                ("100", "/data/attributes/trm_mode"),
            ],
        ),
    ],
    ids=str,
)
async def test_a_wrong_document_creates_nothing(
    center: TelecomCenter, client: Client, document: Any, status: int, errors: list[tuple[str, str]]
) -> None:
    refused = await client.send("POST", json=document)
    assert (refused.status, refused.errors) == (status, errors)
    assert len(center.customers) == 0


async def test_a_body_that_is_no_json_is_refused(client: Client) -> None:
    refused = await client.send("POST")
    assert (refused.status, refused.errors) == (400, [("400", "")])


@pytest.mark.parametrize(
    ("document", "status", "error"),
    [
        (customer(None), 400, ("109", "/data")),
        (customer("8"), 409, ("110", "/data/id")),
        (customer("acme"), 409, ("110", "/data/id")),
        ({"data": {"id": "7", "type": "sessions"}}, 409, ("101", "/data/type")),
        (customer("7", color="red"), 400, ("105", "/data/attributes/color")),
        (customer("7", name=None), 422, ("100", "/data/attributes/name")),
    ],
    ids=str,
)
async def test_a_wrong_document_updates_nothing(
    center: TelecomCenter, client: Client, document: Any, status: int, error: tuple[str, str]
) -> None:
    center.customers.put("7", **JOHN)
    refused = await client.send("PATCH", f"{PATH}/7", document)
    assert (refused.status, refused.errors) == (status, [error])
    assert center.customers["7"] == JOHN


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Content-Type": "application/json"}, 415),
        ("POST", {"Content-Type": None}, 415),
        ("POST", {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8"}, 415),
        ("GET", {"Content-Type": f"{MEDIA_TYPE}; charset=utf-8"}, 415),
        ("GET", {"Content-Type": None}, 200),
        ("GET", {"Accept": f"{MEDIA_TYPE}; profile=x"}, 406),
        ("GET", {"Accept": "application/json"}, 406),
        ("GET", {"Accept": f"{MEDIA_TYPE}; profile=x, {MEDIA_TYPE}"}, 200),
        ("GET", {"Accept": "text/html, */*;q=0.1"}, 200),
        ("GET", {"Accept": None}, 200),
    ],
    ids=str,
)
async def test_media_types_have_no_parameters(
    center: TelecomCenter, client: Client, method: str, headers: dict[str, str | None], status: int
) -> None:
    reply = await client.send(method, json=customer() if method == "POST" else None, headers=headers)
    assert reply.status == status
    assert status == 200 or reply.errors == [(str(status), "")]
    assert len(center.customers) == 0


async def test_strangers_are_refused_and_counted(center: TelecomCenter, client: Client) -> None:
    center.customers.put("7", **JOHN)
    for authorization in (None, aiohttp.encode_basic_auth(USER, "wrong"), "Bearer x"):
        refused = await client.send("DELETE", f"{PATH}/7", headers={"Authorization": authorization})
        assert (refused.status, refused.headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
    center.credentials.lock_out()
    assert (await client.send("GET")).status == 401
    center.credentials.unlock()
    assert (await client.send("GET")).status == 200
    center.credentials.replace(USER, "new")
    assert (await client.send("GET")).status == 401
    assert center.refused_logins == 5
    assert "7" in center.customers
    assert [call.who for call in center.journal.calls] == ["", "", "", "", USER, ""]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{PATH}/7", 404),
        ("PATCH", f"{PATH}/7", 404),
        ("DELETE", f"{PATH}/7", 404),
        ("GET", f"{PATH}/7/sessions", 404),
        ("GET", "/", 404),
        ("PUT", f"{PATH}/7", 405),
        ("DELETE", PATH, 405),
    ],
)
async def test_what_does_not_exist(client: Client, method: str, path: str, status: int) -> None:
    assert (await client.send(method, path, customer() if method == "PATCH" else None)).status == status


async def test_a_list_is_read_page_by_page(center: TelecomCenter, client: Client) -> None:
    for key in ("10", "9", "1", "4", "3"):
        center.customers.put(key, name=f"c{key}")
    keys: list[str] = []
    path: str | None = f"{PATH}?filter[language]=EN"
    while path:
        document = (await client.send("GET", path)).document
        keys += [each["id"] for each in document["data"]]
        assert {"first", "last"} <= document["links"].keys()
        path = document["links"].get("next", "").removeprefix(center.url)
    assert keys == ["1", "3", "4", "9", "10"]
    assert [call.status for call in center.journal.calls] == [200, 200, 200]
    assert await client.names("&page[number]=2&page[size]=4") == ["c10"]
    assert await client.names("&page[number]=9") == []


async def test_a_list_is_filtered_and_sorted(center: TelecomCenter, client: Client) -> None:
    center.customers.put("1", name="b", language="LT", capacity_limit=2)
    center.customers.put("2", name="a, inc.", language="LV")
    center.customers.put("3", name="c", language="LT", capacity_limit=1)
    assert await client.names("&filter[language]=LT") == ["b", "c"]
    assert await client.names("&filter[id]=1,3&filter[capacity_limit]=1") == ["c"]
    assert await client.names('&filter[name]="a, inc."') == ["a, inc."]
    assert await client.names("&filter[id]=5") == []
    assert await client.names("&page[size]=3&sort=language,-name") == ["c", "b", "a, inc."]
    assert await client.names("&page[size]=3&sort=-capacity_limit") == ["a, inc.", "b", "c"]
    reply = await client.send("GET", f"{PATH}/1?fields[customers]=language,id")
    assert reply.document["data"]["attributes"] == {"language": "LT"}


@pytest.mark.parametrize(
    ("path", "code", "parameter"),
    [
        (f"{PATH}?page[size]=21", "118", "page[size]"),
        (f"{PATH}?page[number]=0", "118", "page[number]"),
        (f"{PATH}?page[limit]=2", "105", "page[limit]"),
        (f"{PATH}?filter[color]=red", "102", "filter[color]"),
        (f"{PATH}?fields[customers]=color", "104", "fields[customers]"),
        (f"{PATH}?fields[sessions]=uri", "101", "fields[sessions]"),
        (f"{PATH}?sort=color", "114", "sort"),
        (f"{PATH}?include=sessions", "112", "include"),
        (f"{PATH}?name=n", "105", "name"),
        (f"{PATH}/7?filter[id]=7", "105", "filter[id]"),
    ],
)
async def test_a_wrong_query_is_refused(client: Client, path: str, code: str, parameter: str) -> None:
    reply = await client.send("GET", path)
    assert (reply.status, reply.errors) == (400, [(code, parameter)])


async def test_a_created_customer_is_not_found_at_first(center: TelecomCenter, client: Client) -> None:
    center.customers.read_lag = 2
    await client.create("7")
    assert (await client.send("GET", f"{PATH}/7")).status == 404
    assert (await client.create("7")).status == 409
    assert (await client.send("PATCH", f"{PATH}/7", customer("7", name="Jane"))).status == 200
    assert await client.names() == []
    assert await client.names() == ["Jane"]
    assert (await client.send("GET", f"{PATH}/7")).status == 200


async def test_somebody_else_changes_a_customer(center: TelecomCenter, client: Client) -> None:
    await client.create("7")
    center.customers.put("7", language="RU")
    assert (await client.send("GET", f"{PATH}/7")).document["data"]["attributes"] == {**JOHN, "language": "RU"}
    center.customers.remove("7")
    assert (await client.send("GET", f"{PATH}/7")).status == 404
    with pytest.raises(ValueError, match="customers have no color"):
        center.customers.put("7", color="red")
    with pytest.raises(ValueError, match="name - can't be blank"):
        center.customers.put("7", language="RU")
