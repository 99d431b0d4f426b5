"""What was used lately: logins, and the ways to their providers.

Users write Secrets as often as they like, so a process that runs for months must forget the logins that nobody uses.
Forgetting one that is in use costs another login and nothing else, since the status remembers what was refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

MAX_LOGINS = 1024
"""How many logins of one sort of provider are remembered; with the longest tokens they take 16 MiB."""

V = TypeVar("V")


class Recent(Generic[V]):
    """Values by key; beyond the limit the least recently used one is forgotten."""

    def __init__(self, limit: int = MAX_LOGINS) -> None:
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
