"""What was used lately, by key: memory that others fill, with a bound.

Strangers choose the keys (addresses, peers, logins out of Secrets), so a process that runs for months must forget what
nobody uses.  Whoever keeps values here must be able to make a forgotten one anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Recent(Generic[V]):
    """Values by key; beyond the limit the least recently used one is forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[Hashable, V] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key; it is made if there is none."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        if len(self._values) > self._limit:
            self._values.popitem(last=False)
        return self._values[key]

    def find(self, key: Hashable) -> V | None:
        """Return the value of a key if there is one; to look is no use of it."""
        return self._values.get(key)
