"""What the dialling side sends, and which answers it believes: only what the peer signed for this request."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from builders import digest
from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName
from pbx_operator.domain.envelope import Envelope, seal
from pbx_operator.domain.keys import SigningKey, instance_id
from pbx_operator.domain.messages import RedeemAnswer, RedeemRequest, SyncAnswer
from pbx_operator.domain.succession import Successions
from pbx_operator.exchange.client import LOG_INTERVAL, MAX_BODY, RemotePeer
from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.logs import JsonFormatter
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.network.circuits import FAILURES_TO_OPEN
from pbx_operator.sandbox.ports import unused_port
from rotated import chain
from support import needs_ipv6
from test_exchange_client.peer import (
    LOOPBACK,
    NOW,
    OURS,
    STRANGER,
    SYNC,
    THEIRS,
    THEY,
    WE,
    Behaviour,
    Call,
    Server,
    certificate,
    right,
    server_context,
    serving,
)

USER_TEXT = "^the peer cannot be reached$"
CANARY = "canary-7f3a"
"""A text in everything that a misbehaving peer sends; our log may not quote it."""


class Us:
    """Who asks."""

    instance = WE
    key: SigningKey | None = OURS
    successions: Successions = ()


class Seconds:
    """A monotonic clock that shows what the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Names:
    """A resolver that gives its answers in turn, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def to_json(line: list[SigningKey]) -> list[dict[str, Any]]:
    return [one.to_json() for one in chain(line)]


def remote(rules: NetworkRules = LOOPBACK, **settings: Any) -> RemotePeer:
    return RemotePeer(Us(), rules, lambda: NOW, **{"monotonic": Seconds(), **settings})


def contact(*servers: Server, host: str = "127.0.0.1", pins: tuple[str, ...] = ()) -> Contact:
    return Contact(endpoints=tuple(s.endpoint(host) for s in servers), pins=pins or (servers[0].pin,))


async def refused(peer: RemotePeer, at: Contact) -> None:
    with pytest.raises(PeerUnavailable, match=USER_TEXT) as caught:
        await peer.ask(at, THEY, SYNC, SyncAnswer)
    assert caught.value.__cause__ is None


async def test_a_request_says_who_asks_whom_and_is_signed(server: Server) -> None:
    answer = await remote().ask(contact(server), THEY, SYNC, SyncAnswer)
    assert (answer.sender, answer.to, answer.links) == (THEY, WE, ())
    (call,) = server.calls
    assert call.path == "/v1/sync"
    assert call.envelope.by == OURS.public
    nonce = call.message["nonce"]
    assert call.message == {
        "from": WE, "to": THEY, "at": "2030-01-02T03:04:05Z", "nonce": nonce, "links": [], "endpoints": [], "pins": [],
    }  # fmt: skip
    assert answer.re == call.digest


async def test_every_request_has_its_own_nonce_and_connection(server: Server) -> None:
    peer = remote()
    for _ in range(3):
        await peer.ask(contact(server), THEY, SYNC, SyncAnswer)
    assert len({call.message["nonce"] for call in server.calls}) == 3
    assert server.connections == 3


async def test_requests_are_counted_by_path_and_result(server: Server) -> None:
    def counted(result: str) -> float:
        labels = {"path": "/v1/sync", "result": result}
        return REGISTRY.get_sample_value("pbx_operator_peer_requests_total", labels) or 0.0

    answered, unanswered = counted("answered"), counted("unanswered")
    await remote().ask(contact(server), THEY, SYNC, SyncAnswer)
    server.behaviour = hang
    await refused(remote(timeout=0.2), contact(server))
    assert (counted("answered"), counted("unanswered")) == (answered + 1, unanswered + 1)


async def test_nothing_of_the_process_goes_with_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy of the environment, no cookie of the answer before, no credentials of a .netrc."""

    async def with_cookie(call: Call) -> None:
        await call.reply(call.signed(), headers="Set-Cookie: a=b\r\n")

    server.behaviour = with_cookie
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    peer = remote()
    for _ in range(2):
        await peer.ask(contact(server), THEY, SYNC, SyncAnswer)
    names = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Connection"}
    assert [set(call.headers) - names for call in server.calls] == [set(), set()]
    assert server.calls[1].headers["Accept-Encoding"] == "identity"


async def test_who_was_rotated_says_by_which_keys(server: Server) -> None:
    us, line = Us(), [OURS, STRANGER]
    us.key, us.successions = line[-1], chain(line)
    await RemotePeer(us, LOOPBACK, lambda: NOW, monotonic=Seconds()).ask(contact(server), THEY, SYNC, SyncAnswer)
    (call,) = server.calls
    assert call.envelope.by == STRANGER.public
    assert (call.message["from"], call.message["successions"]) == (WE, to_json(line))


