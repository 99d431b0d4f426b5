"""Circuits: a dead peer slows nobody.

After a few failures in a row the calls to a peer fail at once, and only one at a time finds out whether it is back,
at growing intervals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from pbx_operator.network.pauses import jittered

FAILURES_TO_OPEN = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
"""Seconds between the calls that find out whether a dead peer is back, before jitter."""
MAX_CALLS = 4
"""Calls to one peer at a time; others wait."""
MAX_WAIT = 10.0
"""Seconds that a call waits for its turn."""


class Circuit:
    """Lets calls to one peer through, or not.

    Closed: all calls go through.  Open, after FAILURES_TO_OPEN in a row: none does.  Half-open, once the pause is
    over: one call goes through; it closes the circuit or opens it for twice as long.  `clock` is monotonic, in seconds;
    `unavailable` is the error that counts as failure, and that a call which does not go through raises.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        unavailable: type[Exception],
        jitter: Callable[[float], float] = jittered,
        max_wait: float = MAX_WAIT,
    ) -> None:
        self._clock = clock
        self._unavailable = unavailable
        self._jitter = jitter
        self._max_wait = max_wait
        self._slots = asyncio.Semaphore(MAX_CALLS)
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._retry_at: float | None = None
        self._probing = False

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Make a call inside; that it raises `unavailable` counts as failure, and that it ends as success.

        Raises `unavailable` at once while the circuit is open, and if too many calls are waiting already.
        """
        if not self.passable:
            raise self._unavailable
        await self._take_turn()
        try:
            with self.attempt():
                yield
        finally:
            self._slots.release()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count what becomes of a call that starts now. Raises `unavailable` unless the circuit is passable."""
        if not self.passable:
            raise self._unavailable
        probe = self._retry_at is not None
        self._probing = self._probing or probe
        try:
            yield
        except self._unavailable:
            self._failed(probe)
            raise
        else:
            self._failures, self._retry_at = 0, None
        finally:
            if probe:
                self._probing = False

    @property
    def passable(self) -> bool:
        """Whether a call that starts now goes through."""
        return self._retry_at is None or (not self._probing and self._clock() >= self._retry_at)

    def _failed(self, probe: bool) -> None:
        if self._retry_at is None:
            self._failures += 1
            if self._failures < FAILURES_TO_OPEN:
                return
            self._pause = FIRST_PAUSE
        elif probe:
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        else:
            return  # it started before the circuit opened and says nothing new
        self._retry_at = self._clock() + self._jitter(self._pause)

    async def _take_turn(self) -> None:
        try:
            async with asyncio.timeout(self._max_wait):
                await self._slots.acquire()
        except TimeoutError as error:
            raise self._unavailable from error
