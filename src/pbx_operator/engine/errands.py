"""Errands: what waits for a network that is not ours, so that no worker has to.

A worker that waited for a peer would keep its key, and all workers together would in the end wait for one dead peer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

PATIENCE = 0.5
"""Seconds that a worker waits nevertheless: most peers answer sooner, which spares a status that nobody would read."""
WAITING_SHARE = 4
"""One of so many workers may wait at a time: a thousand objects of a provider that hangs must not keep all of them."""


class Errands:
    """Runs coroutines beside so many workers; each has to meet its own errors and deadlines."""

    def __init__(self, workers: int) -> None:
        self._may_wait = workers // WAITING_SHARE
        self._running: set[asyncio.Task[None]] = set()
        self._waiting = 0

    async def run(self, errand: Coroutine[None, None, None]) -> None:
        """Begin an errand, and return once it is done, or patience has run out, or enough others wait."""
        task = asyncio.create_task(errand)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        if self._waiting >= self._may_wait:
            return
        self._waiting += 1
        try:
            await asyncio.wait((task,), timeout=PATIENCE)
        finally:
            self._waiting -= 1

    async def end(self) -> None:
        """Break off what still runs; whoever needs it begins it again."""
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
