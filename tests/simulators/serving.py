"""Serving a simulated service on the loopback interface, with a journal of its calls and faults in their way."""

from __future__ import annotations

import inspect
import ssl
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import Final, Literal, Self

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from simulators.faults import Answer, Fault, Stage
from simulators.journal import Call, Journal

HOST: Final = "127.0.0.1"


class Simulator(ABC):
    """A service that listens on a random port while it is entered, in the event loop of the test."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        """Serve HTTPS with the certificate of this context, or plain HTTP."""
        self.journal = Journal()
        self.url = ""
        """Scheme, host and port, without a slash at the end; empty before the simulator is entered."""
        self._tls = tls
        self._faults: list[Fault] = []
        self._stack = AsyncExitStack()
        self._failures: list[Exception] = []

    @abstractmethod
    def begin(self, request: web.BaseRequest, body: bytes) -> Call:
        """Write down a call that arrived, with what can be told without doing it."""

    @abstractmethod
    def answer(self, request: web.BaseRequest, body: bytes, call: Call) -> web.Response:
        """Do what a request asks and return the answer; it is one step, so a state change is whole or absent."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, HOST, 0, ssl_context=self._tls).start()
            self.url = f"{'http' if self._tls is None else 'https'}://{HOST}:{runner.addresses[0][1]}"
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.clear()
        await self._stack.aclose()
        if self._failures:
            raise ExceptionGroup(f"{type(self).__name__} failed", self._failures)

    def add(self, fault: Fault) -> Fault:
        """Arm a fault; where several strike one call, they do so in the order of adding."""
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Disarm all faults; calls that are held stay held."""
        self._faults.clear()

    def at_once(self, method: str, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        """Do or refuse a call in one step, without a network and without faults; `path` is with the query."""
        request = make_mocked_request(method, path, headers)
        call = self.begin(request, body)
        response = self._decide(request, body, call)
        self.journal.end(call, response.status)
        return response

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        try:
            body = await request.read()
        except (web.RequestPayloadError, ConnectionError):  # the client died while it sent
            return _close(request)
        call = self.begin(request, body)
        try:
            response = await self._reply(request, body, call)
            if response is not None:
                await response.prepare(request)
                await response.write_eof()
        except ConnectionError:  # the client died while it waited
            response = None
        except Exception as error:  # the simulator or a `do` is wrong: that must fail the test, not just this call
            self._failures.append(error)
            response = None
        self.journal.end(call, None if response is None else response.status)
        return _close(request) if response is None else response

    async def _reply(self, request: web.BaseRequest, body: bytes, call: Call) -> web.Response | None:
        """Return the answer for the client, or None to close its connection."""
        then = await self._strike("before-commit", call)
        if then == "proceed":
            response = self._decide(request, body, call)
            then = await self._strike("after-commit", call)
            if then == "proceed":
                return response
        call.code = None if then == "drop" else then.code
        return None if then == "drop" else then.response()

    def _decide(self, request: web.BaseRequest, body: bytes, call: Call) -> web.Response:
        response = self.answer(request, body, call)
        call.decided = response.status
        return response

    async def _strike(self, stage: Stage, call: Call) -> Answer | Literal["proceed", "drop"]:
        """Apply the faults of a stage; return what becomes of the call."""
        for fault in tuple(self._faults):
            if fault.at == stage and fault.selects(call):
                if fault.do is not None and inspect.isawaitable(result := fault.do()):
                    await result
                fault.record(call)
                if fault.then != "proceed":
                    return fault.then
        return "proceed"


def _close(request: web.BaseRequest) -> web.Response:
    """Close the connection of a request; what is returned never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
