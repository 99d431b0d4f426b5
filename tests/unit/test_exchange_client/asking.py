"""The dialling side: who asks, by which clock and names, and what it hears if nobody answers."""

from __future__ import annotations

from typing import Any

import pytest

from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.messages import SyncAnswer
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.network.addresses import NetworkRules
from test_exchange_client.peer import LOOPBACK, NOW, OURS, SYNC, THEY, WE, Server

USER_TEXT = "^the peer cannot be reached$"


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


def remote(rules: NetworkRules = LOOPBACK, **settings: Any) -> RemotePeer:
    return RemotePeer(Us(), rules, lambda: NOW, **{"monotonic": Seconds(), **settings})


def contact(*servers: Server, host: str = "127.0.0.1", pins: tuple[str, ...] = ()) -> Contact:
    return Contact(endpoints=tuple(s.endpoint(host) for s in servers), pins=pins or (servers[0].pin,))


async def refused(peer: RemotePeer, at: Contact) -> None:
    with pytest.raises(PeerUnavailable, match=USER_TEXT) as caught:
        await peer.ask(at, THEY, SYNC, SyncAnswer)
    assert caught.value.__cause__ is None
