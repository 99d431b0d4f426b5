"""Watching by kopf, which starts anew whenever it fails.

The only module that knows kopf.  kopf lists and watches our kinds and hands every object to the engine; it has no
handler that could make it write anything.  A watch that fails for good would end kopf, and a kopf that ends by
itself leaves tasks behind, so it never sees a failure: all watches are stopped in order, the failure is told, and
after a pause they start anew.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import aiohttp
import kopf

from pbx_operator.api.meta import API_VERSION, GROUP, VERSION, Resource
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.cluster import ApiError, CredentialsError, Unavailable
from pbx_operator.cluster.credentials import Credentials, find_kubeconfig
from pbx_operator.cluster.errors import Answer, api_error, operator_advice
from pbx_operator.cluster.paths import collection_path
from pbx_operator.engine.engine import Engine
from pbx_operator.engine.sync import places
from pbx_operator.network.pauses import jittered

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
"""Seconds before the watches start anew; doubled from failure to failure, until they lasted as long as the pause."""
STUCK_SECONDS = 5.0
"""After that a task of kopf that did not end is cancelled once more."""
ANSWER_SECONDS = 20.0
"""Within these an answer must begin.  kopf's own limits are longer, and beyond them it tries again without end."""
PLURALS = frozenset(kind.resource.plural for kind in KINDS)

_log = logging.getLogger(__name__)


