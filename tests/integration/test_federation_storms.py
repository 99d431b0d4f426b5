"""The API servers of two clusters refuse, forget and fall silent; a link between them comes and goes all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from integration.harness import number
from integration.process import free_port
from integration.storms import PERIODS, STORMS
from integration.two_clusters import Pair, Story, begin_story, open_pair, watched
from pbx_operator.sandbox import ControlPlane

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(
    installed: ControlPlane, second_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pair]:
    port = free_port()
    directory = tmp_path_factory.mktemp("pair")
    async with open_pair(installed, second_plane, directory, listens=port, reached=port, periods=PERIODS) as pair:
        yield pair


@pytest_asyncio.fixture(loop_scope="module")
async def story(pair: Pair) -> AsyncIterator[Story]:
    async with watched(pair):
        yield await begin_story(pair)


@pytest.mark.parametrize("storm", STORMS)
async def test_storms_in_both_clusters(pair: Pair, story: Story, storm: str) -> None:
    rules = [stage.proxy.add(STORMS[storm](stage.proxy)) for stage in (pair.reachable, pair.hidden)]
    await story.link()
    owner = story.here.now(story.owner)
    assert owner is not None
    target = f"200@{owner.status.sip_domain}"
    await story.there.until(lambda: story.there.dial(story.peer, "200").target == target, "200 is reached")
    await story.here.apply(number("200", story.owner.key.namespace, visibility="Private"))
    await story.there.until(lambda: story.there.dial(story.peer, "200").target is None, "200 is private")
    assert len(story.redemptions()) == 1
    await story.end()
    assert all(rule.hits for rule in rules)
