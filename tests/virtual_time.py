"""Time that passes only while nothing can be done: hours of waiting take no time, and always the same turn."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Lets the loop's waiting pass at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that will never happen"
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._time = _Selector()
        super().__init__(self._time)

    def time(self) -> float:
        return self._time.now


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run a story from its moment 0 on; `asyncio.get_running_loop().time()` is its time in seconds."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(story)
