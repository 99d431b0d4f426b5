"""What is measured of links, changes and restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.figures import Spread, writes
from benchmark.observer import Condition, absent, established, ready
from benchmark.stage import Operator
from benchmark.topology import Hub, Pair, issuer_manifest, number_name, redeemer_manifest
from benchmark.world import Costs, World, each, place
from pbx_operator.api.meta import RECONCILE_ANNOTATION
from pbx_operator.api.v1alpha1 import Interlink, InternalNumber

IN_THE_MAKING = 64
"""Links that are under way at a time while links per second are measured."""
ENDING = 16
"""Links that are ended at a time."""
FLIPS = 30
"""Flips per fan-out."""
FLIPPED_NUMBERS = 10


@dataclass(frozen=True, slots=True)
class Build:
    """Many links made at once."""

    links: int
    seconds: float
    costs: Costs


@dataclass(frozen=True, slots=True)
class Singles:
    """Links made one after another, while others exist, and ended again."""

    seconds: Spread
    costs: Costs
    ending: Costs

    @property
    def links(self) -> int:
        """How many were made."""
        return len(self.seconds.samples)


@dataclass(frozen=True, slots=True)
class Flips:
    """Numbers of an account with so many peers made Private."""

    fan_out: int
    last: Spread
    """Seconds until the last affected slice was written."""
    every: Spread
    """Seconds until each affected slice was written."""
    costs: Costs
    """Of the flips and of as many flips back."""

    @property
    def changes(self) -> int:
        """How many changes the costs are of."""
        return 2 * len(self.last.samples)


@dataclass(frozen=True, slots=True)
class ColdStart:
    """A start with everything as it was when the operator ended."""

    settled: float
    """Seconds from the start of the process until no work was left."""
    reacted: float
    """Seconds from the start of the process until a change made after that was answered."""
    writes: int
    """The operator's writes other than Events, without the answer to that change."""
    peak_memory: int
    """Bytes."""


async def build(world: World, operator: Operator, pairs: Sequence[Pair]) -> Build:
    """Make all links; a redeemer is created as soon as its issuer shows that the key is there."""

    async def link(pair: Pair) -> None:
        await world.client.create(Interlink.resource, issuer_manifest(pair))
        await world.interlinks.until(pair.issuing, ready, "ready")
        await world.client.create(Interlink.resource, redeemer_manifest(pair))
        await _linked(world, pair)

    before, begin = await world.spent(operator), time.perf_counter()
    await each(pairs, link, IN_THE_MAKING)
    seconds = time.perf_counter() - begin
    return Build(len(pairs), seconds, await world.spent(operator) - before)


async def singles(world: World, operator: Operator, pairs: Sequence[Pair]) -> Singles:
    """Make links one at a time, both Interlinks applied together; then end them from the issuers' side."""
    before, seconds = await world.spent(operator), []
    for pair in pairs:
        await world.client.create(Interlink.resource, issuer_manifest(pair))
        await world.client.create(Interlink.resource, redeemer_manifest(pair))
        applied = time.perf_counter()
        seconds.append(max(await _linked(world, pair) - applied, 0.0))
    made = await world.spent(operator)

    async def end(pair: Pair) -> None:
        await world.client.delete(Interlink.resource, place(pair.issuing))
        for name in (pair.issuing, pair.redeeming):
            await world.interlinks.until(name, absent, "gone")

    await each(pairs, end, ENDING)
    return Singles(Spread.of(seconds), made - before, await world.spent(operator) - made)


async def flips(world: World, operator: Operator, hub: Hub) -> Flips:
    """Make numbers of a hub Private and Shared again, and wait for all affected slices each time."""
    last: list[float] = []
    every: list[float] = []
    before = await world.spent(operator)
    for turn in range(FLIPS):
        name = number_name(hub.account, turn % FLIPPED_NUMBERS)
        moments = await _flip(world, hub, name, "Private")
        every += moments
        last.append(max(moments))
        await _flip(world, hub, name, "Shared")
    return Flips(len(hub.pairs), Spread.of(last), Spread.of(every), await world.spent(operator) - before)


async def cold_start(world: World, keys: int, link: str) -> ColdStart:
    """Start the operator with nothing to do; then change the link to see it react.

    An earlier start catches up with what the last operator had put off, such as counters.
    """
    token = "cold-start"

    def answered(found: dict[str, Any] | None) -> bool:
        return found is not None and found["status"].get("lastHandledReconcileAt") == token

    async with Operator.start(world.plane) as operator:
        await operator.settled(keys)
    before = await world.calls()
    async with Operator.start(world.plane) as operator:
        settled = await operator.settled(keys)
        change = {"metadata": {"annotations": {RECONCILE_ANNOTATION: token}}}
        await world.client.patch(Interlink.resource, place(link), change)
        reacted = await world.interlinks.until(link, answered, "looked at")
        peak = operator.peak_memory
    written = writes(await world.calls() - before) - 1
    return ColdStart(settled - operator.started, reacted - operator.started, written, peak)


async def _linked(world: World, pair: Pair) -> float:
    """Wait until both sides show the link; return when the later one did."""
    waiting = (world.interlinks.until(name, established, "established") for name in (pair.issuing, pair.redeeming))
    return max(await asyncio.gather(*waiting))


async def _flip(world: World, hub: Hub, name: str, visibility: str) -> list[float]:
    """Change a number's visibility; return the seconds until each affected slice was written."""
    changed = await world.client.patch(InternalNumber.resource, place(name), {"spec": {"visibility": visibility}})
    begin = time.perf_counter()
    number, shared = changed["spec"]["number"], visibility == "Shared"
    own = world.slices.until(f"{hub.account}.own", _offers(number, shared), "written")
    peers = (world.slices.until(f"{p.redeeming}.plain", _has_row(number, shared), "written") for p in hub.pairs)
    moments = await asyncio.gather(own, *peers)
    await world.numbers.until(name, ready, "looked at")
    return [max(moment - begin, 0.0) for moment in moments]


def _offers(number: str, wanted: bool) -> Condition:
    """Ask whether an account's own slice says that the number is offered, or that it is not."""
    offered = "All" if wanted else "None"

    def asked(found: dict[str, Any] | None) -> bool:
        return any(row["number"] == number and row["offered"] == offered for row in _rows(found))

    return asked


def _has_row(number: str, wanted: bool) -> Condition:
    """Ask whether a slice has the number, or that it has not."""

    def asked(found: dict[str, Any] | None) -> bool:
        return found is not None and any(row["number"] == number for row in _rows(found)) == wanted

    return asked


def _rows(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = found["spec"].get("rows", []) if found is not None else []
    return rows
