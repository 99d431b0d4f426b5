"""Somebody with the exchange's stolen TLS key ends TLS between two operators: what it recorded is of no use to it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from integration.attacker import Installation, records_of
from integration.false_issuer import Call, FalseIssuer, json_response
from integration.test_federation_faults import nothing_is_consumed, one_redemption, overheard
from integration.two_clusters import Pair, Story, begin_story, watched
from pbx_operator.domain.protocol.envelope import Envelope, EnvelopeError, open_envelope
from pbx_operator.exchange.secret_pairs import SecretPairs
from tcpproxy import TcpProxy

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENVELOPE = re.compile(rb'\{"payload": ?"[A-Za-z0-9+/=]+", ?"by": ?"[\w-]{43}", ?"sig": ?"[\w-]{86}"\}')
TYPES = ("redeem", "redeem-answer", "sync", "sync-answer")
Recording = dict[str, list[Envelope]]


@pytest_asyncio.fixture(loop_scope="module")
async def story(pair: Pair) -> AsyncIterator[Story]:
    async with watched(pair):
        story = await begin_story(pair)
        yield story
        await story.end()


async def recorded(pair: Pair, story: Story, network: TcpProxy, directory: Path) -> Recording:
    """Tell the story and return all that was said, by type."""
    async with overheard(story, network, directory) as eavesdropper:
        await story.link()
        await pair.settle()
    found: Recording = {}
    for body in ENVELOPE.findall(eavesdropper.heard):
        envelope = Envelope.model_validate_json(body)
        for kind in types_of(envelope):
            found.setdefault(kind, []).append(envelope)
    assert set(found) == set(TYPES)
    return found


def types_of(envelope: Envelope) -> Iterator[str]:
    for kind in TYPES:
        with suppress(EnvelopeError):
            open_envelope(envelope, kind)
            yield kind


@asynccontextmanager
async def unchanged(pair: Pair) -> AsyncIterator[None]:
    """What happens meanwhile changes no record of either cluster."""
    before = await records_of(pair.reachable, pair.hidden)
    yield
    await pair.settle()
    assert await records_of(pair.reachable, pair.hidden) == before


async def test_a_recorded_redemption_redeems_nothing(
    pair: Pair, story: Story, network: TcpProxy, tmp_path: Path
) -> None:
    """Played again it gets the answer that was overheard already; under other names it gets none."""
    said = await recorded(pair, story, network, tmp_path)
    (redemption,), (answer,) = said["redeem"], said["redeem-answer"]
    asked = open_envelope(redemption, "redeem")
    thief, port = Installation("thief", "127.8.0.1"), network.target
    async with unchanged(pair):
        again = await thief.post(port, "redeem", redemption)
        assert Envelope.model_validate_json(again.body) == answer

        as_its_own = thief.seal("redeem", asked["to"], {**asked, "from": thief.instance})
        result = (await thief.post(port, "redeem", as_its_own)).opened(as_its_own, "redeem")
        assert (result["result"], "receipt" in result) == ("Unknown", False)

        from_another = await thief.post(port, "redeem", thief.seal("redeem", asked["to"], asked))
        assert (from_another.status, from_another.error) == (403, "the signer is not the sender of the message")

        to_another = thief.seal("redeem", asked["to"], {**asked, "from": thief.instance, "to": asked["from"]})
        elsewhere = await thief.post(port, "redeem", to_another)
        assert (elsewhere.status, elsewhere.error) == (421, "the message is for another installation")

        forged = redemption.model_copy(update={"payload": to_another.payload})
        changed = await thief.post(port, "redeem", forged)
        assert changed.status == 400
        assert changed.error.endswith("its signature is wrong")
    assert len(story.redemptions()) == 1


async def test_recorded_syncs_say_nothing_new(pair: Pair, story: Story, network: TcpProxy, tmp_path: Path) -> None:
    said = await recorded(pair, story, network, tmp_path)
    thief, replica = Installation("thief", "127.8.0.2"), story.there.records()[0]
    assert replica.spec.redeemer is not None
    async with unchanged(pair):
        for sync in said["sync"][-10:]:
            reply = (await thief.post(network.target, "sync", sync)).opened(sync, "sync")
            about = [link["state"] for link in reply["links"] if link["linkID"] == replica.spec.redeemer.link_id]
            assert about in (["Live"], []), "the first of them may be about older links alone"
        assert about == ["Live"]
        asked = open_envelope(said["sync"][-1], "sync")
        as_its_own = thief.seal("sync", asked["to"], {**asked, "from": thief.instance})
        reply = (await thief.post(network.target, "sync", as_its_own)).opened(as_its_own, "sync")
        assert {(link["state"], link.get("numbers")) for link in reply["links"]} == {("Unknown", None)}


async def test_recorded_answers_answer_no_other_request(
    pair: Pair, story: Story, network: TcpProxy, tmp_path: Path
) -> None:
    """Whoever sits between the two can stay silent or lie; nobody believes it, and the key is not lost."""
    said = await recorded(pair, story, network, tmp_path)
    stored = await SecretPairs(pair.reachable.api.cluster, "pbx-system").load()
    assert stored is not None

    def replay(between: FalseIssuer, call: Call) -> web.StreamResponse:
        return json_response(said[f"{call.kind}-answer"][-1].model_dump_json().encode())

    between, exchange, later = FalseIssuer("between", replay), network.target, await begin_story(pair)
    async with between.listening(tmp_path, pair=stored):
        await later.offer()
        async with unchanged_of(story):
            network.target = between.port
            await later.there.apply(later.redeemer)
            await later.there.ready(later.redeemer, "PeerUnavailable")
            await nothing_is_consumed(later)
            await story.there.ready(story.redeemer, "PeerSilent", "PeerReachable")
    network.target = exchange
    assert {call.kind for call in between.calls} == {"redeem", "sync"}
    issuer = open_envelope(said["sync"][-1], "sync")["to"]
    endpoint = f"https://localhost:{network.port}"
    lines = [line["msg"] for line in pair.hidden.operator.lines() if f"{endpoint}: " in line["msg"]]
    assert lines == [f"Peer {issuer} cannot be reached: {endpoint}: its answer belongs to another request"]
    await one_redemption(later)
    await later.end()


@asynccontextmanager
async def unchanged_of(story: Story) -> AsyncIterator[None]:
    """What happens meanwhile changes no record of this story."""
    before = story.records()
    yield
    assert story.records() == before
