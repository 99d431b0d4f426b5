"""The issuer's etcd goes back to before the redemption: the redeemer's receipt heals the link, and nobody else wins."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from integration.conftest import ready_plane
from integration.harness import World, open_stage
from integration.test_exchange import Rival, until_answered
from integration.two_clusters import Pair, Story, begin_story
from pbx_operator.domain.protocol.keys import parse_key
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.components import ComponentName
from pbx_operator.sandbox.ports import unused_port
from support import kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVERS: tuple[ComponentName, ...] = ("etcd", "kube-apiserver", "kube-controller-manager")
issuing_plane = pytest.fixture(ready_plane, scope="module")


@dataclass
class Clusters:
    """The issuer's cluster, of which backups are made, and the redeemer's, which goes on all the time."""

    issuing: ControlPlane
    pair: Pair
    directory: Path

    @asynccontextmanager
    async def issuer(self, *options: str) -> AsyncIterator[Pair]:
        """Look at the issuer's cluster while its operator runs there."""
        place = self.directory / f"reachable-{len(list(self.directory.iterdir()))}"
        place.mkdir()
        async with open_stage(self.issuing, place) as stage:
            await stage.observer.ready()
            self.pair.reachable = stage
            stage.start(*self.pair.endpoint, *options)
            yield self.pair
            await stage.stop()

    def backup(self) -> Path:
        """Copy what etcd keeps, while it does not run."""
        copy = self.directory / "backup"
        self._end()
        shutil.copytree(self._etcd, copy)
        self._begin()
        return copy

    def restore(self, copy: Path) -> None:
        """Put the copy in place of what etcd keeps."""
        self._end()
        shutil.rmtree(self._etcd)
        shutil.copytree(copy, self._etcd)
        self._begin()

    @property
    def _etcd(self) -> Path:
        return self.issuing.data_dir / "etcd"

    def _end(self) -> None:
        for server in reversed(SERVERS):
            self.issuing.stop_component(server)

    def _begin(self) -> None:
        for server in SERVERS:
            self.issuing.start_component(server)


@pytest_asyncio.fixture(loop_scope="module")
async def clusters(issuing_plane: ControlPlane, second_plane: ControlPlane, tmp_path: Path) -> AsyncIterator[Clusters]:
    port = unused_port()
    endpoint = ("--exchange-endpoint", f"https://localhost:{port}", "--exchange-port", str(port))
    (tmp_path / "hidden").mkdir()
    async with open_stage(second_plane, tmp_path / "hidden") as hidden:
        await hidden.observer.ready()
        pair = Pair(hidden, hidden, endpoint, {})
        pair.start_redeemer()
        yield Clusters(issuing_plane, pair, tmp_path)


def seen_again(story: Story, pair: Pair) -> None:
    """Go on with the issuer's world on the stage as it is now."""
    here = World(pair.reachable, story.here.name)
    here.namespaces = story.here.namespaces
    pair.reachable.observer.namespaces.update(here.namespaces)
    story.here = here


async def test_a_backup_from_before_the_redemption_heals(clusters: Clusters) -> None:
    async with clusters.issuer() as pair:
        story = await begin_story(pair)
        bundle = parse_key(await story.offer())
    copy = clusters.backup()
    async with clusters.issuer() as pair:
        seen_again(story, pair)
        await story.there.apply(story.redeemer)
        await story.green()
    clusters.restore(copy)
    states = kubectl(clusters.issuing, "get", "linkrecords", "-o", "jsonpath={.items[*].spec.state}")
    assert states == "Issued"
    async with clusters.issuer("--after-restore") as pair:
        seen_again(story, pair)
        assert bundle.issuer is not None
        answer = await until_answered(Rival(1), bundle, bundle.issuer.contact)
        assert answer.result in ("Busy", "Used")
        await story.here.until(lambda: [r.spec.state for r in story.here.records()] == ["Established"], "it has healed")
        await story.green()
        authority, replica = story.records()
        assert authority.spec.redeemer is not None
        assert replica.spec.redeemer is not None
        assert authority.spec.redeemer.link_id == replica.spec.redeemer.link_id
        late = await until_answered(Rival(2), bundle, bundle.issuer.contact)
        assert late.result == "Used"
