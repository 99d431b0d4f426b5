"""Nothing that anybody can send makes the exchange fail: no 5xx, no lost connection, no word of the request."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pbx_operator.domain.protocol.envelope import seal
from pbx_operator.exchange import opening
from test_exchange.world import MESSAGES, PATHS, PEER, Answer, Exchange

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.fixture(autouse=True)
def _no_waiting(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a second pass between any two requests, and bodies that do not come be missed soon."""
    exchange.hands.step = 1.0
    monkeypatch.setattr(opening, "BODY_SECONDS", 0.2)


def harmless(answer: Answer) -> bool:
    return (answer.status == 200 and set(answer.json) == {"payload", "by", "sig"}) or (
        400 <= answer.status < 500 and bool(answer.error)
    )


@SHARED
@given(st.sampled_from([*PATHS.values(), "/", "/openapi.json"]), st.binary(max_size=2000))
async def test_any_bytes(exchange: Exchange, path: str, body: bytes) -> None:
    assert harmless(await exchange.send("POST", path, body))
    assert exchange.desk.asked == []


@SHARED
@given(st.sampled_from([*PATHS.values()]), values, values, values)
async def test_any_json(exchange: Exchange, path: str, payload: Any, by: Any, sig: Any) -> None:
    assert harmless(await exchange.send("POST", path, json.dumps({"payload": payload, "by": by, "sig": sig})))
    assert harmless(await exchange.send("POST", path, json.dumps(payload)))
    assert exchange.desk.asked == []


@SHARED
@given(st.sampled_from([*PATHS]), values)
@example("sync", {"at": 1e400})
@example("sync", {"at": 2**70, "from": float("nan")})
async def test_any_signed_json(exchange: Exchange, kind: str, message: Any) -> None:
    assert harmless(await exchange.post(PATHS[kind], seal(kind, message, PEER.key)))


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, Any]:
    """Return a type and a message of it in which some fields, wherever they are, have any value."""
    kind = draw(st.sampled_from([*MESSAGES]))
    message: dict[str, Any] = json.loads(json.dumps(MESSAGES[kind]()))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = message
        name = draw(st.sampled_from(sorted(place)))
        while isinstance(place[name], dict | list) and place[name] and draw(st.booleans()):
            place = place[name]
            name = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        place[name] = draw(values)
    return kind, message


@SHARED
@given(damaged())
async def test_any_damage_to_a_signed_message(exchange: Exchange, damage: tuple[str, Any]) -> None:
    kind, message = damage
    assert harmless(await exchange.post(PATHS[kind], seal(kind, message, PEER.key)))


HEADERS = ("Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Expect", "Connection", "Upgrade")
lines = st.tuples(
    st.sampled_from(["POST", "GET", "OPTIONS", "CONNECT", "X", "\x16\x03\x01"]),
    st.sampled_from([*PATHS.values(), "*", "http://[/", "//x", "/%ff", "/openapi.json"]) | st.text(max_size=20),
    st.lists(
        st.tuples(
            st.sampled_from(HEADERS) | st.text(max_size=10),
            st.sampled_from(["application/json", "100-continue", "chunked", "gzip, chunked", "upgrade", "7", "-1"])
            | st.text(max_size=10),
        ),
        max_size=5,
    ),
    st.binary(max_size=200),
)


@SHARED
@given(lines)
@example(("POST", "/v1/sync", [("Expect", "tell-tale"), ("Content-Length", "0")], b""))
@example(("POST", "/v1/sync", [("Upgrade", "x"), ("Connection", "upgrade"), ("Content-Length", "7")], b"tell-tale"))
async def test_any_use_of_http(exchange: Exchange, line: tuple[str, str, list[tuple[str, str]], bytes]) -> None:
    method, path, headers, body = line
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    reader, writer = await exchange.connect()
    raw = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n"
    writer.write(raw.encode("utf-8", "surrogatepass") + body)
    writer.write(b"\r\n" * 2)
    if writer.can_write_eof():
        writer.write_eof()
    status = await reader.readline()
    writer.close()
    assert status == b"" or status.split()[1][:1] in (b"1", b"2", b"4"), status
    assert (await exchange.send("GET", "/healthz")).status == 200
