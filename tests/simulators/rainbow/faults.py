"""Faults: which call is struck, before or after the platform has done it, and what the client gets.

The words are those of the fault proxy of the API server (tests/faultproxy), so that crash tests of both sides read
alike.  How often the platform limits rates is not documented; 429 with Retry-After is what its status means.  [I]
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from aiohttp import web

from simulators.rainbow.errors import ApiError, documented
from simulators.rainbow.journal import DEADLINE, Call

Stage = Literal["before-commit", "after-commit"]


@dataclass(frozen=True)
class Answer:
    """An answer in place of the platform's."""

    status: int
    content: bytes = b""
    content_type: str = "application/json"
    retry_after: int | None = None
    """Seconds, for the header Retry-After."""
    code: int | None = None

    def response(self) -> web.Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return web.Response(
            status=self.status, body=self.content or None, content_type=self.content_type, headers=headers
        )


def refused(refusal: ApiError) -> Answer:
    """Return the answer that tells a refusal."""
    return Answer(refusal.status, json.dumps(refusal.body()).encode(), code=refusal.code)


def error(code: int) -> Answer:
    """Return the answer with this errorDetailsCode (KeyError: the documents do not name it), e.g. error(409000)."""
    return refused(documented(code))


def failure(status: int, *, retry_after: int | None = None) -> Answer:
    """Return the answer of a status with an error body but no code, as the documents show for 500."""
    return replace(refused(ApiError(status, "")), retry_after=retry_after)


@dataclass(eq=False, kw_only=True)
class Fault:
    """What happens to the nth call that matches, and to `times - 1` (None: all) further ones.

    At `before-commit` the platform has not looked at the call; at `after-commit` it has done or refused it, and the
    client has not heard.  First `do` is called, and awaited if it can be; then the call proceeds, or its connection
    is closed without an answer, or the client gets another answer.
    """

    when: Callable[[Call], bool] = field(kw_only=False)
    nth: int = 1
    times: int | None = 1
    at: Stage = "before-commit"
    do: Callable[[], object] | None = None
    then: Answer | Literal["proceed", "drop"] = "proceed"
    hits: list[Call] = field(default_factory=list, init=False)
    """The calls that were struck so far."""
    _seen: int = field(default=0, init=False)
    _hit: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def selects(self, call: Call) -> bool:
        """Count the call if it matches, and return whether it is struck."""
        if (self.times is not None and self._seen >= self.nth + self.times - 1) or not self.when(call):
            return False
        self._seen += 1
        return self._seen >= self.nth

    async def strike(self, call: Call) -> None:
        """Do what is to be done before the call goes on."""
        if self.do is not None and inspect.isawaitable(result := self.do()):
            await result
        self.hits.append(call)
        self._hit.set()

    async def hit(self) -> None:
        """Wait until it has struck once, its `do` included."""
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
        """Let all held calls go on, and all later ones."""
        self._released.set()
