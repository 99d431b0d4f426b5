"""The proxy itself: passes calls and watches on, journals them and lets the rules strike."""

from __future__ import annotations

import asyncio
import inspect
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import aiohttp
from aiohttp import web
from yarl import URL

from faultproxy.journal import Call, Journal, WatchEvent
from faultproxy.rules import Answer, EventDrop, Fault
from pbx_operator.cluster.credentials import Credentials
from pbx_operator.network.dialling import never_resend
from pbx_operator.sandbox.pki import CertificateAuthority
from strikes import DEADLINE

HOST = "127.0.0.1"
R = TypeVar("R", bound=Fault | EventDrop)
_REQUEST_HEADERS = ("Accept", "Content-Type", "User-Agent")
_REPLY_HEADERS = ("Content-Type", "Retry-After", "Warning", "Audit-Id")


@dataclass(eq=False)
class _Watch:
    """A watch that runs; setting `end` ends it, with these last words or (None) without a word."""

    resource: str
    pump: asyncio.Task[None]
    end: asyncio.Future[bytes | None]


class FaultProxy:
    """The proxy in front of the API server that a kubeconfig names; listens while it is entered."""

    def __init__(self, kubeconfig: Path) -> None:
        self.journal = Journal()
        self._credentials = Credentials(str(kubeconfig))
        self._rules: list[Fault | EventDrop] = []
        self._watches: set[_Watch] = set()
        self._watch_began = asyncio.Condition()
        self._events_flow = asyncio.Event()
        self._events_flow.set()
        self._stack = AsyncExitStack()
        self._failures: list[Exception] = []

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._credentials.load()
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faultproxy-")))
            self._authority = CertificateAuthority.create(directory)
            self._upstream = await stack.enter_async_context(
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._credentials.ssl_context, limit=0),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    middlewares=(never_resend,),
                    skip_auto_headers=("Accept-Encoding",),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                )
            )
            self._port = await self._listen(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.clear()
        await self.close_watches()
        await self._stack.aclose()
        if self._failures:
            raise ExceptionGroup("rules of the fault proxy failed", self._failures)

    async def _listen(self, stack: AsyncExitStack) -> int:
        """Serve on a free port and return it."""
        certificate = self._authority.issue_server([HOST])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
        port: int = runner.addresses[0][1]
        return port

    def kubeconfig(self, path: Path) -> Path:
        """Write a kubeconfig that leads here, and return its path; its identity is not looked at."""
        client = self._authority.issue_client("proxied")
        return self._authority.write_kubeconfig(path, f"https://{HOST}:{self._port}", "proxied", client)

    def add(self, rule: R) -> R:
        """Put a rule into force; where several strike one call, they do so in the order of adding."""
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Remove all rules and let held watch events go."""
        self._rules.clear()
        self.release_events()

    async def watched(self, resources: Collection[str]) -> None:
        """Wait until there is a watch of each of these kinds."""
        async with asyncio.timeout(DEADLINE), self._watch_began:
            await self._watch_began.wait_for(lambda: {watch.resource for watch in self._watches} >= set(resources))

    async def close_watches(self) -> None:
        """Break the connections of all watches; a client can go on where it was."""
        await self._end_watches(None)

    async def expire_watches(self) -> None:
        """End all watches as the API server does when their resourceVersion is too old: a client must list again."""
        error = {"type": "ERROR", "object": Answer(HTTPStatus.GONE, reason="Expired").status_object()}
        await self._end_watches(json.dumps(error).encode() + b"\n")

    async def _end_watches(self, last_words: bytes | None) -> None:
        watches = tuple(watch for watch in self._watches if not watch.end.done())
        for watch in watches:
            watch.end.set_result(last_words)
        await asyncio.gather(*(watch.pump for watch in watches), return_exceptions=True)

    def hold_events(self) -> None:
        """Let watches be silent; their events come after the release, in order."""
        self._events_flow.clear()

    def release_events(self) -> None:
        """End hold_events."""
        self._events_flow.set()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._pass(request)
        except (aiohttp.ClientError, web.RequestPayloadError, ConnectionError):  # the client died while it sent
            return _drop(request)
        except Exception as error:  # a rule failed: that must fail the test, not just this call
            self._failures.append(error)
            return _drop(request)

    async def _pass(self, request: web.BaseRequest) -> web.StreamResponse:
        """Take a call through all its stages."""
        call = self.journal.begin(request, await request.read())
        try:
            reply = await self._reply(request, call)
            if reply is not None and not reply.prepared:
                await reply.prepare(request)
                await reply.write_eof()
        except (aiohttp.ClientError, ConnectionError):  # one side is gone, so the other loses its connection
            reply = None
        if not call.ended:
            self.journal.end(call, None if reply is None else reply.status)
        if reply is None:
            return _drop(request)
        await self._strike("after-reply", call)
        return reply

    async def _reply(self, request: web.BaseRequest, call: Call) -> web.StreamResponse | None:
        """Return the answer for the client, or None to drop its connection."""
        then = await self._strike("before-send", call)
        if then != "proceed":
            return _instead(then)
        headers = {name: request.headers[name] for name in _REQUEST_HEADERS if name in request.headers}
        if authorization := await self._credentials.authorization():
            headers["Authorization"] = authorization
        url = URL(self._credentials.host + call.path, encoded=True)
        async with self._upstream.request(
            call.method, url, headers=headers, data=call.body or None, allow_redirects=False
        ) as answer:
            is_watch = call.verb == "watch" and answer.status == HTTPStatus.OK
            content = None if is_watch else await answer.read()
            call.upstream_status = answer.status
            then = await self._strike("after-send", call)
            if then != "proceed":
                return _instead(then)
            headers = {name: answer.headers[name] for name in _REPLY_HEADERS if name in answer.headers}
            if content is None:
                return await self._watch(request, call, answer, web.StreamResponse(headers=headers))
            return web.Response(status=answer.status, headers=headers, body=content)

    async def _strike(self, stage: str, call: Call) -> Answer | Literal["proceed", "drop"]:
        """Apply the faults of a stage; return what becomes of the call."""
        for fault in tuple(self._rules):
            if isinstance(fault, Fault) and fault.at == stage and fault.selects(call):
                if fault.do is not None and inspect.isawaitable(result := fault.do()):
                    await result
                fault.record(call)
                if fault.then != "proceed":
                    return fault.then
        return "proceed"

    async def _watch(
        self, request: web.BaseRequest, call: Call, answer: aiohttp.ClientResponse, reply: web.StreamResponse
    ) -> web.StreamResponse | None:
        """Pass on events until one side ends the watch, or the test breaks it."""
        await reply.prepare(request)
        self.journal.end(call, reply.status)
        pump = asyncio.create_task(self._pump(call, answer, reply))
        watch = _Watch(call.resource, pump, asyncio.get_running_loop().create_future())
        self._watches.add(watch)
        async with self._watch_began:
            self._watch_began.notify_all()
        ends: set[asyncio.Future[Any]] = {pump, watch.end}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._watches.discard(watch)
            pump.cancel()
        if not watch.end.done():
            pump.result()
            return reply
        if (last_words := watch.end.result()) is None:
            return None
        await reply.write(last_words)
        return reply

    async def _pump(self, call: Call, answer: aiohttp.ClientResponse, reply: web.StreamResponse) -> None:
        async for line in _lines(answer.content):
            await self._events_flow.wait()
            if not self._is_dropped(call, line):
                await reply.write(line)

    def _is_dropped(self, call: Call, line: bytes) -> bool:
        drops = [rule for rule in self._rules if isinstance(rule, EventDrop)]
        if not drops:  # parsing costs more than all the rest
            return False
        event = _watch_event(call.resource, json.loads(line))
        for drop in drops:
            if drop.selects(event):
                drop.record(event)
                return True
        return False


def _instead(then: Answer | Literal["drop"]) -> web.Response | None:
    return then.response() if isinstance(then, Answer) else None


def _drop(request: web.BaseRequest) -> web.Response:
    """Break the connection of a request; what is returned never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _watch_event(resource: str, document: dict[str, Any]) -> WatchEvent:
    metadata = document["object"].get("metadata", {})
    return WatchEvent(
        document["type"], resource, metadata.get("namespace", ""), metadata.get("name", ""), document["object"]
    )


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield line by line; StreamReader.readline refuses lines that are longer than its buffer."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
