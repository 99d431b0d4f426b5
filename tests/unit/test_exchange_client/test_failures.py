"""Where a peer is asked that has several endpoints, and how often one that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.messages import SyncAnswer
from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.network.circuits import FAILURES_TO_OPEN
from pbx_operator.sandbox.ports import unused_port
from test_exchange_client.asking import USER_TEXT, Seconds, contact, refused, remote
from test_exchange_client.behaviours import hang, raw, status
from test_exchange_client.peer import SYNC, THEY, Server, certificate, right


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
    for line, expected in (("421 Misdirected Request", "Instance"), ("503 Service Unavailable", None)):
        server.behaviour = status(line)
        assert await mistake(contact(server)) == expected
        assert await mistake(both) is None
