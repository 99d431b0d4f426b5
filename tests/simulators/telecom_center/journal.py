"""What a simulated service was asked, and how to speak of it: calls and predicates over them.

A call keeps neither headers nor bodies, so that no failing test can print a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

DEADLINE = 30.0
"""Seconds after which waiting for a call or a fault fails the test."""
WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(eq=False)
class Call:
    """One request of a client, and what became of it."""

    number: int
    """Order of arrival, from 1."""
    method: str
    path: str
    """Without the query."""
    query: str
    """Percent-encoded, without the question mark."""
    who: str
    """The name that the caller has proved; empty if its credentials were refused."""
    decided: int | None = None
    """The status that the service came to; None if the call did not reach it."""
    status: int | None = None
    """The status that the client was answered; None while it waits, and for ever if its connection was closed."""
    ended: bool = False
    """Whether the client was answered or its connection closed."""

    @property
    def is_write(self) -> bool:
        return self.method in WRITE_METHODS

    @property
    def committed(self) -> bool:
        """Whether this is a write that the service has done, whatever the client heard of it."""
        return self.is_write and self.decided is not None and self.decided < HTTPStatus.MULTIPLE_CHOICES

    def __str__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        return f"{self.number}: {self.method} {target} ({self.who or 'refused'}) -> {self.status or 'no answer'}"


def calls(**wanted: object) -> Callable[[Call], bool]:
    """Match calls by equality of fields, for example calls(method="GET", status=404)."""
    if unknown := [name for name in wanted if not hasattr(Call, name) and name not in Call.__annotations__]:
        raise TypeError(f"Call has no field {', '.join(unknown)}")
    return lambda call: all(getattr(call, name) == value for name, value in wanted.items())


def writes(**wanted: object) -> Callable[[Call], bool]:
    """Match POST, PUT, PATCH and DELETE with these fields."""
    return calls(is_write=True, **wanted)


class Journal:
    """All calls in the order of their arrival."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._news = asyncio.Condition()

    def select(self, when: Callable[[Call], bool]) -> list[Call]:
        return [call for call in self.calls if when(call)]

    def clear(self) -> None:
        """Forget all calls, so that the next ones can be counted alone; numbers begin at 1 again."""
        self.calls.clear()

    async def wait_for(self, when: Callable[[Call], bool], count: int = 1) -> list[Call]:
        """Wait until so many calls that match have ended, and return them; `when` may look at the status."""

        def found() -> list[Call]:
            return self.select(lambda call: call.ended and when(call))

        try:
            async with asyncio.timeout(DEADLINE), self._news:
                await self._news.wait_for(lambda: len(found()) >= count)
        except TimeoutError:
            last = "\n".join(str(call) for call in self.calls[-20:])
            raise AssertionError(f"{len(found())} of {count} calls came; the last of all:\n{last}") from None
        return found()

    def begin(self, method: str, path: str, query: str, who: str) -> Call:
        """Write down a call that arrived."""
        call = Call(len(self.calls) + 1, method, path, query, who)
        self.calls.append(call)
        return call

    async def end(self, call: Call, status: int | None) -> None:
        """Write down what the client was answered."""
        call.status = status
        call.ended = True
        async with self._news:
            self._news.notify_all()
