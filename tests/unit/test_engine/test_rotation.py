"""Links outlive the identity keys of both sides; a key that was given up cannot do anything to them any more."""

from __future__ import annotations

import asyncio
from copy import deepcopy

import pytest

from builders import NOW, digest
from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.keys import Bundle, base64url, instance_id, parse_key
from pbx_operator.domain.protocol.messages import RedeemRequest, SyncRequest
from pbx_operator.domain.records.machine import EndDuplicate
from pbx_operator.domain.records.redemption import Linked, Result, Unproven, Unreachable
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.conversations import Conversations
from pbx_operator.engine.elsewhere import Elsewhere, Question
from pbx_operator.engine.identity import Identity, IdentityKeeper
from pbx_operator.engine.store import Store
from pbx_operator.links.desk import RedeemReply, SyncReply
from pbx_operator.links.peer import AnswerT, Draft, PeerUnavailable
from simulation.redeemer import KEY
from simulation.site import Site, signing_key


class Issuer:
    """The issuer's desk, reached without a network; `away` loses its answers."""

    def __init__(self, here: Site, there: Site) -> None:
        self.here = here
        self.there = there
        self.away = False
        self.signed_by: list[str] = []

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        me, you = self.here.identity, self.there.identity
        request = draft(sender=me.instance, to=to, at=NOW, nonce=base64url(b"\0" * 16), successions=me.successions)
        self.signed_by.append(me.public_key)
        reply: RedeemReply | SyncReply
        if isinstance(request, RedeemRequest):
            reply = await self.there.desk.redeem(request, me.public_key)
        else:
            assert isinstance(request, SyncRequest)
            reply = await self.there.desk.sync(request, fresh=True)
        if self.away:
            raise PeerUnavailable
        head = {"sender": you.instance, "to": me.instance, "re": digest("", 43), "successions": you.successions}
        return answer(
            **head, **{name: getattr(reply, name) for name in reply.__slots__ if name != "retry_after_seconds"}
        )


class Story:
    """A redeemer here, an issuer there, and the key that was carried over."""

    def __init__(self) -> None:
        self.here, self.there = Site("here"), Site("there")
        self.peer = Issuer(self.here, self.there)

    def issue(self) -> Bundle:
        return parse_key(self.there.issue("i", "a", KEY).text())

    async def prepare(self, bundle: Bundle) -> Question | Result:
        account = NamespacedName(namespace="ns", name="b")
        return await self._elsewhere().prepare(account, INTERLINK, bundle)

    async def redeem(self, bundle: Bundle) -> Result:
        prepared = await self.prepare(bundle)
        return await self._elsewhere().ask(prepared) if isinstance(prepared, Question) else prepared

    async def ask(self, prepared: Question | Result) -> Result:
        assert isinstance(prepared, Question)
        return await self._elsewhere().ask(prepared)

    def _elsewhere(self) -> Elsewhere:
        here = self.here
        return Elsewhere(here.cluster, here.authority, here.identity, here.intake, lambda: NOW, self.peer)


INTERLINK = InterlinkIdentity(namespace="ns", name="to-a", uid="uid-of-b")


