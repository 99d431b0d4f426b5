"""The API server refuses and forgets to answer, watches break and lose events; the story ends well all the same."""

from __future__ import annotations

import pytest

import builders
from builders import interlink
from faultproxy import Answer, EventDrop, Fault, Hold, events, writes
from integration.harness import Stage, World, number
from integration.storms import PERIODS, STORMS
from pbx_operator.api.v1alpha1 import Interlink

pytestmark = pytest.mark.asyncio(loop_scope="module")


def issuer(world: World) -> Interlink:
    return interlink("x", "a", f"{world.name}-a")


def redeemer(world: World) -> Interlink:
    return interlink("y", "a", f"{world.name}-b", redeem="key")


async def whole_story(world: World) -> None:
    """Link, dial, change a number, end: to be told under all circumstances."""
    a, b = await world.office("a", "201"), await world.office("b", "301")
    await world.join(issuer(world), redeemer(world))
    await world.reaches(b, "201", a)
    await world.apply(number("201", a.key.namespace, visibility="Private"))
    await world.until(lambda: world.dial(b, "201").outcome == "NoMatch", "201 is private")
    await world.delete(redeemer(world))
    await world.gone(issuer(world), redeemer(world))
    (record,) = world.records()
    assert record.spec.redeemer is not None
    assert record.spec.state == "Ended"
    await world.delete(a, b)
    await world.gone(a, b)


@pytest.mark.parametrize("storm", STORMS)
async def test_storms(stage: Stage, world: World, storm: str) -> None:
    rule = stage.proxy.add(STORMS[storm](stage.proxy))
    await whole_story(world)
    assert rule.hits


async def test_a_lost_deletion_is_found(stage: Stage, world: World) -> None:
    await world.office("a")
    await world.office("b")
    await world.join(issuer(world), redeemer(world))
    lost = EventDrop(events(resource="interlinks", namespace=f"{world.name}-a"), times=None)
    stage.proxy.add(lost)
    await world.delete(issuer(world))
    await world.gone(issuer(world), redeemer(world))


async def test_healthz_fails_while_the_watches_are_behind(stage: Stage, world: World) -> None:
    """A supervisor restarts an operator whose watches are stuck; until then it works from its lists."""
    await world.office("a")
    stage.proxy.hold_events()
    for digits in map(str, range(200, 300)):
        await world.apply(number(digits, f"{world.name}-a"))
        await world.ready(number(digits, f"{world.name}-a"), "Serving")
        if (await stage.operator.answers("/healthz"))[0] != 200:
            break
    assert (await stage.operator.answers("/healthz"))[0] == 500
    stage.proxy.release_events()
    await stage.settle()


async def test_a_late_write_of_a_dead_process_cannot_redeem_again(stage: Stage, world: World) -> None:
    """The swap of a process that died arrives after its successor has made another decision."""
    await world.office("a")
    await world.office("b")
    await world.offer_key(issuer(world), redeemer(world))
    hold = Hold()
    late = stage.proxy.add(Fault(writes(resource="linkrecords", method="PUT"), do=hold))
    await world.apply(redeemer(world))
    await hold.reached.wait()
    stage.operator.kill()
    await stage.operator.ended()
    await world.delete(redeemer(world))
    stage.start(periods=PERIODS)
    await world.gone(redeemer(world))
    hold.release()
    await late.hit()
    await stage.settle()
    (record,) = world.records()
    assert (record.spec.state, len(record.spec.fences)) == ("Issued", 1)
    assert world.shows(issuer(world), "Ready") == ("True", "KeyIssued")


async def test_one_broken_object_does_not_block_the_others(stage: Stage, world: World) -> None:
    """The writes about one object always fail; everything else goes on."""
    a, b = await world.office("a", "201"), await world.office("b", "301")
    bad = number("999", a.key.namespace)
    stage.proxy.add(Fault(writes(resource="internalnumbers", name="n999"), times=None, then=Answer(500)))
    hopeless = interlink("hopeless", "a", a.key.namespace)
    stage.proxy.add(Fault(writes(resource="interlinks", name="hopeless"), times=None, then=Answer(403)))
    await world.apply(bad, hopeless)
    await world.join(issuer(world), redeemer(world))
    await world.reaches(b, "201", a)
    c = builders.account("c", a.key.namespace)
    await world.apply(c)
    await world.ready(c, "Serving")
    await world.stage.operator.says("interlinks", "hopeless", "403")
    stage.proxy.clear()
    await world.ready(bad, "Serving")
    await world.ready(hopeless, "KeyIssued")
