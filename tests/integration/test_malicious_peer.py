"""Somebody with a link of its own, and all that can be recorded, tries to touch what is not its own.

It speaks to an exchange server of its own process, as an administrator would run it.  What is refused, or answered
with Unknown, changes no record of either cluster.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from builders import interlink
from faultproxy import FaultProxy
from integration.attacker import Installation, Reply, ago, content_of, records_of, report
from integration.harness import Stage, World, open_stage
from integration.process import POLL, exchange_server
from integration.test_federation_faults import traces_of_bundle
from pbx_operator.domain.protocol.envelope import Envelope, open_envelope
from pbx_operator.domain.protocol.keys import Bundle, base64url, key_id, parse_key
from pbx_operator.exchange.limits import ADDRESS_BURST, ADDRESS_RATE
from pbx_operator.exchange.refusals import LOG_BURST, LOG_RATE
from pbx_operator.exchange.server import SMALL_BODY, SYNC_BODY
from pbx_operator.links.records import MAX_UNKNOWN
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = dict[str, Any]
FLOOD = 200
"""Requests of one flood: more than an address may send at once."""
NUMBERS = [{"number": "300"}]
CONTACT = {"endpoints": ["https://mallory.example"], "pins": [base64url(b"\1" * 32)]}
DIGITS = str.maketrans("0123456789", "cdefghijkl")
"""Ids have no digits below 2."""
_ADDRESSES = count(1)


def somebody(name: str) -> Installation:
    """Return an installation at an address that nobody has spoken from yet."""
    return Installation(name, f"127.7.0.{next(_ADDRESSES)}")


@dataclass
class Link:
    """A link with one of our accounts, as its redeemer knows it."""

    name: str
    """The redeemer's."""
    text: str = field(repr=False)
    """The key, as it was carried."""
    receipt: JSON

    @property
    def bundle(self) -> Bundle:
        return parse_key(self.text)

    @property
    def key_id(self) -> str:
        return key_id(self.bundle.key.public)

    @property
    def owner(self) -> Installation:
        """The redeemer, at a new address."""
        return somebody(self.name)

    @property
    def id(self) -> str:
        return Installation(self.name, "").link_id(self.bundle)

    def report(self, state: str = "Live", **facts: Any) -> JSON:
        return report(self.key_id, self.id, state, **facts)


