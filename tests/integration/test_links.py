"""The happy story and its neighbours: what users of linked accounts see, and how many writes it takes."""

from __future__ import annotations

import pytest

from builders import interlink
from integration.harness import Stage, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_three_offices(world: World) -> None:
    a = await world.office("a", "201")
    b = await world.office("b", "301")
    c = await world.office("c", "401")
    to_b, to_c = interlink("to-b", "a", a.key.namespace), interlink("to-c", "a", a.key.namespace)
    from_b = interlink("to-a", "a", b.key.namespace, redeem="from-a")
    from_c = interlink("to-a", "a", c.key.namespace, redeem="from-a")

    await world.offer_key(to_b, from_b)
    grey = world.now(to_b)
    assert grey is not None
    assert (grey.status.state, grey.status.gate) == ("Pending", "Closed")
    await world.apply(from_b)
    await world.green(to_b, from_b)
    await world.join(to_c, from_c)

    await world.reaches(a, "301", b)
    await world.reaches(b, "201", a)
    await world.reaches(a, "401", c)
    await world.reaches(c, "201", a)
    assert world.dial(b, "401").outcome == "NoMatch"
    assert world.dial(c, "301").outcome == "NoMatch"

    ids = [now.status.link_id for link in (to_b, from_b) if (now := world.now(link))]
    assert len(set(ids)) == 1

    await world.delete(to_b)
    await world.gone(to_b, from_b)
    await world.until(lambda: world.dial(a, "301").outcome == "NoMatch", "301 is not dialled any more")
    assert world.dial(b, "201").outcome == "NoMatch"
    await world.reaches(a, "401", c)
