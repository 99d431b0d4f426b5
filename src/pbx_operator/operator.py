"""The operator process: command line, endpoints, signals and the order in which everything starts and ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from ipaddress import ip_network
from typing import Any, TypeVar

import click
from aiohttp import web
from prometheus_client import REGISTRY, start_http_server
from pydantic import TypeAdapter, ValidationError

from pbx_operator import logs
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.api.v1alpha1.shared import Endpoint, HostName
from pbx_operator.cluster import ApiError, Cluster, Conflict, CredentialsError, Forbidden, Unavailable
from pbx_operator.cluster.errors import RIGHTS_ADVICE
from pbx_operator.engine.engine import RESTORE_PERIOD, Engine, EngineSettings, Federation
from pbx_operator.engine.identity import (
    Identity,
    IdentityKeeper,
    load_identity,
    read_identity,
    rotate_identity,
)
from pbx_operator.engine.sync import missing_crds
from pbx_operator.engine.worker import Clocks
from pbx_operator.exchange.addresses import Network, NetworkRules, parse_endpoint
from pbx_operator.exchange.beside import (
    ExchangeSettings,
    RecordsAlone,
    contact_of,
    exchange_beside,
    prepare_certificate,
)
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.links.authority import Authority
from pbx_operator.links.records import RecordDesk
from pbx_operator.links.signs import SignsOfLife
from pbx_operator.watching import Watches

T = TypeVar("T")

DRAIN_SECONDS = 20.0
MAX_ENDPOINTS = 4
RETRY_SECONDS = 5.0
GARBAGE_THRESHOLDS = (100_000, 50, 100)
"""What the Store holds lives long and has no cycles; looking for some as often as usual costs a fifth of the CPU."""

_ROTATED = """\
Installation {identity.instance} has a new identity key, {identity.public_key}: rotation {number}, {left} are left.
- The operator and its exchange servers take it up within a minute, peers with the next sync. Links stay.
- Back up the Secret now: an older copy holds a former key, which peers stop believing.
- If the former key leaked, raise spec.issueKey.revision of all unused keys, and carry the new ones."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    kubeconfig: str | None
    health_port: int
    engine: EngineSettings
    exchange: ExchangeSettings


def _host_name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        return TypeAdapter[str](HostName).validate_python(value)
    except ValidationError:
        raise click.BadParameter(
            f"{value!r} is not a host name (RFC 1123: lower-case letters, digits, '-' and '.'); "
            "give the domain of your SIP servers, for example pbx.example.com"
        ) from None