async def test_a_peer_that_was_rotated_is_believed(server: Server) -> None:
    successions = chain([THEIRS, STRANGER])

    async def rotated(call: Call) -> None:
        await call.reply(call.signed(STRANGER, successions=to_json([THEIRS, STRANGER])))

    server.behaviour = rotated
    assert (await remote().ask(contact(server), THEY, SYNC, SyncAnswer)).successions == successions


# --- answers ---


async def hang(call: Call) -> None:
    await call.server.released.wait()


async def half(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + CANARY.encode())


async def half_and_hang(call: Call) -> None:
    await half(call)
    await hang(call)


async def endless(call: Call) -> None:
    """Send until the client hangs up."""
    await call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await call.send(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")


async def endless_head(call: Call) -> None:
    await call.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await call.send(b"X-Filler: " + b"x" * 1000 + b"\r\n")


async def zipped(call: Call) -> None:
    await call.reply(gzip.compress(call.signed()), headers="Content-Encoding: gzip\r\n")


async def claims_to_be_zipped(call: Call) -> None:
    await call.reply(call.signed(), headers="Content-Encoding: identity\r\n")


async def redirect(call: Call) -> None:
    location = f"Location: {call.server.endpoint()}/elsewhere\r\n"
    await call.reply(call.signed(), "307 Temporary Redirect", headers=location)


async def unsigned(call: Call) -> None:
    await call.reply(f'{{"result": "{CANARY}"}}'.encode())


async def changed_on_the_way(call: Call) -> None:
    body = call.signed()
    other = call.signed(links=[], endpoints=["https://elsewhere.example"])
    signature = body[body.index(b'"sig"') :]
    await call.reply(other[: other.index(b'"sig"')] + signature)


async def wrong_instance_says_so_itself(call: Call) -> None:
    await call.reply(call.signed(STRANGER, **{"from": instance_id(STRANGER.public)}))


async def only_a_name_of_ours(call: Call) -> None:
    """A field under the name that it has in the code and not in the protocol."""
    message = {"sender": THEY, "to": WE, "re": call.digest, "links": []}
    await call.reply(seal(SyncAnswer.type, message, THEIRS).model_dump_json().encode())


async def too_long(call: Call) -> None:
    await call.reply(Envelope.model_construct(payload="A" * 349_532, by="", sig="").model_dump_json().encode())


def status(line: str) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.reply(call.signed(), line)

    return behave


def raw(data: bytes) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.send(data)

    return behave


def body(data: bytes) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.reply(data)

    return behave


def signed(*arguments: Any, **changed: Any) -> Behaviour:
    async def behave(call: Call) -> None:
        await call.reply(call.signed(*arguments, **changed))

    return behave


@pytest.mark.parametrize(
    ("behaviour", "logged"),
    [
        (status("500 Internal Server Error"), "it answers with HTTP 500 Internal Server Error"),
        (status("503 Oops"), "it answers with HTTP 503 Service Unavailable"),
        (status("429 Too Many Requests"), "HTTP 429"),
        (status("404 Not Found"), "HTTP 404"),
        (status("299 Oops"), "it answers with HTTP 299"),
        (redirect, "HTTP 307"),
        (half, "its answer breaks off"),
        (raw(b""), "it closes the connection without an answer"),
        (raw(f"SSH-2.0-{CANARY}\r\n".encode()), "what it sends is not HTTP"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "what it sends is not HTTP"),
        (endless, f"its answer has more than {MAX_BODY} bytes"),
        (body(b"x" * (MAX_BODY + 1)), f"its answer has more than {MAX_BODY} bytes"),
        (endless_head, "what it sends is not HTTP"),
        (zipped, "its answer is encoded"),
        (claims_to_be_zipped, "its answer is encoded"),
        (unsigned, "its answer has a wrong payload"),
        (body(b""), "its answer has a wrong form"),
        (body(f"[{CANARY}".encode()), "its answer has a wrong form"),
        (body(b"[" * 100_000), "its answer has a wrong form"),
        (changed_on_the_way, "its signature is wrong"),
        (signed(kind="redeem-answer"), "its signature is wrong"),
        (signed(kind="sync"), "its signature is wrong"),
        (signed(STRANGER), "signed by somebody else"),
        (signed(OURS), "signed by somebody else"),
        (wrong_instance_says_so_itself, "signed by somebody else"),
        (signed(STRANGER, successions=to_json([STRANGER, OURS])), "signed by somebody else"),
        (signed(successions=to_json([THEIRS, STRANGER])), "signed by somebody else"),
        (signed(STRANGER, successions=to_json([THEIRS, OURS, STRANGER])[:1]), "signed by somebody else"),
        (signed(successions=[{}]), "its answer has a wrong successions.0"),
        (signed(re="A" * 43), "belongs to another request"),
        (signed(to=instance_id(STRANGER.public)), "is between two others"),
        (signed(**{"from": instance_id(STRANGER.public)}), "is between two others"),
        (signed(**{"from": WE}), "is between two others"),
        (only_a_name_of_ours, "its answer has a wrong from"),
        (signed(links=CANARY), "its answer has a wrong links"),
        (signed(links=[{"state": CANARY}]), "its answer has a wrong links.0"),
        (too_long, "its answer has a wrong payload"),
    ],
)  # fmt: skip
async def test_whatever_the_peer_does_wrong_it_is_unavailable(
    behaviour: Behaviour, logged: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviour = behaviour
    await refused(remote(), contact(server))
    (line,) = caplog.messages
    assert line.startswith(f"Peer {THEY} cannot be reached: {server.endpoint()}: ")
    assert logged in line
    assert CANARY not in line
    assert len(line) < 300
    assert len(server.calls) == 1


@pytest.mark.parametrize("behaviour", [hang, half_and_hang])
async def test_a_peer_that_never_ends_is_left(
    behaviour: Behaviour, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.behaviour = behaviour
    await refused(remote(timeout=0.2), contact(server))
    assert caplog.messages[0].endswith("it does not answer in time")


async def test_the_longest_answer_is_read(server: Server) -> None:
    server.behaviour = signed(more="x" * 261_900)
    assert (await remote().ask(contact(server), THEY, SYNC, SyncAnswer)).links == ()


# --- who is not the peer ---


def says(status: str) -> Behaviour:
    """Return the behaviour of a server that answers with this status."""

    async def behave(call: Call) -> None:
        await call.reply(b"{}", status)

    return behave


async def mistake(at: Contact) -> str | None:
    with pytest.raises(PeerUnavailable, match=USER_TEXT) as caught:
        await remote().ask(at, THEY, SYNC, SyncAnswer)
    return caught.value.mistake


async def test_an_address_of_somebody_else_is_told_from_one_of_nobody(server: Server, tmp_path: Path) -> None:
    _, other = certificate(tmp_path, "other")
    nobody = Contact(endpoints=(f"https://127.0.0.1:{unused_port()}",), pins=(server.pin,))
    assert await mistake(contact(server, pins=(other,))) == "Pin"
    assert await mistake(nobody) is None
    both = contact(server).model_copy(update={"endpoints": (server.endpoint(), *nobody.endpoints)})
    for status, expected in (("421 Misdirected Request", "Instance"), ("503 Service Unavailable", None)):
        server.behaviour = says(status)
        assert await mistake(contact(server)) == expected
        assert await mistake(both) is None


# --- TLS ---


async def test_a_server_with_another_key_hears_nothing(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, other = certificate(tmp_path, "other")
    await refused(remote(), contact(server, pins=(other,)))
    await refused(remote(), Contact(endpoints=(server.endpoint(),), pins=()))
    assert server.hellos, "it was dialled"
    assert server.connections == 0, "it finished no handshake"
    assert "TLS fails: the server's public key is not pinned" in caplog.messages[0]


async def test_any_of_the_pins_suffices(server: Server, tmp_path: Path) -> None:
    _, other = certificate(tmp_path, "other")
    await remote().ask(contact(server, pins=(other, server.pin)), THEY, SYNC, SyncAnswer)


async def test_tls_12_is_refused(identity: tuple[Path, str]) -> None:
    file, pin = identity
    async with serving(server_context(file, highest=ssl.TLSVersion.TLSv1_2), pin) as old:
        await refused(remote(), contact(old))
        assert old.connections == 0, "it finished no handshake"


async def test_the_servers_name_is_sent_and_its_certificate_need_not_have_it(server: Server) -> None:
    peer = remote(lookup=Names(["127.0.0.1"]))
    await peer.ask(contact(server, host="pbx.example.com"), THEY, SYNC, SyncAnswer)
    assert server.hellos == ["pbx.example.com"]
    assert server.calls[0].headers["Host"] == f"pbx.example.com:{server.port}"


# --- addresses ---


async def test_the_address_that_was_checked_is_the_one_that_is_dialled(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that gives another answer the second time is not asked a second time."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])

    def nobody_else_resolves(*arguments: Any, **_: Any) -> None:
        raise AssertionError(f"resolved {arguments}")

    monkeypatch.setattr("socket.getaddrinfo", nobody_else_resolves)
    rules = NetworkRules(allowed=(ip_network("127.0.0.1/32"),))
    peer = remote(rules, lookup=names)
    await peer.ask(contact(server, host="peer.example"), THEY, SYNC, SyncAnswer)
    assert names.asked == [("peer.example", server.port)]
    await refused(peer, contact(server, host="peer.example"))
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "found",
    [["127.0.0.1"], ["0.0.0.0"], ["::ffff:127.0.0.1"], ["::1"], ["192.0.2.1", "127.0.0.1"], ["169.254.169.254"]],
)
async def test_forbidden_addresses_are_not_dialled(
    found: list[str], server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await refused(remote(NetworkRules(), lookup=Names(found)), contact(server, host="peer.example"))
    assert server.hellos == []
    assert "peer.example may not be dialled" in caplog.messages[0]


@needs_ipv6
async def test_an_ipv6_address_is_dialled_where_that_is_allowed(identity: tuple[Path, str]) -> None:
    file, pin = identity
    async with serving(server_context(file), pin, host="::1") as server:
        there = contact(server, host="[::1]")
        await remote(NetworkRules(allowed=(ip_network("::1/128"),))).ask(there, THEY, SYNC, SyncAnswer)
        await refused(remote(), there)
        (call,) = server.calls
        assert call.headers["Host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_forbidden_address_is_found_whatever_the_endpoint_calls_it(host: str, server: Server) -> None:
    await refused(remote(NetworkRules()), contact(server, host=host))
    assert server.hellos == []


async def test_other_forms_of_an_address_are_no_endpoints(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    await refused(remote(lookup=Names(["127.0.0.1"])), contact(server, host="2130706433"))
    assert server.hellos == []
    assert ": has a number as its host that is not an IPv4 address" in caplog.messages[0]


async def test_nobody_listens(identity: tuple[Path, str], caplog: pytest.LogCaptureFixture) -> None:
    file, pin = identity
    async with serving(server_context(file), pin) as gone:
        pass
    await refused(remote(), contact(gone))
    assert caplog.messages[0].endswith("the connection is refused, nobody listens there")


async def test_a_name_that_does_not_exist(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    await refused(remote(lookup=lookup), contact(server, host="peer.example"))
    assert caplog.messages[0].endswith("its name cannot be resolved: Name or service not known")


async def test_a_peer_that_only_dials_cannot_be_reached(caplog: pytest.LogCaptureFixture) -> None:
    await refused(remote(), Contact())
    assert caplog.messages == [f"Peer {THEY} cannot be reached: it names no endpoint"]


# --- several endpoints ---


@pytest.fixture
async def second(identity: tuple[Path, str]) -> AsyncIterator[Server]:
    file, pin = identity
    async with serving(server_context(file), pin) as server:
        yield server


async def test_the_next_endpoint_is_tried_and_remembered(server: Server, second: Server) -> None:
    server.behaviour = status("503 Service Unavailable")
    peer = remote()
    for _ in range(2):
        await peer.ask(contact(server, second), THEY, SYNC, SyncAnswer)
    assert (len(server.calls), len(second.calls)) == (1, 2)
    server.behaviour, second.behaviour = right, status("503 Service Unavailable")
    for _ in range(2):
        await peer.ask(contact(server, second), THEY, SYNC, SyncAnswer)
    assert (len(server.calls), len(second.calls)) == (3, 3)


async def test_one_that_hangs_leaves_time_for_the_next(server: Server, second: Server) -> None:
    server.behaviour = hang
    await remote(timeout=2).ask(contact(server, second), THEY, SYNC, SyncAnswer)
    assert (len(server.calls), len(second.calls)) == (1, 1)


async def test_one_line_tells_of_all_of_them(server: Server, second: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.behaviour, second.behaviour = status("500 Oops"), raw(b"")
    await refused(remote(), contact(server, second))
    (line,) = caplog.messages
    answers = f"{server.endpoint()}: it answers with HTTP 500 Internal Server Error"
    assert line.endswith(f"{answers}; {second.endpoint()}: it closes the connection without an answer")


# --- circuits and the log ---


async def test_a_dead_peer_is_not_dialled_again_at_once(server: Server) -> None:
    seconds = Seconds()
    peer = remote(monotonic=seconds)
    server.behaviour = status("500 Oops")
    for _ in range(FAILURES_TO_OPEN + 2):
        await refused(peer, contact(server))
    assert len(server.calls) == FAILURES_TO_OPEN
    server.behaviour = right
    seconds.now += 2
    await peer.ask(contact(server), THEY, SYNC, SyncAnswer)
    await peer.ask(contact(server), THEY, SYNC, SyncAnswer)


async def test_a_bundle_with_a_dead_address_does_not_cut_off_the_peer_that_it_names(
    server: Server, second: Server
) -> None:
    second.behaviour = status("500 Oops")
    peer = remote()
    for _ in range(FAILURES_TO_OPEN + 1):
        await refused(peer, contact(second))
    await peer.ask(contact(server), THEY, SYNC, SyncAnswer)


class Log:
    """A peer that behaves as told, and what our log says of it; `caplog` begins with what is worth a line at all."""

    def __init__(self, server: Server, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self.server, self.caplog, self.seconds = server, caplog, Seconds()
        self.peer = remote(monotonic=self.seconds)

    async def hears(self, behaviour: Behaviour, after: float, draft: Any = SYNC, answer: Any = SyncAnswer) -> list[str]:
        """Ask after so many seconds, and return the level and the last words of what is logged."""
        self.seconds.now += after
        self.server.behaviour = behaviour
        self.caplog.clear()
        with suppress(PeerUnavailable):
            await self.peer.ask(contact(self.server), THEY, draft, answer)
        return [f"{r.levelname} {r.getMessage().rpartition(': ')[2]}" for r in self.caplog.records]


HTTP_500, HTTP_503 = (
    f"WARNING it answers with HTTP {s}" for s in ("500 Internal Server Error", "503 Service Unavailable")
)


async def test_the_log_hears_when_a_peer_goes_and_when_it_is_back(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log, away = Log(server, caplog), status("500 Oops")
    assert await log.hears(right, after=0) == []
    assert await log.hears(away, after=0) == [HTTP_500]
    assert [await log.hears(away, after=2 * LOG_INTERVAL) for _ in range(10)] == [[]] * 10
    assert await log.hears(right, after=1000) == [f"INFO {server.endpoint()}"]
    assert caplog.messages == [f"Peer {THEY} answers again: {server.endpoint()}"]
    assert await log.hears(right, after=60) == []


async def test_the_log_hears_of_another_reason(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    log = Log(server, caplog)
    assert await log.hears(status("500 Oops"), after=0) == [HTTP_500]
    assert await log.hears(status("503 Oops"), after=1) == [], "not a minute after the last"
    assert await log.hears(status("503 Oops"), after=LOG_INTERVAL) == [HTTP_503]
    assert await log.hears(status("503 Oops"), after=LOG_INTERVAL) == []


async def test_a_peer_that_comes_and_goes_is_told_of_once_a_minute(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log, away, back = Log(server, caplog), status("500 Oops"), f"INFO {server.endpoint()}"
    heard = [[*await log.hears(away, after=LOG_INTERVAL / 4), *await log.hears(right, after=0)] for _ in range(8)]
    assert heard == [[HTTP_500, back], [], [], [], [HTTP_500, back], [], [], []]


REDEEM = partial(
    RedeemRequest,
    key_id=digest("a key", 16),
    link_id=digest("a link", 26),
    account=NamespacedName(namespace="ns", name="a"),
    interlink=InterlinkIdentity(namespace="ns", name="x", uid="u"),
    key_signature="A" * 86,
    instance_signature="A" * 86,
)


async def test_a_line_about_one_redemption_names_its_interlink(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(server, caplog)
    await log.hears(status("500 Oops"), 0, REDEEM, RedeemAnswer)
    line = json.loads(JsonFormatter().format(caplog.records[0]))
    assert [line[f] for f in ("kind", "namespace", "name", "reason")] == ["Interlink", "ns", "x", "PeerUnavailable"]
    await Log(server, caplog).hears(status("500 Oops"), 0)
    assert "name" not in json.loads(JsonFormatter().format(caplog.records[0]))


@pytest.mark.parametrize(
    ("to", "content"), [("nobody", {}), (THEY, {"pins": ("x",)}), (THEY, {"endpoints": ("http://peer.example",)})]
)
async def test_a_request_that_breaks_its_own_rules_is_an_error_of_ours(
    to: str, content: dict[str, Any], server: Server
) -> None:
    peer = remote()
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(ValueError, match="validation error"):
            await peer.ask(contact(server), to, lambda **head: SYNC(**head, **content), SyncAnswer)
    await peer.ask(contact(server), THEY, SYNC, SyncAnswer)
    assert len(server.calls) == 1
