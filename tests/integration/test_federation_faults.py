"""The network between two clusters fails, API servers fail and operators die; a key still makes one link or none."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio

from eavesdropper import Eavesdropper
from faultproxy import Answer, Call, Fault
from integration.harness import World
from integration.test_secrecy import traces
from integration.two_clusters import Pair, Story, begin_story, knows_end, watched
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.domain.protocol.keys import key_text, parse_key
from pbx_operator.exchange.secret_pairs import SecretPairs
from pbx_operator.links.authority import MAX_ATTEMPTS
from tcpproxy import Mode, TcpProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

Moment = Literal["before-send", "after-send", "after-reply"]


@pytest_asyncio.fixture(loop_scope="module")
async def story(pair: Pair, network: TcpProxy) -> AsyncIterator[Story]:
    """Return a story; before and after it nobody has anything to say, so the next request is one of its own."""
    async with watched(pair):
        story = await begin_story(pair)
        yield story
        network.mode = "pass"
        await story.end()
        await network.idle()


def is_swap(call: Call) -> bool:
    """Match the write by which the issuer's side gives away a key."""
    spec_of_record = (call.method, call.resource, call.subresource) == ("PUT", "linkrecords", "")
    return spec_of_record and call.json()["spec"]["state"] == "Established"


def of_link(world: World) -> Callable[[Call], bool]:
    """Match the operator's writes to Interlinks, Secrets and records; only one story runs at a time."""
    kinds = ("interlinks", "secrets", "linkrecords")
    return lambda call: call.is_write and call.resource in kinds and call.namespace in ("", *world.namespaces)


async def one_redemption(story: Story) -> None:
    """Wait until both sides are green; the key was given away once, and both sides name the same link."""
    await story.green()
    authority, replica = story.records()
    assert len(story.redemptions()) == 1
    assert authority.spec.redeemer is not None
    assert replica.spec.redeemer is not None
    assert authority.spec.redeemer.link_id == replica.spec.redeemer.link_id


async def nothing_is_consumed(story: Story) -> None:
    (record,) = story.here.records()
    assert (record.spec.state, record.spec.redeemer, story.redemptions()) == ("Issued", None, [])


async def given_away(story: Story) -> None:
    await story.here.until(lambda: [r.spec.state for r in story.here.records()] == ["Established"], "it is redeemed")


@asynccontextmanager
async def overheard(story: Story, network: TcpProxy, directory: Path) -> AsyncIterator[Eavesdropper]:
    """Let somebody read what the two sides say meanwhile."""
    stored = await SecretPairs(story.here.stage.api.cluster, "pbx-system").load()
    assert stored is not None
    pem = directory / "stolen.pem"
    pem.write_bytes(stored.certificate + stored.key)
    exchange = network.target
    async with Eavesdropper(exchange, pem) as eavesdropper:
        network.target = eavesdropper.port
        yield eavesdropper
        network.target = exchange


# --- the network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["drop-answer", "corrupt-answer"])
async def test_an_answer_that_is_lost_is_asked_for_again(network: TcpProxy, story: Story, mode: Mode) -> None:
    await story.offer()
    network.mode = mode
    await story.there.apply(story.redeemer)
    await given_away(story)
    await story.there.ready(story.redeemer, "PeerUnavailable")
    network.mode = "pass"
    await one_redemption(story)


@pytest.mark.parametrize("mode", ["refuse", "drop-before", "corrupt-request"])
async def test_a_request_that_is_lost_consumes_nothing(network: TcpProxy, story: Story, mode: Mode) -> None:
    await story.offer()
    network.mode = mode
    await story.there.apply(story.redeemer)
    await story.there.ready(story.redeemer, "PeerUnavailable")
    await nothing_is_consumed(story)
    network.mode = "pass"
    await story.hurry()
    await one_redemption(story)


async def test_a_redeemer_that_was_deleted_first_never_redeems(pair: Pair, network: TcpProxy, story: Story) -> None:
    """Its request is still under way when its cancellation has arrived."""
    await story.offer()
    network.mode, mark = "hold", len(network.connections)
    await story.there.apply(story.redeemer)
    request = await network.connection(mark)
    request.cut()
    network.mode = "pass"
    await story.there.ready(story.redeemer, "PeerUnavailable")
    await story.there.delete(story.redeemer)
    await story.there.gone(story.redeemer)
    await story.here.until(lambda: [len(r.spec.fences) for r in story.here.records()] == [1], "it is fenced off")
    request.release()
    async with asyncio.timeout(30):
        await request.answered.wait()
    await pair.settle()
    await nothing_is_consumed(story)
    assert story.here.shows(story.issuer, "Ready") == ("True", "KeyIssued")


