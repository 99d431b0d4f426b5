"""Redeeming keys of other installations: first our record, then the question, then what a proven answer says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import INSTANCE, NOW, digest
from federated_builders import FAR_ISSUER, authority, replica
from link_builders import REDEEMER, end, looked
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    InterlinkIdentity,
    Issuer,
    LinkRecordSpec,
    NamespacedName,
    Policy,
    replica_name,
)
from pbx_operator.cluster import Unavailable
from pbx_operator.domain.links.facts import ClusterFacts
from pbx_operator.domain.protocol.envelope import Envelope, envelope_of, seal
from pbx_operator.domain.protocol.keys import Bundle, addressed, base64url, key_id, link_id, verify
from pbx_operator.domain.protocol.messages import Cancel, RedeemAnswer, RedeemRequest, read_statement
from pbx_operator.domain.records.machine import Leave
from pbx_operator.domain.records.redemption import (
    Busy,
    Gone,
    Linked,
    Refused,
    Result,
    Unknown,
    Unproven,
    Unreachable,
    Used,
    cancel_bytes,
)
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.elsewhere import Elsewhere, Question
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store
from pbx_operator.links.peer import AnswerT, Draft, PeerUnavailable
from simulation.site import Site, signing_key

KEY = signing_key("the key")
ACCOUNT = NamespacedName(namespace="ns", name="b")
INTERLINK = InterlinkIdentity(namespace="ns", name="to-a", uid="uid-of-b")
Reply = Callable[[RedeemRequest], RedeemAnswer]


class FakePeer:
    """Answers as it was told, and looks at our records first."""

    def __init__(self, here: Site, reply: Reply) -> None:
        self.here = here
        self.reply = reply
        self.asked: list[RedeemRequest] = []
        self.contacts: list[Contact] = []
        self.recorded: list[LinkRecordSpec] = []
        """Our record when each question left."""

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        request = draft(sender=self.here.instance, to=to, at=NOW, nonce=base64url(b"\0" * 16))
        assert isinstance(request, RedeemRequest)
        self.asked.append(request)
        self.contacts.append(contact)
        self.recorded.append(self.here.record().spec)
        found = self.reply(request)
        assert isinstance(found, answer)
        return found


class Story:
    """A redeemer here, an issuer there, and the key that was carried over."""

    def __init__(self) -> None:
        self.here, self.there = Site("here"), Site("there")
        self.bundle = self.there.issue("i", "a", KEY)
        self.peer = FakePeer(self.here, answered("Unknown"))

    async def redeem(self, reply: Reply | None = None) -> Result:
        self.peer.reply = reply or self.peer.reply
        here = self.here
        elsewhere = Elsewhere(here.cluster, here.authority, here.identity, here.intake, lambda: here.now, self.peer)
        prepared = await elsewhere.prepare(ACCOUNT, INTERLINK, self.bundle)
        return await elsewhere.ask(prepared) if isinstance(prepared, Question) else prepared

    @property
    def spec(self) -> LinkRecordSpec:
        return self.here.record().spec

    def receipt(self, site: Site, **changes: Any) -> Envelope:
        """Return a receipt of this redemption, signed by this installation, with changes."""
        redeemer = self.spec.redeemer
        assert redeemer is not None
        assert site.identity.key is not None
        facts = {
            "issuer": self.there.instance,
            "keyID": key_id(KEY.public),
            "linkID": redeemer.link_id,
            "redeemer": self.here.instance,
            "redeemerKey": self.here.identity.public_key,
            "account": ACCOUNT.to_json(),
            "interlink": INTERLINK.to_json(),
            "time": "2026-06-01T12:00:00Z",
        }
        return seal(changes.pop("kind", "receipt"), facts | changes, site.identity.key)


@pytest.fixture
def story() -> Story:
    return Story()


def answered(result: Any, **facts: Any) -> Reply:
    """Return the reply of a peer that says this."""

    def reply(request: RedeemRequest) -> RedeemAnswer:
        head = {"from": request.to, "to": request.sender, "re": base64url(b"\0" * 32)}
        return RedeemAnswer.model_validate({**head, "result": result, **facts})

    return reply


def silent(request: RedeemRequest) -> RedeemAnswer:
    raise PeerUnavailable


def proven(story: Story, site: Site | None = None, **changes: Any) -> Reply:
    """Return the reply that the key is redeemed, with its receipt."""
    return lambda request: answered("Linked", receipt=story.receipt(site or story.there, **changes))(request)


class TestRequest:
    async def test_the_record_is_there_before_the_question_leaves(self, story: Story) -> None:
        await story.redeem(silent)
        (recorded,) = story.peer.recorded
        assert (recorded.role, recorded.state) == ("Replica", "Requested")
        assert recorded == story.spec

    async def test_nothing_is_asked_that_could_not_be_recorded(self, story: Story) -> None:
        def refuse(what: str) -> None:
            raise Unavailable(f"{what}: no answer")

        story.here.cluster.before = refuse
        with pytest.raises(Unavailable):
            await story.redeem()
        assert story.peer.asked == []

    async def test_the_record_says_who_and_how_to_reach_them(self, story: Story) -> None:
        await story.redeem(silent)
        spec, there = story.spec, story.there.record().spec
        uid = INTERLINK.uid
        assert story.here.record().metadata.name == replica_name(
            link_id(story.there.instance, key_id(KEY.public), story.here.instance, uid)
        )
        assert (spec.instance, spec.key_id, spec.key_public) == (story.here.instance, there.key_id, there.key_public)
        assert spec.issuer == there.issuer
        assert spec.contact == story.there.contact
        assert spec.redeemer is not None
        assert (spec.redeemer.account, spec.redeemer.interlink) == (ACCOUNT, INTERLINK)

    async def test_the_record_can_cancel_without_the_key(self, story: Story) -> None:
        await story.redeem(silent)
        spec = story.spec
        assert spec.cancel is not None
        cancel = read_statement(envelope_of(spec.cancel), Cancel)
        assert cancel is not None
        assert spec.cancel.by == story.here.identity.public_key
        signed = cancel_bytes(story.there.instance, spec.key_id, cancel.link_id)
        assert verify(KEY.public, cancel.key_signature, signed)
        assert spec.redeemer is not None
        assert cancel.link_id == spec.redeemer.link_id

    async def test_the_issuer_itself_accepts_the_request(self, story: Story) -> None:
        await story.redeem(silent)
        reply = await story.there.desk.redeem(story.peer.asked[0], story.here.identity.public_key)
        assert reply.result == "Linked"

    async def test_nothing_that_leaves_or_is_recorded_holds_the_key(self, story: Story) -> None:
        await story.redeem(silent)
        written = story.peer.asked[0].model_dump_json() + story.here.record().model_dump_json()
        assert base64url(KEY.seed) not in written

    async def test_a_question_is_repeated_word_for_word(self, story: Story) -> None:
        """Then its answer is the same, whatever happened in between."""
        await story.redeem(silent)
        story.here.now += timedelta(hours=1)
        await story.redeem(silent)
        first, second = story.peer.asked
        assert first == second
        assert story.here.cluster.written == ["create"]

    async def test_who_moved_is_asked_where_the_newest_bundle_says(self, story: Story) -> None:
        await story.redeem(silent)
        moved = Contact(endpoints=("https://new.example.com",))
        assert story.bundle.issuer is not None
        story.bundle = replace(story.bundle, issuer=story.bundle.issuer.model_copy(update={"contact": moved}))
        await story.redeem(silent)
        assert story.peer.contacts == [story.there.contact, moved]
        assert story.here.record().status.contact == moved, "later talk, and a cancel, go there, too"
        await story.redeem(silent)
        assert story.here.cluster.written == ["create", "put_status"]

    @pytest.mark.parametrize("change", [{"issuer": None}, {"instance": None}], ids=["bare", "of nobody"])
    async def test_a_key_that_does_not_say_whom_to_ask(self, story: Story, change: dict[str, Any]) -> None:
        story.bundle = replace(story.bundle, **change)
        assert await story.redeem() == Unknown()
        assert story.here.cluster.written == []

    async def test_a_bare_key_is_presented_where_its_user_says(self, story: Story) -> None:
        """Our record says no more of the issuer than the user did, and the issuer answers as to any other."""
        story.bundle = addressed(Bundle(KEY), story.there.instance, story.there.contact)
        assert isinstance(await story.redeem(proven(story)), Linked)
        assert story.peer.contacts == [story.there.contact]
        assert story.spec.issuer == Issuer(instance=story.there.instance)
        assert (story.spec.state, story.spec.contact) == ("Established", story.there.contact)
        reply = await story.there.desk.redeem(story.peer.asked[0], story.here.identity.public_key)
        assert reply.result == "Linked"

    async def test_where_its_user_says_comes_before_what_a_bundle_says(self, story: Story) -> None:
        moved = Contact(endpoints=("https://new.example.com",))
        story.bundle = addressed(story.bundle, story.there.instance, moved)
        await story.redeem(silent)
        assert story.peer.contacts == [moved]
        assert story.spec.issuer == story.there.record().spec.issuer

    async def test_nobody_is_asked_from_a_cluster_that_may_be_a_copy(self, story: Story) -> None:
        story.here.identity.confirmed = False
        assert await story.redeem() == Unreachable()
        assert story.peer.asked == []
        assert story.here.cluster.written == []


class TestAnswer:
    async def test_linked_with_a_receipt(self, story: Story) -> None:
        result = await story.redeem(proven(story))
        assert isinstance(result, Linked)
        assert result.redeemer == story.spec.redeemer
        assert story.spec.state == "Established"
        assert story.spec.receipt is not None
        assert story.spec.receipt.by == story.there.identity.public_key

    async def test_linked_is_not_asked_again(self, story: Story) -> None:
        await story.redeem(proven(story))
        assert isinstance(await story.redeem(silent), Linked)
        assert len(story.peer.asked) == 1

    async def test_a_lost_answer_changes_nothing(self, story: Story) -> None:
        assert await story.redeem(silent) == Unreachable()
        assert story.spec.state == "Requested"
        assert isinstance(await story.redeem(proven(story)), Linked)

    async def test_an_answer_that_could_not_be_recorded_is_asked_for_again(self, story: Story) -> None:
        await story.redeem(silent)

        def refuse(what: str) -> None:
            raise Unavailable(f"{what}: no answer")

        story.here.cluster.before = refuse
        with pytest.raises(Unavailable):
            await story.redeem(proven(story))
        story.here.cluster.before = lambda what: None
        assert isinstance(await story.redeem(proven(story)), Linked)

    @pytest.mark.parametrize(
        ("reply", "result"),
        [
            (answered("Unknown"), Unknown()),
            (answered("Refused", reason="SelfLink"), Refused("SelfLink")),
            (answered("Busy", reason="Closing", retryAfterSeconds=60), Busy("Closing", timedelta(minutes=1))),
            (answered("Busy", reason="Closing"), Busy("Closing", timedelta(minutes=15))),
            (answered("Busy", reason="NewIdea", retryAfterSeconds=9), Busy("Contended", timedelta(seconds=9))),
        ],
    )
    async def test_not_yet(self, story: Story, reply: Reply, result: Result) -> None:
        assert await story.redeem(reply) == result
        assert story.spec.state == "Requested"
        assert story.here.cluster.written == ["create"]

    @pytest.mark.parametrize(
        ("reply", "result", "recorded"),
        [
            (answered("Used", time="2026-06-01T12:00:00Z", by="j" * 26), Used(NOW, "j" * 26), "AlreadyUsed"),
            (answered("Used"), Used(NOW, ""), "AlreadyUsed"),
            (answered("Gone", reason="KeyExpired"), Gone("KeyExpired"), "KeyExpired"),
            (answered("Gone", reason="Deleted"), Gone("Deleted"), "Deleted"),
            (answered("Gone", reason="NewIdea"), Gone("Revoked"), "Revoked"),
            (answered("Gone"), Gone("Revoked"), "Revoked"),
        ],
    )
    async def test_never(self, story: Story, reply: Reply, result: Result, recorded: str) -> None:
        assert await story.redeem(reply) == result
        end = story.spec.end
        assert end is not None
        assert (end.by, end.reason) == ("Issuer", recorded)
        assert await story.redeem(proven(story)) == Gone(end.reason), "what has ended is not asked for again"
        assert len(story.peer.asked) == 1

    async def test_an_answer_after_we_gave_up_does_not_bring_the_link_back(self, story: Story) -> None:
        await story.redeem(silent)
        leave = Leave("redeemer", INTERLINK.uid, account_deleted=True)
        await story.here.authority.change(story.here.record().metadata.name, leave)
        assert await story.redeem(proven(story)) == Gone("Cancelled")
        assert story.spec.state == "Ended"


OTHER = Site("other")
NO_PROOF = Unproven("says that it linked the key, but does not prove it")


class TestReceipt:
    @pytest.mark.parametrize(
        "changes",
        [
            {"site": OTHER},
            {"site": OTHER, "issuer": OTHER.instance},
            {"kind": "cancel"},
            {"issuer": OTHER.instance},
            {"keyID": digest("another key", 16)},
            {"linkID": digest("another link", 26)},
            {"redeemer": OTHER.instance},
            {"redeemer": "nonsense"},
        ],
        ids=[
            "signed elsewhere",
            "of elsewhere",
            "a cancel",
            "of another issuer",
            "of another key",
            "of another link",
            "of another redeemer",
            "of nobody",
        ],
    )
    async def test_one_that_proves_nothing(self, story: Story, changes: dict[str, Any]) -> None:
        assert await story.redeem(proven(story, **changes)) == NO_PROOF
        assert story.spec.state == "Requested"
        assert isinstance(await story.redeem(proven(story)), Linked), "the real one is still welcome"

    async def test_one_that_is_longer_than_a_record_holds(self, story: Story) -> None:
        assert await story.redeem(proven(story, padding="x" * 4000)) == NO_PROOF
        assert story.spec.state == "Requested"

    async def test_none(self, story: Story) -> None:
        assert await story.redeem(answered("Linked")) == NO_PROOF
        assert story.spec.state == "Requested"

    @pytest.mark.parametrize("member", ["payload", "sig"])
    async def test_one_that_was_changed(self, story: Story, member: str) -> None:
        def reply(request: RedeemRequest) -> RedeemAnswer:
            receipt, other = story.receipt(story.there), story.receipt(story.there, time="2026-06-01T12:00:01Z")
            forged = receipt.model_copy(update={member: getattr(other, member)})
            return answered("Linked", receipt=forged)(request)

        assert await story.redeem(reply) == NO_PROOF
        assert story.spec.state == "Requested"


async def test_the_policy_of_the_issuer_is_its_own_matter(story: Story) -> None:
    await story.redeem(silent)
    assert story.spec.policy == Policy()


@pytest.mark.parametrize(
    ("made", "spent"),
    [
        (replica(end=end("Deleted", "Redeemer")), True),
        (replica(requested=True, end=end("AlreadyUsed", "Issuer")), True),
        (replica(requested=True, end=end("Cancelled", "Redeemer")), False),
        (replica(), False),
        (authority(FAR_ISSUER, end=end("Deleted")), False),
    ],
)
def test_a_successor_presents_a_key_unless_its_link_is_over(made: LinkRecord, spent: bool) -> None:
    """A request that was given up may never have arrived; the issuer knows whether it spent the key."""
    store, memory = Store("pbx.example", Scope(INSTANCE)), Memory()
    successor = REDEEMER.model_copy(update={"metadata": REDEEMER.metadata.model_copy(update={"uid": "successor"})})
    store.records.put(made.to_json())
    store.interlinks.put(successor.to_json())
    memory.note("successor", look=looked(made.spec.key_id).look)
    snapshots = Snapshots(store, memory, ClusterFacts(INSTANCE), lambda: NOW)
    assert snapshots.link(successor.key).spent_elsewhere is spent
