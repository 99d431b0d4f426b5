"""The operator process: command line, endpoints, signals and the order in which everything starts and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import click
from aiohttp import web
from prometheus_client import REGISTRY, start_http_server
from pydantic import TypeAdapter, ValidationError

from pbx_operator import logs
from pbx_operator.api.v1alpha1.shared import HostName
from pbx_operator.cluster import ApiError, Cluster, CredentialsError
from pbx_operator.engine.engine import Engine, EngineSettings
from pbx_operator.engine.identity import Identity, load_identity
from pbx_operator.engine.sync import missing_crds
from pbx_operator.engine.worker import Clocks
from pbx_operator.watching import Watches

T = TypeVar("T")

DRAIN_SECONDS = 20.0
RETRY_SECONDS = 5.0
GARBAGE_THRESHOLDS = (100_000, 50, 100)
"""What the Store holds lives long and has no cycles; looking for some as often as usual costs a fifth of the CPU."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    kubeconfig: str | None
    health_port: int
    engine: EngineSettings


def _host_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return TypeAdapter[str](HostName).validate_python(value)
    except ValidationError:
        raise click.BadParameter(
            f"{value!r} is not a host name (RFC 1123: lower-case letters, digits, '-' and '.'); "
            "give the domain of your SIP servers, for example pbx.example.com"
        ) from None


@click.command()
@click.option(
    "--namespace",
    envvar="POD_NAMESPACE",
    default="pbx-system",
    show_default=True,
    help="Namespace of the operator's own identity Secret.",
)
@click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    help="Default: the service account in a Pod, ~/.kube/config elsewhere.",
)
@click.option(
    "--domain-suffix",
    default="pbx.local",
    show_default=True,
    callback=_host_name,
    help="Domain below which accounts without spec.sipDomain get theirs.",
)
@click.option("--workers", default=16, show_default=True, type=click.IntRange(1, 256))
@click.option("--health-port", default=8080, show_default=True, help="Port of /healthz.")
@click.option("--metrics-port", default=9090, show_default=True, help="Port of /metrics.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(["debug", "info", "warning"]))
@click.option(
    "--after-restore", is_flag=True, help="A backup is being restored: leave LinkRecords alone for 10 minutes."
)
def main(
    namespace: str,
    kubeconfig: str | None,
    domain_suffix: str,
    workers: int,
    health_port: int,
    metrics_port: int,
    log_level: str,
    after_restore: bool,
) -> None:
    """Run the pbx-operator."""
    logs.configure(log_level)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    settings = EngineSettings(namespace, domain_suffix, workers, after_restore)
    try:
        start_http_server(metrics_port)
        asyncio.run(_serve(Options(kubeconfig, health_port, settings)))
    except asyncio.CancelledError:
        return  # a signal asked for the end
    except CredentialsError as error:
        _log.critical("cannot log in to the cluster: %s", error)
    except OSError as error:
        _log.critical("cannot listen: %s; choose other ports with --health-port and --metrics-port", error)
    except ExceptionGroup as error:
        _log.critical("the engine broke", exc_info=error)
    sys.exit(1)


async def _serve(options: Options) -> None:
    """Run until a signal. Raises what breaks the engine, CredentialsError, and OSError if a port is taken."""
    take_signals = partial(_cancel_by_signal, asyncio.current_task())
    take_signals()
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    health = _Health()
    async with health.endpoint(options.health_port), Cluster.connect(options.kubeconfig) as cluster:
        identity = await _wait_for_cluster(cluster, options)
        engine = Engine(cluster, identity, options.engine, clocks, REGISTRY)
        await _until_answered(engine.load, "listing the objects")
        watches = Watches(engine, options.kubeconfig, take_signals)
        health.behind = lambda: watches.down or engine.lagging
        await _work(engine, watches)


def _cancel_by_signal(task: asyncio.Task[None] | None) -> None:
    """Let a signal that asks for the end cancel a task."""

    def ask(name: str) -> None:
        _log.info("%s: the operator ends", name)
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask, number.name)


async def _wait_for_cluster(cluster: Cluster, options: Options) -> Identity:
    """Wait until the CRDs are there and the identity can be read, telling what is missing."""
    while True:
        missing = await _until_answered(lambda: missing_crds(cluster), "looking for the CRDs")
        if not missing:
            break
        _log.error(
            "CustomResourceDefinitions are missing: %s; install them: kubectl apply -f crds/", ", ".join(missing)
        )
        await asyncio.sleep(RETRY_SECONDS)
    return await _until_answered(lambda: load_identity(cluster, options.engine.namespace), "loading the identity")


async def _until_answered(call: Callable[[], Awaitable[T]], doing: str) -> T:
    while True:
        try:
            return await call()
        except (ApiError, ValueError) as error:
            _log.error("%s failed: %s; trying again", doing, error)
            await asyncio.sleep(RETRY_SECONDS)


async def _work(engine: Engine, watches: Watches) -> None:
    """Run until cancelled; then no new work comes in, and what is in work may end. Raises what breaks the engine."""
    working = asyncio.create_task(engine.run())
    watching = asyncio.create_task(watches.run())
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(watching)
        await engine.drain(DRAIN_SECONDS)
        await _end(working)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end. Raises the error that had ended it before."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


class _Health:
    """Answers the liveness probe, from the first moment on."""

    def __init__(self) -> None:
        self.behind: Callable[[], bool] = lambda: False
        """Whether the watches are known to be behind."""

    @asynccontextmanager
    async def endpoint(self, port: int) -> AsyncIterator[None]:
        """Serve /healthz. Raises OSError if the port is taken."""
        application = web.Application()
        application.router.add_get("/healthz", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "0.0.0.0", port).start()
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        if self.behind():
            return web.Response(status=500, text="the watches are behind\n")
        return web.Response(text="ok\n")
