"""Waiting for what an object shows, by a watch, with the moment at which it was shown."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from benchmark.client import Client
from pbx_operator.api.meta import ResourceType

PATIENCE_SECONDS = 120.0
"""How long nothing that was waited for may happen."""

Condition = Callable[[dict[str, Any] | None], bool]
"""A question about an object; None stands for an absent one."""


class Observer:
    """The objects of one kind in one namespace by name, as the API server last told of them."""

    def __init__(self, resource: ResourceType) -> None:
        self.resource = resource
        self._objects: dict[str, dict[str, Any]] = {}
        self._waiting: defaultdict[str, list[tuple[Condition, asyncio.Future[float]]]] = defaultdict(list)

    @classmethod
    @asynccontextmanager
    async def open(cls, client: Client, resource: ResourceType) -> AsyncIterator[Observer]:
        """List and watch; if the watch breaks, the block is cancelled with its error."""
        observer = cls(resource)
        listing = await client.list(resource)
        for item in listing["items"]:
            observer._objects[item["metadata"]["name"]] = item
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(observer._follow(client, listing["metadata"]["resourceVersion"]))
            yield observer
            task.cancel()

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, name: str) -> dict[str, Any] | None:
        """Return an object as it was last seen."""
        return self._objects.get(name)

    async def until(self, name: str, condition: Condition, what: str) -> float:
        """Wait until the condition holds for an object; return when that was seen, by `time.perf_counter`.

        Raises TimeoutError, which says what was waited for.
        """
        if condition(self._objects.get(name)):
            return time.perf_counter()
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[name].append((condition, future))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await future
        except TimeoutError:
            seen = self._objects.get(name, {}).get("status")
            raise TimeoutError(
                f"{self.resource.kind} {name}: not {what} within {PATIENCE_SECONDS:.0f} s: {seen}"
            ) from None

    async def _follow(self, client: Client, version: str) -> None:
        async for change, found in client.watch(self.resource, version):
            if change == "ERROR":
                raise RuntimeError(f"the watch of {self.resource.plural} broke: {found}")
            name = found["metadata"]["name"]
            if change == "DELETED":
                self._objects.pop(name, None)
            else:
                self._objects[name] = found
            self._tell(name, time.perf_counter())
        raise RuntimeError(f"the watch of {self.resource.plural} ended")

    def _tell(self, name: str, now: float) -> None:
        waiting = self._waiting.pop(name, [])
        for condition, future in waiting:
            if future.done():
                continue
            if condition(self._objects.get(name)):
                future.set_result(now)
            else:
                self._waiting[name].append((condition, future))


def ready(found: dict[str, Any] | None) -> bool:
    """Whether an object shows Ready=True for its present generation."""
    if found is None or found.get("status", {}).get("observedGeneration") != found["metadata"]["generation"]:
        return False
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))


def established(found: dict[str, Any] | None) -> bool:
    """Whether an Interlink shows an established link."""
    return found is not None and found.get("status", {}).get("state") == "Established"


def absent(found: dict[str, Any] | None) -> bool:
    """Whether an object is gone."""
    return found is None
