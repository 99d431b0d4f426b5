"""One installation of the operator at work: the engine's own parts, on objects made for one step.

The parts are put together as in `engine.Engine`; the API server answers at once.  Only a question to the peer stops a
step: it is another step of the world when the answer comes, if it comes.  Then the same code is brought to the same
question, on the objects of that time, and goes on with the answer on the objects of now.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from builders import NOW
from model.federation.cast import IDENTITIES, INSTANCES, KEY_ID, LATE, PLACES, RECORDS, Cast, uid
from model.federation.state import A, Side
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.links.facts import ClusterFacts, KeyLook, MintTry, RedeemTry
from pbx_operator.domain.links.plan import redemption_basis
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.protocol.messages import Answer, Request
from pbx_operator.domain.records.redemption import Gone, Refused, Unreachable, Used
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.conversations import Conversations
from pbx_operator.engine.elsewhere import Elsewhere
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.executor import Executor
from pbx_operator.engine.identity import IdentityKeeper
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.issuing import KeyWork
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.planning import Planner
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store
from pbx_operator.exchange.beside import RecordsAlone
from pbx_operator.links.authority import Authority
from pbx_operator.links.peer import AnswerT, Draft, PeerUnavailable
from pbx_operator.links.records import RecordDesk
from simulation.api import JSON, Api
from simulation.process import NoSteps, Queue, Silence, ignore
from simulation.site import Direct, Ears

NEVER = LATE + timedelta(days=365)
NONCE = base64url(b"\0" * 16)


@dataclass(slots=True)
class Question:
    """What a step asks the peer; it stops there until it is answered, or until nobody answers."""

    request: Request
    answer: Answer | None = None

    def __await__(self) -> Generator[Question, None, Answer]:
        yield self
        if self.answer is None:
            raise PeerUnavailable
        return self.answer


class Line:
    """The way to the peer."""

    def __init__(self, who: int) -> None:
        self._sender = INSTANCES[who]

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        if not contact.endpoints:
            raise PeerUnavailable
        found = await Question(draft(sender=self._sender, to=to, at=NOW, nonce=NONCE))
        assert isinstance(found, answer)
        return found


class Local(Direct):
    """The way to the API server that also changes finalizers and deletes."""

    async def patch(self, resource: ResourceType, key: ObjectKey, patch: Mapping[str, Any]) -> JSON:
        return self._write("patch", lambda: self._api.put_finalizers(resource, key, patch))

    async def delete(
        self, resource: ResourceType, key: ObjectKey, *, uid: str | None = None, resource_version: str | None = None
    ) -> JSON | None:
        return self._api.delete(resource, key, uid)


class AtOnce(Errands):
    """Runs errands where they begin: what the installation does meanwhile are other steps."""

    async def run(self, errand: Coroutine[None, None, None]) -> None:
        await errand


class Still(IdentityKeeper):
    """Nobody replaces an identity in these stories."""

    async def look(self) -> bool:
        return False


class Deaf(Ears):
    """Whether a peer is silent changes what is shown, and nothing that is done."""

    async def is_silent(self, peer: str) -> bool | None:
        return None


class Installation:
    """One installation during one step."""

    def __init__(self, cast: Cast, who: int, side: Side) -> None:
        self._cast, self._who, self._before = cast, who, side
        self.place = PLACES[who]
        self.now = NOW
        self.api = Api(lambda: self.now, lambda *_: None)
        self.api.objects |= cast.objects(who, side)
        cluster, identity = Local(self.api), IDENTITIES[who]
        scope = Scope(identity.instance)
        self.store, self.memory = Store("pbx.example", scope), Memory()
        intake = Intake(self.store, Queue(lambda: 0.0), self.memory, ignore)
        facts = ClusterFacts(identity.instance, restoring_until=LATE if side.restoring else None)
        self.snapshots = Snapshots(self.store, self.memory, facts, self.clock)
        authority = Authority(cluster, identity.instance, self.snapshots, self.clock, intake)
        contact, line = cast.contacts[who], Line(who)
        elsewhere = Elsewhere(cluster, authority, identity, intake, self.clock, line)
        keys = KeyWork(
            cluster, authority, identity, intake, self.memory, self.clock, contact, elsewhere, AtOnce(workers=1)
        )
        self.executor = Executor(cluster, self.store, intake, authority, keys, Silence(), NoSteps(), NoSteps())
        self.planner = Planner(self.store, self.snapshots, scope)
        ears, keeper = Deaf(), Still(cluster, "pbx-system", identity)
        self.talk = Conversations(
            self.store, authority, line, contact, self.clock, 60, keeper, lambda *_: None, ears.is_silent
        )
        if cast.config.beside and who == A:
            alone = RecordsAlone(self.clock, facts.restoring_until)
            authority = Authority(cluster, identity.instance, alone, self.clock, alone, sees_interlinks=False)
        self.desk = RecordDesk(authority, identity, contact, ears)
        self._load(intake)

    def clock(self) -> datetime:
        """Return the time of this step."""
        return self.now

    def _load(self, intake: Intake) -> None:
        for resource in (PBXAccount.resource, Interlink.resource, LinkRecord.resource):
            for raw in self.api.all(resource):
                intake.saw(resource, raw)
        side = self._before
        look = KeyLook("Key", NEVER, timedelta(minutes=5), KEY_ID)
        self.memory.note(self.uid, look=look, swept_key=KEY_ID, mint=MintTry("KeyKnown", NEVER))
        if side.final >= 0:
            self.remember(self._cast.finals[side.final])
        self._recall()

    def _recall(self) -> None:
        """Remember of the conversation what the state says."""
        for place, raw in self._records():
            if raw is None:
                continue
            uid = raw["metadata"]["uid"]
            if self._before.settled >> place & 1:
                self.talk._settled.add(uid)
            if self._before.known >> place & 1:
                self.talk._acknowledged[uid] = raw["status"]["told"]["rev"]

    @property
    def uid(self) -> str:
        """The UID of the Interlink in its present life."""
        return uid(self._who, self._before.life)

    @property
    def basis(self) -> object:
        """What an answer to a redemption would rest on."""
        return redemption_basis(self.snapshots.link(self.place))

    def remember(self, result: Any) -> None:
        """Remember an answer to the last redemption, not to be asked for again yet."""
        self.memory.note(self.uid, redeem=RedeemTry(KEY_ID, result, self.basis, NEVER))

    def wait(self) -> None:
        """Remember that the key was presented just now, unless the answer was final."""
        if self._before.final < 0:
            self.remember(Unreachable())

    def become(self, side: Side) -> None:
        """Have other objects, as if time had passed; what the process remembers is of now, too."""
        self._before = side
        self.api.objects.clear()
        self.api.objects |= self._cast.objects(self._who, side)
        self.talk._settled.clear()
        self.talk._acknowledged.clear()
        self._recall()

    # --- what came of it ----------------------------------------------------------------------------------------

    def _records(self) -> list[tuple[int, JSON | None]]:
        names = RECORDS[:1] if self._who == A else RECORDS[1 : 1 + len(self._before.records)]
        return [(p, self.api.find(LinkRecord.resource, ObjectKey("", n))) for p, n in enumerate(names)]

    def result(self) -> Side:
        """Return the installation after the step."""
        side, records = self._before, self._records()
        numbers = tuple(-1 if raw is None else self._number(place, raw) for place, raw in records)
        after = self._interlink(side)._replace(
            final=self._final(),
            settled=sum(1 << p for p, raw in records if raw and raw["metadata"]["uid"] in self.talk._settled),
            known=sum(1 << p for p, raw in records if raw and self._is_known(raw, numbers[p])),
        )
        return self._cast.with_records(after, numbers)

    def _number(self, place: int, raw: JSON) -> int:
        old = self._before.records[place]
        name = raw["metadata"]["name"]
        if old >= 0 and raw is self._cast.record(name, old):
            return old
        return self._cast.number_of(raw)

    def _is_known(self, raw: JSON, number: int) -> bool:
        return self.talk._acknowledged.get(raw["metadata"]["uid"]) == self._cast.told_rev(number)

    def _interlink(self, side: Side) -> Side:
        raw = self.api.find(Interlink.resource, self.place)
        if raw is None:
            return side._replace(phase="absent", finalizer=False, shut=False, status=0)
        finalizer = bool(raw["metadata"].get("finalizers"))
        if "deletionTimestamp" in raw["metadata"]:
            return side._replace(phase="deleting", finalizer=finalizer, shut=False, status=0)
        return side._replace(finalizer=finalizer)

    def _final(self) -> int:
        last = self.memory.attempts(self.uid).redeem if self.api.find(Interlink.resource, self.place) else None
        final = last is not None and isinstance(last.result, Used | Gone | Refused)
        return self._cast.finals.number(last.result) if last is not None and final else -1


def drive(coroutine: Coroutine[Any, Any, Any]) -> tuple[Question | None, Any]:
    """Run until the next question to the peer, or to the end; return the question or the result."""
    try:
        question = coroutine.send(None)
    except StopIteration as stop:
        return None, stop.value
    assert isinstance(question, Question)
    return question, None