class Watches:
    """Keeps all kinds watched, as far as the API server lets it."""

    def __init__(
        self, engine: Engine, kubeconfig: str | None, namespaces: Collection[str], take_signals: Callable[[], None]
    ) -> None:
        """`namespaces` are those to watch; none means all.

        `take_signals` takes the signals of the process back, which kopf takes at each of its starts.
        """
        self._engine = engine
        self._namespaces = namespaces
        self._kubeconfig = find_kubeconfig(kubeconfig)
        self._take_signals = take_signals
        self.down = False
        """Whether the watches failed and are not all back yet."""
        self._steady_since: float | None = None

    @property
    def complete(self) -> bool:
        """Whether all kinds are watched."""
        return self._steady_since is not None

    async def run(self) -> None:
        """Watch until cancelled."""
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        while True:
            self._steady_since = None
            try:
                await self._watch()
            except Exception as error:
                self.down = True
                if self._steady_since is not None and loop.time() - self._steady_since > pause:
                    pause = FIRST_PAUSE
                _tell(error, pause)
            gc.collect()  # what kopf knew of every object holds itself in circles, and garbage is rarely looked for
            await asyncio.sleep(jittered(pause))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _watch(self) -> None:
        """Let kopf watch until cancelled. Raises what ends the watches."""
        credentials = Credentials(self._kubeconfig)
        await credentials.load()
        requests = _Requests(credentials, _collections(self._namespaces), self._complete)
        async with requests.session() as session:
            login = kopf.AiohttpSession(server=credentials.host, aiohttp_session=session)
            tasks = await kopf.spawn_tasks(
                registry=_registry(self._engine, login),
                settings=_settings(),
                clusterwide=not self._namespaces,
                namespaces=sorted(self._namespaces),
                standalone=True,
            )
            self._take_signals()
            try:
                await asyncio.wait({*tasks, requests.failure}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                await requests.close()
                errors = await _end({*tasks, *requests.callers})
        if requests.failure.done():
            raise requests.failure.result()
        raise RuntimeError(f"kopf ended: {' and '.join(sorted({repr(error) for error in errors}))}")

    def _complete(self) -> None:
        """All kinds are watched after they were listed anew; what was deleted before that, no list shows."""
        self.down = False
        self._steady_since = asyncio.get_running_loop().time()
        self._engine.compare()


class _Requests:
    """The requests of one life of kopf: they have our own client's credentials, and the first that fails ends it."""

    def __init__(self, credentials: Credentials, wanted: frozenset[str], complete: Callable[[], None]) -> None:
        """`complete` is called whenever all `wanted` paths are watched after a list of one of them."""
        self._credentials = credentials
        self._wanted = wanted
        self._complete = complete
        self._watched: set[str] = set()
        self._closed = False
        self._taking: set[asyncio.Task[Any] | None] = set()
        """The callers that got a list, until their next request."""
        self._taken = asyncio.Event()
        self.failure: asyncio.Future[ApiError] = asyncio.get_running_loop().create_future()
        self.callers: set[asyncio.Task[Any]] = set()
        """The tasks of kopf that made requests; some of them kopf itself would not end."""

    def session(self) -> aiohttp.ClientSession:
        """Return the session for kopf."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._credentials.ssl_context, limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(self._send,),
            proxy=self._credentials.proxy,
        )

    async def close(self) -> None:
        """Let no request through any more, and wait until kopf has taken in the lists that it got.

        A watch that is cancelled while it hands on a list would not clean up after itself.
        """
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(STUCK_SECONDS):
                while self._taking:
                    self._taken.clear()
                    await self._taken.wait()

    async def _send(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Send a request; if it fails, or comes too late, the task that makes it ends as if it was cancelled."""
        if task := asyncio.current_task():
            self.callers.add(task)
        self._taking.discard(task)
        self._taken.set()
        if not self._closed:
            try:
                response = await self._answer(request, send)
                await self._look(request, response)
                return response
            except ApiError as error:
                if not self.failure.done():
                    self.failure.set_result(error)
        raise asyncio.CancelledError

    async def _answer(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """Return the answer to a request. Raises ApiError."""
        request.server_hostname = self._credentials.tls_server_name
        if authorization := await self._credentials.authorization():
            request.headers["Authorization"] = authorization
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await send(request)
            # kopf meets 429 as it should be met, and knows how long to wait
            if response.status < HTTPStatus.MULTIPLE_CHOICES or response.status == HTTPStatus.TOO_MANY_REQUESTS:
                return response
            body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = type(error).__name__
            raise Unavailable(f"{_call(request)}: {reason}: {error}", reason=reason) from error
        raise api_error(_call(request), Answer(response.status, response.headers, body), confidential=False)

    async def _look(self, request: aiohttp.ClientRequest, response: aiohttp.ClientResponse) -> None:
        """Learn from an answer what is served and what is watched. Raises Unavailable if a kind is not served.

        kopf looks for the kinds once, when it starts, and would never watch one that it did not find then.
        """
        path = request.url.path
        if response.status != HTTPStatus.OK:
            return
        if path.endswith(("/apis", f"/apis/{API_VERSION}")):
            if missing := _unserved(json.loads(await response.read())):
                names = ", ".join(f"{name}.{GROUP}" for name in sorted(missing))
                raise Unavailable(f"{names}: not served", status=HTTPStatus.NOT_FOUND, reason="NotServed")
        elif path in self._wanted and not _is_watch(request):
            self._watched.discard(path)
            self._taking.add(asyncio.current_task())
        elif path in self._wanted and path not in self._watched:
            self._watched.add(path)
            if self._watched == self._wanted:
                self._complete()


def _collections(namespaces: Collection[str]) -> frozenset[str]:
    """Return the paths of all collections that are watched."""
    kinds = [kind.resource for kind in KINDS]
    return frozenset(collection_path(kind, namespace) for kind in kinds for namespace in places(kind, namespaces))


def _is_watch(request: aiohttp.ClientRequest) -> bool:
    return "watch" in request.url.query


def _call(request: aiohttp.ClientRequest) -> str:
    """Name a request as RBAC does, or by its path."""
    collection, _, plural = request.url.path.rpartition("/")
    if plural not in PLURALS:
        return f"{request.method} {request.url.path}"
    namespace = collection.rpartition("/namespaces/")[2] if "/namespaces/" in collection else ""
    return f"{'watch' if _is_watch(request) else 'list'} {plural}{f' in {namespace}' if namespace else ''}"


def _unserved(document: dict[str, Any]) -> frozenset[str]:
    """Return which of our kinds are missing in an APIGroupList or in the APIResourceList of our group."""
    if "groups" in document:
        return frozenset() if any(group["name"] == GROUP for group in document["groups"]) else PLURALS
    return PLURALS - {resource["name"] for resource in document["resources"]}


def _tell(error: Exception, pause: float) -> None:
    reason = (error.reason if isinstance(error, ApiError) else "") or type(error).__name__
    _log.error(
        "the watches failed: %s; %s; watching starts anew in about %.1f s",
        *(str(error), _advice(error), pause),
        extra={"reason": reason},
    )


def _advice(error: Exception) -> str:
    """Return what is missing and what an administrator can do about it."""
    if isinstance(error, CredentialsError):
        return "check the operator's credentials"
    if not isinstance(error, ApiError):
        return "what kopf said before tells more"
    return operator_advice(error) or "the API server is unavailable"


async def _end(tasks: set[asyncio.Task[Any]]) -> list[BaseException]:
    """Cancel tasks until all have ended, and return their errors.

    kopf loses a cancellation that comes while one of its watches begins anew.
    """
    waiting = tasks
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=STUCK_SECONDS)
    return [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]


class _Backoffs:
    """Pauses between tries of kopf's requests; kopf iterates over it once per request."""

    def __iter__(self) -> Iterator[float]:
        for pause in (0.1, 0.5, 1, 2, 5, 10, 10, 10, 10, 10):
            yield jittered(pause)


class _NothingToCompare(kopf.DiffBaseStorage):
    """Spares kopf a copy of every object for handlers of changes, of which there are none."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Keep nothing."""


def _settings() -> kopf.OperatorSettings:
    """Make kopf watch, and nothing else; why each setting: `docs/architecture.md`."""
    s = kopf.OperatorSettings()
    s.peering.standalone = True
    s.posting.enabled = False
    s.persistence.finalizer = f"{GROUP}/kopf"
    s.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    s.persistence.diffbase_storage = _NothingToCompare()
    s.scanning.disabled = True
    s.networking.connect_timeout = 10
    s.networking.request_timeout = 30
    s.networking.error_backoffs = _Backoffs()
    s.watching.connect_timeout = 10
    s.watching.chunk_size = 500
    s.queueing.idle_timeout = 0.5
    s.process.ultimate_exiting_timeout = None
    return s


def _registry(engine: Engine, login: kopf.AiohttpSession) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    for model in KINDS:
        _watch(registry, engine, model)

    @kopf.on.login(registry=registry)
    def log_in(**_: Any) -> kopf.AiohttpSession:
        return login

    return registry


def _watch(registry: kopf.OperatorRegistry, engine: Engine, model: type[Resource]) -> None:
    @kopf.on.event(GROUP, VERSION, model.resource.plural, registry=registry, id=model.resource.plural)
    async def feed(event: kopf.RawEvent, **_: Any) -> None:
        engine.feed(model.resource, event["type"], dict(event["object"]))