def _endpoints(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            TypeAdapter[str](Endpoint).validate_python(value)
            parse_endpoint(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} must look like https://pbx.example.com:8443, without a path") from None
    if len(values) > MAX_ENDPOINTS:
        raise click.BadParameter(f"{len(values)} endpoints are too many: give at most {MAX_ENDPOINTS}")
    return values


def _networks(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(f"{error}: write a network like 10.0.0.0/8") from None


_PORT = click.IntRange(0, 65535)

_namespace_option = click.option(
    "--namespace",
    envvar="POD_NAMESPACE",
    default="pbx-system",
    show_default=True,
    help="Namespace of the operator's own identity Secret.",
)
_after_restore_option = click.option(
    "--after-restore", is_flag=True, help="A backup is being restored: leave LinkRecords alone for 10 minutes."
)
_kubeconfig_option = click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    help="Default: the service account in a Pod, ~/.kube/config elsewhere.",
)
_log_level_option = click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(["debug", "info", "warning"]),
    help="The least important log lines that are written.",
)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pbx-operator")
@_namespace_option
@_kubeconfig_option
@click.option(
    "--domain-suffix",
    default="pbx.local",
    show_default=True,
    callback=_host_name,
    help="Domain below which accounts without spec.sipDomain get theirs.",
)
@click.option(
    "--workers",
    default=16,
    show_default=True,
    type=click.IntRange(1, 256),
    help="How many accounts and Interlinks are worked on at the same time. They mostly wait for the API server: more "
    "make many changes at once quicker, and ask more of it.",
)
@click.option("--health-port", default=8080, show_default=True, type=_PORT, help="Port of /healthz.")
@click.option("--metrics-port", default=9090, show_default=True, type=_PORT, help="Port of /metrics.")
@_log_level_option
@click.option(
    "--exchange-endpoint",
    "endpoints",
    multiple=True,
    callback=_endpoints,
    help="Where operators of other clusters reach this one, for example https://pbx.example.com:8443; "
    "without it, this one only dials.",
)
@click.option(
    "--exchange-port",
    default=8443,
    show_default=True,
    type=_PORT,
    help="Port of the exchange, if it has an endpoint; 0 if `pbx-operator exchange` serves it.",
)
@click.option(
    "--sync-interval",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds between two syncs with another installation where nothing changes.",
)
@click.option("--forbid-network", multiple=True, callback=_networks, help="Never dial addresses of this network.")
@click.option("--allow-network", multiple=True, callback=_networks, help="Dial addresses of this network anyway.")
@_after_restore_option
@click.pass_context
def main(
    context: click.Context,
    namespace: str,
    kubeconfig: str | None,
    domain_suffix: str,
    workers: int,
    health_port: int,
    metrics_port: int,
    log_level: str,
    endpoints: tuple[str, ...],
    exchange_port: int,
    sync_interval: float,
    forbid_network: tuple[Network, ...],
    allow_network: tuple[Network, ...],
    after_restore: bool,
) -> None:
    """Run the pbx-operator."""
    if context.invoked_subcommand is not None:
        return
    logs.configure(log_level)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    engine = EngineSettings(namespace, domain_suffix, workers, after_restore)
    exchange = ExchangeSettings(endpoints, exchange_port, sync_interval, NetworkRules(forbid_network, allow_network))
    options = Options(kubeconfig, health_port, engine, exchange)
    _run(lambda: _serve(options), metrics_port, "--health-port and --metrics-port, or --exchange-port")


