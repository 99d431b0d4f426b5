"""Steps of many CommServers at once: those at the API server of this cluster take turns."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

from builders import NOW
from pbx_operator.api.meta import ResourceType
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import Gone
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.servers import ServerWork
from pbx_operator.engine.steps import StepRunner
from pbx_operator.engine.store import Store
from server_builders import commserver

WORKERS = 3
RAINBOW = {
    "type": "Rainbow",
    "rainbow": {
        "company": "Acme",
        "credentialsSecretRef": {"name": "login"},
        "applicationSecretRef": {"name": "application"},
    },
}


class Bench:
    """CommServers, and an API server that answers when it is told to."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.waiting, self.most, self.over = 0, 0, 0
        self.memory, self.store = Memory(), Store("pbx.example", Scope("here"))
        cluster, providers, intake = mock.Mock(), mock.Mock(), mock.Mock()
        cluster.get = self.get
        providers.return_value.observe = mock.AsyncMock(return_value=None)
        intake.server_stepped = self.ended
        runner = StepRunner(self.memory, lambda: NOW, lambda: 0.0, Errands(workers=1))  # which waits for no step
        parts = (cluster, providers, self.store, intake, self.memory, lambda: NOW, runner, mock.Mock())
        self.work = ServerWork(*parts, address={}, workers=WORKERS)

    async def get(self, resource: ResourceType, key: object) -> dict[str, Any]:
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.answers.wait()
        self.waiting -= 1
        raise Gone("no Secret", status=404)

    def ended(self, target: object) -> None:
        self.over += 1

    async def look(self, *servers: CommServer) -> None:
        """Begin a look for each of these, and let all go on as far as they can."""
        for server in servers:
            metadata = {"name": server.key.name, "namespace": server.key.namespace, "uid": server.metadata.uid}
            self.store.servers.put({"metadata": {**metadata, "resourceVersion": "1"}, "spec": server.spec.to_json()})
            await self.work.begin(server.key, "look")
        await self.pause()

    @staticmethod
    async def pause() -> None:
        for _ in range(100):
            await asyncio.sleep(0)


async def test_as_many_go_at_a_time_as_there_are_workers() -> None:
    bench = Bench()
    await bench.look(*(commserver(f"pbx-{n}") for n in range(10)))
    assert bench.waiting == WORKERS
    bench.answers.set()
    await bench.pause()
    assert (bench.over, bench.most) == (10, WORKERS)


async def test_a_provider_outside_keeps_nobody_from_their_turn() -> None:
    bench = Bench()
    await bench.look(*(commserver(f"outside-{n}", provider=RAINBOW) for n in range(5)))
    assert bench.waiting == 5
    await bench.look(commserver("here"))
    assert bench.waiting == 6
    bench.answers.set()
    await bench.pause()
    assert bench.over == 6
