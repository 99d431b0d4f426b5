"""The command line of the operator and of what goes with it; `process` is what runs then."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource
from prometheus_client import start_http_server

from pbx_operator import logs, process
from pbx_operator.api.v1alpha1.shared import HostName
from pbx_operator.check_command import check
from pbx_operator.checks import fits, names_endpoints
from pbx_operator.cluster import ApiError, Cluster, Conflict, CredentialsError, Unavailable
from pbx_operator.device_command import device
from pbx_operator.domain.protocol.endpoints import EXAMPLES
from pbx_operator.engine.engine import EngineSettings
from pbx_operator.engine.identity import Identity, rotate_identity
from pbx_operator.exchange.beside import ExchangeSettings
from pbx_operator.links.signs import SYNC_PERIOD
from pbx_operator.network.addresses import Network, NetworkRules
from pbx_operator.options import kubeconfig_option, namespace_option, watch_namespace_option

RESTORE_PERIOD = timedelta(minutes=10)
"""How long records are left alone after a restore was announced."""
GARBAGE_THRESHOLDS = (100_000, 50, 100)
"""What the Store holds lives long and has no cycles; looking for some as often as usual costs a fifth of the CPU."""

_ROTATED = """\
Installation {identity.instance} has a new identity key, {identity.public_key}: rotation {number}, {left} are left.
- The operator and its exchange servers take it up within a minute, peers with the next sync. Links stay.
- Back up the Secret now: an older copy holds a former key, which peers stop believing.
- If the former key leaked, raise spec.issueKey.revision of all unused keys, and carry the new ones."""

F = TypeVar("F", bound=Callable[..., Any])

_log = logging.getLogger(__name__)


_host_name = fits(
    HostName,
    "is not a host name (RFC 1123: lower-case letters, digits, '-' and '.'); "
    "give the domain of your SIP servers, for example pbx.example.com",
)


def _networks(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(f"{error}: write a network like 10.0.0.0/8") from None


def _restoring_until(_context: click.Context, _parameter: click.Parameter, announced: bool) -> datetime | None:
    return datetime.now(UTC) + RESTORE_PERIOD if announced else None


_PORT = click.IntRange(0, 65535)

_after_restore_option = click.option(
    "--after-restore",
    "restoring_until",
    is_flag=True,
    callback=_restoring_until,
    help="A backup is being restored: leave LinkRecords alone for 10 minutes.",
)
_log_level_option = click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(logs.LEVELS),
    help="The least important log lines that are written.",
)


def _certificate_option(name: str) -> Callable[[F], F]:
    """Return the option about the certificate of the exchange, which its two programs name differently."""
    return click.option(
        name,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Directory with tls.crt and tls.key to show, as a mounted Secret has them. Whoever renews them keeps the "
        "key, by which peers know the exchange. Default: the operator makes and renews them.",
    )


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pbx-operator")
@namespace_option
@kubeconfig_option
@watch_namespace_option
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
    callback=names_endpoints,
    help="Where operators of other clusters and boxes (CommServers of provider Builtin) reach this one, for example "
    f"{EXAMPLES}; may be repeated. Without it, this one only dials, and no box can connect.",
)
@click.option(
    "--exchange-port",
    default=8443,
    show_default=True,
    type=_PORT,
    help="Port of the exchange, with --exchange-endpoint; 0 if `pbx-operator exchange` serves it.",
)
@_certificate_option("--exchange-certificate")
@click.option(
    "--sync-interval",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1, SYNC_PERIOD.total_seconds()),
    help="Seconds between two syncs with another installation where nothing changes. An installation that cannot be "
    "dialled is known by them to live.",
)
@click.option(
    "--forbid-network",
    multiple=True,
    callback=_networks,
    help="Never dial addresses of this network; may be repeated.",
)
@click.option(
    "--allow-network",
    multiple=True,
    callback=_networks,
    help="Dial addresses of this network, although it is local or forbidden; may be repeated.",
)
@click.option(
    "--leader-elect",
    is_flag=True,
    help="Work only while this process holds the Lease pbx-operator in --namespace, and stand by otherwise: one of "
    "several operators works.",
)
@_after_restore_option
@click.pass_context
def main(
    context: click.Context,
    namespace: str,
    kubeconfig: str | None,
    namespaces: frozenset[str],
    domain_suffix: str,
    workers: int,
    health_port: int,
    metrics_port: int,
    log_level: str,
    endpoints: tuple[str, ...],
    exchange_port: int,
    exchange_certificate: Path | None,
    sync_interval: float,
    forbid_network: tuple[Network, ...],
    allow_network: tuple[Network, ...],
    leader_elect: bool,
    restoring_until: datetime | None,
) -> None:
    """Run the pbx-operator."""
    if context.invoked_subcommand is not None:
        return
    if not endpoints and context.get_parameter_source("exchange_port") is not ParameterSource.DEFAULT:
        raise click.UsageError("--exchange-port needs --exchange-endpoint: where do other clusters reach that port?")
    if not endpoints and exchange_certificate is not None:
        raise click.UsageError("--exchange-certificate needs --exchange-endpoint: who would be shown it, and where?")
    logs.configure(log_level)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    engine = EngineSettings(namespace, domain_suffix, workers, restoring_until, namespaces)
    rules = NetworkRules(forbid_network, allow_network)
    exchange = ExchangeSettings(endpoints, exchange_port, sync_interval, exchange_certificate, rules)
    chosen = process.Options(kubeconfig, health_port, engine, exchange, leader_elect)
    _run(lambda: process.operate(chosen), metrics_port, "--health-port and --metrics-port, or --exchange-port")


@main.command()
@namespace_option
@kubeconfig_option
@_log_level_option
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    required=True,
    callback=names_endpoints,
    help="Where operators of other clusters and boxes reach this installation, as given to the operator; may be "
    "repeated.",
)
@click.option("--port", default=8443, show_default=True, type=click.IntRange(1, 65535), help="Where to listen.")
@_certificate_option("--certificate")
@click.option("--metrics-port", default=9090, show_default=True, type=_PORT, help="Port of /metrics.")
@_after_restore_option
def exchange(
    namespace: str,
    kubeconfig: str | None,
    log_level: str,
    endpoints: tuple[str, ...],
    port: int,
    certificate: Path | None,
    metrics_port: int,
    restoring_until: datetime | None,
) -> None:
    """Answer operators of other clusters and boxes; any number of these may run beside the operator."""
    logs.configure(log_level)
    settings = ExchangeSettings(endpoints, port, certificate=certificate)
    _run(
        lambda: process.exchange(kubeconfig, namespace, settings, restoring_until),
        metrics_port,
        "--port and --metrics-port",
    )


@main.command("rotate-identity")
@namespace_option
@kubeconfig_option
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


main.add_command(device)
main.add_command(check)


async def _rotate(kubeconfig: str | None, namespace: str) -> Identity:
    async with Cluster.connect(kubeconfig) as cluster:
        return await rotate_identity(cluster, namespace)


def _run(serve: Callable[[], Coroutine[Any, Any, None]], metrics_port: int, port_options: str) -> None:
    """Serve until a signal; exit with 1 if that is not possible (any more)."""
    try:
        _serve_metrics(metrics_port)
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


def _serve_metrics(port: int) -> None:
    """Raise OSError if the port is taken, with the port in its text as asyncio has it."""
    try:
        start_http_server(port)
    except OSError as error:
        raise OSError(error.errno, f"port {port}: {error.strerror}") from error