class TestKeys:
    """Keys that were issued, carried and redeemed around rotations."""

    @pytest.mark.parametrize("before", [0, 1, 2])
    @pytest.mark.parametrize("after", [0, 1, 2])
    async def test_one_works_whenever_the_issuer_was_rotated(self, before: int, after: int) -> None:
        story = Story()
        for _ in range(before):
            story.there.rotate()
        bundle = story.issue()
        assert bundle.issuer is not None
        assert bundle.issuer.public_key == story.there.identity.public_key
        assert bundle.instance == instance_id(signing_key("there").public)
        for _ in range(after):
            story.there.rotate()
        assert isinstance(await story.redeem(bundle), Linked)
        assert [s.record().spec.state for s in (story.here, story.there)] == ["Established", "Established"]

    async def test_who_was_rotated_without_an_answer_gets_the_same_link(self) -> None:
        story = Story()
        bundle = story.issue()
        story.peer.away = True
        assert isinstance(await story.redeem(bundle), Unreachable)
        asked = story.here.record()
        story.here.rotate()
        story.peer.away = False
        assert isinstance(await story.redeem(bundle), Linked)
        now, there = story.here.record().spec, story.there.record().spec
        assert (now.redeemer, now.cancel) == (asked.spec.redeemer, asked.spec.cancel)
        assert now.redeemer is not None
        assert there.redeemer is not None
        assert there.redeemer.link_id == now.redeemer.link_id
        assert len(set(story.peer.signed_by)) == 2

    async def test_a_question_that_was_signed_before_is_signed_anew(self) -> None:
        story = Story()
        bundle = story.issue()
        prepared = await story.prepare(bundle)
        story.here.rotate()
        assert isinstance(await story.ask(prepared), Unreachable)
        assert story.peer.signed_by == []
        assert isinstance(await story.redeem(bundle), Linked)

    async def test_a_key_that_the_issuer_had_given_up_when_it_made_the_bundle_answers_nothing(self) -> None:
        story = Story()
        thief = deepcopy(story.there.identity)
        story.there.rotate()
        bundle = story.issue()
        honest = deepcopy(story.there.identity)
        me = story.there.identity
        me.key, me.public_key, me.successions = thief.key, thief.public_key, ()
        assert await story.redeem(bundle) == Unproven("does not answer by the identity that the key's bundle names")
        assert story.here.record().spec.state == "Requested"
        me.key, me.public_key, me.successions = honest.key, honest.public_key, honest.successions
        assert isinstance(await story.redeem(bundle), Linked)


class Keeper(IdentityKeeper):
    """Finds the identity rotated when it looks, if it was."""

    def __init__(self, site: Site, found: Identity | None) -> None:
        self.identity = site.identity
        self.found = found

    async def look(self) -> bool:
        found, self.found = self.found, None
        if found is not None:
            take(self.identity, found)
        return found is not None


def take(identity: Identity, other: Identity) -> None:
    identity.key, identity.public_key, identity.successions = other.key, other.public_key, other.successions


async def never_heard(peer: str) -> bool | None:
    return None


class TestConversation:
    """The redeemer dials; both sides have redeemed and speak with each other already."""

    @pytest.fixture
    async def story(self) -> Story:
        story = Story()
        await story.redeem(story.issue())
        return story

    async def converse(
        self, story: Story, found: Identity | None = None, rounds: int = 1, answered: bool = True
    ) -> None:
        here, store, done = story.here, Store("pbx.example", Scope(story.here.instance)), asyncio.Queue[bool]()
        store.records.put(here.record().to_json())
        conversations = Conversations(
            store,
            here.authority,
            story.peer,
            here.contact,
            lambda: NOW,
            60.0,
            Keeper(here, found),
            lambda peer, success: done.put_nowait(success),
            never_heard,
        )
        task = asyncio.create_task(conversations.run())
        for _ in range(rounds):
            assert await asyncio.wait_for(done.get(), 10) == answered
        task.cancel()

    async def test_the_issuers_new_key_is_remembered_and_its_former_one_ignored(self, story: Story) -> None:
        former = deepcopy(story.there.identity)
        story.there.rotate()
        latest = deepcopy(story.there.identity)
        await self.converse(story)
        assert story.here.record().status.peer_key == latest.public_key
        await story.there.authority.change(story.there.record().metadata.name, EndDuplicate("issuer"))
        take(story.there.identity, former)
        before = story.here.record()
        await self.converse(story, answered=False)
        assert story.here.record() == before
        take(story.there.identity, latest)
        await self.converse(story)
        assert story.here.record().spec.state == "Ended"

    async def test_a_peer_that_heard_our_new_key_before_this_process_has_not_forgotten_us(self, story: Story) -> None:
        """An exchange server of ours was faster: our own former key is unknown there now, the link is not."""
        former = deepcopy(story.here.identity)
        story.here.rotate()
        latest = deepcopy(story.here.identity)
        await self.converse(story)
        assert story.there.record().status.peer_key == latest.public_key
        take(story.here.identity, former)
        before = len(story.here.cluster.written)
        await self.converse(story, found=latest, rounds=2)
        assert story.peer.signed_by[-2:] == [former.public_key, latest.public_key]
        assert story.here.record().status.peer_knows is None
        assert len(story.here.cluster.written) == before

    async def test_but_one_that_knows_no_such_link_is_believed(self, story: Story) -> None:
        story.there.api.objects.clear()
        await self.converse(story)
        assert story.here.record().status.peer_knows == "Unknown"
