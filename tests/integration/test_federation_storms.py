"""The API servers of two clusters refuse, forget and fall silent; a link between them comes and goes all the same."""

from __future__ import annotations

import pytest

from integration import storms
from integration.harness import number
from integration.two_clusters import Pair, Story

pytestmark = pytest.mark.asyncio(loop_scope="module")
PERIODS = storms.PERIODS


@pytest.mark.parametrize("storm", storms.STORMS)
async def test_storms_in_both_clusters(pair: Pair, story: Story, storm: str) -> None:
    rules = [stage.proxy.add(storms.STORMS[storm](stage.proxy)) for stage in (pair.reachable, pair.hidden)]
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