@main.command()
@_namespace_option
@_kubeconfig_option
@_log_level_option
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    required=True,
    callback=_endpoints,
    help="Where operators of other clusters reach this installation, as given to the operator.",
)
@click.option("--port", default=8443, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@click.option("--metrics-port", default=9090, show_default=True, type=_PORT, help="Port of /metrics.")
@_after_restore_option
def exchange(
    namespace: str,
    kubeconfig: str | None,
    log_level: str,
    endpoints: tuple[str, ...],
    port: int,
    metrics_port: int,
    after_restore: bool,
) -> None:
    """Answer operators of other clusters; any number of these may run beside the operator."""
    logs.configure(log_level)
    settings = ExchangeSettings(endpoints, port)
    _run(lambda: _exchange(kubeconfig, namespace, settings, after_restore), metrics_port, "--port and --metrics-port")


@main.command("rotate-identity")
@_namespace_option
@_kubeconfig_option
def rotate(namespace: str, kubeconfig: str | None) -> None:
    """Replace the key by which this installation signs what it says to others; no link breaks.

    Running operators and exchange servers take the new key up within a minute. Do this at once when the Secret
    may have been read by others: what the former key signs counts no more where the new one was heard.
    """
    try:
        identity = asyncio.run(_rotate(kubeconfig, namespace))
    except Conflict as error:
        raise click.ClickException("somebody else changed the identity: nothing was rotated, try again") from error
    except Unavailable as error:
        text = f"nobody knows whether the identity was rotated ({error}): try again, two rotations do no harm"
        raise click.ClickException(text) from error
    except (ApiError, CredentialsError, ValueError) as error:
        raise click.ClickException(f"the identity was not rotated: {error}") from error
    click.echo(_ROTATED.format(identity=identity, number=len(identity.successions), left=identity.rotations_left))


async def _rotate(kubeconfig: str | None, namespace: str) -> Identity:
    async with Cluster.connect(kubeconfig) as cluster:
        return await rotate_identity(cluster, namespace)


def _run(serve: Callable[[], Coroutine[Any, Any, None]], metrics_port: int, port_options: str) -> None:
    """Serve until a signal; exit with 1 if that is not possible (any more)."""
    try:
        start_http_server(metrics_port)
        asyncio.run(serve())
    except asyncio.CancelledError:
        return  # a signal asked for the end
    except CredentialsError as error:
        _log.critical("cannot log in to the cluster: %s", error)
    except OSError as error:
        _log.critical("cannot listen: %s; choose other ports with %s", error, port_options)
    except ExceptionGroup as error:
        _log.critical("the engine broke", exc_info=error)
    sys.exit(1)


async def _exchange(kubeconfig: str | None, namespace: str, settings: ExchangeSettings, after_restore: bool) -> None:
    """Answer until a signal. Raises CredentialsError, and OSError if the port is taken."""
    _cancel_by_signal(asyncio.current_task())
    now = partial(datetime.now, UTC)
    async with Cluster.connect(kubeconfig) as cluster:
        identity = await _until_answered(lambda: read_identity(cluster, namespace), "reading the identity")
        certificate = await _until_answered(
            lambda: prepare_certificate(cluster, namespace, settings, now), "preparing the certificate"
        )
        alone = RecordsAlone(now, now() + RESTORE_PERIOD if after_restore else None)
        authority = Authority(cluster, alone, now, alone, sees_interlinks=False)
        signs = SignsOfLife(cluster, namespace, now)
        desk = RecordDesk(authority, identity, contact_of(settings, certificate), signs)
        async with exchange_beside(desk, identity, certificate, settings.port, now):
            await IdentityKeeper(cluster, namespace, identity).run()


async def _serve(options: Options) -> None:
    """Run until a signal. Raises what breaks the engine, CredentialsError, and OSError if a port is taken."""
    take_signals = partial(_cancel_by_signal, asyncio.current_task())
    take_signals()
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    health = _Health()
    async with health.endpoint(options.health_port), Cluster.connect(options.kubeconfig) as cluster:
        identity = await _wait_for_cluster(cluster, options)
        certificate = await _until_answered(
            lambda: prepare_certificate(cluster, options.engine.namespace, options.exchange, clocks.now),
            "preparing the exchange's certificate",
        )
        contact = contact_of(options.exchange, certificate)
        _introduce(identity, contact)
        peer = RemotePeer(identity, options.exchange.network, clocks.now)
        federation = Federation(peer, contact, options.exchange.sync_interval)
        engine = Engine(cluster, identity, options.engine, clocks, REGISTRY, federation)
        await _until_answered(engine.load, "listing the objects")
        watches = Watches(engine, options.kubeconfig, take_signals)
        health.behind = lambda: watches.down or engine.lagging
        async with exchange_beside(engine.desk, identity, certificate, options.exchange.port, clocks.now):
            await _work(engine, watches)


def _introduce(identity: Identity, contact: Contact) -> None:
    """Log what the redeemer of a bare key writes into redeemKey.issuer; nothing of it is secret."""
    where = (
        f"reached at {', '.join(contact.endpoints)}, with the pin {contact.pins[0]}" if contact.pins else "not reached"
    )
    _log.info("this is installation %s; operators of other clusters: %s", identity.instance, where)


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
            "CustomResourceDefinitions are missing: %s; install them: kubectl apply --server-side -f crds/",
            ", ".join(missing),
        )
        await asyncio.sleep(RETRY_SECONDS)
    return await _until_answered(lambda: load_identity(cluster, options.engine.namespace), "loading the identity")


async def _until_answered(call: Callable[[], Awaitable[T]], doing: str) -> T:
    while True:
        try:
            return await call()
        except (ApiError, ValueError) as error:
            _log.error("%s failed: %s%s; trying again", doing, error, _next_step(error))
            await asyncio.sleep(RETRY_SECONDS)


def _next_step(error: Exception) -> str:
    if not isinstance(error, Forbidden):
        return ""
    return "; check the operator's credentials" if error.status == HTTPStatus.UNAUTHORIZED else f"; {RIGHTS_ADVICE}"


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
