"""The two processes, operator and exchange, from their start to their end: in which order everything begins and stops.

`commands.operator` and `commands.exchange` are the command lines in front of them.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, TypeVar
from uuid import uuid4

from aiohttp import web
from prometheus_client import REGISTRY, Gauge

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.cluster import ApiError, Cluster
from pbx_operator.cluster.errors import explained
from pbx_operator.engine.engine import Engine, EngineSettings, Federation
from pbx_operator.engine.identity import (
    IDENTITY_SECRET,
    Identity,
    IdentityKeeper,
    load_identity,
    read_identity,
)
from pbx_operator.engine.lease import LEASE, Lease
from pbx_operator.engine.sync import require_definitions
from pbx_operator.engine.worker import Clocks
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
from pbx_operator.providers.association import EquipmentDesk
from pbx_operator.providers.builtin import Builtin
from pbx_operator.providers.choice import CustomerProviders, Outside, SystemProviders
from pbx_operator.providers.http import Dialler
from pbx_operator.watching import Watches

T = TypeVar("T")

LEADS = Gauge("leader_election_master_status", "Whether this process works (1), or stands by (0).", ["name"])
"""The name is client-go's."""
BUILD = Gauge("pbx_operator_build_info", "The version of the program, as a label; the value is always 1.", ["version"])
BUILD.labels(version("pbx-operator")).set(1)

DRAIN_SECONDS = 20.0
RETRY_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    kubeconfig: str | None
    health_port: int
    engine: EngineSettings
    exchange: ExchangeSettings
    leader_elect: bool = False
    """Whether to work only while the Lease is held."""


async def exchange(
    kubeconfig: str | None, namespace: str, settings: ExchangeSettings, restoring_until: datetime | None
) -> None:
    """Answer until a signal. Raises CredentialsError, and OSError if the port is taken."""
    _cancel_by_signal("exchange", asyncio.current_task())
    now = partial(datetime.now, UTC)
    async with Cluster.connect(kubeconfig) as cluster:
        identity = await _until_answered(lambda: read_identity(cluster, namespace), "reading the identity")
        certificate = await _until_answered(
            lambda: prepare_certificate(cluster, namespace, settings, now), "preparing the certificate"
        )
        alone = RecordsAlone(now, restoring_until)
        authority = Authority(cluster, identity.instance, alone, now, alone, sees_interlinks=False)
        signs = SignsOfLife(cluster, namespace, now)
        desk = RecordDesk(authority, identity, contact_of(settings, certificate), signs)
        equipment = EquipmentDesk(cluster, identity.instance, now)
        async with exchange_beside(desk, equipment, identity, certificate, settings, now):
            await IdentityKeeper(cluster, namespace, identity).run()


async def operate(options: Options) -> None:
    """Run until a signal, or until another process may work.

    Raises what breaks the engine, CredentialsError, and OSError if a port is taken.
    """
    take_signals = partial(_cancel_by_signal, "operator", asyncio.current_task())
    take_signals()
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    health = _Health()
    async with (
        health.endpoint(options.health_port),
        Cluster.connect(options.kubeconfig) as cluster,
        _turn(options, cluster, clocks, health),
    ):
        identity = await _wait_for_cluster(cluster, options)
        certificate = await _until_answered(
            lambda: prepare_certificate(cluster, options.engine.namespace, options.exchange, clocks.now),
            "preparing the exchange's certificate",
        )
        contact = contact_of(options.exchange, certificate)
        _introduce(identity, contact)
        engine = _engine(options, cluster, identity, contact, clocks)
        await _until_answered(engine.load, "listing the objects")
        watches = Watches(engine, options.kubeconfig, options.engine.namespaces, take_signals)
        health.behind = lambda: watches.down or engine.lagging
        health.ready = lambda: watches.complete
        equipment = EquipmentDesk(cluster, identity.instance, clocks.now)
        async with exchange_beside(engine.desk, equipment, identity, certificate, options.exchange, clocks.now):
            await _work(engine, watches)