async def test_a_redeemer_whose_request_hangs_is_let_go(pair: Pair, network: TcpProxy, story: Story) -> None:
    """Deletion waits for no peer, and the request that is still under way makes no link."""
    await story.offer()
    network.mode, mark = "hold", len(network.connections)
    await story.there.apply(story.redeemer)
    request = await network.connection(mark)
    network.mode = "pass"
    await story.there.delete(story.redeemer)
    await story.there.gone(story.redeemer)
    assert not request.client.is_closing()
    await story.here.until(lambda: [len(r.spec.fences) for r in story.here.records()] == [1], "it is fenced off")
    request.release()
    await pair.settle()
    await nothing_is_consumed(story)


async def test_a_redeemer_that_was_deleted_ends_what_its_late_request_made(network: TcpProxy, story: Story) -> None:
    """Its request overtakes its cancellation."""
    await story.offer()
    network.mode, mark = "hold", len(network.connections)
    await story.there.apply(story.redeemer)
    request = await network.connection(mark)
    request.cut()
    network.mode = "refuse"
    await story.there.ready(story.redeemer, "PeerUnavailable")
    await story.there.delete(story.redeemer)
    await story.there.gone(story.redeemer)
    request.release()
    await given_away(story)
    network.mode = "pass"
    await story.here.gone(story.issuer)
    (record,) = story.here.records()
    assert record.spec.end is not None
    assert (record.spec.end.by, len(story.redemptions())) == ("Redeemer", 1)


# --- API servers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [409, 500])
async def test_a_swap_that_is_refused_consumes_nothing(pair: Pair, story: Story, status: int) -> None:
    await story.offer()
    refused = pair.reachable.proxy.add(Fault(is_swap, times=MAX_ATTEMPTS, then=Answer(status)))
    await story.there.apply(story.redeemer)
    await story.there.ready(story.redeemer, "PeerBusy")
    assert len(refused.hits) == MAX_ATTEMPTS
    await nothing_is_consumed(story)
    await one_redemption(story)


@pytest.mark.parametrize("status", [409, 500])
async def test_a_swap_that_is_visible_counts_whatever_its_answer(pair: Pair, story: Story, status: int) -> None:
    await story.offer()
    visible = pair.reachable.proxy.add(Fault(is_swap, times=None, at="after-send", then=Answer(status)))
    await story.there.apply(story.redeemer)
    await one_redemption(story)
    assert len(visible.hits) == 1


# --- crashes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before-send", "after-send", "after-reply"])
@pytest.mark.parametrize("side", ["issuer", "redeemer"])
async def test_an_operator_may_die_at_each_of_its_writes(pair: Pair, side: str, moment: Moment) -> None:
    """From the first finalizer to the last: each time the key is given away once, and both sides end."""
    then: Literal["proceed", "drop"] = "proceed" if moment == "after-reply" else "drop"
    for nth in count(1):
        async with watched(pair):
            story = await begin_story(pair)
            world, crash = (story.here, pair.crash_issuer) if side == "issuer" else (story.there, pair.crash_redeemer)
            death = world.stage.proxy.add(Fault(of_link(world), nth=nth, at=moment, do=crash, then=then))
            await story.offer()
            await story.there.apply(story.redeemer)
            await one_redemption(story)
            await story.end()
        if not death.hits:
            break
    assert nth > 9


async def test_the_redeemer_may_die_while_its_request_is_under_way(pair: Pair, network: TcpProxy, story: Story) -> None:
    await story.offer()
    network.mode, mark = "hold", len(network.connections)
    await story.there.apply(story.redeemer)
    request = await network.connection(mark)
    pair.hidden.operator.kill()
    await pair.hidden.operator.ended()
    network.mode = "pass"
    request.release()
    await given_away(story)
    pair.start_redeemer()
    await one_redemption(story)


@pytest.mark.parametrize("moment", ["before-send", "after-send"])
async def test_the_issuer_may_die_at_its_swap(pair: Pair, story: Story, moment: Moment) -> None:
    await story.offer()
    death = pair.reachable.proxy.add(Fault(is_swap, at=moment, do=pair.crash_issuer, then="drop"))
    await story.there.apply(story.redeemer)
    await death.hit()
    if moment == "before-send":
        await nothing_is_consumed(story)
    await one_redemption(story)


