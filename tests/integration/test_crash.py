"""The operator dies at every write of the story of a link, and the story ends as if it had not.

The writes are those of an undisturbed run.  At each of them the process is killed before the write is sent, after
it landed but before the answer came, and after the answer; then a new process takes over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import pytest

from builders import interlink
from faultproxy import Call, Fault
from integration.harness import Stage, World
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink

pytestmark = pytest.mark.asyncio(loop_scope="module")

Moment = Literal["before-send", "after-send", "after-reply"]


def in_story(world: World) -> Callable[[Call], bool]:
    """Match the writes to Interlinks, Secrets and records; only one story runs at a time."""
    kinds = ("interlinks", "secrets", "linkrecords")
    return lambda call: call.is_write and call.resource in kinds and call.namespace in ("", *world.namespaces)


@dataclass
class Story:
    """Issue, establish, end; after each chapter what everybody can see is noted."""

    world: World
    chapters: list[dict[str, Any]] = field(default_factory=list)

    async def tell(self) -> None:
        world = self.world
        a, b = f"{world.name}-a", f"{world.name}-b"
        issuer, redeemer = interlink("x", "a", a), interlink("y", "a", b, redeem="key")
        await world.offer_key(issuer, redeemer)
        await self.note(issuer)
        await world.apply(redeemer)
        await world.green(issuer, redeemer)
        spent = ObjectKey(a, "x-key")
        await world.until(lambda: world.raw(SECRETS, spent) is None, "the spent Secret is deleted")
        await self.note(issuer, redeemer)
        await world.delete(issuer)
        await world.gone(issuer, redeemer)
        await self.note()

    async def note(self, *links: Interlink) -> None:
        seen = self.world.stage.observer
        secrets = {raw["metadata"]["name"] for raw in seen.raws("secrets") if self._ours(raw)}
        records = [(r.spec.state, r.spec.end and (r.spec.end.by, r.spec.end.reason)) for r in self.world.records()]
        shown = {link.metadata.name: self._shown(link) for link in links}
        self.chapters.append({"secrets": secrets, "records": records, "links": shown})

    def _ours(self, raw: dict[str, Any]) -> bool:
        return raw["metadata"]["namespace"] in self.world.namespaces

    def _shown(self, link: Interlink) -> object:
        now = self.world.now(link)
        assert now is not None
        conditions = {(c.type, c.status, c.reason) for c in now.status.conditions}
        facts = now.status.model_dump(include={"state", "gate", "role", "key_revision", "key_secret_name", "ended"})
        return conditions, facts, now.metadata.finalizers


async def told(world: World, fault: Fault | None = None) -> Story:
    """Tell a story to its end, with a fault or undisturbed."""
    await world.office("a")
    await world.office("b")
    await world.stage.settle()
    world.stage.proxy.journal.clear()
    if fault is not None:
        world.stage.proxy.add(fault)
    story = Story(world)
    await story.tell()
    if fault is not None:
        await fault.hit()
    world.stage.proxy.clear()
    return story


async def crash(stage: Stage) -> None:
    """Kill the operator and start it again, as its node or its Deployment would."""
    stage.operator.kill()
    await stage.operator.ended()
    stage.start()


@pytest.mark.parametrize("moment", ["before-send", "after-send", "after-reply"])
async def test_a_crash_at_any_write_changes_nothing(stage: Stage, moment: Moment) -> None:
    undisturbed = await told(stage.world("undisturbed"))
    await stage.settle()
    writes = stage.proxy.journal.select(in_story(undisturbed.world))
    assert len(writes) >= 13
    for nth, write in enumerate(writes, start=1):
        world = stage.world(f"crash-{moment}")
        then: Literal["proceed", "drop"] = "proceed" if moment == "after-reply" else "drop"
        fault = Fault(in_story(world), nth=nth, at=moment, do=partial(crash, stage), then=then)
        story = await told(world, fault)
        for crashed, expected in zip(story.chapters, undisturbed.chapters, strict=True):
            assert crashed == expected, f"after a crash {moment} write {nth}, which was {fault.hits[0]} ({write})"
        assert not stage.observer.problems
