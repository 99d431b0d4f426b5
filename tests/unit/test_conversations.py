"""Conversations: what one round says to a peer, and to whom when some of it cannot be said."""

from __future__ import annotations

import asyncio
from typing import Any

from builders import NOW
from federated_builders import replica
from link_builders import end
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.keys import base64url
from pbx_operator.domain.messages import LinkReport, SyncAnswer, SyncRequest
from pbx_operator.domain.succession import Successions
from pbx_operator.engine.conversations import Conversations
from pbx_operator.engine.identity import IdentityKeeper
from pbx_operator.engine.store import Store
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import AnswerT, Draft, PeerUnavailable
from simulation.site import Site

THERE = Site("there")
ALIVE, DEAD = (Contact(endpoints=(f"https://{name}.example.com",)) for name in ("alive", "dead"))


class Line:
    """Reaches the peer at one of its addresses."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Contact]] = []
        self.news: dict[str, Any] = {}
        """What the peer says of each link beside what we say."""

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        request = draft(sender="h" * 26, to=to, at=NOW, nonce=base64url(b"\0" * 16))
        self.asked.append((request.type, contact))
        if contact == DEAD:
            raise PeerUnavailable
        ours: tuple[LinkReport, ...] = request.links if isinstance(request, SyncRequest) else ()
        links = tuple(report.model_copy(update=self.news) for report in ours)
        facts: dict[str, Any] = {"links": links} if answer is SyncAnswer else {"result": "Done"}
        return answer(sender=to, to="h" * 26, re=base64url(b"\0" * 32), **facts)


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
    """The first round with the peer of these records."""

    def __init__(self, *records: LinkRecord) -> None:
        self.line, self.deaf, self.over = Line(), Deaf(), asyncio.Event()
        self.answered: bool | None = None
        store, site = Store("pbx.example"), Site("here")
        keeper = IdentityKeeper(site.cluster, "pbx-system", site.identity)
        for made in records:
            store.records.put(made.to_json())
        self.talk = Conversations(
            store, self.deaf, self.line, Contact(), lambda: NOW, 3600.0, keeper, self.found_out, self.never_heard
        )

    def found_out(self, peer: str, answered: bool) -> None:
        self.answered = answered
        self.over.set()

    async def never_heard(self, peer: str) -> bool | None:
        return None

    async def happen(self) -> None:
        """Let it happen, and nothing after it."""
        talking = asyncio.create_task(self.talk.run())
        async with asyncio.timeout(10):
            await self.over.wait()
        talking.cancel()
        await asyncio.gather(talking, return_exceptions=True)


async def test_a_request_that_was_given_up_keeps_nobody_from_talking() -> None:
    """Its key may have named the honest peer at an address where nobody is."""
    about = Round(GREEN, GIVEN_UP)
    await about.happen()
    assert about.answered is True
    assert about.line.asked == [("sync", ALIVE), ("cancel-request", DEAD)]


async def test_a_peer_that_does_not_answer_is_found_out() -> None:
    about = Round(placed(GREEN, DEAD, "r-green"))
    await about.happen()
    assert about.answered is False
    assert about.deaf.heard == []


async def test_a_cancel_that_is_confirmed_is_recorded() -> None:
    about = Round(GREEN, placed(GIVEN_UP, ALIVE, "r-given-up"))
    await about.happen()
    assert about.deaf.heard == [("r-given-up", "Ended")]


async def test_only_news_is_looked_at_with_the_record_of_the_api_server() -> None:
    about = Round(GREEN)
    await about.happen()
    assert (about.answered, about.deaf.heard) == (True, [])
    about = Round(GREEN)
    about.line.news = NEWS
    await about.happen()
    assert (about.answered, about.deaf.heard) == (True, [("r-green", "Live")])


async def test_a_record_that_was_purged_meanwhile_says_nothing_about_the_peer() -> None:
    about = Round(GREEN)
    about.line.news, about.deaf.knows = NEWS, None
    await about.happen()
    assert about.answered is True
