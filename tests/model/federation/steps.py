"""What an installation can do next, and what comes of it: each step is made once by the real code."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import fields
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from builders import NOW
from model.federation.cast import INSTANCES, KEY, KEY_ID, KEYS, LATE, LINK_IDS, PLACES, RIVAL_KEY, Ask, Cast
from model.federation.installation import NONCE, Installation, Question, drive
from model.federation.state import A, B, Side
from model.federation.words import forgotten, unsure
from pbx_operator.api.v1alpha1.interlink import InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity
from pbx_operator.cluster import Invalid
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.links.facts import account_name
from pbx_operator.domain.plan import Action, ChangeRecord, PurgeRecord, Redeem, TellPeer
from pbx_operator.domain.protocol.keys import base64url, instance_id
from pbx_operator.domain.protocol.messages import (
    Answer,
    CancelAnswer,
    CancelRequest,
    RedeemAnswer,
    RedeemRequest,
    Request,
    SyncAnswer,
    SyncRequest,
)
from pbx_operator.domain.records.machine import RunTimers
from pbx_operator.domain.records.redemption import sign_redemption

SPENT = "a key is spent while a restore is going on"
REFUSED = "the API server refuses a write"
DIGEST = base64url(b"\0" * 32)
T = TypeVar("T")


class Done(NamedTuple):
    """What came of a step: the installation, the next question or the answer to one (-1: none), what was wrong."""

    side: Side
    message: int = -1
    wrong: tuple[str, ...] = ()


class Steps:
    """The steps of both installations of one world."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self._known: dict[object, Any] = {}
        self._asks: dict[tuple[int, Request], Ask] = {}
        self.rivals_request = self._make_rivals_request()

    def _once(self, what: object, work_out: Callable[[], T]) -> T:
        if what not in self._known:
            self._known[what] = work_out()
        found: T = self._known[what]
        return found

    # --- by itself ----------------------------------------------------------------------------------------------

    def work(self, who: int, side: Side) -> tuple[str, Done] | None:
        """Carry out the first action of the plan that changes anything, or else show the status."""
        return self._once(("work", who, side), lambda: self._work(who, side))

    def _work(self, who: int, side: Side) -> tuple[str, Done] | None:
        here = Installation(self.cast, who, side)
        here.wait()
        plan = here.planner.plan(WorkKey("Link", here.place), NOW)
        for action in plan.actions:
            done = self._execute(here, side, action)
            if done.side != side or done.wrong:
                return _name(action), done
        if plan.actions or not plan.statuses:
            return None
        status = plan.statuses[0].status
        assert isinstance(status, InterlinkStatus)
        lean = status.model_copy(update={"conditions": (), "peer": None, "observed_generation": -1})
        shown = side._replace(status=self.cast.statuses.number(lean))
        return ("status", Done(shown)) if shown != side else None

    def _execute(self, here: Installation, side: Side, action: Action) -> Done:
        if isinstance(action, TellPeer):
            here.now = NOW + timedelta(seconds=side.ticks + 1)
        try:
            question, _ = drive(here.executor.execute(action))
        except Invalid:
            return Done(side, wrong=(REFUSED,))
        assert question is None, "only a redemption asks the peer"
        after = here.result()
        spoke = isinstance(action, TellPeer) and after.records != side.records
        return Done(after._replace(ticks=side.ticks + 1) if spoke else after)

    def due(self, who: int, side: Side) -> list[tuple[str, Side]]:
        """Return what time alone brings: the end of a closing; long after all work, the deletion of what ended."""
        return self._once(("due", who, side), lambda: self._due(who, side))

    def _due(self, who: int, side: Side) -> list[tuple[str, Side]]:
        found = []
        here = Installation(self.cast, who, side)
        for action in here.planner.plan(WorkKey("Link", here.place), LATE).actions:
            timer = isinstance(action, ChangeRecord) and isinstance(action.change, RunTimers)
            if timer or (isinstance(action, PurgeRecord) and self.work(who, side) is None):
                then = Installation(self.cast, who, side)
                then.now = LATE
                drive(then.executor.execute(action))
                if then.result() != side:
                    found.append((_name(action), then.result()))
        return found

    # --- asking -------------------------------------------------------------------------------------------------

    def present(self, side: Side) -> Done | None:
        """Let B present its key, if that is what its plan says next."""
        return self._once(("present", side), lambda: self._present(side))

    def _present(self, side: Side) -> Done | None:
        here = Installation(self.cast, B, side)
        actions = here.planner.plan(WorkKey("Link", here.place), NOW).actions
        if not actions or not isinstance(actions[0], Redeem):
            return None
        question, _ = drive(here.executor.execute(actions[0]))
        after = here.result()
        if question is None:
            return Done(after)
        basis = Ask(question.request, (-1,) * len(side.records))
        return Done(after, self.cast.asks.number(basis))

    def round(self, who: int, side: Side) -> int:
        """Return what a round of the conversation asks first; -1 if there is nothing to say, or no way."""
        part = side._replace(phase="absent", status=0, final=-1)
        return self._once(("round", who, part), lambda: self._round(who, side))

    def _round(self, who: int, side: Side) -> int:
        here = Installation(self.cast, who, side)
        question, _ = drive(self._talk(here, who))
        return self._number(who, side, question, ()) if question is not None else -1

    def _talk(self, here: Installation, who: int) -> Coroutine[Any, Any, Any]:
        return here.talk._round(INSTANCES[1 - who])

    def _number(self, who: int, side: Side, question: Question, answers: tuple[int, ...]) -> int:
        """Number a question; with one record, the same question has the same continuation whenever it is asked."""
        ask = Ask(question.request, side.records, answers, (side.settled, side.known))
        if sum(number >= 0 for number in side.records) == 1:
            ask = self._asks.setdefault((who, question.request), ask)
        return self.cast.asks.number(ask)

    def resume(self, who: int, side: Side, line: str, ask: int, answer: int) -> Done:
        """Go on with an answer; the message of what is done is the next question."""
        return self._once(("resume", who, side, line, ask, answer), lambda: self._resume(who, side, line, ask, answer))

    def _resume(self, who: int, side: Side, line: str, number: int, answer: int) -> Done:
        ask = self.cast.asks[number]
        then = side._replace(records=ask.records, settled=ask.bits[0], known=ask.bits[1], restoring=False)
        if line == "key":
            then = then._replace(phase="present", finalizer=True, account=True, life=_life_of(ask.request), final=-1)
        here = Installation(self.cast, who, then)
        task = here.executor.execute(Redeem(PLACES[who], here.basis)) if line == "key" else self._talk(here, who)
        question, _ = drive(task)
        for earlier in ask.answers:
            question = self._go_on(task, question, earlier)
        here.become(side)
        try:
            question = self._go_on(task, question, answer)
        except Invalid:
            return Done(side, wrong=(REFUSED,))
        after = here.result()
        said = self.cast.answers[answer]
        wrong = forgotten(self.cast, side, after, said) + unsure(self.cast, side, after, said)
        if question is None:
            return Done(after, wrong=wrong)
        again = Ask(question.request, ask.records, (*ask.answers, answer), ask.bits)
        return Done(after, self.cast.asks.number(again), wrong)

    def _go_on(self, task: Coroutine[Any, Any, Any], question: Question | None, answer: int) -> Question | None:
        assert question is not None, "the same step asks the same question again"
        question.answer = self.cast.answers[answer]
        return drive(task)[0]

    # --- answering ----------------------------------------------------------------------------------------------

    def serve(self, who: int, side: Side, ask: int, *, fresh: bool) -> Done:
        """Answer a question; a redemption alone looks at more than the records."""
        part = side._replace(finalizer=False, shut=False, status=0, final=-1, settled=0, known=0, coming=None, ticks=0)
        if not isinstance(self.cast.asks[ask].request, RedeemRequest):
            part = part._replace(phase="absent", life=1, births=1, restoring=False)
        done = self._once(("serve", who, part, ask, fresh), lambda: self._serve(who, part, ask, fresh))
        return done._replace(side=self.cast.with_records(side, done.side.records))

    def _serve(self, who: int, side: Side, number: int, fresh: bool) -> Done:
        here, request = Installation(self.cast, who, side), self.cast.asks[number].request
        try:
            answer = _answer(here, request, fresh)
        except Invalid:
            return Done(side, wrong=(REFUSED,))
        after = here.result()
        wrong = forgotten(self.cast, side, after, request)
        if side.restoring and isinstance(request, RedeemRequest) and after.records != side.records:
            wrong += (SPENT,)
        return Done(after, self.cast.answers.number(answer), wrong)

    def _make_rivals_request(self) -> int:
        """Return the question of another installation that has the key, too."""
        link = self.cast.interlink(B, 1)
        account, here = account_name(link), InterlinkIdentity(namespace="far", name="q", uid="q1")
        signed = sign_redemption(KEY, KEY_ID, RIVAL_KEY, INSTANCES[A], account, here)
        request = RedeemRequest(
            sender=signed.instance,
            to=INSTANCES[A],
            at=NOW,
            nonce=NONCE,
            key_id=KEY_ID,
            link_id=signed.link_id,
            account=account,
            interlink=here,
            key_signature=signed.key_signature,
            instance_signature=signed.instance_signature,
        )
        return self.cast.asks.number(Ask(request))


def _answer(here: Installation, request: Request, fresh: bool) -> Answer:
    """Return what the exchange would sign."""
    head = {"sender": request.to, "to": request.sender, "re": DIGEST}
    match request:
        case RedeemRequest():
            _, redeemed = drive(here.desk.redeem(request, _public_key(request)))
            return RedeemAnswer(**head, **{f.name: getattr(redeemed, f.name) for f in fields(redeemed)})
        case CancelRequest():
            _, result = drive(here.desk.cancel(request))
            return CancelAnswer(**head, result=result)
        case SyncRequest():
            _, said = drive(here.desk.sync(request, fresh=fresh))
            return SyncAnswer(**head, links=said.links, endpoints=said.endpoints, pins=said.pins)
    raise AssertionError(f"nobody sends a {request.type}")


def _public_key(request: Request) -> str:
    return next(key.public for key in (*KEYS, RIVAL_KEY) if instance_id(key.public) == request.sender)


def _life_of(request: Request) -> int:
    assert isinstance(request, RedeemRequest)
    return LINK_IDS.index(request.link_id) + 1


def _name(action: Action) -> str:
    return type(action.change if isinstance(action, ChangeRecord) else action).__name__
