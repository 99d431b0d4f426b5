"""How tests say which call or event is struck: shared by the fault proxy (`faultproxy`) and the `simulators`.

It knows neither the operator nor any service, so that both sides may use it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

DEADLINE: Final = 30.0
"""Seconds after which waiting for a call or a fault fails the test."""
WRITE_METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

T = TypeVar("T")


def with_fields(of: type, wanted: dict[str, object]) -> Callable[[Any], bool]:
    """Match items of a class by equality of fields; raises TypeError for a field that the class does not have."""
    if unknown := [name for name in wanted if not hasattr(of, name) and name not in of.__annotations__]:
        raise TypeError(f"{of.__name__} has no field {', '.join(unknown)}")
    return lambda item: all(getattr(item, name) == value for name, value in wanted.items())


@dataclass(eq=False, kw_only=True)
class Rule(Generic[T]):
    """Selects the nth item that matches, and `times - 1` (None: all) further ones."""

    when: Callable[[T], bool] = field(kw_only=False)
    nth: int = 1
    times: int | None = 1
    hits: list[T] = field(default_factory=list, init=False)
    """What was struck so far."""
    _seen: int = field(default=0, init=False)
    _hit: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def selects(self, item: T) -> bool:
        """Count the item if it matches; return whether it is to be struck."""
        if (self.times is not None and self._seen >= self.nth + self.times - 1) or not self.when(item):
            return False
        self._seen += 1
        return self._seen >= self.nth

    def record(self, item: T) -> None:
        """Write down that the item was struck."""
        self.hits.append(item)
        self._hit.set()

    async def hit(self) -> None:
        """Wait until the rule has struck once, its `do` included."""
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
