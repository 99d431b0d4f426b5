"""Connections: as many as there are places, none for long to whoever is slow, and a good end for all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest
from aiohttp import web

from pbx_operator.exchange import serving
from pbx_operator.exchange.certificates import make_pair
from pbx_operator.exchange.serving import everywhere, serve
from pbx_operator.exchange.tls import ServedCertificate
from support import needs_ipv6
from test_exchange.world import CLUE, HOST, FixedSource, trusting

PAIR = make_pair([HOST], datetime.now(UTC))
TRUSTING = trusting(PAIR)
HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Site:
    """An application that says hello, holds requests until they are released, or says very much."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.app = web.Application()
        self.app.router.add_get("/", self.hello)
        self.app.router.add_get("/held", self.held)
        self.app.router.add_get("/much", self.much)

    async def hello(self, _: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def held(self, _: web.Request) -> web.Response:
        self.arrived.set()
        await self.release.wait()
        return web.Response(text="released")

    async def much(self, _: web.Request) -> web.Response:
        self.arrived.set()
        return web.Response(body=b"x" * 50_000_000)


@pytest.fixture
def site() -> Site:
    return Site()


@asynccontextmanager
async def served(site: Site) -> AsyncIterator[int]:
    certificate = ServedCertificate(FixedSource(PAIR))
    await certificate.refresh()
    async with serve(site.app, certificate.context, HOST, 0) as port:
        yield port


async def connect(port: int) -> Streams:
    return await asyncio.open_connection(HOST, port, ssl=TRUSTING)


async def hello(streams: Streams) -> bytes:
    """Ask for a greeting on a connection that stays open."""
    reader, writer = streams
    writer.write(HELLO)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    return await reader.readexactly(5)


async def until_greeted(port: int) -> None:
    """Ask again and again until there is a place, and time enough in it."""
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                streams = await connect(port)
                assert await hello(streams) == b"hello"
                streams[1].close()
                return


def one_place(monkeypatch: pytest.MonkeyPatch, patience: float = 0.3) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 1)
    monkeypatch.setattr(serving, "PATIENCE", patience)


async def test_connections_beyond_the_bound_wait_for_a_place(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "MAX_CONNECTIONS", 2)
    async with served(site) as port:
        first, second = await connect(port), await connect(port)
        third = asyncio.create_task(connect(port))
        for streams in (first, second, first, second):
            assert await hello(streams) == b"hello"
        assert not third.done()
        first[1].close()
        async with asyncio.timeout(30):
            assert await hello(await third) == b"hello"
        second[1].close()
        third.result()[1].close()


SLOW: dict[str, Callable[[asyncio.StreamWriter], None]] = {
    "says nothing": lambda writer: None,
    "starts its headers": lambda writer: writer.write(HELLO[:20]),
    "says nothing more": lambda writer: writer.write(HELLO),
    "starts another request": lambda writer: writer.write(HELLO + HELLO[:20]),
    "does not read": lambda writer: writer.write(HELLO.replace(b" / ", b" /much ")),
    "does not read to the end": lambda writer: writer.write(LAST.replace(b" / ", b" /much ")),
}


@pytest.mark.parametrize("behave", SLOW.values(), ids=SLOW)
async def test_the_slow_lose_their_place(
    site: Site, monkeypatch: pytest.MonkeyPatch, behave: Callable[[asyncio.StreamWriter], None]
) -> None:
    one_place(monkeypatch)
    async with served(site) as port:
        _, writer = await connect(port)
        behave(writer)
        await until_greeted(port)
        writer.transport.abort()


async def test_a_last_answer_has_its_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_LINGER", 0.001)
    async with served(site) as port:
        reader, writer = await connect(port)
        writer.write(LAST.replace(b" / ", b" /much "))
        assert len((await reader.read()).partition(b"\r\n\r\n")[2]) == 50_000_000
        writer.close()


