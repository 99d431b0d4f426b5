"""Journal and faults of simulated services: a wrong journal would make every crash test worthless."""

from __future__ import annotations

import ast
import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import aiohttp
import pytest
from aiohttp import web

import pbx_operator
import simulators
from pbx_operator.sandbox.pki import CertificateAuthority
from simulators.faults import Answer, Fault
from simulators.journal import Call, calls, writes
from simulators.serving import Simulator
from simulators.telecom_center.credentials import BasicCredentials
from strikes import Hold

USER, PASSWORD = "operator", "correct horse"
AUTHORIZATION = {"Authorization": aiohttp.encode_basic_auth(USER, PASSWORD)}


class Wall(Simulator):
    """A service that keeps what is written on it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.credentials = BasicCredentials(USER, PASSWORD)
        self.written: list[str] = []

    def begin(self, request: web.BaseRequest, body: bytes) -> Call:
        return self.journal.begin(request.method, request.path_qs, who=self.credentials.identify(request))

    def answer(self, request: web.BaseRequest, body: bytes, call: Call) -> web.Response:
        if not call.who:
            return web.Response(status=401)
        if request.method == "POST":
            self.written.append(body.decode())
        return web.Response(status=201 if request.method == "POST" else 200)


@asynccontextmanager
async def session_to(wall: Wall, trust: ssl.SSLContext | bool = True) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=trust, force_close=True)  # aiohttp sends again on a connection that it reuses
    async with wall, aiohttp.ClientSession(wall.url, connector=connector, headers=AUTHORIZATION) as session:
        yield session


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def session(wall: Wall) -> AsyncIterator[aiohttp.ClientSession]:
    async with session_to(wall) as session:
        yield session


async def post(session: aiohttp.ClientSession, text: str = "x") -> int:
    async with session.post("/", data=text) as answer:
        return answer.status


async def test_the_journal_tells_calls_but_no_secrets(wall: Wall, session: aiohttp.ClientSession) -> None:
    async with session.get("/a?b=c%20d"):
        pass
    (call,) = wall.journal.calls
    assert (call.method, call.path, call.who, call.status) == ("GET", "/a?b=c%20d", USER, 200)
    assert str(call) == f"1: GET /a?b=c%20d ({USER}) -> 200"
    assert PASSWORD not in repr(call)
    assert AUTHORIZATION["Authorization"].split()[1] not in repr(call)
    with pytest.raises(TypeError, match="Call has no field colour"):
        calls(colour="red")


async def test_the_journal_waits_for_calls(
    wall: Wall, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asyncio.create_task(wall.journal.wait_for(calls(status=201), count=2))
    await post(session, "1")
    await post(session, "2")
    assert [call.number for call in await waiting] == [1, 2]
    wall.journal.clear()
    monkeypatch.setattr("simulators.journal.DEADLINE", 0)
    with pytest.raises(AssertionError, match="0 of 1 calls came"):
        await wall.journal.wait_for(writes())


@pytest.mark.parametrize(("at", "decided"), [("before-commit", None), ("after-commit", 201)])
async def test_an_answer_is_lost_before_or_after_the_commit(
    wall: Wall, session: aiohttp.ClientSession, at: Literal["before-commit", "after-commit"], decided: int | None
) -> None:
    fault = wall.add(Fault(writes(), at=at, then="drop"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await post(session)
    (call,) = await wall.journal.wait_for(writes())
    assert (call.decided, call.status, call.committed) == (decided, None, decided is not None)
    assert wall.written == ([] if decided is None else ["x"])
    assert fault.hits == [call]


async def test_a_fault_strikes_the_calls_that_it_counts(wall: Wall, session: aiohttp.ClientSession) -> None:
    wall.add(Fault(writes(), nth=2, times=2, then=Answer(503)))
    assert [await post(session, text) for text in "1234"] == [201, 503, 503, 201]
    assert wall.written == ["1", "4"]
    wall.add(Fault(calls(method="GET"), times=None, then=Answer(429, retry_after=7)))
    for _ in range(2):
        async with session.get("/") as answer:
            assert (answer.status, answer.headers["Retry-After"], await answer.read()) == (429, "7", b"")
    wall.clear()
    async with session.get("/") as answer:
        assert answer.status == 200


async def test_another_answer_may_hide_a_commit(wall: Wall, session: aiohttp.ClientSession) -> None:
    wall.add(Fault(writes(), at="after-commit", then=Answer(500, body=b"<html>", content_type="text/html")))
    async with session.post("/", data="x") as answer:
        assert (answer.status, answer.content_type, await answer.read()) == (500, "text/html", b"<html>")
    assert wall.written == ["x"]


async def test_a_client_can_be_stopped_at_a_call(wall: Wall, session: aiohttp.ClientSession) -> None:
    task = asyncio.create_task(post(session))
    crash = wall.add(Fault(writes(), at="after-commit", do=task.cancel, then="drop"))
    await crash.hit()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert wall.written == ["x"]


async def test_a_call_waits_until_it_is_released(wall: Wall, session: aiohttp.ClientSession) -> None:
    hold = Hold()
    wall.add(Fault(writes(), do=hold))
    task = asyncio.create_task(post(session))
    await hold.reached.wait()
    assert (wall.journal.calls[0].ended, wall.written) == (False, [])
    hold.release()
    assert await task == 201


async def test_a_locked_user_is_a_stranger(wall: Wall, session: aiohttp.ClientSession) -> None:
    wall.credentials.lock_out()
    assert await post(session) == 401
    wall.credentials.unlock()
    assert await post(session) == 201
    wall.credentials.replace(USER, "new")
    assert await post(session) == 401
    assert [call.who for call in wall.journal.calls] == ["", USER, ""]


async def test_a_fault_that_fails_fails_the_test(wall: Wall) -> None:
    wall.add(Fault(calls(), do=lambda: 1 / 0))
    with pytest.RaisesGroup(ZeroDivisionError):
        async with session_to(wall) as session:
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await post(session)


async def test_https_with_a_given_certificate(tmp_path: Path) -> None:
    authority = CertificateAuthority.create(tmp_path)
    certificate = authority.issue_server(["127.0.0.1"])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.certificate, certificate.key)
    trust = ssl.create_default_context(cafile=str(authority.files.certificate))
    async with session_to(Wall(tls), trust) as session:
        assert await post(session) == 201


def test_simulators_and_the_operator_share_no_code() -> None:
    def imported(directory: str) -> set[str]:
        trees = [ast.parse(path.read_text()) for path in Path(directory).rglob("*.py")]
        nodes = [node for tree in trees for node in ast.walk(tree)]
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        return {name.partition(".")[0] for name in names}

    (ours,) = map(imported, simulators.__path__)
    (theirs,) = map(imported, pbx_operator.__path__)
    assert "aiohttp" in ours & theirs
    assert "pbx_operator" not in ours
    assert "simulators" not in theirs