# --- ends -------------------------------------------------------------------------------------------------------


async def test_both_sides_may_end_at_once(pair: Pair, story: Story) -> None:
    await story.link()
    await asyncio.gather(story.here.delete(story.issuer), story.there.delete(story.redeemer))
    await story.here.gone(story.issuer)
    await story.there.gone(story.redeemer)
    assert [r.spec.state for r in story.records()] == ["Ended", "Ended"]
    await story.end_is_known()


async def test_a_link_that_the_issuer_forgot_is_closed_and_not_ended(pair: Pair, story: Story) -> None:
    await story.link()
    await pair.hidden.stop()
    await story.forget()
    pair.start_redeemer()
    redeemer = await story.there.ready(story.redeemer, "PeerForgot", "CallsAllowed")
    assert redeemer.status.gate == "Closed"
    await story.there.until(lambda: story.there.dial(story.peer, "200").target is None, "no call goes there")
    await pair.settle()
    assert [(r.spec.state, r.spec.end) for r in story.there.records()] == [("Established", None)]
    assert story.there.shows(story.redeemer, "CallsAllowed") == ("False", "PeerForgot")


async def test_a_manifest_that_is_applied_for_ever_asks_nothing(
    pair: Pair, network: TcpProxy, story: Story, tmp_path: Path
) -> None:
    there = story.there
    async with overheard(story, network, tmp_path) as eavesdropper:
        await story.link()
        linked = there.now(story.redeemer)
        await story.here.delete(story.issuer)
        async with asyncio.timeout(30):
            while there.shows(story.redeemer, "Ready") != ("False", "KeyAlreadyUsed"):
                await there.apply(story.redeemer)
        born = there.now(story.redeemer)
        for _ in range(10):
            await there.apply(story.redeemer)
        await story.hurry()
        await pair.settle()
        await there.until(lambda: knows_end(there), "the redeemer has nothing left to say")
    last = there.now(story.redeemer)
    assert linked is not None
    assert born is not None
    assert last is not None
    assert last.metadata.uid == born.metadata.uid != linked.metadata.uid
    assert there.shows(story.redeemer, "Ready") == ("False", "KeyAlreadyUsed")
    assert len(there.writes(resource="interlinks", method="DELETE")) == 1
    assert eavesdropper.heard.count(b"POST /v1/redeem") == len(story.redemptions()) == 1


# --- secrecy ----------------------------------------------------------------------------------------------------


def traces_of_bundle(text: str) -> list[str]:
    """Return what gives the key of a bundle away."""
    wrapped = base64.b64encode(text.encode()).decode()
    return [*traces(key_text(parse_key(text).key)), text[40:80], wrapped[60:100]]


async def texts_of(story: Story) -> list[str]:
    """Return all that can be read in both clusters, and what can be known of their past but for Secrets."""
    texts: list[str] = []
    for stage in (story.here.stage, story.there.stage):
        texts += [json.dumps(one) for one in await stage.api.everything()]
        texts += [json.dumps(raw) for plural, _, raw in stage.observer.history if plural != "secrets"]
        texts += [call.path for call in stage.proxy.journal.calls]
        texts += [call.body.decode() for call in stage.proxy.journal.calls if call.resource != "secrets"]
        texts += [stage.logs(), (await stage.operator.answers("/metrics"))[1]]
    return texts


async def test_a_used_key_is_nowhere(pair: Pair, network: TcpProxy, story: Story, tmp_path: Path) -> None:
    """Not even somebody who has the exchange's private key, and reads all that is said, gets to know it."""
    async with overheard(story, network, tmp_path) as eavesdropper:
        text = await story.link()
        await pair.settle()
    spent, carried = ObjectKey(story.issuer.key.namespace, "x-key"), ObjectKey(story.redeemer.key.namespace, "key")
    await story.here.absent(SECRETS, spent)
    texts = await texts_of(story)
    trace = traces_of_bundle(text)
    assert [found for found in texts if any(t in found for t in trace)], "the search would find the key that is left"
    await story.there.stage.api.cluster.delete(SECRETS, carried)
    await story.there.absent(SECRETS, carried)
    heard = eavesdropper.heard.decode(errors="replace")
    assert "POST /v1/redeem" in heard
    wire = [bytes(part) for c in network.connections for part in (c.sent, c.received)]
    texts = [*await texts_of(story), heard, *(part.decode("latin-1") for part in wire)]
    for t in trace:
        assert not [found for found in texts if t in found], f"a trace of a key: {t}"
