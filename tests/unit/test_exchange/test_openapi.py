"""The OpenAPI document is sound, and says what the exchange does."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from builders import NOW
from pbx_operator.domain.protocol.envelope import Envelope, seal
from pbx_operator.exchange.openapi import document
from pbx_operator.links.desk import RedeemReply, SyncReply
from test_exchange.world import MESSAGES, PATHS, PEER, US, Exchange, report

DOCUMENT = document()
POSTS = {path: methods["post"] for path, methods in DOCUMENT["paths"].items() if "post" in methods}


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from nodes(child)
    elif isinstance(node, list):
        for child in node:
            yield from nodes(child)


def schema_at(*path: str) -> dict[str, Any]:
    place: Any = DOCUMENT
    for part in path:
        place = place[part]
    assert isinstance(place, dict)
    return place


def valid(instance: Any, schema: dict[str, Any]) -> None:
    """Check against a schema of the document, whose references start at the document's root."""
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(instance)


def body_schema(path: str, *where: str) -> dict[str, Any]:
    return schema_at("paths", path, "post", *where, "content", "application/json", "schema")


def content_schema(schema: dict[str, Any]) -> dict[str, Any]:
    payload = schema["properties"]["payload"]
    assert (payload["contentEncoding"], payload["contentMediaType"]) == ("base64", "application/json")
    inner = payload["contentSchema"]
    assert isinstance(inner, dict)
    return inner


def test_structure() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert set(DOCUMENT) == {"openapi", "info", "paths", "components"}
    assert DOCUMENT["info"]["title"]
    assert DOCUMENT["info"]["version"]
    operations = [operation for methods in DOCUMENT["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 7
    for operation in operations:
        assert operation["summary"]
        assert "200" in operation["responses"]
        assert all(response["description"] for response in operation["responses"].values())


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    references = {node["$ref"] for node in nodes(DOCUMENT) if isinstance(node.get("$ref"), str)}
    assert references
    for reference in references:
        schema_at(*reference.removeprefix("#/").split("/"))


def test_every_field_is_described_and_nothing_is_about_kubernetes() -> None:
    text = json.dumps(DOCUMENT)
    assert "x-kubernetes" not in text
    for name, schema in DOCUMENT["components"]["schemas"].items():
        for field, about in schema.get("properties", {}).items():
            assert about.get("description") or name == "Error", f"{name}.{field}"


async def test_the_document_is_served(exchange: Exchange) -> None:
    answer = await exchange.send("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.json == DOCUMENT


async def test_the_document_names_every_path(exchange: Exchange) -> None:
    for path, methods in DOCUMENT["paths"].items():
        for method in ("get", "post"):
            status = (await exchange.send(method.upper(), path)).status
            assert (status == 405) == (method not in methods)


@pytest.mark.parametrize("kind", PATHS)
async def test_what_is_sent_and_answered_is_as_described(exchange: Exchange, kind: str) -> None:
    path = PATHS[kind]
    exchange.desk.redeemed = RedeemReply("Linked", time=NOW, receipt=seal("receipt", {}, US.key))
    exchange.desk.synced = SyncReply((report("1"), report("2", "Unknown")), ("https://x",), ("A" * 43,))
    request = seal(kind, MESSAGES[kind](), PEER.key)
    answer = await exchange.post(path, request)
    sides = {
        ("requestBody",): request.to_json(),
        ("responses", "200"): answer.json,
    }
    for where, body in sides.items():
        schema = body_schema(path, *where)
        valid(body, schema)
        valid(json.loads(base64.b64decode(body["payload"])), content_schema(schema))


@pytest.mark.parametrize("kind", PATHS)
async def test_refusals_are_as_described(exchange: Exchange, kind: str) -> None:
    path = PATHS[kind]
    good = json.dumps(seal(kind, MESSAGES[kind](), PEER.key).to_json())
    exchange.desk.is_confirmed = False
    refused = [await exchange.send("POST", path, good)]
    exchange.desk.is_confirmed = True
    refused += [
        await exchange.send("POST", path, "{}"),
        await exchange.send("POST", path, good, Content_Type="text/plain"),
        await exchange.send("POST", path, " " * 400_000),
        await exchange.post(path, seal(kind, MESSAGES[kind](to=PEER.instance), PEER.key)),
        await exchange.post(path, seal(kind, MESSAGES[kind](), US.key)),
    ]
    while refused[-1].status != 429:
        refused.append(await exchange.send("POST", path, good))
    assert {answer.status for answer in refused if answer.status != 200} | {408} == {
        int(status) for status in POSTS[path]["responses"] if status != "200"
    }
    for answer in refused:
        if answer.status != 200:
            valid(answer.json, body_schema(path, "responses", str(answer.status)))
            described = POSTS[path]["responses"][str(answer.status)].get("headers", {})
            assert ("Retry-After" in answer.headers) == ("Retry-After" in described)


def test_a_message_that_is_wrong_is_not_as_described() -> None:
    schema = content_schema(body_schema("/v1/redeem", "requestBody"))
    with pytest.raises(ValidationError, match="is not of type"):
        valid(MESSAGES["redeem"](keyID=7), schema)
    with pytest.raises(ValidationError, match="is a required property"):
        valid({}, {"$ref": "#/components/schemas/" + Envelope.__name__})
