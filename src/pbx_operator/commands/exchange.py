"""`pbx-operator exchange`: the command line of an exchange server of its own; `process` is what runs then."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from pbx_operator import logs, process
from pbx_operator.arguments import names_endpoints
from pbx_operator.commands.options import (
    PORT,
    after_restore_option,
    certificate_option,
    kubeconfig_option,
    log_level_option,
    namespace_option,
)
from pbx_operator.commands.serving import run
from pbx_operator.exchange.beside import ExchangeSettings


@click.command()
@namespace_option
@kubeconfig_option
@log_level_option
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
@certificate_option("--certificate")
@click.option("--metrics-port", default=9090, show_default=True, type=PORT, help="Port of /metrics.")
@after_restore_option
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
    run(
        lambda: process.exchange(kubeconfig, namespace, settings, restoring_until),
        metrics_port,
        "--port and --metrics-port",
    )
