"""Faults: which call or watch event is struck, at which moment, and what happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web

from faultproxy.journal import Call, WatchEvent
from strikes import Rule


@dataclass(frozen=True)
class Answer:
    """An answer of the proxy in place of the API server's."""

    status: int
    reason: str = ""
    retry_after: int | None = None
    """Seconds, for the header Retry-After."""

    def status_object(self) -> dict[str, Any]:
        """Return the metav1.Status that the API server would send."""
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "code": self.status,
            "reason": self.reason or HTTPStatus(self.status).phrase.replace(" ", ""),
            "message": "injected by the fault proxy",
        }

    def response(self) -> web.Response:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return web.json_response(self.status_object(), status=self.status, headers=headers)


@dataclass(eq=False, kw_only=True)
class Fault(Rule[Call]):
    """What happens to the calls that are selected.

    At `before-send` the API server has not seen the call; at `after-send` it has answered and the client has not
    heard; at `after-reply` the client has its answer.  First `do` is called, and awaited if it can be; its result
    is ignored.  Then the call proceeds, or its connection is dropped, or the client gets another answer.  A crash
    of the client before it wrote is at="before-send", do=kill, then="drop": without the drop the write still
    lands, as from a process that died right after sending.
    """

    at: Literal["before-send", "after-send", "after-reply"] = "before-send"
    do: Callable[[], object] | None = None
    then: Answer | Literal["proceed", "drop"] = "proceed"

    def __post_init__(self) -> None:
        if self.at == "after-reply" and self.then != "proceed":
            raise ValueError("the client has its answer already: after-reply can only proceed")


class EventDrop(Rule[WatchEvent]):
    """Keeps the selected watch events from the client.

    It never learns what it missed, unless its watch breaks before it has seen a later event or bookmark: then the
    API server sends the event once more.
    """


def delay(seconds: float) -> Callable[[], object]:
    """Return a `do` that holds calls back for a time."""
    return lambda: asyncio.sleep(seconds)
