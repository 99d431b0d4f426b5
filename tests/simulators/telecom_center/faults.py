"""Faults of a simulated service: which call is struck, at which moment, and what happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from simulators.telecom_center.journal import DEADLINE, Call

Stage = Literal["before-commit", "after-commit"]


@dataclass(frozen=True)
class Answer:
    """An answer in place of the service's, for example 429 with Retry-After or a 503 without a body."""

    status: int
    retry_after: int | str | None = None
    """Seconds or a date of HTTP, for the header Retry-After."""
    body: bytes = b""
    content_type: str = ""
    """Empty: no such header, as an empty body has none."""

    def response(self) -> web.Response:
        response = web.Response(status=self.status, body=self.body or None)
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        if self.content_type:
            response.headers["Content-Type"] = self.content_type
        return response


@dataclass(eq=False, kw_only=True)
class Fault:
    """What happens to the nth call that matches and to `times - 1` (None: all) further ones.

    At `before-commit` the service has not seen the call and its state is untouched; at `after-commit` it has done
    what it was asked, or refused it, and the client has not heard.  First `do` is called, and awaited if it can be;
    its result is ignored.  Then the call proceeds, or its connection is closed without an answer, or the client
    gets another answer.  A crash of the client before its write is at="before-commit", do=kill, then="drop":
    without the drop the write still lands, as from a process that died right after sending.
    """

    when: Callable[[Call], bool] = field(kw_only=False)
    at: Stage = "before-commit"
    do: Callable[[], object] | None = None
    then: Answer | Literal["proceed", "drop"] = "proceed"
    nth: int = 1
    times: int | None = 1
    hits: list[Call] = field(default_factory=list, init=False)
    """The calls that were struck so far."""
    _seen: int = field(default=0, init=False)
    _hit: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def selects(self, call: Call) -> bool:
        """Count a call that reached the stage of this fault; return whether it is to be struck."""
        if not self.when(call):
            return False
        self._seen += 1
        return self._seen >= self.nth and (self.times is None or self._seen < self.nth + self.times)

    def record(self, call: Call) -> None:
        self.hits.append(call)
        self._hit.set()

    async def hit(self) -> None:
        """Wait until the fault has struck once, its `do` included."""
        async with asyncio.timeout(DEADLINE):
            await self._hit.wait()


class Hold:
    """A `do` that holds calls back until they are released; the client may be dead by then."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self._released = asyncio.Event()

    async def __call__(self) -> None:
        self.reached.set()
        await self._released.wait()

    def release(self) -> None:
        self._released.set()