@dataclass
class Scene:
    """Our installation with an exchange server of its own, another one, a victim and somebody malicious."""

    here: Stage
    there: Stage
    calls: FaultProxy
    """What the exchange server asks of its API server."""
    log: Path
    port: int
    other: int
    us: str = ""
    victim: Link | None = None
    mallory: Link | None = None

    def said(self, address: str) -> list[str]:
        """Return what the exchange server said about an address."""
        lines = [json.loads(line)["msg"] for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [line for line in lines if f" {address} " in line]

    async def records(self) -> dict[tuple[str, str], JSON]:
        """Return all records of both clusters."""
        return await records_of(self.here, self.there)

    async def key(self, world: World, suffix: str) -> str:
        """Let an account of ours issue a key."""
        account = await world.office(suffix, "200")
        issuer = interlink("x", "a", account.key.namespace)
        await world.apply(issuer)
        await world.ready(issuer, "KeyIssued")
        return await world.key_of(issuer)

    async def link(self, world: World, name: str) -> Link:
        """Let an installation link with an account of ours, and say something about itself."""
        text = await self.key(world, name)
        redeemer, bundle = somebody(name), parse_key(text)
        request = redeemer.redemption(bundle)
        answer = (await redeemer.post(self.port, "redeem", request)).opened(request, "redeem")
        assert answer["result"] == "Linked"
        link = Link(name, text, answer["receipt"])
        request = redeemer.sync(answer["from"], link.report(rev=1, account="a", gate="Open", numbers=NUMBERS))
        (await redeemer.post(self.port, "sync", request)).opened(request, "sync")
        self.us = answer["from"]
        return link


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    installed: ControlPlane, second_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    directory, port, other = tmp_path_factory.mktemp("scene"), unused_port(), unused_port()
    places = [directory / name for name in ("here", "there")]
    for place in places:
        place.mkdir()
    log = directory / "exchange.log"
    async with (
        FaultProxy(installed.kubeconfig_for("pbx-exchange")) as calls,
        open_stage(installed, places[0]) as here,
        open_stage(second_plane, places[1]) as there,
    ):
        for stage, at, listens in ((here, port, 0), (there, other, other)):
            await stage.observer.ready()
            stage.start("--exchange-endpoint", f"https://localhost:{at}", "--exchange-port", str(listens))
            await stage.settle()
        async with exchange_server(calls.kubeconfig(directory / "kubeconfig"), log, port, port):
            scene = Scene(here, there, calls, log, port, other)
            for at in (port, other):
                await listening(at)
            world = here.world("malice")
            scene.victim, scene.mallory = await scene.link(world, "victim"), await scene.link(world, "mallory")
            yield scene
        assert not here.observer.problems + there.observer.problems


async def listening(port: int) -> None:
    """Wait until an exchange answers."""
    early = somebody("early")
    async with asyncio.timeout(30):
        while True:
            try:
                await early.send(port, "/v1/sync", b"")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(POLL)
            else:
                return


@pytest.fixture
def victim(scene: Scene) -> Link:
    assert scene.victim is not None
    return scene.victim


@pytest.fixture
def mallory(scene: Scene) -> Link:
    assert scene.mallory is not None
    return scene.mallory


@asynccontextmanager
async def unchanged(scene: Scene) -> AsyncIterator[None]:
    """What happens meanwhile changes no record, neither at once nor when the operators have thought about it."""
    await scene.here.settle()
    before = await scene.records()
    yield
    await scene.here.settle()
    assert await scene.records() == before
    for link in (scene.victim, scene.mallory):
        assert link is not None
        text = scene.log.read_text(encoding="utf-8") + scene.here.logs() + scene.there.logs()
        assert not [trace for trace in traces_of_bundle(link.text) if trace in text]


def refused(scene: Scene, who: Installation, reply: Reply, status: int, why: str) -> None:
    """Check that a request was refused, and that one line of the log says so."""
    assert (reply.status, reply.error) == (status, why)
    assert scene.said(who.address) == [f"refused a request from {who.address} with {status}: {why}"]


# --- what others have signed ------------------------------------------------------------------------------------


async def test_a_redemption_that_is_passed_on_counts_nowhere_else(scene: Scene) -> None:
    """Neither at another installation, nor under another name; and its owner can still make it count."""
    bundle = parse_key(await scene.key(scene.here.world("malice"), "loose"))
    redeemer, thief = somebody("redeemer"), somebody("mallory")
    recorded = redeemer.redemption(bundle)
    async with unchanged(scene):
        away = await thief.post(scene.other, "redeem", recorded)
        assert (away.status, away.error) == (421, "the message is for another installation")
        (line,) = [entry["msg"] for entry in scene.there.operator.lines() if f" {thief.address} " in entry["msg"]]
        assert line == f"refused a request from {thief.address} with 421: {away.error}"

        taken = thief.seal("redeem", scene.us, open_envelope(recorded, "redeem"))
        reply = await thief.post(scene.port, "redeem", taken)
        refused(scene, thief, reply, 403, "the signer is not the sender of the message")

        content = content_of(redeemer.signed(bundle))
        for own in ({}, {"instanceSignature": "A" * 86}, {"linkID": thief.link_id(bundle)}):
            request = thief.seal("redeem", scene.us, content | own)
            answer = (await thief.post(scene.port, "redeem", request)).opened(request, "redeem")
            assert {name: answer[name] for name in answer.keys() - {"from", "to", "re"}} == {"result": "Unknown"}
    answer = (await thief.post(scene.port, "redeem", recorded)).opened(recorded, "redeem")
    assert (answer["result"], answer["to"]) == ("Linked", redeemer.instance)


@pytest.mark.parametrize("kind", ["redeem", "cancel-request", "sync"])
async def test_what_is_for_others_is_refused(scene: Scene, victim: Link, kind: str) -> None:
    owner = victim.owner
    messages = {
        "redeem": owner.seal("redeem", owner.instance, content_of(owner.signed(victim.bundle))),
        "cancel-request": owner.cancel(owner.instance, owner.statement(victim.bundle)),
        "sync": owner.sync(owner.instance, victim.report("Ended")),
    }
    async with unchanged(scene):
        reply = await owner.post(scene.port, kind, messages[kind])
        refused(scene, owner, reply, 421, "the message is for another installation")


async def test_recordings_change_nothing(scene: Scene, victim: Link) -> None:
    """Whoever has the exchange's TLS key can play everything once more, from anywhere and much later."""
    owner, thief = victim.owner, somebody("thief")
    recorded = owner.redemption(victim.bundle, at=ago(days=30))
    first = await owner.post(scene.port, "redeem", recorded)
    old = owner.sync(scene.us, victim.report(rev=1, numbers=[]), contact=CONTACT, at=ago(minutes=6))
    young = owner.sync(scene.us, victim.report(rev=1, numbers=NUMBERS))
    async with unchanged(scene):
        assert await thief.post(scene.port, "redeem", recorded) == first
        for sync in (old, young, old):
            (link,) = (await thief.post(scene.port, "sync", sync)).opened(sync, "sync")["links"]
            assert (link["state"], link["knownRev"]) == ("Live", 1)
            assert ("numbers" in link) == (sync is young), "only a sign of life is told numbers"


async def test_nor_do_recordings_of_a_link_that_is_over(scene: Scene) -> None:
    link = await scene.link(scene.here.world("malice"), "past")
    owner, thief = link.owner, somebody("thief")
    redemption, live = owner.redemption(link.bundle), owner.sync(scene.us, link.report(rev=1, numbers=NUMBERS))
    cancel = owner.cancel(scene.us, owner.statement(link.bundle))
    assert (await owner.post(scene.port, "cancel-request", cancel)).opened(cancel, "cancel-request")["result"] == "Done"
    over = owner.sync(scene.us, link.report("Ended", end={"by": "Redeemer", "reason": "Deleted", "time": ago()}))
    await owner.post(scene.port, "sync", over)
    async with unchanged(scene):
        again = (await thief.post(scene.port, "redeem", redemption)).opened(redemption, "redeem")
        assert (again["result"], again["reason"]) == ("Gone", "Deleted")
        assert "receipt" not in again
        (told,) = (await thief.post(scene.port, "sync", live)).opened(live, "sync")["links"]
        assert told["state"] == "Ended"
        done = (await thief.post(scene.port, "cancel-request", cancel)).opened(cancel, "cancel-request")
        assert done["result"] == "Done"


# --- links of others --------------------------------------------------------------------------------------------

END = {"by": "Issuer", "reason": "Deleted", "time": "2026-06-01T12:00:00Z"}
REPORTS: dict[str, Callable[[Link, Link], JSON]] = {
    "numbers": lambda theirs, own: theirs.report(rev=2**53 - 1, gate="Open", numbers=[{"number": "666"}]),
    "an announcement": lambda theirs, own: theirs.report("Closing"),
    "a tombstone": lambda theirs, own: theirs.report("Ended", end=END),
    "a tombstone and the receipt": lambda theirs, own: theirs.report("Ended", end=END, receipt=theirs.receipt),
    "a tombstone under our name for it": lambda theirs, own: report(theirs.key_id, own.id, "Ended", end=END),
    "a tombstone under its key": lambda theirs, own: report(own.key_id, theirs.id, "Ended", end=END),
    "that it is unknown": lambda theirs, own: theirs.report("Unknown"),
    "the receipt": lambda theirs, own: theirs.report(receipt=theirs.receipt),
    "the receipt, for a link of our own": lambda theirs, own: report(own.key_id, theirs.id, receipt=theirs.receipt),
}


@pytest.mark.parametrize("said", REPORTS.values(), ids=REPORTS)
async def test_whatever_is_said_of_a_link_of_others_is_about_nothing(
    scene: Scene, victim: Link, mallory: Link, said: Callable[[Link, Link], JSON]
) -> None:
    who, about = mallory.owner, said(victim, mallory)
    request = who.sync(scene.us, about, contact=CONTACT)
    async with unchanged(scene):
        (answer,) = (await who.post(scene.port, "sync", request)).opened(request, "sync")["links"]
        assert answer == report(about["keyID"], about["linkID"], "Unknown", rev=0, knownRev=0)


async def test_a_link_of_others_cannot_be_cancelled_even_with_its_key(
    scene: Scene, victim: Link, mallory: Link
) -> None:
    thief, owner = mallory.owner, victim.owner
    passed_on = owner.statement(victim.bundle)
    signed_anew = thief.statement(victim.bundle, linkID=victim.id)
    async with unchanged(scene):
        for statement in (passed_on, signed_anew):
            request = thief.cancel(scene.us, statement)
            reply = await thief.post(scene.port, "cancel-request", request)
            assert reply.opened(request, "cancel-request")["result"] == "Unknown"
        request = thief.seal("cancel-request", scene.us, {"cancel": passed_on.to_json(), "from": owner.instance})
        reply = await thief.post(scene.port, "cancel-request", request)
        refused(scene, thief, reply, 403, "the signer is not the sender of the message")


async def test_hundreds_of_links_of_which_none_is_its_own(scene: Scene, victim: Link, mallory: Link) -> None:
    """They cost a few reads and no write, also where one of them is somebody else's."""
    who = mallory.owner
    invented = [report(f"{n:a>16}".translate(DIGITS), f"{n:b>26}".translate(DIGITS), "Ended") for n in range(499)]
    request = who.sync(scene.us, victim.report("Ended", end=END), *invented, contact=CONTACT)
    mark = len(scene.calls.journal.calls)
    async with unchanged(scene):
        answer = (await who.post(scene.port, "sync", request)).opened(request, "sync")
        assert [link["state"] for link in answer["links"]] == ["Unknown"] * MAX_UNKNOWN
        cost = [c for c in scene.calls.journal.calls[mark:] if c.resource == "linkrecords"]
        assert {c.verb for c in cost} == {"get"}
        assert len(cost) <= 2 * MAX_UNKNOWN


# --- what is not a message --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "limit"), [("/v1/redeem", SMALL_BODY), ("/v1/sync", SYNC_BODY)])
async def test_bodies_that_are_too_large(scene: Scene, path: str, limit: int) -> None:
    who = somebody("mallory")
    async with unchanged(scene):
        reply = await who.send(scene.port, path, b" " * (limit + 1))
        refused(scene, who, reply, 413, f"the body may have {limit} bytes")


async def test_packed_bodies(scene: Scene, mallory: Link) -> None:
    """Ten megabytes in ten kilobytes are not unpacked to be looked at."""
    who = mallory.owner
    async with unchanged(scene):
        reply = await who.send(scene.port, "/v1/sync", gzip.compress(b" " * 10_000_000), Content_Encoding="gzip")
        refused(scene, who, reply, 415, "the body may not have a Content-Encoding")


async def test_a_changed_message(scene: Scene, victim: Link) -> None:
    who, over = somebody("mallory"), victim.owner.sync(scene.us, victim.report("Ended", end=END))
    live = victim.owner.sync(scene.us, victim.report())
    forged = Envelope(payload=over.payload, by=live.by, sig=live.sig)
    async with unchanged(scene):
        reply = await who.post(scene.port, "sync", forged)
        refused(scene, who, reply, 400, "the envelope cannot be opened as 'sync': its signature is wrong")


# --- floods: the last test, since it uses up the lines that the log has for refusals ----------------------------


async def test_a_flood_of_news_is_written_no_faster_than_one_address_may_ask(
    scene: Scene, victim: Link, mallory: Link
) -> None:
    """A peer that has something new to say with every sync gets one write for each that is let in."""
    who, rival = mallory.owner, victim.owner
    syncs = [who.sync(scene.us, mallory.report(rev=n, gate="Open", numbers=NUMBERS)) for n in range(2, FLOOD + 2)]
    before, mark = await scene.records(), len(scene.calls.journal.calls)
    begun = time.monotonic()
    replies = await asyncio.gather(*(who.post(scene.port, "sync", sync) for sync in syncs))
    other = rival.sync(scene.us, victim.report(rev=1, numbers=NUMBERS))
    assert (await rival.post(scene.port, "sync", other)).status == 200, "nobody else waits"
    seconds = time.monotonic() - begun
    let_in = sum(reply.status == 200 for reply in replies)
    assert {reply.status for reply in replies} <= {200, 429}
    assert let_in <= ADDRESS_BURST + ADDRESS_RATE * seconds + 1
    assert sum(c.landed for c in scene.calls.journal.calls[mark:]) <= let_in
    assert len(scene.said(who.address)) <= LOG_BURST + LOG_RATE * seconds + 1
    await scene.here.settle()
    after = await scene.records()
    changed = {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}
    assert changed == {(scene.here.control_plane.name, f"k-{mallory.key_id}")}
