"""`pbx-operator`: the command line of the operator, and of what goes with it; `process` is what runs then."""

from __future__ import annotations

import gc
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

import click
from click.core import ParameterSource

from pbx_operator import logs, process
from pbx_operator.api.v1alpha1.shared import DomainSuffix
from pbx_operator.arguments import fits, names_endpoints
from pbx_operator.commands.check import check
from pbx_operator.commands.device import device
from pbx_operator.commands.exchange import exchange
from pbx_operator.commands.options import (
    PORT,
    after_restore_option,
    certificate_option,
    kubeconfig_option,
    log_level_option,
    namespace_option,
    watch_namespace_option,
)
from pbx_operator.commands.rotate_identity import rotate
from pbx_operator.commands.serving import run
from pbx_operator.domain.protocol.endpoints import EXAMPLES
from pbx_operator.engine.engine import EngineSettings
from pbx_operator.exchange.beside import ExchangeSettings
from pbx_operator.links.signs import SYNC_PERIOD
from pbx_operator.network.addresses import Network, NetworkRules

GARBAGE_THRESHOLDS = (100_000, 50, 100)
"""What the Store holds lives long and has no cycles; looking for some as often as usual costs a fifth of the CPU."""

_domain_suffix = fits(
    DomainSuffix,
    "is not a host name (RFC 1123: lower-case letters, digits, '-' and '.') of at most 131 characters; "
    "give the domain of your SIP servers, for example pbx.example.com",
)


def _networks(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(f"{error}: write a network like 10.0.0.0/8") from None


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pbx-operator")
@namespace_option
@kubeconfig_option
@watch_namespace_option
@click.option(
    "--domain-suffix",
    default="pbx.local",
    show_default=True,
    callback=_domain_suffix,
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
@click.option("--health-port", default=8080, show_default=True, type=PORT, help="Port of /healthz.")
@click.option("--metrics-port", default=9090, show_default=True, type=PORT, help="Port of /metrics.")
@log_level_option
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
    type=PORT,
    help="Port of the exchange, with --exchange-endpoint; 0 if `pbx-operator exchange` serves it.",
)
@certificate_option("--exchange-certificate")
@click.option(
    "--sync-interval",
    default=60.0,
    show_default=True,
    type=click.FloatRange(1, SYNC_PERIOD.total_seconds()),
    help="Seconds between two syncs with another installation where nothing changes. Those that cannot dial "
    "this one know by these syncs that it lives.",
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
@after_restore_option
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
    peers = ExchangeSettings(endpoints, exchange_port, sync_interval, exchange_certificate, rules)
    chosen = process.Options(kubeconfig, health_port, engine, peers, leader_elect)
    run(lambda: process.operate(chosen), metrics_port, "--health-port and --metrics-port, or --exchange-port")


main.add_command(exchange)
main.add_command(rotate)
main.add_command(device)
main.add_command(check)
