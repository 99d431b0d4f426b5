"""The comparison with the API server's lists: what the watches missed is mended, and what is on its way is no fault."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from builders import INSTANCE, NAMESPACE, NOW, SUFFIX
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.cluster import Listing
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.intake import Intake
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.store import Store
from pbx_operator.engine.sync import LAG_SECONDS, Pruner
from simulation.api import JSON, Api
from simulation.process import Queue, ignore
from simulation.site import Direct

ACCOUNTS = PBXAccount.resource


class Lists(Direct):
    """The way to an API server that lists, too."""

    async def list(self, resource: ResourceType, namespace: str = "", *, metadata_only: bool = False) -> Listing:
        return self._api.list(resource)


class Bench:
    """A Store with one account, and an API server whose watches tell what `watch` brings while the comparison waits."""

    def __init__(self) -> None:
        self.api = Api(lambda: NOW, lambda resource, old, new: None)
        self.store = Store(SUFFIX, Scope(INSTANCE))
        self.intake = Intake(self.store, Queue(lambda: 0.0, accounts=True), Memory(), ignore)
        self.waited: list[float] = []
        self.watch: Callable[[], object] = lambda: None
        self.pruner = Pruner(Lists(self.api), self.store, self.intake, (), sleep=self.sleep)
        self.known = self.create("known")
        self.saw(self.known)

    async def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.watch()

    def create(self, name: str) -> JSON:
        body = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": {"country": "NL"}}
        return self.api.create(ACCOUNTS, body)

    def edit(self) -> JSON:
        return self.api.edit(ACCOUNTS, key_of(self.known), country="FR")

    def saw(self, raw: JSON) -> None:
        self.intake.saw(ACCOUNTS, raw)

    def told_of_the_end(self, raw: JSON) -> None:
        self.intake.deleted(ACCOUNTS, key_of(raw), raw["metadata"]["uid"])

    def versions(self) -> dict[str, str]:
        """Return what the Store knows."""
        return {key.name: m.resource_version for key, m in self.store.accounts.metadata().items()}


def key_of(raw: JSON) -> ObjectKey:
    return ObjectKey(raw["metadata"]["namespace"], raw["metadata"]["name"])


@pytest.fixture
def bench() -> Bench:
    return Bench()


def written(bench: Bench) -> Callable[[], object]:
    """Change what is known, and create something; return what the watches tell of it."""
    edited, created = bench.edit(), bench.create("new")

    def watch() -> None:
        bench.saw(edited)
        bench.saw(created)

    return watch


def deleted(bench: Bench) -> Callable[[], object]:
    bench.api.delete(ACCOUNTS, key_of(bench.known))
    return lambda: bench.told_of_the_end(bench.known)


def came_and_went(bench: Bench) -> Callable[[], object]:
    made = bench.create("short")

    def watch() -> None:
        bench.api.delete(ACCOUNTS, key_of(made))
        bench.saw(made)
        bench.told_of_the_end(made)

    return watch


@pytest.mark.parametrize("happens", [written, deleted, came_and_went])
async def test_what_the_watches_tell_soon_is_not_missed(
    bench: Bench, happens: Callable[[Bench], Callable[[], object]], caplog: pytest.LogCaptureFixture
) -> None:
    bench.watch = happens(bench)
    await bench.pruner.round()
    assert (bench.waited, bench.pruner.lagging, caplog.messages) == ([LAG_SECONDS], 0, [])


@pytest.mark.parametrize("happens", [written, deleted])
async def test_what_they_do_not_tell_is_mended_and_counted(
    bench: Bench, happens: Callable[[Bench], Callable[[], object]], caplog: pytest.LogCaptureFixture
) -> None:
    happens(bench)
    await bench.pruner.round()
    assert bench.versions() == {
        r["metadata"]["name"]: r["metadata"]["resourceVersion"] for r in bench.api.all(ACCOUNTS)
    }
    assert bench.pruner.lagging == 1
    assert "the watches had missed" in caplog.text
    bench.create("later")
    await bench.pruner.round()
    assert bench.pruner.lagging == 2
    await bench.pruner.round()
    assert bench.pruner.lagging == 0


async def test_watches_that_began_just_now_are_not_waited_for(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench.edit()
    await bench.pruner.round(began=True)
    assert (bench.waited, bench.pruner.lagging) == ([], 0)
    assert caplog.messages == ["the watches had missed 1 changes; mended"]


async def test_where_nothing_is_missing_nobody_waits(bench: Bench) -> None:
    await bench.pruner.round()
    assert (bench.waited, bench.pruner.lagging) == ([], 0)
