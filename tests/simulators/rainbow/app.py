"""The platform: which operation a call is for, who calls, and the controls of tests."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from aiohttp import web

from simulators.faults import Answer, Fault, Stage
from simulators.journal import Call, calls
from simulators.rainbow import sites, systems
from simulators.rainbow.access import require_role
from simulators.rainbow.auth import LOCKED_SECONDS, MAX_FAILURES, Authentication, login_of
from simulators.rainbow.errors import ApiError, invalid, problem
from simulators.rainbow.faults import refused
from simulators.rainbow.fields import Endpoint, Request
from simulators.rainbow.pbx import Equipment
from simulators.rainbow.state import State, User
from simulators.serving import Simulator

REDACTED: Final = "***"
_SECRETS: Final = frozenset({"activationCode", "password"})


class RainbowSimulator(Simulator):
    """The platform.

    `clock` gives Unix time in seconds and decides the life of tokens, locks and users.  With `tls` it serves HTTPS
    with the certificate of that context, without it plain HTTP.

    Its journal keeps a path as it is, and with it an equipment ID that is looked up, which in stock mode is also the
    activation code.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.state = State(clock)
        self.equipment = Equipment(self.state)
        self._authentication = Authentication()

    def on_call(self, number: int, do: Callable[[], object], *, at: Stage) -> Fault:
        """Do something (kill the client) at the number-th call from now, and close that call's connection."""
        return self.add(Fault(calls(), nth=number, at=at, do=do, then="drop"))

    def clear(self) -> None:
        """Remove all faults and the lag of new systems."""
        super().clear()
        self.state.visibility_lag = 0

    def lock(self, user: User) -> None:
        """Lock an account for an hour, as after too many wrong logins."""
        user.failures, user.locked_until = MAX_FAILURES, self.state.clock() + LOCKED_SECONDS

    def hide_created(self, reads: int) -> None:
        """Let the next so many reads of each system that is created from now on not find it.

        Only reads lag: a pbxId is taken at once (409000), and writes by id find the system.
        """
        self.state.visibility_lag = reads

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all operations."""
        return (*self._authentication.endpoints(), *systems.ENDPOINTS, *sites.ENDPOINTS)

    def begin(self, request: web.BaseRequest, body: bytes) -> Call:
        endpoint, _ = self._route(request)
        return self.journal.begin(request.method, request.path_qs, operation=endpoint.operation, body=redacted(body))

    def answer(self, request: web.BaseRequest, body: bytes, call: Call) -> web.Response:
        endpoint, params = self._route(request)
        try:
            user = self._caller(endpoint, request, call)
            document = endpoint.answer(self.state, Request(params, request.query, request.headers, body, user))
        except ApiError as refusal:
            call.code = refusal.code
            return refused(refusal).response()
        return Answer(200, json.dumps(document).encode()).response()

    def _route(self, request: web.BaseRequest) -> tuple[Endpoint, dict[str, str]]:
        """Return the operation that a call is for, and the parameters of its path."""
        path = request.rel_url.raw_path
        for endpoint in self.endpoints():
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(endpoint.path))
            if endpoint.method == request.method and (match := re.fullmatch(pattern, path)):
                return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
        return _UNKNOWN, {"path": path}

    def _caller(self, endpoint: Endpoint, request: web.BaseRequest, call: Call) -> User | None:
        """Return who calls, if the endpoint wants to know, and may do so.

        OPENAPI wants `accept: application/json` of every GET and DELETE [F]; the refusal without it is chosen.  [?]
        """
        if endpoint.roles is None:
            call.who = login_of(request.headers)
            user = None
        else:
            user = self._authentication.user(self.state, request.headers.get("Authorization", ""))
            call.who = user.login
            require_role(user, endpoint.roles)
        if request.method in {"GET", "DELETE"} and "application/json" not in request.headers.get("Accept", ""):
            raise invalid(problem("accept", "Header accept is mandatory. Expected application/json."))
        return user


def _unknown(_state: State, request: Request) -> dict[str, Any]:
    """Refuse a path that is not served, as the login of another case.  [F: GetBasicLogin; the text ?]"""
    raise ApiError(404, f"{request.params['path']} does not exist.")


_UNKNOWN: Final = Endpoint("", "*", "", None, _unknown)
"""What answers paths that are not served."""


def redacted(content: bytes) -> Any:
    """Return JSON without the values of secret fields; what is not JSON is only said to be there."""
    if not content:
        return None
    try:
        body = json.loads(content)
    except ValueError:
        return "not JSON"
    if not isinstance(body, dict):
        return body
    return {name: REDACTED if name in _SECRETS else value for name, value in body.items()}
