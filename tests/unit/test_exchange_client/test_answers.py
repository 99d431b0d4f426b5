"""Which answers the dialling side believes: only what the peer signed for this request."""

from __future__ import annotations

import pytest

from pbx_operator.domain.protocol.keys import instance_id
from pbx_operator.domain.protocol.messages import SyncAnswer
from pbx_operator.exchange.client import MAX_BODY
from test_exchange_client.asking import contact, refused, remote
from test_exchange_client.behaviours import (
    CANARY,
    body,
    changed_on_the_way,
    claims_to_be_zipped,
    endless,
    endless_head,
    half,
    half_and_hang,
    hang,
    only_a_name_of_ours,
    raw,
    redirect,
    signed,
    status,
    to_json,
    too_long,
    unsigned,
    wrong_instance_says_so_itself,
    zipped,
)
from test_exchange_client.peer import OURS, STRANGER, SYNC, THEIRS, THEY, WE, Behaviour, Server


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
