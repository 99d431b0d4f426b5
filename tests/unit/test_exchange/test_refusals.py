"""Everything that is refused: each with its status, in words of ours, and without asking the desk."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from pydantic import ValidationError

from pbx_operator.domain.protocol.envelope import Envelope, seal
from pbx_operator.domain.protocol.keys import instance_id
from pbx_operator.domain.protocol.messages import SyncRequest
from pbx_operator.exchange import opening
from pbx_operator.exchange.refusals import Refusal
from pbx_operator.exchange.server import SMALL_BODY, SYNC_BODY
from test_exchange.world import (
    CLUE,
    PATHS,
    PEER,
    Exchange,
    cancel_message,
    redeem_message,
    sync_message,
)

GOOD = seal("redeem", redeem_message(), PEER.key).to_json()


def signed(payload: bytes, kind: str = "redeem") -> dict[str, Any]:
    """Return an envelope around bytes that need not be a message."""
    signature = PEER.key.sign(f"pbx-operator/v1\0{kind}\0".encode() + payload)
    return {"payload": base64.b64encode(payload).decode(), "by": PEER.key.public, "sig": signature}


def other_spelling(public: str) -> str:
    """Return another text for the same key: the last of its characters has two bits to spare."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    respelled = public[:-1] + alphabet[alphabet.index(public[-1]) + 1]
    assert instance_id(respelled) == instance_id(public)
    return respelled


def without(message: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != name}


NOT_ENVELOPES = {
    "empty": b"",
    "not JSON": b'{"payload": "tell-tale',
    "not UTF-8": b'{"payload": "\xff"}',
    "a list": json.dumps([GOOD]),
    "deep": b"[" * 8000,
    "lone surrogate": b'{"payload": "\\ud800"}',
    "no signature": json.dumps(without(GOOD, "sig")),
    "a number": json.dumps(GOOD | {"by": 7}),
    "a short signature": json.dumps(GOOD | {"sig": GOOD["sig"][:-1]}),
    "a newline after the key": json.dumps(GOOD | {"by": GOOD["by"] + "\n"}),
    "not base64": json.dumps(GOOD | {"payload": "tell-tale"}),
    "another spelling of the key": json.dumps(GOOD | {"by": other_spelling(GOOD["by"])}),
}


@pytest.mark.parametrize("body", NOT_ENVELOPES.values(), ids=NOT_ENVELOPES)
@pytest.mark.parametrize("path", PATHS.values())
async def test_what_is_not_an_envelope(exchange: Exchange, path: str, body: bytes | str) -> None:
    answer = await exchange.send("POST", path, body)
    assert answer.status == 400
    assert answer.error.startswith("the body is not an envelope: ")
    assert exchange.desk.asked == []


CLOSED = {
    "changed payload": {**GOOD, "payload": base64.b64encode(b"{}").decode()},
    "changed signature": {**GOOD, "sig": "A" * 86},
    "a stranger's key": {**GOOD, "by": "A" * 43},
    "another type": seal("sync", redeem_message(), PEER.key).to_json(),
    "the type inside of it": seal("cancel", redeem_message(), PEER.key).to_json(),
    "incomplete base64": {**GOOD, "payload": "AAA"},
    "empty": signed(b""),
    "not JSON": signed(b"tell-tale"),
    "not UTF-8": signed(b'{"from": "\xff"}'),
    "not an object": signed(b'["tell-tale"]'),
    "a name twice": signed(b'{"from": "tell-tale", "from": "x"}'),
    "a name twice, inside": signed(b'{"account": {"name": "tell-tale", "name": "x"}}'),
    "deep": signed(b"[" * 10_000),
    "a huge number": signed(b'{"at": ' + b"9" * 5000 + b"}"),
}


@pytest.mark.parametrize("body", CLOSED.values(), ids=CLOSED)
async def test_envelopes_that_cannot_be_opened(exchange: Exchange, body: dict[str, Any]) -> None:
    answer = await exchange.send("POST", "/v1/redeem", json.dumps(body))
    assert answer.status == 400
    assert answer.error.startswith("the envelope cannot be opened as 'redeem': it")
    assert exchange.desk.asked == []


MALFORMED = {
    "at: missing": without(redeem_message(), "at"),
    "from: missing": {**without(redeem_message(), "from"), "sender": PEER.instance},
    "keyID: missing": {**without(redeem_message(), "keyID"), "key_id": redeem_message()["keyID"]},
    "keyID: string_pattern_mismatch": redeem_message(keyID=CLUE),
    "to: string_type": redeem_message(to=None),
    "nonce: string_pattern_mismatch": redeem_message(nonce="A" * 21),
    "account.name: string_pattern_mismatch": redeem_message(account={"namespace": "x", "name": f"{CLUE}!"}),
    "account: model_type": redeem_message(account=CLUE),
    "interlink.uid: string_unicode": redeem_message(interlink={"namespace": "x", "name": "x", "uid": "\ud800"}),
    "at: value_error": redeem_message(at="0001-01-01T00:00:00+14:00"),
    "at: datetime_from_date_parsing": redeem_message(at=CLUE),
}


@pytest.mark.parametrize(("fault", "message"), MALFORMED.items(), ids=MALFORMED)
async def test_messages_with_a_fault_name_it(exchange: Exchange, fault: str, message: dict[str, Any]) -> None:
    answer = await exchange.post("/v1/redeem", seal("redeem", message, PEER.key))
    assert (answer.status, answer.error) == (400, f"the message is not a 'redeem': {fault}")
    assert exchange.desk.asked == []


