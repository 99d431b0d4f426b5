"""HTTPS to providers: whom we speak to, how long, and what counts as an answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network

import pytest
from aiohttp import web

from pbx_operator.network.addresses import NetworkRules
from pbx_operator.network.circuits import MAX_CALLS
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import DEFAULT_PAUSE, LONGEST_PAUSE, MAX_ANSWER, Account, Answer, Call, Dialler
from pbx_operator.sandbox.pki import CertificateAuthority

LOOPBACK = NetworkRules(allowed=(ip_network("127.0.0.0/8"),))
LOOK = Call("GET", "/v1/things")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """Answers as a test wants; `requests` are those that came."""

    def __init__(self) -> None:
        self.handler: Handler = self.fine
        self.requests: list[web.Request] = []
        self.url = ""
        self.released = asyncio.Event()
        """Set in the end, for answers that never come."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.requests.append(request)
        return await self.handler(request)

    async def fine(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [1]})

    def answers(self, status: int, text: str = "", **headers: str) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, text=text, headers=named)

        self.handler = answer

    async def hang(self, request: web.Request) -> web.StreamResponse:
        await self.released.wait()
        return web.Response()


@pytest.fixture
async def server(served: ssl.SSLContext) -> AsyncIterator[Server]:
    server = Server()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=served).start()
    server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    server.released.set()
    await runner.cleanup()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def account(server: Server, trusted: None, clock: Clock) -> Account:
    return Account(Dialler(LOOPBACK), server.url, clock)


async def failure(account: Account) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await account.call(LOOK)
    return raised.value


async def test_a_call_and_its_answer(server: Server, account: Account) -> None:
    call = Call(
        "POST", "/v1/a b", {"name": "x&y"}, {"Authorization": "Basic c2VjcmV0"}, {"code": "secret"}, "text/x+json"
    )
    answer = await account.call(call)
    assert (answer.ok, answer.document) == (True, {"data": [1]})
    (request,) = server.requests
    assert (request.method, request.path, dict(request.query)) == ("POST", "/v1/a b", {"name": "x&y"})
    assert await request.json() == {"code": "secret"}
    assert request.headers["Content-Type"] == request.headers["Accept"] == "text/x+json"
    assert "ecret" not in repr(call) + repr(answer)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_a_refusal_is_an_answer(server: Server, account: Account, status: int) -> None:
    server.answers(status, "<html>")
    answer = await account.call(LOOK)
    assert (answer.ok, answer.status, answer.document) == (False, status, None)


async def test_an_answer_may_be_empty(server: Server, account: Account) -> None:
    server.answers(204)
    answer = await account.call(LOOK)
    assert (answer.ok, answer.document) == (True, None)


@pytest.mark.parametrize(
    ("status", "text", "headers", "why"),
    [
        (500, "", {}, "HTTP 500"),
        (503, "", {}, "HTTP 503"),
        (408, "", {}, "HTTP 408"),
        (302, "", {"Location": "https://127.0.0.1:1/"}, "redirects are not followed"),
        (200, "<html>", {}, "not JSON"),
        (200, " " * (MAX_ANSWER + 1), {}, f"more than {MAX_ANSWER} bytes"),
    ],
)
async def test_what_is_no_answer(
    server: Server, account: Account, status: int, text: str, headers: dict[str, str], why: str
) -> None:
    server.answers(status, text, **headers)
    error = await failure(account)
    assert (error.fault.kind, error.fault.reason.name) == ("Retry", "ProviderUnavailable")
    assert why in str(error)
    assert why not in error.fault.message
    assert len(server.requests) == 1


async def test_a_call_ends_after_its_time(server: Server, trusted: None) -> None:
    server.handler = server.hang
    account = Account(Dialler(LOOPBACK, timeout=0.2), server.url)
    assert "it does not answer in time" in str(await failure(account))


async def test_cookies_are_not_kept(server: Server, account: Account) -> None:
    server.answers(200, "{}", Set_Cookie="a=b")
    await account.call(LOOK)
    await account.call(LOOK)
    assert "Cookie" not in server.requests[1].headers


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: Server, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await failure(Account(Dialler(LOOPBACK), server.url))
    assert "certificate verify failed" in str(error)
    assert not server.requests
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.files.certificate))
    assert (await Account(Dialler(LOOPBACK), server.url).call(LOOK)).ok


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "https://169.254.169.254", "https://localhost"])
async def test_local_addresses_are_not_dialled(trusted: None, url: str) -> None:
    assert "may not be dialled" in str(await failure(Account(Dialler(NetworkRules()), url)))


# --- patience ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "asked", "seconds"),
    [
        (429, "3", 3),
        (429, None, DEFAULT_PAUSE),
        (429, "Wed, 21 Oct 2099 07:28:00 GMT", DEFAULT_PAUSE),
        (429, "999999", LONGEST_PAUSE),
        (503, "3", 3),
    ],
)
async def test_a_pause_is_kept(
    server: Server, account: Account, clock: Clock, status: int, asked: str | None, seconds: float
) -> None:
    server.answers(status, **({} if asked is None else {"Retry_After": asked}))
    error = await failure(account)
    assert error.fault.reason.name == "ProviderBusy"
    assert error.fault.retry_after is not None
    assert error.fault.retry_after.total_seconds() == seconds
    server.handler = server.fine
    clock.now = seconds - 1
    assert (await failure(account)).fault.reason.name == "ProviderBusy"
    assert len(server.requests) == 1
    clock.now = seconds
    assert (await account.call(LOOK)).ok


async def test_a_dead_provider_is_asked_by_one_call_at_a_time(server: Server, account: Account, clock: Clock) -> None:
    server.answers(500)
    for _ in range(10):
        await failure(account)
    assert len(server.requests) == 3
    server.handler = server.fine
    clock.now = 2
    assert (await account.call(LOOK)).ok


async def test_many_that_call_at_once_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, loop = asyncio.Event(), asyncio.get_running_loop()

    class Slow(Dialler):
        async def send(self, url: str, call: Call) -> Answer:
            await answered.wait()
            return Answer(200, None)

    account, time = Account(Slow(NetworkRules()), "https://provider.example"), loop.time
    calls = [asyncio.create_task(account.call(Call("GET", "/"))) for _ in range(3 * MAX_CALLS)]
    await asyncio.sleep(0)
    monkeypatch.setattr(loop, "time", lambda: time() + 60.0)
    for _ in range(5):
        await asyncio.sleep(0)
    answered.set()
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
