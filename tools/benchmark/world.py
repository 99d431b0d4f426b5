"""One control plane with a growing number of objects, as the measures see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmark.client import Client
from benchmark.figures import Calls, api_calls
from benchmark.observer import Observer, ready
from benchmark.stage import Operator, plane_cpu
from benchmark.topology import NAMESPACE, account_manifest, number_manifests
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import DialPlanSlice, Interlink, InternalNumber, PBXAccount
from pbx_operator.sandbox import ControlPlane

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Costs:
    """What was spent: the operator's calls, and CPU seconds of the operator, the control plane and the benchmark."""

    calls: Calls
    operator_cpu: float
    plane_cpu: float
    client_cpu: float

    def __sub__(self, earlier: Costs) -> Costs:
        return Costs(
            self.calls - earlier.calls,
            self.operator_cpu - earlier.operator_cpu,
            self.plane_cpu - earlier.plane_cpu,
            self.client_cpu - earlier.client_cpu,
        )


@dataclass(frozen=True, slots=True)
class World:
    """Everything within reach of a measure."""

    plane: ControlPlane
    client: Client
    accounts: Observer
    numbers: Observer
    interlinks: Observer
    slices: Observer

    @classmethod
    @asynccontextmanager
    async def open(cls, plane: ControlPlane) -> AsyncIterator[World]:
        """Connect, and watch all that the measures wait for."""
        async with (
            Client.connect(plane.kubeconfig) as client,
            Observer.open(client, PBXAccount.resource) as accounts,
            Observer.open(client, InternalNumber.resource) as numbers,
            Observer.open(client, Interlink.resource) as interlinks,
            Observer.open(client, DialPlanSlice.resource) as slices,
        ):
            yield cls(plane, client, accounts, numbers, interlinks, slices)

    async def calls(self) -> Calls:
        """Return the operator's calls so far: what the API server counted, less the benchmark's own writes."""
        return api_calls(await self.client.text("/metrics")) - self.client.writes

    async def spent(self, operator: Operator) -> Costs:
        """Return what was spent so far, once the operator has nothing left to do."""
        await operator.settled(0)
        return Costs(await self.calls(), operator.cpu, plane_cpu(self.plane), time.process_time())

    async def add_account(self, index: int, name: str, numbers: int) -> None:
        """Create an account with its numbers and wait until all of them are ready."""
        manifests = list(number_manifests(index, name, numbers))
        await self.client.create(PBXAccount.resource, account_manifest(name))
        for manifest in manifests:
            await self.client.create(InternalNumber.resource, manifest)
        await self.accounts.until(name, ready, "ready")
        for manifest in manifests:
            await self.numbers.until(manifest["metadata"]["name"], ready, "ready")


def place(name: str) -> ObjectKey:
    """Return where an object of a topology is."""
    return ObjectKey(NAMESPACE, name)


async def each(items: Iterable[T], work: Callable[[T], Awaitable[Any]], at_once: int) -> None:
    """Do some work for each item, so many at a time."""
    todo = iter(items)

    async def run() -> None:
        for item in todo:
            await work(item)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(run())
