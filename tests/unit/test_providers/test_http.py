"""HTTPS to providers: whom we speak to, how long, and what counts as an answer."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network

import pytest
from aiohttp import web

from pbx_operator.domain.protocol.endpoints import HostPort
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.network.circuits import MAX_CALLS
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import DEFAULT_PAUSE, LONGEST_PAUSE, MAX_ANSWER, Account, Answer, Call, Dialler
from pbx_operator.sandbox.pki import CertificateAuthority
from pbx_operator.sandbox.ports import unused_port

LOOPBACK = NetworkRules(allowed=(ip_network("127.0.0.0/8"),))
LOOK = Call("GET", "/v1/things")
FIELD = "spec.provider.rainbow.url"
WRONG = f"if {FIELD} is not that of the provider's API, delete this object and create another one with the right URL"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def at(url: str) -> ApiEndpoint:
    return ApiEndpoint(url, "https://provider.example", "spec.provider.rainbow")


def host_port(url: str) -> str:
    return url.removeprefix("https://")


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
    return Account(Dialler(LOOPBACK), at(server.url), clock)


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
        (500, "", {}, "it answers with HTTP 500 Internal Server Error"),
        (503, "", {}, "it answers with HTTP 503 Service Unavailable"),
        (408, "", {}, "it answers with HTTP 408 Request Timeout"),
        (599, "", {}, "it answers with HTTP 599"),
        (
            302,
            "",
            {"Location": "https://127.0.0.1:1/"},
            "it answers with HTTP 302 Found, and redirects are not followed",
        ),
        (200, "<html>", {}, "its answer is not JSON"),
        (200, " " * (MAX_ANSWER + 1), {}, f"its answer has more than {MAX_ANSWER} bytes"),
    ],
)
async def test_what_is_no_answer(
    server: Server, account: Account, status: int, text: str, headers: dict[str, str], why: str
) -> None:
    server.answers(status, text, **headers)
    found = (await failure(account)).fault
    assert (found.kind, found.reason.name) == ("Retry", "ProviderUnavailable")
    assert found.message == found.told(answered=True) == f"{host_port(server.url)}: {why}; wait: it is tried again"
    assert found.told(answered=False) == f"{found.message}; {WRONG}"
    assert len(server.requests) == 1


async def test_a_call_ends_after_its_time(server: Server, trusted: None) -> None:
    server.handler = server.hang
    account = Account(Dialler(LOOPBACK, timeout=0.2), at(server.url))
    assert (await failure(account)).fault.message == (
        f"{host_port(server.url)}: it does not answer in time;"
        f" see that the operator can reach the host; it is tried again"
    )


async def test_cookies_are_not_kept(server: Server, account: Account) -> None:
    server.answers(200, "{}", Set_Cookie="a=b")
    await account.call(LOOK)
    await account.call(LOOK)
    assert "Cookie" not in server.requests[1].headers


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    server: Server, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = await failure(Account(Dialler(LOOPBACK), at(server.url)))
    assert error.fault.message == (
        f"{host_port(server.url)}: its certificate is not trusted: unable to get local issuer certificate;"
        " if an authority of your own signed the certificate, name that to the operator with SSL_CERT_FILE;"
        f" it is tried again"
    )
    assert not server.requests
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.files.certificate))
    assert (await Account(Dialler(LOOPBACK), at(server.url)).call(LOOK)).ok


@pytest.mark.parametrize(
    ("host", "rule"),
    [("127.0.0.1", "is loopback"), ("169.254.169.254", "is link-local"), ("localhost", "is loopback")],
)
async def test_local_addresses_are_not_dialled(trusted: None, host: str, rule: str) -> None:
    fault = (await failure(Account(Dialler(NetworkRules()), at(f"https://{host}:1")))).fault
    assert (fault.kind, fault.reason.name) == ("Final", "AddressForbidden")
    assert fault.message == (
        f"{host}: it may not be dialled, since its address {rule}; if {FIELD} is right, have an administrator start the"
        " operator with --allow-network, else delete this object and create another one; it is tried every 15 minutes"
    )


async def test_a_name_that_nobody_knows_and_a_port_where_nobody_listens(trusted: None) -> None:
    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    nowhere = Account(Dialler(LOOPBACK, lookup=unknown), at("https://provider.example"))
    assert (await failure(nowhere)).fault.message == (
        "provider.example:443: its name cannot be resolved: Name or service not known;"
        " see that the operator can resolve the host; it is tried again"
    )
    closed = f"https://127.0.0.1:{unused_port()}"
    assert (await failure(Account(Dialler(LOOPBACK), at(closed)))).fault.message == (
        f"{host_port(closed)}: the connection is refused, nobody listens there;"
        f" see that the operator can reach the host; it is tried again"
    )


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
    shown = {(await failure(account)).fault.message for _ in range(10)}
    assert len(shown) == 1, "also of a call that was not made"
    assert len(server.requests) == 3
    server.handler = server.fine
    clock.now = 2
    assert (await account.call(LOOK)).ok


async def test_the_log_hears_when_a_provider_fails_differently_and_when_it_is_back(
    server: Server, account: Account, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for status, seconds in ((500, 0), (500, 400), (500, 400), (429, 400), (503, 400)):
        clock.now += seconds
        server.answers(status)
        assert (await failure(account)).told
    server.handler = server.fine
    clock.now += 400
    await account.call(LOOK)
    await account.call(LOOK)
    place = f"provider {host_port(server.url)}"
    assert caplog.messages == [
        f"{place} cannot be used: it answers with HTTP 500 Internal Server Error",
        f"{place} cannot be used: it asks for patience",
        f"{place} cannot be used: it answers with HTTP 503 Service Unavailable",
        f"{place} answers again",
    ]


async def test_many_that_call_at_once_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, loop = asyncio.Event(), asyncio.get_running_loop()

    class Slow(Dialler):
        async def send(self, target: HostPort, call: Call) -> Answer:
            await answered.wait()
            return Answer(200, None)

    account, time = Account(Slow(NetworkRules()), at("https://provider.example")), loop.time
    calls = [asyncio.create_task(account.call(Call("GET", "/"))) for _ in range(3 * MAX_CALLS)]
    await asyncio.sleep(0)
    monkeypatch.setattr(loop, "time", lambda: time() + 60.0)
    for _ in range(5):
        await asyncio.sleep(0)
    answered.set()
    assert {answer.status for answer in await asyncio.gather(*calls)} == {200}
