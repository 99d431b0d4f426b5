"""Watching against a scripted API server: what ends the watches, what is said of it, and what is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from pbx_operator import watching
from pbx_operator.api.meta import API_VERSION, GROUP
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.watching import Watches

OBJECTS = 100
"""Of each kind but Interlink, so that its watch begins while kopf still takes in the lists of the others."""
DEADLINE = 30.0
Script = Callable[[web.BaseRequest], web.StreamResponse | None]


@dataclass
class Server:
    """Serves our kinds; `script` may give another answer."""

    script: Script = lambda _: None
    served: set[str] = field(default_factory=lambda: {kind.resource.plural for kind in KINDS})
    silent: bool = False
    """Whether watches are accepted without an answer."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if (scripted := self.script(request)) is not None:
            return scripted
        if request.query.get("watch"):
            stream = web.StreamResponse()
            if not self.silent:
                await stream.prepare(request)
            await self.ending.wait()
            return stream
        return web.json_response(self.document(request.path))

    def document(self, path: str) -> dict[str, object]:
        version = {"groupVersion": API_VERSION, "version": API_VERSION.rpartition("/")[2]}
        groups = [{"name": GROUP, "versions": [version], "preferredVersion": version}] if self.served else []
        known: dict[str, dict[str, object]] = {
            "/apis": {"groups": groups},
            "/api": {"versions": ["v1"]},
            "/api/v1": {"resources": [{**self.resource("namespaces"), "kind": "Namespace", "namespaced": False}]},
            f"/apis/{API_VERSION}": {"resources": [self.resource(name) for name in sorted(self.served)]},
        }
        return known.get(path) or {"items": self.objects(path), "metadata": {"resourceVersion": "5"}}

    def resource(self, name: str) -> dict[str, object]:
        return {"name": name, "singularName": "", "kind": name, "namespaced": True, "verbs": ["list", "watch"]}

    def objects(self, path: str) -> list[dict[str, object]]:
        names = [f"n{n}" for n in range(0 if path.endswith("/interlinks") else OBJECTS)]
        return [{"metadata": {"name": name, "namespace": "a", "uid": f"{path} {name}"}} for name in names]


@dataclass
class Bench:
    """Watches of a scripted server, on behalf of an engine that only takes note."""

    server: Server
    watches: Watches
    engine: mock.Mock
    caplog: pytest.LogCaptureFixture

    def failures(self) -> list[logging.LogRecord]:
        return [record for record in self.caplog.records if record.msg.startswith("the watches failed")]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            for _ in iter(condition, True):
                await asyncio.sleep(0.005)

    async def fails(self, times: int) -> str:
        """Wait until the watches have failed so many times, and return what was said of the last failure."""
        await self.until(lambda: len(self.failures()) >= times)
        return self.failures()[-1].getMessage()


@pytest.fixture
async def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Bench]:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(watching, "LONGEST_PAUSE", 0.04)
    server, engine = Server(), mock.Mock()
    async with RawTestServer(server.handle) as upstream:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": str(upstream.make_url(""))}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "x",
        }
        (tmp_path / "config").write_text(json.dumps(config))
        watches = Watches(engine, str(tmp_path / "config"), (), _give_signals_back)
        task = asyncio.create_task(watches.run())
        yield Bench(server, watches, engine, caplog)
        server.ending.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _give_signals_back() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


def refuse(status: int, request: web.BaseRequest) -> web.Response | None:
    """Answer the watch of Interlinks with a status."""
    watched = request.query.get("watch") and request.path.endswith("/interlinks")
    return web.json_response({}, status=status) if watched else None


async def test_every_object_is_fed_and_deletions_are_looked_for(bench: Bench) -> None:
    everything = OBJECTS * (len(KINDS) - 1)
    await bench.until(lambda: bench.engine.compare.called and bench.engine.feed.call_count == everything)
    fed = {(call.args[0].plural, call.args[2]["metadata"]["name"]) for call in bench.engine.feed.call_args_list}
    assert len(fed) == everything
    assert not bench.watches.down


@pytest.mark.parametrize("status", [200, 403], ids=["kopf breaks", "refused"])
async def test_failures_leave_nothing_behind(bench: Bench, status: int) -> None:
    """kopf starts again and again in one event loop; neither tasks nor complaints pile up."""
    bench.server.script = partial(refuse, status)
    await bench.fails(2)
    before = len(asyncio.all_tasks())
    await bench.fails(6)
    assert len(asyncio.all_tasks()) < before + len(KINDS)
    gc.collect()
    assert [record.getMessage() for record in bench.caplog.records if record.name == "asyncio"] == []
    assert bench.watches.down


async def test_failures_do_not_use_up_the_memory(bench: Bench) -> None:
    """Each life of kopf knows all objects; the last one may still be held, those before are gone.

    The operator looks for garbage so rarely that this test does without it.
    """
    gc.disable()
    try:
        bench.server.script = partial(refuse, 403)
        await bench.fails(6)
        lives = [o for o in gc.get_objects() if isinstance(o, watching._Requests)]
    finally:
        gc.enable()
    assert len(lives) <= 2


async def test_a_kopf_that_breaks_is_started_anew(bench: Bench) -> None:
    """An answer that is no watch event is more than kopf can bear."""
    bench.server.script = partial(refuse, 200)
    assert "kopf ended: KeyError('type'); what kopf said before tells more" in await bench.fails(2)
    bench.server.script = Server.script
    await bench.until(lambda: not bench.watches.down)


async def test_a_server_that_stays_silent_is_unavailable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "ANSWER_SECONDS", 0.1)
    bench.server.silent = True
    message = await bench.fails(1)
    assert "TimeoutError" in message
    assert "the API server is unavailable" in message


async def test_the_pauses_grow_and_begin_anew_once_the_watches_last(bench: Bench) -> None:
    bench.server.script = partial(refuse, 503)
    await bench.fails(4)
    pauses = [record.args[2] for record in bench.failures() if isinstance(record.args, tuple)]
    assert pauses[:4] == [0.01, 0.02, 0.04, 0.04]
    bench.server.script = Server.script
    await bench.until(lambda: not bench.watches.down)
    steady = asyncio.get_running_loop().time() + 2 * watching.LONGEST_PAUSE
    await bench.until(lambda: asyncio.get_running_loop().time() > steady)
    failed = len(bench.failures())
    bench.server.script = partial(refuse, 503)
    bench.server.ending.set()
    await bench.fails(failed + 1)
    last = bench.failures()[failed].args
    assert isinstance(last, tuple)
    assert last[2] == 0.01


@pytest.mark.parametrize("missing", [{"interlinks"}, {kind.resource.plural for kind in KINDS}], ids=["one", "all"])
async def test_a_kind_that_is_not_served_is_named(bench: Bench, missing: set[str]) -> None:
    """kopf itself would never watch a kind that was missing when it started."""
    bench.server.script = partial(refuse, 404)
    await bench.fails(1)
    bench.server.served -= missing
    await bench.fails(len(bench.failures()) + 2)
    message = bench.failures()[-1].getMessage()
    assert all(f"{name}.{GROUP}" in message for name in missing)
    assert "kubectl apply --server-side -f crds/" in message
    bench.server.served |= missing
    bench.server.script = Server.script
    await bench.until(lambda: not bench.watches.down)


def test_kopf_never_kills_the_process() -> None:
    """By default it does so some minutes after it ended, which here is no reason for the process to end."""
    assert watching._settings().process.ultimate_exiting_timeout is None
