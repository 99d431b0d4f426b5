"""How long nobody works when the operator ends: until its standby does what was declared at that moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmark.figures import Spread
from benchmark.observer import ready
from benchmark.stage import Operator, control_plane
from benchmark.topology import Pair, account_manifest, issuer_manifest
from benchmark.world import World
from pbx_operator.api.v1alpha1 import Interlink, PBXAccount
from pbx_operator.sandbox import ControlPlane

ROUNDS = 10
ACCOUNT = "office"
ENDS: dict[str, Callable[[Operator], Awaitable[None]]] = {"SIGTERM": Operator.end, "SIGKILL": Operator.kill}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Takeover:
    """How long it took by one kind of end."""

    signal: str
    seconds: Spread


async def takeovers() -> list[Takeover]:
    """End the one of two operators that works, again and again."""
    found = []
    with control_plane() as plane:
        async with World.open(plane) as world:
            await world.client.create(PBXAccount.resource, account_manifest(ACCOUNT))
            for signal, end in ENDS.items():
                _log.info("%d takeovers after %s", ROUNDS, signal)
                pairs = [Pair(ACCOUNT, f"{signal.lower()}-{number}") for number in range(ROUNDS)]
                found.append(Takeover(signal, Spread.of([await _takeover(plane, world, end, pair) for pair in pairs])))
    return found


async def _takeover(plane: ControlPlane, world: World, end: Callable[[Operator], Awaitable[None]], pair: Pair) -> float:
    async with Operator.start(plane, "--leader-elect") as active:
        await active.ready()
        async with Operator.start(plane, "--leader-elect") as standby:
            await standby.ready()
            begin = time.perf_counter()
            await end(active)
            await world.client.create(Interlink.resource, issuer_manifest(pair))
            return await world.interlinks.until(pair.issuing, ready, "ready") - begin
