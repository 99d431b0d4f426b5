"""What the demo plays itself, a phone line and a cloud, in an event loop beside the story.

The story waits for one thing after the other; meanwhile these must answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")

HOST = "127.0.0.1"
_DEADLINE_SECONDS = 30.0


class Beside:
    """An event loop in a thread of its own, while it is entered."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there, and return or raise what it does."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_DEADLINE_SECONDS)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function there, between the steps of everything else; return or raise what it does."""

        async def call() -> T:
            return function()

        return self.run(call())


class Line:
    """A phone line while it is entered: whoever dials its port gets through while it is up."""

    def __init__(self, beside: Beside, port: int) -> None:
        self.port = port
        self._beside = beside
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def up(self) -> None:
        """Accept connections."""
        self._server = self._beside.run(asyncio.start_server(lambda _, writer: writer.close(), HOST, self.port))

    def down(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._beside.call(self._server.close)
            self._server = None
