"""Many want one key, and two operators work side by side: a key is redeemed once, whoever else tries."""

from __future__ import annotations

import asyncio

import pytest

import builders
from builders import interlink
from faultproxy import Fault, writes
from integration.harness import Stage, World
from integration.reason_stories import expect, shows
from pbx_operator.api import reasons
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.domain.records.facts import interlink_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
RIVALS = 50


async def rivals_for_one_key(world: World) -> list[Interlink]:
    """Let many accounts enter one key at the same time; return their Interlinks."""
    a = await world.office("a")
    crowd = await world.namespace("crowd")
    accounts = [builders.account(f"r{n}", crowd) for n in range(RIVALS)]
    await world.apply(*accounts)
    for account in accounts:
        await world.ready(account, "Serving")
    links = [interlink(f"y{n}", f"r{n}", crowd, redeem="key") for n in range(RIVALS)]
    await world.offer_key(interlink("x", "a", a.key.namespace), links[0])
    await asyncio.gather(*(world.apply(link) for link in links))
    return links


async def expect_one_winner(world: World, links: list[Interlink]) -> None:
    def decided() -> bool:
        answers = [world.shows(link, "Ready") for link in links]
        return all(a in (("True", "Established"), ("False", "KeyAlreadyUsed")) for a in answers)

    await world.until(decided, "everybody has an answer")
    winners = [link for link in links if world.shows(link, "Ready") == ("True", "Established")]
    assert len(winners) == 1
    (record,) = world.records()
    assert record.spec.redeemer is not None
    assert record.spec.redeemer.interlink.name == winners[0].metadata.name
    await world.green(interlink("x", "a", f"{world.name}-a"))


async def test_fifty_rivals_and_one_winner(world: World) -> None:
    await expect_one_winner(world, await rivals_for_one_key(world))


@shows(reasons.ENDED_AS_DUPLICATE)
async def test_two_keys_join_one_pair_at_the_same_time(stage: Stage, world: World) -> None:
    """Both redemptions are decided before either is written, so both succeed; one link stays, and all objects."""
    a, b = await world.office("a"), await world.office("b")
    ours = interlink("x", "a", a.key.namespace), interlink("y", "a", b.key.namespace, redeem="key")
    theirs = interlink("x2", "a", b.key.namespace), interlink("y2", "a", a.key.namespace, redeem="key2")
    await world.offer_key(*ours)
    await world.offer_key(*theirs)
    barrier = asyncio.Barrier(2)
    swaps = stage.proxy.add(Fault(writes(resource="linkrecords", method="PUT"), times=2, do=barrier.wait))
    await world.apply(ours[1], theirs[1])

    def decided() -> bool:
        return sorted(r.spec.state for r in world.records()) == ["Ended", "Established"]

    await world.until(decided, "one of the links has ended")
    assert len(swaps.hits) == 2
    kept = next(r.spec.redeemer.link_id for r in world.records() if r.spec.state == "Established" and r.spec.redeemer)
    assert kept == min(r.spec.redeemer.link_id for r in world.records() if r.spec.redeemer)
    winner, loser = (ours, theirs) if kept == link_id_of(world, ours[0]) else (theirs, ours)
    await world.green(*winner)
    for link in loser:
        await expect(world, link, reasons.ENDED_AS_DUPLICATE, "older", "delete", "new key")
    await stage.settle()
    assert all(world.now(link) is not None for link in (*ours, *theirs))


def link_id_of(world: World, link: Interlink) -> str | None:
    record = next(r for r in world.records() if (i := interlink_of(r.spec, "issuer")) and i.key == link.key)
    return record.spec.redeemer.link_id if record.spec.redeemer else None


@pytest.fixture
def second_operator(stage: Stage) -> Stage:
    """Start another operator beside the first, as a botched rollout does."""
    stage.start()
    return stage


async def test_fifty_rivals_and_two_operators(second_operator: Stage, world: World) -> None:
    await expect_one_winner(world, await rivals_for_one_key(world))
    await finish(second_operator)


async def test_two_operators_agree(second_operator: Stage, world: World) -> None:
    """The observer checks that no key is redeemed twice; in the end neither has anything to write any more."""
    await world.office("a", "201")
    await world.office("b", "301")
    issuers = [interlink(f"x{n}", f"c{n}", f"{world.name}-a") for n in range(10)]
    redeemers = [interlink(f"y{n}", "a", f"{world.name}-b", redeem=f"key{n}") for n in range(10)]
    await world.apply(*(builders.account(f"c{n}", f"{world.name}-a") for n in range(10)))
    await asyncio.gather(*(world.join(i, r) for i, r in zip(issuers, redeemers, strict=True)))
    assert [r.spec.state for r in world.records()] == ["Established"] * 10
    await second_operator.settle()
    second_operator.proxy.journal.clear()
    await world.apply(*issuers, *redeemers)
    await second_operator.settle()
    counters = [c for c in world.writes() if c.resource == "pbxaccounts"]
    assert [c for c in world.writes() if c not in counters] == []
    await world.delete(*issuers[:5], *redeemers[5:])
    await world.gone(*issuers, *redeemers)
    assert {r.spec.state for r in world.records()} == {"Ended"}
    await finish(second_operator)


async def finish(stage: Stage) -> None:
    stage.operator.kill()
    await stage.operator.ended()
