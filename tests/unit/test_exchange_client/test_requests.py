"""What the dialling side sends."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import REGISTRY

from pbx_operator.domain.protocol.messages import SyncAnswer
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.network.circuits import FAILURES_TO_OPEN
from rotated import chain
from test_exchange_client.asking import Seconds, Us, contact, refused, remote
from test_exchange_client.behaviours import hang, to_json
from test_exchange_client.peer import LOOPBACK, NOW, OURS, STRANGER, SYNC, THEIRS, THEY, WE, Call, Server


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