def _engine(options: Options, cluster: Cluster, identity: Identity, contact: Contact, clocks: Clocks) -> Engine:
    """Put the engine together with all that it speaks to."""
    peer = RemotePeer(identity, options.exchange.network, clocks.now)
    federation = Federation(peer, contact, options.exchange.sync_interval)
    builtin = Builtin(cluster, identity.instance, clocks.now, options.engine.restoring_until)
    secret = ObjectKey(options.engine.namespace, IDENTITY_SECRET)
    outside = Outside(Dialler(options.exchange.network), identity, secret)
    systems, customers = SystemProviders(cluster, outside, builtin), CustomerProviders(cluster, outside)
    return Engine(cluster, identity, options.engine, clocks, REGISTRY, federation, systems, customers)


@asynccontextmanager
async def _turn(options: Options, cluster: Cluster, clocks: Clocks, health: _Health) -> AsyncIterator[None]:
    """Wait until it is this process's turn to work; from the moment when another one may, this process is no more.

    That goes for its start, which may wait long for the CRDs, as for its work and for its end.
    """
    if not options.leader_elect:
        yield
        return
    lease = Lease(cluster, options.engine.namespace, f"{socket.gethostname()}_{uuid4()}", clocks)
    LEADS.labels(LEASE).set_function(lambda: lease.leads)
    health.ready = lambda: lease.standing_by
    async with lease.held() as keeping:
        keeping.add_done_callback(_end_at_once)
        yield


def _introduce(identity: Identity, contact: Contact) -> None:
    """Log what the redeemer of a bare key writes into redeemKey.issuer, and a stock box is told; nothing is secret."""
    where = (
        f"reach it at {', '.join(contact.endpoints)}, with the pin {contact.pins[0]}"
        if contact.pins
        else "cannot reach it without --exchange-endpoint"
    )
    _log.info("this is installation %s; operators of other clusters and boxes %s", identity.instance, where)


def _cancel_by_signal(what: str, task: asyncio.Task[Any] | None) -> None:
    """Let a signal that asks for the end cancel the task of this process, and say what ends."""

    def ask(name: str) -> None:
        _log.info("%s: the %s ends", name, what)
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ask, number.name)


async def _wait_for_cluster(cluster: Cluster, options: Options) -> Identity:
    """Wait until the CRDs are there and the identity can be read, telling what is missing."""
    await _until_answered(lambda: require_definitions(cluster), "looking for the CRDs")
    engine = options.engine
    return await _until_answered(
        lambda: load_identity(cluster, engine.namespace, engine.namespaces), "loading the identity"
    )


async def _until_answered(call: Callable[[], Awaitable[T]], doing: str) -> T:
    """Return the answer as soon as there is one; what hinders it is told when that begins, or is something else."""
    told = ""
    while True:
        try:
            return await call()
        except (ApiError, ValueError) as error:
            problem = explained(error)
        if problem != told:
            _log.error("%s failed: %s; trying again", doing, problem)
        told = problem
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


def _end_at_once(keeping: asyncio.Task[None]) -> None:
    """End the process, as client-go does: another one may work already, and nothing in here is worth waiting for.

    A Lease that is given back in order was not lost.
    """
    if not keeping.cancelled():
        _log.critical("%s: this process ends, so that it can stand by", keeping.exception())
        os._exit(1)


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end. Raises the error that had ended it before."""
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()


class _Health:
    """Answers the probes of liveness and readiness, from the first moment on."""

    def __init__(self) -> None:
        self.behind: Callable[[], bool] = lambda: False
        """Whether the watches are known to be behind."""
        self.ready: Callable[[], bool] = lambda: False
        """Whether this process does what it is for: it works with all watches, or stands by."""

    @asynccontextmanager
    async def endpoint(self, port: int) -> AsyncIterator[None]:
        """Serve /healthz and /readyz. Raises OSError if the port is taken."""
        application = web.Application()
        application.router.add_get("/healthz", self._is_alive)
        application.router.add_get("/readyz", self._is_ready)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "0.0.0.0", port).start()
            yield
        finally:
            await runner.cleanup()

    async def _is_alive(self, _: web.Request) -> web.Response:
        return _answer("the watches are behind" if self.behind() else "")

    async def _is_ready(self, _: web.Request) -> web.Response:
        if self.behind():
            return _answer("the watches are behind")
        return _answer("" if self.ready() else "neither at work yet nor standing by: the log tells what it waits for")


def _answer(problem: str) -> web.Response:
    status = HTTPStatus.INTERNAL_SERVER_ERROR if problem else HTTPStatus.OK
    return web.Response(status=status, text=f"{problem or 'ok'}\n")
