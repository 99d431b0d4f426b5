"""What the log says of a peer: when it goes, why, and when it is back."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from builders import digest
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.messages import RedeemAnswer, RedeemRequest, SyncAnswer
from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.logs import JsonFormatter
from pbx_operator.network.trouble import LOG_INTERVAL
from test_exchange_client.asking import Seconds, contact, remote
from test_exchange_client.behaviours import status
from test_exchange_client.peer import SYNC, THEY, Behaviour, Server, right


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