async def test_handshakes_count_and_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    one_place(monkeypatch)
    async with served(site) as port:
        _, writer = await asyncio.open_connection(HOST, port)
        await until_greeted(port)
        writer.close()


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\0" * 1000])
async def test_what_is_not_tls_frees_its_place(site: Site, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    one_place(monkeypatch)
    async with served(site) as port:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(said)
        await until_greeted(port)
        writer.close()


@pytest.mark.parametrize(
    "said",
    [
        b"tell-tale\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET http://[tell-tale/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\ntell tale: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: tell-tale\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"tell-tale" * 5000 + b"\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_refused_in_words_of_ours(
    site: Site, caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    async with served(site) as port:
        reader, writer = await connect(port)
        writer.write(said)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.endswith(b'\r\n\r\n{"error": "the request is not HTTP as it should be"}')
        assert b"\r\nServer:" not in answer
        assert CLUE.encode() not in answer
        writer.close()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"refused a request from {HOST} with 400: not HTTP (")
    assert CLUE not in caplog.text


async def test_requests_in_progress_are_finished_when_it_stops(site: Site) -> None:
    async with served(site) as port:
        reader, writer = await connect(port)
        idle = await connect(port)
        writer.write(HELLO.replace(b" / ", b" /held "))
        await site.arrived.wait()
        asyncio.get_running_loop().call_soon(site.release.set)
    assert (await reader.read()).endswith(b"released")
    assert await idle[0].read() == b""
    with pytest.raises(ConnectionRefusedError):
        await connect(port)
    for streams in ((reader, writer), idle):
        streams[1].close()


async def test_the_stubborn_are_cut_when_it_stops(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "GRACE", 0.05)
    monkeypatch.setattr(serving, "PATIENCE", 1000.0)
    async with served(site) as port:
        reader, writer = await connect(port)
        writer.write(HELLO.replace(b" / ", b" /held "))
        await site.arrived.wait()
        silent = await asyncio.open_connection(HOST, port)
        await until_greeted(port)
    with suppress(ConnectionError):
        assert await reader.read() == b""
    with suppress(ConnectionError):
        assert await silent[0].read() == b""
    for streams in ((reader, writer), silent):
        streams[1].close()


async def test_a_failure_of_whoever_serves_ends_it_too(site: Site) -> None:
    streams: Streams

    async def fail() -> None:
        nonlocal streams
        async with served(site) as port:
            streams = await connect(port)
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        await fail()
    assert await streams[0].read() == b""
    streams[1].close()


async def test_an_address_in_use_is_an_error(site: Site) -> None:
    certificate = ServedCertificate(FixedSource(PAIR))
    async with served(site) as port:
        with pytest.raises(OSError, match="in use"):
            async with serve(Site().app, certificate.context, HOST, port):
                raise AssertionError("it serves")


async def test_accepting_goes_on_after_a_failure(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one_place(monkeypatch, patience=30)
    monkeypatch.setattr(serving, "_RETRY", 0.0)
    loop = asyncio.get_running_loop()
    accept = loop.sock_accept
    failures = [OSError(24, "Too many open files")]

    async def failing(listener: socket.socket) -> tuple[socket.socket, object]:
        if failures:
            raise failures.pop()
        return await accept(listener)

    monkeypatch.setattr(loop, "sock_accept", failing)
    async with served(site) as port:
        streams = await connect(port)
        assert await hello(streams) == b"hello"
        streams[1].close()
    assert caplog.messages == ["the exchange cannot accept connections: Too many open files"]


@pytest.mark.parametrize(
    ("host", "dial"),
    [
        ("0.0.0.0", "127.0.0.1"),
        pytest.param("::", "127.0.0.1", marks=needs_ipv6),
        pytest.param("::", "::1", marks=needs_ipv6),
        pytest.param("::1", "::1", marks=needs_ipv6),
    ],
)
async def test_it_listens_where_it_is_told(site: Site, host: str, dial: str) -> None:
    pair = make_pair([dial], datetime.now(UTC))
    certificate = ServedCertificate(FixedSource(pair))
    await certificate.refresh()
    async with serve(site.app, certificate.context, host, 0) as port:
        streams = await asyncio.open_connection(dial, port, ssl=trusting(pair))
        assert await hello(streams) == b"hello"
        streams[1].close()


@pytest.mark.parametrize(("dual_stack", "host"), [(True, "::"), (False, "0.0.0.0")])
def test_everywhere_is_ipv6_too_where_there_is_any(
    dual_stack: bool, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: dual_stack)
    assert everywhere() == host
