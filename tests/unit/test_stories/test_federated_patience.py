"""When a redeemer asks an issuer in another cluster again, and when never more.

Both engines are the real ones; time is simulated.  See "Results of a redemption" in docs/protocol.md.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from builders import HOUR, MINUTE, NAMESPACE, NOW
from link_builders import reason_of
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import Contact, Policy
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.protocol.messages import RedeemAnswer, RedeemRequest
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.records.machine import Revoke
from pbx_operator.links.desk import RedeemReply
from pbx_operator.links.peer import AnswerT, Draft, PeerUnavailable
from pbx_operator.logs import JsonFormatter
from simulation.redeemer import KEY, Redeemer
from simulation.site import Site, signing_key
from simulation.world import HOME, INSTANCE, World

NEW_KEY = signing_key("another key")


class Far:
    """The issuer's installation at the other end of the line; `says` comes instead of what its records say."""

    def __init__(self) -> None:
        self.site = Site("far")
        self.clock: Callable[[], datetime] = lambda: NOW
        self.away = False
        self.says: RedeemReply | None = None
        self.successions: Successions = ()
        self.asked: list[datetime] = []

    async def ask(self, contact: Contact, to: str, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        self.site.now = self.clock()
        self.asked.append(self.site.now)
        if self.away:
            raise PeerUnavailable
        request = draft(sender=INSTANCE, to=to, at=self.site.now, nonce=base64url(b"\0" * 16))
        assert isinstance(request, RedeemRequest)
        reply = self.says or await self.site.desk.redeem(request, HOME.public)
        found = RedeemAnswer(
            sender=to,
            to=INSTANCE,
            re=base64url(b"\0" * 32),
            result=reply.result,
            reason=reply.reason,
            retry_after_seconds=reply.retry_after_seconds,
            time=reply.time,
            by=reply.by,
            receipt=reply.receipt,
            successions=self.successions,
        )
        assert isinstance(found, answer)
        return found


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def world(far: Far) -> Iterator[World]:
    """Return a world with an account, in which an operator runs."""
    world = World(peer=far)
    far.clock = lambda: world.now
    world.account("b")
    world.start()
    yield world
    world.close()


def redeem(world: World, far: Far, policy: Policy | None = None) -> None:
    """Let the user enter a key that the far installation issued."""
    world.secret("s", far.site.issue("i", "a", KEY, policy).text())
    world.interlink("r", "b", redeemKey={"secretRef": {"name": "s"}})
    world.settle()


async def let_a_rival_win(far: Far) -> None:
    assert (await Redeemer(far.site, "rival").redeem()).result == "Linked"


async def revoke(far: Far) -> None:
    await far.site.authority.change(far.site.record().metadata.name, Revoke())


async def nothing(far: Far) -> None:
    """Let time pass: the key expires."""


@pytest.mark.parametrize(
    ("misfortune", "reason"), [(let_a_rival_win, "KeyAlreadyUsed"), (revoke, "KeyRevoked"), (nothing, "KeyExpired")]
)
async def test_a_final_answer_is_asked_for_once(
    world: World, far: Far, misfortune: Callable[[Far], Awaitable[None]], reason: str
) -> None:
    """Not for ten minutes, and not by another process."""
    far.away = True
    redeem(world, far, Policy(expiration_time=NOW + timedelta(seconds=5)) if misfortune is nothing else None)
    await misfortune(far)
    far.away = False
    world.settle_for(MINUTE)
    assert (reason_of(world.status("r")), len(far.asked)) == (reason, 2)
    world.settle_for(timedelta(minutes=10))
    world.crash()
    world.start()
    world.settle_for(timedelta(minutes=10))
    assert (reason_of(world.status("r")), len(far.asked)) == (reason, 2)


@pytest.mark.parametrize(
    ("says", "reason", "pause"),
    [
        (RedeemReply("Unknown"), "Redeeming", timedelta(minutes=15)),
        (RedeemReply("Busy", "Closing", 60), "PeerBusy", timedelta(minutes=1)),
        (RedeemReply("Busy", "RedeemerNotAllowed", 3600), "RedeemerNotAllowed", HOUR),
        (None, "PeerUnavailable", timedelta(seconds=10)),
    ],
)
def test_any_other_answer_is_asked_for_again(
    world: World, far: Far, says: RedeemReply | None, reason: str, pause: timedelta
) -> None:
    """After the designed pause, spread by a fifth; and the right one then links."""
    far.says, far.away = says, says is None
    redeem(world, far)
    world.settle_for(4 * pause)
    assert reason_of(world.status("r")) in (reason, "KeyUnknown")
    assert len(far.asked) > 3
    assert all(
        0.8 * pause <= later - asked <= 1.2 * pause + timedelta(seconds=1) for asked, later in pairwise(far.asked)
    )
    far.says, far.away = None, False
    world.settle_for(2 * pause)
    assert reason_of(world.status("r")) == "Established"
    assert far.site.record().spec.state == "Established"


class Said:
    """Our log about redemptions; what it says of `INSTALLATION` is about the far one."""

    def __init__(self, far: Far, caplog: pytest.LogCaptureFixture) -> None:
        self.far, self.caplog = far, caplog
        caplog.set_level(logging.INFO, "pbx_operator.engine.issuing")

    @property
    def lines(self) -> list[str]:
        lines = [json.loads(JsonFormatter().format(record)) for record in self.caplog.records]
        assert {(line["kind"], line["namespace"], line["name"]) for line in lines} == {("Interlink", NAMESPACE, "r")}
        whom = f"installation {self.far.site.instance} at {self.far.site.contact.endpoints[0]}"
        return [f"{line['level']}: {line['msg']}".replace(whom, "INSTALLATION") for line in lines]


def test_an_answer_that_cannot_be_believed_is_asked_for_less_and_less_often(
    world: World, far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever answers is not whom the bundle names; say, its Secret was restored from before a rotation."""
    said = Said(far, caplog)
    far.site.rotate()
    redeem(world, far)
    world.settle_for(HOUR)
    assert reason_of(world.status("r")) == "PeerUnavailable"
    pauses = [(later - asked).total_seconds() for asked, later in pairwise(far.asked)]
    wanted = [10, 20, 40, 80, 160, *(300 for _ in pauses[5:])]
    assert len(pauses) > 8
    assert all(0.8 * w <= pause <= 1.2 * w + 1 for w, pause in zip(wanted, pauses, strict=True))
    assert len(set(pauses)) > len(set(wanted)), "they are spread"
    far.successions = far.site.identity.successions
    world.settle_for(6 * MINUTE)
    assert reason_of(world.status("r")) == "Established"
    assert said.lines == [
        f"warning: key {far.site.record().spec.key_id} waits: "
        "INSTALLATION does not answer by the identity that the key's bundle names",
        "info: INSTALLATION answers",
    ]


def test_the_log_says_whom_a_redemption_waits_for_once(
    world: World, far: Far, caplog: pytest.LogCaptureFixture
) -> None:
    said = Said(far, caplog)
    far.away = True
    redeem(world, far)
    world.settle_for(HOUR)
    far.away = False
    world.settle_for(MINUTE)
    assert reason_of(world.status("r")) == "Established"
    key = far.site.record().spec.key_id
    assert said.lines == [f"info: key {key} waits: INSTALLATION cannot be reached", "info: INSTALLATION answers"]


def test_an_issuer_that_comes_an_hour_later_is_found(world: World, far: Far) -> None:
    bundle = far.site.issue("i", "a", KEY)
    record = far.site.record()
    far.site.api.delete(LinkRecord.resource, record.key)
    world.secret("s", bundle.text())
    world.interlink("r", "b", redeemKey={"secretRef": {"name": "s"}})
    world.settle_for(HOUR)
    assert reason_of(world.status("r")) == "KeyUnknown"
    far.site.api.create(
        LinkRecord.resource, {"metadata": {"name": record.metadata.name}, "spec": record.spec.to_json()}
    )
    world.settle_for(timedelta(minutes=20))
    assert reason_of(world.status("r")) == "Established"


async def test_a_new_key_in_the_same_secret_is_tried(world: World, far: Far) -> None:
    far.away = True
    redeem(world, far)
    await let_a_rival_win(far)
    far.away = False
    world.settle_for(MINUTE)
    assert reason_of(world.status("r")) == "KeyAlreadyUsed"
    world.secret("s", far.site.issue("j", "a", NEW_KEY).text())
    world.settle_for(timedelta(minutes=10))
    assert reason_of(world.status("r")) == "Established"


def test_nothing_is_asked_about_a_key_that_linked(world: World, far: Far) -> None:
    """Whatever becomes of its Secret: applied again, changed, gone, restored."""
    redeem(world, far)
    assert reason_of(world.status("r")) == "Established"
    text = Site("far").issue("i", "a", KEY).text()
    changes: list[Callable[[], None]] = [
        lambda: world.secret("s", text),
        lambda: world.lose_secret("s"),
        lambda: world.secret("s", text),
        world.crash,
        world.start,
        lambda: world.secret("s", "no key at all"),
    ]
    for change in changes:
        change()
        world.settle_for(timedelta(minutes=10))
    assert reason_of(world.status("r")) == "Established"
    assert len(far.asked) == 1
