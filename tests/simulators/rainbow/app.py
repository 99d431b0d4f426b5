"""The simulator as a server on loopback: routes, the way of a call through its stages, and the controls of tests."""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Literal, Self

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from simulators.rainbow import sites, systems
from simulators.rainbow.access import require_role
from simulators.rainbow.auth import LOCKED_SECONDS, MAX_FAILURES, Authentication, login_of
from simulators.rainbow.errors import ApiError, invalid, problem
from simulators.rainbow.faults import Answer, Fault, Stage, refused
from simulators.rainbow.fields import Endpoint, Request
from simulators.rainbow.journal import Call, Journal, calls
from simulators.rainbow.pbx import Equipment
from simulators.rainbow.state import State, User

HOST: Final = "127.0.0.1"


class RainbowSimulator:
    """The platform; it listens on a random port of loopback while it is entered.

    `clock` gives Unix time in seconds and decides the life of tokens, locks and users.  With `tls` it serves HTTPS
    with the certificate of that context, without it plain HTTP.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time, tls: ssl.SSLContext | None = None) -> None:
        self.state = State(clock)
        self.equipment = Equipment(self.state)
        self.journal = Journal()
        self.url = ""
        """https://127.0.0.1:port or http://…, without a slash at the end; empty before it listens."""
        self._tls = tls
        self._authentication = Authentication()
        self._faults: list[Fault] = []
        self._failures: list[Exception] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        application = web.Application()
        for endpoint in self.endpoints():
            application.router.add_route(endpoint.method, endpoint.path, self._handler(endpoint))
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, 0, ssl_context=self._tls).start()
        self.url = f"{'https' if self._tls else 'http'}://{HOST}:{runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._faults.clear()
        await self._stack.aclose()
        if self._failures:
            raise ExceptionGroup("the simulator or one of its faults failed", self._failures)

    def add(self, fault: Fault) -> Fault:
        """Put a fault into force; where several strike one call, they do so in the order of adding."""
        self._faults.append(fault)
        return fault

    def on_call(self, number: int, do: Callable[[], object], *, at: Stage) -> Fault:
        """Do something (kill the client) at the number-th call from now, and close that call's connection."""
        return self.add(Fault(calls(), nth=number, at=at, do=do, then="drop"))

    def clear(self) -> None:
        """Remove all faults and the lag of new systems."""
        self._faults.clear()
        self.state.visibility_lag = 0

    def lock(self, user: User) -> None:
        """Lock an account for an hour, as after too many wrong logins."""
        user.failures, user.locked_until = MAX_FAILURES, self.state.clock() + LOCKED_SECONDS

    def hide_created(self, reads: int) -> None:
        """Let the next so many reads of each system that is created from now on not find it.

        Only reads lag: a pbxId is taken at once (409000), and writes by id find the system.
        """
        self.state.visibility_lag = reads

    def at_once(self, method: str, path_qs: str, headers: dict[str, str], content: bytes) -> tuple[int, bytes]:
        """Do or refuse a call in one step, without a network and without faults; return the status and the body."""
        endpoint, params = _route(self.endpoints(), method, path_qs.partition("?")[0])
        call = self.journal.begin(method, path_qs, endpoint.operation, content)
        answer = self._commit(endpoint, make_mocked_request(method, path_qs, headers, match_info=params), content, call)
        call.code = answer.code
        self.journal.end(call, answer.status)
        return answer.status, answer.content

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return all operations; the last one is for paths that are not served."""
        return (*self._authentication.endpoints(), *systems.ENDPOINTS, *sites.ENDPOINTS, _UNKNOWN)

    def _handler(self, endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            call = self.journal.begin(request.method, request.path_qs, endpoint.operation, await request.read())
            answer: Answer | Literal["drop"] = "drop"
            try:
                answer = await self._answer(endpoint, request, call)
            except Exception as error:  # a fault failed, or the simulator: that must fail the test, not just this call
                self._failures.append(error)
            if answer == "drop":
                self.journal.end(call, None)
                return _drop(request)
            call.code = answer.code
            self.journal.end(call, answer.status)
            return answer.response()

        return handle

    async def _answer(self, endpoint: Endpoint, request: web.Request, call: Call) -> Answer | Literal["drop"]:
        """Take a call through all its stages; return what the client gets."""
        instead = await self._strike("before-commit", call)
        if instead != "proceed":
            return instead
        answer = self._commit(endpoint, request, await request.read(), call)
        instead = await self._strike("after-commit", call)
        return answer if instead == "proceed" else instead

    def _commit(self, endpoint: Endpoint, request: web.Request, content: bytes, call: Call) -> Answer:
        """Do or refuse the call, in one step: nothing else happens meanwhile."""
        try:
            user = self._caller(endpoint, request, call)
            body = endpoint.answer(
                self.state, Request(request.match_info, request.query, request.headers, content, user)
            )
        except ApiError as refusal:
            return refused(refusal)
        call.committed = True
        return Answer(200, json.dumps(body).encode())

    def _caller(self, endpoint: Endpoint, request: web.Request, call: Call) -> User | None:
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

    async def _strike(self, stage: Stage, call: Call) -> Answer | Literal["proceed", "drop"]:
        """Apply the faults of a stage; return what becomes of the call."""
        for fault in tuple(self._faults):
            if fault.at == stage and fault.selects(call):
                await fault.strike(call)
                if fault.then != "proceed":
                    return fault.then
        return "proceed"


def _unknown(_state: State, request: Request) -> dict[str, Any]:
    """Refuse a path that is not served, as the login of another case.  [F: GetBasicLogin; the text ?]"""
    raise ApiError(404, f"/{request.params['path']} does not exist.")


_UNKNOWN: Final = Endpoint("", "*", "/{path:.*}", None, _unknown)


def _route(endpoints: tuple[Endpoint, ...], method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
    """Return the operation that a call is for, and the parameters of its path; the last one is for all the rest."""
    for endpoint in endpoints[:-1]:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", endpoint.path)
        if endpoint.method == method and (match := re.fullmatch(pattern, path)):
            return endpoint, match.groupdict()
    return endpoints[-1], {}


def _drop(request: web.Request) -> web.Response:
    """Break the connection of a request; what is returned never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
