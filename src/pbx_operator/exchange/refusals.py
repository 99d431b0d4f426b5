"""Refusals: what a sender is told, and what the log says.

Both use words of ours only.  A refused request has proven nothing, so neither quotes it, and a flood of them may
not fill the log.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from pbx_operator.exchange.limits import TokenBucket

LOG_RATE = 1.0
LOG_BURST = 30
"""Lines per second, and at once, about refused requests."""

_log = logging.getLogger(__name__)


class Refusal(Exception):  # noqa: N818 - it is an answer, not an error of ours
    """The request gets this unsigned answer; `retry_after` is in seconds."""

    def __init__(self, status: HTTPStatus, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
        self.retry_after = retry_after

    def response(self) -> web.Response:
        """Return the answer; nobody may take it for a decision, since it is not signed."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return web.json_response({"error": self.why}, status=self.status, headers=headers)


class RefusalLog:
    """One line for each request that is refused or has no object, until there are too many; then it counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._bucket = TokenBucket(LOG_RATE, LOG_BURST, clock())
        self._left_out = 0

    def note(self, source: str, status: HTTPStatus, why: str) -> None:
        """Tell that a request from this source was refused; `why` may say more than the sender is told."""
        self._tell("refused a request from %s with %d: %s", source or "an unknown address", status, why)

    def note_unknown(self, installation: str) -> None:
        """Tell that an installation, which has proven who it is, spoke of a key or link that it has no part in."""
        self._tell("installation %s speaks of a key or link that it has no part in, as far as we know", installation)

    def note_box(self, source: str, what: str) -> None:
        """Tell that a box at this source did something that only a stranger, or a mistaken person, does."""
        self._tell("a box at %s %s", source or "an unknown address", what)

    def _tell(self, line: str, *facts: object) -> None:
        if self._bucket.take(self._clock()) > 0:
            self._left_out += 1
            return
        more = f" ({self._left_out} more before this one)" if self._left_out else ""
        self._left_out = 0
        _log.warning(line + "%s", *facts, more)
