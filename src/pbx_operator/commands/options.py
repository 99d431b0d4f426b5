"""Options that several commands of `pbx-operator` have, so that one thing has one name and one rule everywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from pbx_operator import logs
from pbx_operator.arguments import names_namespace

RESTORE_PERIOD = timedelta(minutes=10)
"""How long records are left alone after a restore was announced."""
PORT = click.IntRange(0, 65535)

F = TypeVar("F", bound=Callable[..., Any])


def _namespaces(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    for value in values:
        names_namespace(context, parameter, value)
    return frozenset(values)


def _restoring_until(_context: click.Context, _parameter: click.Parameter, announced: bool) -> datetime | None:
    return datetime.now(UTC) + RESTORE_PERIOD if announced else None


namespace_option = click.option(
    "--namespace",
    envvar="POD_NAMESPACE",
    default="pbx-system",
    show_default=True,
    show_envvar=True,
    callback=names_namespace,
    help="Namespace of the operator's own identity Secret.",
)
watch_namespace_option = click.option(
    "--watch-namespace",
    "namespaces",
    multiple=True,
    callback=_namespaces,
    help="Look after objects of this namespace only; may be repeated. Default: all namespaces.",
)
kubeconfig_option = click.option(
    "--kubeconfig",
    envvar="KUBECONFIG",
    show_envvar=True,
    help="Default: the service account in a Pod, ~/.kube/config elsewhere.",
)
after_restore_option = click.option(
    "--after-restore",
    "restoring_until",
    is_flag=True,
    callback=_restoring_until,
    help="A backup is being restored: leave LinkRecords alone for 10 minutes.",
)
log_level_option = click.option(
    "--log-level",
    default="info",
    show_default=True,
    type=click.Choice(logs.LEVELS),
    help="The least important log lines that are written.",
)


def certificate_option(name: str) -> Callable[[F], F]:
    """Return the option about the certificate of the exchange, which its two programs name differently."""
    return click.option(
        name,
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Directory with tls.crt and tls.key to show, as a mounted Secret has them. Whoever renews them keeps the "
        "key, by which peers know the exchange. Default: the operator makes and renews them.",
    )
