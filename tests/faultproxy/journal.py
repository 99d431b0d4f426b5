"""What went through the proxy, and how to speak of it: calls, watch events and predicates over both."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

from strikes import DEADLINE, WRITE_METHODS, with_fields

_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?!/(?:status|finalize)$))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<subresource>.+))?"
)


@dataclass(eq=False)
class Call:
    """One request of the client, and what became of it."""

    number: int
    """Order of arrival, from 1."""
    method: str
    verb: str
    """The verb of RBAC: get, list, watch, create, update, patch, delete; empty for a path without a resource."""
    path: str
    user_agent: str
    body: bytes
    group: str = ""
    version: str = ""
    resource: str = ""
    """Plural, as in the path."""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    upstream_status: int | None = None
    """The status that the API server answered; None if it did not get the call, or did not answer yet."""
    status: int | None = None
    """The status that the client was answered; None while it waits, and for ever if its connection was dropped."""
    ended: bool = False
    """Whether the client was answered (of a watch: the first line) or its connection dropped."""

    @property
    def is_write(self) -> bool:
        return self.method in WRITE_METHODS

    @property
    def landed(self) -> bool:
        """Whether this is a write that the API server has done, whatever the client heard of it."""
        return self.is_write and self.upstream_status is not None and self.upstream_status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> Any:
        """Return the parsed body of a write."""
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.number}: {self.method} {self.path} ({self.user_agent}) -> {self.status or 'no answer'}"


@dataclass(eq=False)
class WatchEvent:
    """One event on its way to the client."""

    type: str
    """ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    resource: str
    namespace: str
    name: str
    object: dict[str, Any]


def calls(**wanted: object) -> Callable[[Call], bool]:
    """Match calls by equality of fields, for example calls(verb="list", resource="interlinks")."""
    return with_fields(Call, wanted)


def writes(**wanted: object) -> Callable[[Call], bool]:
    """Match POST, PUT, PATCH and DELETE with these fields."""
    return with_fields(Call, {"is_write": True, **wanted})


def events(**wanted: object) -> Callable[[WatchEvent], bool]:
    """Match watch events by equality of fields, for example events(type="DELETED", resource="interlinks")."""
    return with_fields(WatchEvent, wanted)


class Journal:
    """All calls in the order of their arrival."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._observers: list[Callable[[Call], None]] = []

    def select(self, when: Callable[[Call], bool]) -> list[Call]:
        return [call for call in self.calls if when(call)]

    def writes(self, **wanted: object) -> list[Call]:
        """Return the POST, PUT, PATCH and DELETE calls with these fields."""
        return self.select(writes(**wanted))

    def counts(self) -> Counter[tuple[str, str]]:
        """Return the number of calls by user agent and method."""
        return Counter((call.user_agent, call.method) for call in self.calls)

    def clear(self) -> None:
        """Forget all calls, so that the next ones can be counted alone."""
        self.calls.clear()

    async def wait_for(self, when: Callable[[Call], bool], count: int = 1) -> list[Call]:
        """Wait until so many calls that match have ended, and return them; `when` may look at the status."""
        found = self.select(lambda call: call.ended and when(call))
        news = asyncio.Event()

        def observe(call: Call) -> None:
            if when(call):
                found.append(call)
                news.set()

        self._observers.append(observe)
        try:
            async with asyncio.timeout(DEADLINE):
                while len(found) < count:
                    await news.wait()
                    news.clear()
        except TimeoutError:
            last = "\n".join(str(call) for call in self.calls[-20:])
            raise AssertionError(f"{len(found)} of {count} calls came; the last of all:\n{last}") from None
        finally:
            self._observers.remove(observe)
        return found

    def begin(self, request: web.BaseRequest, body: bytes) -> Call:
        """Write down a call that arrived."""
        match = _PATH.fullmatch(request.path)
        target: dict[str, Any] = {name: value or "" for name, value in match.groupdict().items()} if match else {}
        if match and request.method == "POST" and request.content_type == "application/json" and not target["name"]:
            target["name"] = (json.loads(body).get("metadata") or {}).get("name") or ""
        call = Call(
            number=len(self.calls) + 1,
            method=request.method,
            verb=_verb(request, match),
            path=request.path_qs,
            user_agent=request.headers.get("User-Agent", ""),
            body=body,
            **target,
        )
        self.calls.append(call)
        return call

    def end(self, call: Call, status: int | None) -> None:
        """Write down what the client was answered."""
        call.status = status
        call.ended = True
        for observe in tuple(self._observers):
            observe(call)


def _verb(request: web.BaseRequest, match: re.Match[str] | None) -> str:
    if match is None:
        return ""
    if request.method == "GET" and not match["name"]:
        return "watch" if request.query.get("watch") in {"true", "1"} else "list"
    names = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    return names.get(request.method, "")
