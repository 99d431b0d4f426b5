"""Two clusters with an operator each: the issuer's can be reached, the redeemer's cannot, as behind NAT."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builders import interlink
from faultproxy import Call
from integration.harness import Stage, World, open_stage
from pbx_operator.api.meta import RECONCILE_ANNOTATION
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.cluster import Gone
from pbx_operator.sandbox import ControlPlane

DIALS = ("--allow-network", "127.0.0.0/8", "--allow-network", "::1/128", "--sync-interval", "1")

PERIODS = {"syncs": 1.0}


@dataclass
class Pair:
    """The issuer's cluster, which can be reached, and the redeemer's, which cannot."""

    reachable: Stage
    hidden: Stage
    endpoint: tuple[str, ...]
    periods: dict[str, float]
    """Shorter periods of both operators, see `launcher`."""

    def start(self) -> None:
        self.start_issuer()
        self.start_redeemer()

    def start_issuer(self) -> None:
        self.reachable.start(*DIALS, *self.endpoint, periods=self.periods)

    def start_redeemer(self) -> None:
        self.hidden.start(*DIALS, periods=self.periods)

    async def crash_issuer(self) -> None:
        """Kill the issuer's operator and start it again, as its node would."""
        self.reachable.operator.kill()
        await self.reachable.operator.ended()
        self.start_issuer()

    async def crash_redeemer(self) -> None:
        """Kill the redeemer's operator and start it again, as its node would."""
        self.hidden.operator.kill()
        await self.hidden.operator.ended()
        self.start_redeemer()

    async def settle(self) -> None:
        await self.reachable.settle()
        await self.hidden.settle()


@asynccontextmanager
async def open_pair(
    first: ControlPlane,
    second: ControlPlane,
    directory: Path,
    *,
    listens: int,
    reached: int,
    periods: dict[str, float] | None = None,
) -> AsyncIterator[Pair]:
    """Start an operator on each control plane; the issuer's listens on one port and is reached at another."""
    endpoint = ("--exchange-endpoint", f"https://localhost:{reached}", "--exchange-port", str(listens))
    places = [directory / name for name in ("reachable", "hidden")]
    for place in places:
        place.mkdir()
    async with open_stage(first, places[0]) as reachable, open_stage(second, places[1]) as hidden:
        pair = Pair(reachable, hidden, endpoint, PERIODS | (periods or {}))
        for stage in (reachable, hidden):
            await stage.observer.ready()
        pair.start()
        yield pair


@dataclass
class Story:
    """A link between a number 200 here and a number 300 there."""

    here: World
    there: World
    issuer: Interlink
    redeemer: Interlink
    owner: PBXAccount
    peer: PBXAccount

    async def link(self) -> str:
        """Tell the story until both sides are green; return the key."""
        text = await self.offer()
        await self.there.apply(self.redeemer)
        await self.green()
        return text

    async def offer(self) -> str:
        """Issue a key and carry it over; return it."""
        await self.here.apply(self.issuer)
        await self.here.ready(self.issuer, "KeyIssued")
        text = await self.here.key_of(self.issuer)
        await self.there.put_key(self.redeemer.key.namespace, "key", text)
        return text

    async def green(self) -> None:
        await self.here.green(self.issuer)
        await self.there.green(self.redeemer)

    async def end(self) -> None:
        """Delete both Interlinks, if they are still there, and let both sides forget them, as they do after a day.

        Until then the redeemer would repeat the end of a link that the issuer never had.
        """
        sides = ((self.here, self.issuer), (self.there, self.redeemer))
        for world, link in sides:
            with suppress(Gone):
                await world.delete(link)
        for world, link in sides:
            await world.gone(link)
        await self.there.until(partial(knows_end, self.there), "the redeemer has nothing left to say")
        for record in self.there.records():
            await self.there.delete(record)
            await self.there.gone(record)

    async def end_is_known(self) -> None:
        """Wait until each side knows that the other has heard of the end."""
        for world in (self.here, self.there):
            await world.until(partial(knows_end, world), "it is known that the peer knows the end")

    async def forget(self) -> None:
        """Let the issuer's cluster lose the link and its record, as if it came from an old backup."""
        (record,) = self.here.records()
        for forgotten in (record, self.issuer):
            await self.here.delete(forgotten)
            await self.here.release(forgotten)
            await self.here.gone(forgotten)

    async def hurry(self, token: str = "now") -> None:
        """Ask the redeemer to try again at once, as its user can."""
        patch = {"metadata": {"annotations": {RECONCILE_ANNOTATION: token}}}
        await self.there.stage.api.cluster.patch(self.redeemer.resource, self.redeemer.key, patch)

    def records(self) -> list[LinkRecord]:
        return [*self.here.records(), *self.there.records()]

    def redemptions(self) -> list[Call]:
        """Return the writes by which the issuer's side gave away the key."""
        swaps = self.here.writes(resource="linkrecords", method="PUT", subresource="")
        return [call for call in swaps if call.landed and call.json()["spec"]["state"] == "Established"]


async def begin_story(pair: Pair) -> Story:
    here, there = pair.reachable.world("fed"), pair.hidden.world("fed")
    owner, peer = await here.office("a", "200"), await there.office("b", "300")
    return Story(
        here,
        there,
        interlink("x", "a", owner.key.namespace),
        interlink("y", "a", peer.key.namespace, redeem="key"),
        owner,
        peer,
    )


@asynccontextmanager
async def watched(pair: Pair) -> AsyncIterator[None]:
    """Undo the faults in the end; nothing that anybody saw meanwhile may have broken a rule."""
    yield
    problems: list[str] = []
    for stage in (pair.reachable, pair.hidden):
        stage.proxy.clear()
        problems += stage.observer.problems
        stage.observer.problems = []
    assert not problems, "\n".join(problems)


def knows_end(world: World) -> bool:
    """Whether the side that keeps these records knows that its peer has heard of their ends."""
    return all(r.status.peer_knows == "End" for r in world.records())
