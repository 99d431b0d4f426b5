"""The reasons that only a link between two clusters has, as the redeemer's user meets them.

See `test_reasons_interlinks` for what is checked.
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from faultproxy import Answer, Call, Fault
from integration.harness import World
from integration.reason_stories import expect, expect_first_progress, shows
from integration.two_clusters import DIALS, Pair, Story
from pbx_operator.api import gate_reasons, reasons

pytestmark = pytest.mark.asyncio(loop_scope="module")
IMPATIENT = {"grace": 1.0}


def start_redeemer(pair: Pair) -> None:
    pair.hidden.start(*DIALS, periods=IMPATIENT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(pair: Pair) -> Pair:
    """Return two clusters, in the second of which patience is short."""
    await pair.hidden.stop()
    start_redeemer(pair)
    return pair


@pytest.fixture
def world(story: Story) -> World:
    """Return the redeemer's side of the story."""
    return story.there


@shows(reasons.PEER_UNAVAILABLE)
async def test_peer_unavailable(world: World, pair: Pair, story: Story) -> None:
    await story.offer()
    await pair.reachable.stop()
    await world.apply(story.redeemer)
    await expect(world, story.redeemer, reasons.PEER_UNAVAILABLE, "tried again", "log")
    pair.start_issuer()
    await story.green()


@shows(reasons.PEER_REACHABLE, reasons.PEER_UNREACHABLE)
async def test_peer_silent(world: World, pair: Pair, story: Story) -> None:
    await story.link()
    await world.condition(story.redeemer, "PeerReachable", "True", "PeerAnswers")
    await pair.reachable.stop()
    await world.condition(story.redeemer, "PeerReachable", "Unknown", "PeerSilent")
    await world.green(story.redeemer)
    pair.start_issuer()
    await world.condition(story.redeemer, "PeerReachable", "True", "PeerAnswers")


@shows(gate_reasons.PEER_NOT_HEARD)
async def test_peer_not_heard(world: World, story: Story) -> None:
    """The link is there, but what the peer says of itself cannot be written down."""

    def notes_what_was_heard(call: Call) -> bool:
        status_of_record = (call.resource, call.subresource) == ("linkrecords", "status")
        return call.is_write and status_of_record and "heard" in call.json()["status"]

    world.stage.proxy.add(Fault(notes_what_was_heard, times=None, then=Answer(500)))
    await story.offer()
    await world.apply(story.redeemer)
    await world.condition(story.redeemer, "CallsAllowed", "False", "PeerNotHeard")
    assert world.shows(story.redeemer, "Ready") == ("True", "Established")
    miss = world.dial(story.peer, "999").explanation
    assert f"not known what the peer behind Interlink {story.redeemer.metadata.name} shares: nothing has been" in miss
    world.stage.proxy.clear()
    await story.green()


@shows(reasons.PEER_FORGOT)
async def test_peer_forgot(world: World, pair: Pair, story: Story) -> None:
    """The issuer's cluster lost the link and its record, as if it came from an old backup."""
    await story.link()
    await pair.hidden.stop()
    await story.forget()
    start_redeemer(pair)
    await expect_first_progress(world, story.redeemer, reasons.PEER_FORGOT, "ask that side", "delete this Interlink")
    assert world.shows(story.redeemer, "CallsAllowed") == ("False", "PeerForgot")
