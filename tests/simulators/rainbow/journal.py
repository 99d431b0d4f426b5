"""What was called, by whom and with which result; never a secret, so a failing test may print all of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

DEADLINE: Final = 30.0
"""Seconds after which waiting for a call or a fault fails the test."""
WRITE_METHODS: Final = frozenset({"POST", "PUT", "DELETE"})
REDACTED: Final = "***"
_SECRETS: Final = frozenset({"activationCode", "password"})


@dataclass(eq=False)
class Call:
    """One request and what became of it.

    Neither headers nor answers are kept, and secret fields of the body are replaced.  The path is kept as it is, and
    with it an equipment ID that is looked up, which in stock mode is also the activation code.
    """

    number: int
    """Order of arrival, from 1."""
    method: str
    path: str
    """With the query."""
    operation: str = ""
    """The operationId of OPENAPI; empty for a path that is not served."""
    body: Any = None
    """The JSON that came, redacted; None if none came."""
    who: str = ""
    """The login of a good token or of a login attempt; empty if there is none."""
    committed: bool = False
    """Whether the platform has done it (200), whatever the client heard of it."""
    status: int | None = None
    """The status that the client was answered; None while it waits, and for ever if its connection was dropped."""
    code: int | None = None
    """errorDetailsCode of that answer."""
    ended: bool = False
    """Whether the client was answered or its connection dropped."""

    @property
    def is_write(self) -> bool:
        return self.method in WRITE_METHODS

    def __str__(self) -> str:
        result = self.code or self.status or "no answer"
        return f"{self.number}: {self.method} {self.path} ({self.who or 'nobody'}) -> {result}"


def calls(**wanted: object) -> Callable[[Call], bool]:
    """Match calls by equality of fields, for example calls(operation="PostSystems"); without any, match all."""
    if unknown := [name for name in wanted if not hasattr(Call, name) and name not in Call.__annotations__]:
        raise TypeError(f"a call has no field {', '.join(unknown)}")
    return lambda call: all(getattr(call, name) == value for name, value in wanted.items())


class Journal:
    """All calls in the order of their arrival."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._news = asyncio.Event()

    def select(self, **wanted: object) -> list[Call]:
        """Return the calls with these fields."""
        return list(filter(calls(**wanted), self.calls))

    def clear(self) -> None:
        """Forget all calls, so that the next ones can be counted alone."""
        self.calls.clear()

    async def wait_for(self, when: Callable[[Call], bool], count: int = 1) -> list[Call]:
        """Wait until so many calls that match have ended, and return them; raises AssertionError at the deadline."""
        try:
            async with asyncio.timeout(DEADLINE):
                while len(found := [call for call in self.calls if call.ended and when(call)]) < count:
                    await self._news.wait()
        except TimeoutError:
            last = "\n".join(str(call) for call in self.calls[-20:])
            raise AssertionError(f"{len(found)} of {count} calls came; the last of all:\n{last}") from None
        return found

    def begin(self, method: str, path: str, operation: str, content: bytes) -> Call:
        """Write down a call that arrived."""
        call = Call(len(self.calls) + 1, method, path, operation, redacted(content))
        self.calls.append(call)
        return call

    def end(self, call: Call, status: int | None) -> None:
        """Write down what the client was answered."""
        call.status = status
        call.ended = True
        news, self._news = self._news, asyncio.Event()
        news.set()


def redacted(content: bytes) -> Any:
    """Return JSON without the values of secret fields; what is not JSON is only said to be there."""
    if not content:
        return None
    try:
        body = json.loads(content)
    except ValueError:
        return "not JSON"
    if not isinstance(body, dict):
        return body
    return {name: REDACTED if name in _SECRETS else value for name, value in body.items()}
