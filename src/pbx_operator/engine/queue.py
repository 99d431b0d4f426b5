"""The work queue: every key at most once waiting and at most once in work, first come, first served."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class WorkQueue(Generic[K]):
    """A set of dirty keys with an order, and a schedule of keys that become dirty later.

    A key that is added while it is in work runs again afterwards, so no event is lost; several events before it
    runs are one run.  Times are seconds of `clock`, which must be monotonic.  `waiting` is told how the number of
    waiting keys changes: +1 for a key that begins to wait, -1 for one that does not wait any more.
    """

    def __init__(
        self, clock: Callable[[], float], waiting: Callable[[K, int], None] = lambda key, change: None
    ) -> None:
        self._clock = clock
        self._waiting = waiting
        self._ready: OrderedDict[K, float] = OrderedDict()
        self._working: set[K] = set()
        self._again: set[K] = set()
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._ties = itertools.count()
        self._turn = asyncio.Lock()
        """Held by the one idle worker that waits for a key; a new key would else wake all of them."""
        self._wake = asyncio.Event()
        self._finished = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        """How many keys wait to be run now."""
        return len(self._ready) + len(self._again)

    def add(self, key: K) -> None:
        """Run the key as soon as possible."""
        if key in self._again or key in self._ready:
            return
        self._waiting(key, 1)
        if key in self._working:
            self._again.add(key)
        else:
            self._make_ready(key)

    def add_at(self, key: K, when: float) -> None:
        """Run the key at `when` at the latest; an earlier appointment stays."""
        if when < self._due.get(key, float("inf")):
            self._due[key] = when
            heapq.heappush(self._heap, (when, next(self._ties), key))
            self._wake.set()

    async def get(self) -> tuple[K, float]:
        """Wait for a key and take it into work; return it with the seconds that it waited."""
        async with self._turn:
            while self._closed or not self._collect_due():
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._until_due()):
                        await self._wake.wait()
            key, since = self._ready.popitem(last=False)
            self._working.add(key)
            self._waiting(key, -1)
            return key, self._clock() - since

    def looked(self, key: K) -> None:
        """Take note that the key in work starts from all that is known now: what was added before is covered."""
        if key in self._again:
            self._again.discard(key)
            self._waiting(key, -1)

    def done(self, key: K) -> None:
        """Give back a key taken by `get`."""
        self._working.discard(key)
        if key in self._again:
            self._again.discard(key)
            self._make_ready(key)
        if self._closed and not self._working:
            self._finished.set()

    def close(self) -> None:
        """Give out no more keys."""
        self._closed = True
        if not self._working:
            self._finished.set()

    async def finished(self) -> None:
        """Wait until the queue is closed and no key is in work."""
        await self._finished.wait()

    def _make_ready(self, key: K) -> None:
        self._ready[key] = self._clock()
        self._wake.set()

    def _collect_due(self) -> bool:
        """Make ready what is due; return whether anything is ready."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            when, _, key = heapq.heappop(self._heap)
            if self._due.get(key) == when:
                del self._due[key]
                self.add(key)
        return bool(self._ready)

    def _until_due(self) -> float | None:
        return self._heap[0][0] - self._clock() if self._heap and not self._closed else None
