"""One size from an empty control plane to a cold start: every figure of one column of the page."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.measures import Build, ColdStart, Flips, Singles, build, cold_start, flips, singles
from benchmark.rates import Rates, measure_rates
from benchmark.stage import Operator, control_plane
from benchmark.topology import Hub, Topology, free_pairs, hub
from benchmark.world import World, each

FAN_OUTS = (1, 20, 100)
SINGLES = 100
SETTING_UP = 8
"""Accounts that are set up at a time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of one topology."""

    topology: Topology
    rates: Rates
    build: Build
    singles: Singles
    flips: tuple[Flips, ...]
    cold_start: ColdStart


async def run(topology: Topology) -> Result:
    """Measure one topology on a control plane of its own."""
    hubs = [found for fan_out in FAN_OUTS if (found := hub(topology, fan_out)) is not None]
    with control_plane() as plane:
        _tell(topology, "writing LinkRecords")
        rates = await measure_rates(plane)
        async with World.open(plane) as world:
            async with Operator.start(plane) as operator:
                await _add_accounts(world, topology, hubs)
                _tell(topology, "making links")
                built = await build(world, operator, topology.pairs)
                await build(world, operator, [pair for one in hubs for pair in one.pairs])
                _tell(topology, "making links one at a time")
                single = await singles(world, operator, free_pairs(topology, hubs, SINGLES))
                _tell(topology, "flipping numbers")
                flipped = [await flips(world, operator, one) for one in hubs]
            _tell(topology, "starting anew")
            keys = len(world.accounts) + len(world.interlinks)
            cold = await cold_start(world, keys, topology.pairs[0].issuing)
    return Result(topology, rates, built, single, tuple(flipped), cold)


async def _add_accounts(world: World, topology: Topology, hubs: Sequence[Hub]) -> None:
    names = (*topology.accounts, *(one.account for one in hubs))
    _tell(topology, f"setting up {len(names)} accounts")

    async def add(account: tuple[int, str]) -> None:
        await world.add_account(*account, topology.numbers)

    await each(enumerate(names), add, SETTING_UP)


def _tell(topology: Topology, doing: str) -> None:
    _log.info("%s: %s", topology.title, doing)