async def test_a_fault_deep_in_a_list_is_found(exchange: Exchange) -> None:
    links = [*sync_message()["links"], {"keyID": CLUE}]
    answer = await exchange.post("/v1/sync", seal("sync", sync_message(links=links), PEER.key))
    assert answer.error == "the message is not a 'sync': links.1.keyID: string_pattern_mismatch"


def test_a_message_full_of_faults_is_given_up_at_the_first_few() -> None:
    links = [{"numbers": [0] * 500}] * 230
    request = seal("sync", sync_message(links=links), PEER.key)
    with pytest.raises(Refusal) as refused:
        opening.open_request(request, SyncRequest)
    found = refused.value.__cause__
    assert isinstance(found, ValidationError)
    assert found.error_count() < 10


async def test_more_links_than_a_sync_may_have(exchange: Exchange) -> None:
    links = sync_message()["links"] * 501
    answer = await exchange.post("/v1/sync", seal("sync", sync_message(links=links), PEER.key))
    assert answer.error == "the message is not a 'sync': links: too_long"


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""])
async def test_other_content_types(exchange: Exchange, content_type: str) -> None:
    answer = await exchange.send("POST", "/v1/redeem", json.dumps(GOOD), Content_Type=content_type)
    assert (answer.status, answer.error) == (415, "the body must be application/json")


async def test_content_type_with_parameters_is_json(exchange: Exchange) -> None:
    content_type = "Application/JSON; charset=utf-8"
    answer = await exchange.send("POST", "/v1/redeem", json.dumps(GOOD), Content_Type=content_type)
    assert answer.status == 200


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity", CLUE, ""])
async def test_packed_bodies(exchange: Exchange, encoding: str) -> None:
    body = gzip.compress(json.dumps(GOOD).encode())
    answer = await exchange.send("POST", "/v1/redeem", body, Content_Encoding=encoding)
    assert (answer.status, answer.error) == (415, "the body may not have a Content-Encoding")


async def in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 1000):
        yield body[start : start + 1000]


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/redeem", SMALL_BODY), ("/v1/cancel", SMALL_BODY), ("/v1/sync", SYNC_BODY)]
)
async def test_bodies_have_a_bound(exchange: Exchange, path: str, limit: int) -> None:
    for too_large in (b" " * (limit + 1), in_chunks(b" " * (limit + 1))):
        answer = await exchange.send("POST", path, too_large)
        assert (answer.status, answer.error) == (413, f"the body may have {limit} bytes")
    longest = await exchange.send("POST", path, in_chunks(b" " * limit))
    assert longest.status == 400


async def test_the_largest_sync_passes(exchange: Exchange) -> None:
    empty = sync_message(padding="")
    bare = len(json.dumps(empty, separators=(",", ":"), sort_keys=True))
    request = seal("sync", sync_message(padding="x" * (256 * 1024 - bare)), PEER.key)
    answer = await exchange.post("/v1/sync", request)
    answer.opened(request, "sync-answer")


async def test_a_real_cancel_is_far_below_the_bound() -> None:
    inner = {"account": {"namespace": "n" * 63, "name": "a" * 57}, "keySignature": "A" * 86, "uid": "u" * 128}
    request = seal("cancel-request", cancel_message(cancel=seal("cancel", inner, PEER.key).to_json()), PEER.key)
    assert len(json.dumps(request.to_json())) < SMALL_BODY / 4


async def test_a_body_that_comes_too_slowly(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BODY_SECONDS", 0.05)
    reader, writer = await exchange.connect()
    writer.write(b"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
    assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    rest = await reader.read()  # to the end: the connection is closed
    assert rest.endswith(b'{"error": "the body came too slowly"}')
    writer.close()


async def test_a_body_that_will_be_too_large_is_not_waited_for(exchange: Exchange) -> None:
    reader, writer = await exchange.connect()
    writer.write(
        b"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_body_with_broken_chunks(exchange: Exchange) -> None:
    reader, writer = await exchange.connect()
    head = b"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    writer.write(head + b"\r\ntell-tale\r\n")
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert CLUE.encode() not in answer
    assert exchange.desk.asked == []
    writer.close()


@pytest.mark.parametrize("error", [web.RequestPayloadError(CLUE), ConnectionResetError(CLUE)])
async def test_a_body_that_breaks_off(error: Exception) -> None:
    payload = StreamReader(BaseProtocol(asyncio.get_running_loop()), 1024, loop=asyncio.get_running_loop())
    payload.feed_data(b"{")
    payload.set_exception(error)
    request = make_mocked_request("POST", "/", {"Content-Type": "application/json"}, payload=payload)
    with pytest.raises(Refusal, match="the body is broken off, or not what its headers say") as refused:
        await opening.read_body(request, 100)
    assert refused.value.status == 400


async def test_a_sender_that_hangs_up_is_refused_like_others(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await exchange.connect()
    writer.write(
        b"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 100 ")
    writer.transport.abort()
    async with asyncio.timeout(30):
        while not caplog.messages:
            assert (await exchange.send("GET", "/healthz")).status == 200
    [message] = caplog.messages
    assert message.endswith("with 400: the body is broken off, or not what its headers say")


@pytest.mark.parametrize("expectation", [CLUE, "200-ok"])
async def test_other_expectations_are_not_met(exchange: Exchange, expectation: str) -> None:
    reader, writer = await exchange.connect()
    writer.write(f"POST /v1/redeem HTTP/1.1\r\nHost: x\r\nExpect: {expectation}\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 415 ")
    writer.close()


def test_the_good_request_of_these_tests_is_good() -> None:
    assert Envelope.model_validate(GOOD).by == PEER.key.public
