"""Ports for servers that are started beside a sandbox, such as an operator under test."""

from __future__ import annotations

import random
import socket
from collections import deque
from contextlib import suppress

LOOPBACK = "127.0.0.1"
_RANGE = range(10_000, 32_768)
"""Below the ports that Linux gives to outgoing connections, any of which could take one before its server listens."""
_ATTEMPTS = 100
_untried = deque(random.sample(_RANGE, len(_RANGE)))
"""Those that this process gave longest ago come first: their servers may not listen yet."""


def unused_port() -> int:
    """Return a port of the loopback interface that nobody listens on.

    No port comes twice soon, and in each process they come in another order, so that two processes seldom meet.
    Raises OSError if none is found.
    """
    for _ in range(_ATTEMPTS):
        port = _untried[0]
        _untried.rotate(-1)
        with suppress(OSError), socket.socket() as probe:
            probe.bind((LOOPBACK, port))
            return port
    raise OSError(f"no unused port was found among {_ATTEMPTS} from {_RANGE.start} to {_RANGE.stop - 1}")
