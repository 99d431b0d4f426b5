"""The operator process: logging, endpoints, kopf for watching and process life, and the engine.

The only module that knows kopf.  kopf brings watch events and ends the process in order; it has no handler that
could make it write anything.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
import kopf
from prometheus_client import REGISTRY, start_http_server

from pbx_operator import logs
from pbx_operator.api.meta import GROUP, VERSION, Resource
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.cluster import ApiError, Cluster, CredentialsError
from pbx_operator.engine.engine import Engine, EngineSettings
from pbx_operator.engine.identity import Identity, load_identity
from pbx_operator.engine.sync import missing_crds
from pbx_operator.engine.worker import Clocks

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


@click.command()
@click.option(
    "--namespace",
    envvar="POD_NAMESPACE",
    default="pbx-system",
    show_default=True,
    help="Namespace of the operator's own identity Secret.",
)
@click.option("--kubeconfig", envvar="KUBECONFIG", help="Default: the Pod's service account.")
@click.option(
    "--domain-suffix",
    default="pbx.local",
    show_default=True,
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
    if kubeconfig:
        os.environ["KUBECONFIG"] = kubeconfig  # where kopf's login looks
    settings = EngineSettings(namespace, domain_suffix, workers, after_restore)
    try:
        start_http_server(metrics_port)
        sys.exit(asyncio.run(_serve(Options(kubeconfig, health_port, settings))))
    except CredentialsError as error:
        sys.exit(f"cannot log in to the cluster: {error}")
    except OSError as error:
        sys.exit(f"cannot listen: {error}; choose other ports with --health-port and --metrics-port")


async def _serve(options: Options) -> int:
    clocks = Clocks(lambda: datetime.now(UTC), time.monotonic)
    async with Cluster.connect(options.kubeconfig) as cluster:
        identity = await _wait_for_cluster(cluster, options)
        engine = Engine(cluster, identity, options.engine, clocks, REGISTRY)
        await _until_answered(engine.load, "listing the objects")
        return await _watch_and_work(engine, options)


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


async def _watch_and_work(engine: Engine, options: Options) -> int:
    """Run until a signal (0) or until the engine breaks (1), so that a supervisor starts it anew."""
    stop = asyncio.Event()
    working = asyncio.create_task(engine.run())
    working.add_done_callback(lambda _: stop.set())
    await engine.started.wait()  # kopf would cancel tasks that are younger than itself before they are drained
    try:
        await kopf.operator(
            registry=_registry(engine, options.kubeconfig, stop),
            settings=_settings(),
            clusterwide=True,
            standalone=True,
            liveness_endpoint=f"http://0.0.0.0:{options.health_port}/healthz",
            stop_flag=stop,
        )
    finally:
        working.cancel()
        (result,) = await asyncio.gather(working, return_exceptions=True)
    if isinstance(result, Exception):
        _log.error("the engine broke", exc_info=result)
        return 1
    return 0


class _Backoffs:
    """Pauses between tries of kopf's requests; kopf iterates over it once per request."""

    def __iter__(self) -> Iterator[float]:
        for pause in (0.1, 0.5, 1, 2, 5, 10, 10, 10, 10, 10):
            yield pause * random.uniform(0.8, 1.2)


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
    s.process.ultimate_exiting_timeout = 25
    return s


def _registry(engine: Engine, kubeconfig: str | None, stop: asyncio.Event) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    for model in KINDS:
        _watch(registry, engine, model)

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        found = kopf.login_with_kubeconfig(**kwargs) if kubeconfig else None
        return found or kopf.login_with_service_account(**kwargs)

    @kopf.on.probe(registry=registry, id="watches", errors=kopf.ErrorsMode.PERMANENT)  # a retry would hang the probe
    def watches(**_: Any) -> str:
        if engine.lagging:
            raise RuntimeError("the watches are behind")
        return "current"

    @kopf.on.cleanup(registry=registry)
    async def drain(**_: Any) -> None:
        await engine.drain(DRAIN_SECONDS)
        stop.set()  # kopf waits 5 s for its own waiter of this flag

    return registry


def _watch(registry: kopf.OperatorRegistry, engine: Engine, model: type[Resource]) -> None:
    @kopf.on.event(GROUP, VERSION, model.resource.plural, registry=registry, id=model.resource.plural)
    async def feed(event: kopf.RawEvent, **_: Any) -> None:
        engine.feed(model.resource, event["type"], dict(event["object"]))
