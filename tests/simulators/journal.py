"""What a simulated service was asked, and how to speak of it: calls and predicates over them.

A call keeps neither headers nor secrets, so that a failing test may print all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from strikes import DEADLINE, WRITE_METHODS, with_fields


@dataclass(eq=False)
class Call:
    """One request of a client, and what became of it."""

    number: int
    """Order of arrival, from 1."""
    method: str
    path: str
    """With the query, percent-encoded."""
    operation: str = ""
    """The name that the service's documents give it; empty for a path that is not served, or without such names."""
    body: Any = None
    """The document that came, without its secrets; None if none came, or the simulator does not keep it."""
    who: str = ""
    """The name that the caller has proved or tried to; empty if there is none."""
    decided: int | None = None
    """The status that the service came to; None if the call did not reach it."""
    status: int | None = None
    """The status that the client was answered; None while it waits, and for ever if its connection was closed."""
    code: int | None = None
    """The service's own code of an error in that answer."""
    ended: bool = False
    """Whether the client was answered or its connection closed."""

    @property
    def is_write(self) -> bool:
        return self.method in WRITE_METHODS

    @property
    def committed(self) -> bool:
        """Whether the service has done it, whatever the client heard of it."""
        return self.decided is not None and self.decided < HTTPStatus.MULTIPLE_CHOICES

    def __str__(self) -> str:
        result = self.code or self.status or "no answer"
        return f"{self.number}: {self.method} {self.path} ({self.who or 'nobody'}) -> {result}"


def calls(**wanted: object) -> Callable[[Call], bool]:
    """Match calls by equality of fields, for example calls(method="GET", status=404); without any, match all."""
    return with_fields(Call, wanted)


def writes(**wanted: object) -> Callable[[Call], bool]:
    """Match POST, PUT, PATCH and DELETE with these fields."""
    return calls(is_write=True, **wanted)


class Journal:
    """All calls in the order of their arrival."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._news = asyncio.Event()

    def select(self, **wanted: object) -> list[Call]:
        """Return the calls with these fields."""
        return list(filter(calls(**wanted), self.calls))

    def clear(self) -> None:
        """Forget all calls, so that the next ones can be counted alone; numbers begin at 1 again."""
        self.calls.clear()

    async def wait_for(self, when: Callable[[Call], bool], count: int = 1) -> list[Call]:
        """Wait until so many calls that match have ended, and return them; `when` may look at the status."""
        try:
            async with asyncio.timeout(DEADLINE):
                while len(found := [call for call in self.calls if call.ended and when(call)]) < count:
                    await self._news.wait()
        except TimeoutError:
            last = "\n".join(str(call) for call in self.calls[-20:])
            raise AssertionError(f"{len(found)} of {count} calls came; the last of all:\n{last}") from None
        return found

    def begin(self, method: str, path: str, *, operation: str = "", body: Any = None, who: str = "") -> Call:
        """Write down a call that arrived."""
        call = Call(len(self.calls) + 1, method, path, operation, body, who)
        self.calls.append(call)
        return call

    def end(self, call: Call, status: int | None) -> None:
        """Write down what the client was answered."""
        call.status = status
        call.ended = True
        news, self._news = self._news, asyncio.Event()
        news.set()
