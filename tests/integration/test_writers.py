"""kopf brings the watch events and nothing else: whatever is written, our own client wrote it."""

from __future__ import annotations

import json

import pytest

from builders import interlink
from faultproxy import writes
from integration.api import Raw
from integration.harness import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_only_our_own_client_writes(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b", "301")
    issuer, redeemer = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    await world.join(issuer, redeemer)
    await world.stage.proxy.expire_watches()
    await world.delete(issuer)
    await world.gone(issuer, redeemer)
    await world.delete(a)
    await world.gone(a)
    await world.stage.settle()

    agents = {call.user_agent for call in world.stage.proxy.journal.calls}
    assert len(agents) == 2, agents
    assert {call.user_agent for call in world.stage.proxy.journal.select(writes())} == {"pbx-operator"}
    kopf = [c for c in world.stage.proxy.journal.calls if c.user_agent != "pbx-operator"]
    assert {call.method for call in kopf} == {"GET"}
    assert {call.verb for call in kopf if call.resource} == {"list", "watch"}

    for raw in versions(world):
        metadata = json.dumps([raw["metadata"].get(name) for name in ("annotations", "finalizers", "labels")])
        assert "kopf" not in metadata
        assert set(raw["metadata"].get("finalizers", [])) <= {"pbx-operator.io/teardown"}
        assert "kopf" not in json.dumps(raw["metadata"].get("managedFields"))


def versions(world: World) -> list[Raw]:
    """Return every version of every object of the world."""
    history = world.stage.observer.history
    return [raw for _, _, raw in history if raw["metadata"].get("namespace") in world.namespaces]
