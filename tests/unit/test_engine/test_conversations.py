"""Conversations: what one round says to a peer, and to whom when some of it cannot be said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from builders import NOW
from federated_builders import replica
from link_builders import end
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.protocol.messages import LinkReport, SyncAnswer, SyncRequest
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.conversations import Conversations
from pbx_operator.engine.identity import IdentityKeeper
from pbx_operator.engine.store import Store
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import AnswerT, Draft, PeerUnavailable
from rotated import chain
from simulation.site import Site, signing_key

THERE = Site("there")
ALIVE, DEAD = (Contact(endpoints=(f"https://{name}.example.com",)) for name in ("alive", "dead"))


class Line:
    """Reaches the peer at one of its addresses."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Contact]] = []
        self.news: dict[str, Any] = {}
        """What the peer says of each link beside what we say."""
        self.successions: Successions = ()

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        request = draft(sender="h" * 26, to=to, at=NOW, nonce=base64url(b"\0" * 16))
        self.asked.append((request.type, contact))
        if contact == DEAD:
            raise PeerUnavailable
        ours: tuple[LinkReport, ...] = request.links if isinstance(request, SyncRequest) else ()
        links = tuple(report.model_copy(update=self.news) for report in ours)
        facts: dict[str, Any] = {"links": links} if answer is SyncAnswer else {"result": "Done"}
        return answer(sender=to, to="h" * 26, re=base64url(b"\0" * 32), successions=self.successions, **facts)


class Deaf(Authority):
    """Takes every report and changes nothing."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.knows: LinkRecord | None = GREEN

    async def hear(
        self,
        name: str,
        peer: str,
        report: LinkReport,
        contact: Contact | None = None,
        successions: Successions = (),
        *,
        fresh: bool = True,
    ) -> LinkRecord | None:
        self.heard.append((name, report.state))
        return self.knows


def placed(made: LinkRecord, contact: Contact, name: str) -> LinkRecord:
    """Return the record under a name of its own, with another contact of the peer."""
    who = {"instance": THERE.instance, "public_key": THERE.identity.public_key}
    spec = made.spec.model_copy(update={"contact": contact, "issuer": made.spec.issuer.model_copy(update=who)})
    metadata = made.metadata.model_copy(update={"name": name, "uid": f"uid-of-{name}"})
    return made.model_copy(update={"spec": spec, "metadata": metadata})


GREEN = placed(replica(), ALIVE, "r-green")
GIVEN_UP = placed(replica(requested=True, end=end("Cancelled", "Redeemer")), DEAD, "r-given-up")


NEWS = {"rev": 9, "numbers": ()}


class Round:
    """The first rounds with the peer of these records; what `between` does, it does after each of them."""

    def __init__(self, *records: LinkRecord, interval: float = 3600.0) -> None:
        self.line, self.deaf, self.found = Line(), Deaf(), asyncio.Queue[bool]()
        self.silent: bool | None = None
        self.rounds = 0
        self.between: Callable[[], None] = lambda: None
        store, site = Store("pbx.example", Scope(GREEN.spec.instance)), Site("here")
        keeper = IdentityKeeper(site.cluster, "pbx-system", site.identity)
        for made in records:
            store.records.put(made.to_json())
        self.talk = Conversations(
            store, self.deaf, self.line, Contact(), lambda: NOW, interval, keeper, self.found_out, self.is_silent
        )

    def found_out(self, peer: str, answered: bool) -> None:
        self.rounds += 1
        self.between()
        self.found.put_nowait(answered)

    async def is_silent(self, peer: str) -> bool | None:
        return self.silent

    async def happen(self, rounds: int = 1) -> list[bool]:
        """Let them happen, and nothing after them; return whether the peer answered."""
        talking = asyncio.create_task(self.talk.run())
        async with asyncio.timeout(10):
            answered = [await self.found.get() for _ in range(rounds)]
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)
        return answered


async def test_a_request_that_was_given_up_keeps_nobody_from_talking() -> None:
    """Its key may have named the honest peer at an address where nobody is."""
    about = Round(GREEN, GIVEN_UP)
    assert await about.happen() == [True]
    assert about.line.asked == [("sync", ALIVE), ("cancel-request", DEAD)]


async def test_a_peer_that_does_not_answer_is_found_out() -> None:
    about = Round(placed(GREEN, DEAD, "r-green"))
    assert await about.happen() == [False]
    assert about.deaf.heard == []


async def test_a_cancel_that_is_confirmed_is_recorded() -> None:
    about = Round(GREEN, placed(GIVEN_UP, ALIVE, "r-given-up"))
    await about.happen()
    assert about.deaf.heard == [("r-given-up", "Ended")]


async def test_only_news_is_looked_at_with_the_record_of_the_api_server() -> None:
    about = Round(GREEN)
    assert (await about.happen(), about.deaf.heard) == ([True], [])
    about = Round(GREEN)
    about.line.news = NEWS
    assert (await about.happen(), about.deaf.heard) == ([True], [("r-green", "Live")])


async def test_a_record_that_was_purged_meanwhile_says_nothing_about_the_peer() -> None:
    about = Round(GREEN)
    about.line.news, about.deaf.knows = NEWS, None
    assert await about.happen() == [True]


async def test_a_peer_with_another_identity_is_told_of_once_and_when_it_is_itself_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Say, its Secret was restored from before a rotation."""
    caplog.set_level(logging.INFO)
    keys = [signing_key("there"), signing_key("there, rotated")]
    issuer = GREEN.spec.issuer.model_copy(update={"public_key": keys[1].public})
    about = Round(GREEN.model_copy(update={"spec": GREEN.spec.model_copy(update={"issuer": issuer})}), interval=0.001)

    def restore() -> None:
        if about.rounds == 3:
            about.line.successions = chain(keys)

    about.between = restore
    talk = await about.happen(rounds=5)
    assert talk == [False, False, False, True, True]
    assert caplog.messages == [
        f"Peer {THERE.instance} cannot be reached: https://alive.example.com: "
        "it answers by an identity that our links with it do not go by",
        f"Peer {THERE.instance} answers again",
    ]


async def test_a_silent_peer_that_only_dials_is_told_of_once_and_when_it_is_heard_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    about = Round(placed(GREEN, Contact(), "r-green"), interval=0.001)
    about.silent = True

    def hear() -> None:
        about.silent = about.rounds < 3

    about.between = hear
    assert await about.happen(rounds=5) == [False, False, False, True, True]
    assert caplog.messages == [
        f"Peer {THERE.instance} cannot be reached: "
        "it dials us, at no address that we could dial, and was not heard for 3 minutes",
        f"Peer {THERE.instance} answers again",
    ]
