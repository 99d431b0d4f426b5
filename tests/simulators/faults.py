"""Faults of a simulated service: which call is struck, at which moment, and what happens to it.

The words are those of the fault proxy of the API server (`faultproxy`), so that crash tests of both sides read alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from simulators.journal import Call
from strikes import Rule

Stage = Literal["before-commit", "after-commit"]


@dataclass(frozen=True)
class Answer:
    """An answer in place of the service's, for example 429 with Retry-After or a 503 without a body."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    """Of the body, if there is one."""
    retry_after: int | str | None = None
    """Seconds or a date of HTTP, for the header Retry-After."""
    code: int | None = None
    """The service's own code of an error, for the journal."""

    def response(self) -> web.Response:
        response = web.Response(status=self.status, body=self.body or None)
        if self.body:
            response.headers["Content-Type"] = self.content_type
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response


NO_SUCH_PAGE = Answer(404, b"<html>no such page</html>", content_type="text/html")
"""The 404 of a web server or proxy in front of the service, which says nothing about what the service holds."""
NO_ROUTE = Answer(404, b'{"message": "no Route matched with those values"}')
"""The same of an API gateway, as during maintenance: it is JSON, and yet not the service's."""


@dataclass(eq=False, kw_only=True)
class Fault(Rule[Call]):
    """What happens to the calls that are selected.

    At `before-commit` the service has not seen the call and its state is untouched; at `after-commit` it has done
    what it was asked, or refused it, and the client has not heard.  First `do` is called, and awaited if it can be;
    its result is ignored.  Then the call proceeds, or its connection is closed without an answer, or the client
    gets another answer.  A crash of the client before its write is at="before-commit", do=kill, then="drop":
    without the drop the write still lands, as from a process that died right after sending.
    """

    at: Stage = "before-commit"
    do: Callable[[], object] | None = None
    then: Answer | Literal["proceed", "drop"] = "proceed"
