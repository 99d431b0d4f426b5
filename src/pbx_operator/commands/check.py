"""`pbx-operator check`: the command line in front of `checkup`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
from yarl import URL

from pbx_operator.arguments import names_endpoints
from pbx_operator.checkup import probes
from pbx_operator.checkup.leftovers import Leftover, leftovers
from pbx_operator.checkup.permissions import needed
from pbx_operator.checkup.probes import Finding, finding
from pbx_operator.cluster import ApiError, Cluster, CredentialsError
from pbx_operator.commands.options import kubeconfig_option, namespace_option, watch_namespace_option

MAX_SHOWN = 20
"""Objects that are named, of those that are left."""

_NEXT_STEP = """\
While the operator runs, delete them: kubectl delete interlinks,commservers,internalnumbers,pbxaccounts --all \
--namespace NAMESPACE
A protected one says how to release it.
To remove the operator alone and keep all objects for the next one: helm uninstall RELEASE --no-hooks
To keep the operator after all, once `helm uninstall` was refused: helm rollback RELEASE REVISION, with the last \
revision of `helm history RELEASE`; until then Helm refuses upgrades, and without REVISION it goes back one further.\
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be asked."""

    kubeconfig: str | None
    namespace: str
    watched: frozenset[str]
    health_url: str | None
    metrics_url: str | None
    endpoints: tuple[str, ...]
    certificate: Path | None


def _base_url(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Refuse what is not the root of an HTTP server; an option that is absent passes."""
    if value is None:
        return None
    example = "http://pbx-operator.pbx-system:8080"
    try:
        url = URL(value)
        if url.scheme not in ("http", "https") or not url.host or url.path != "/" or url.query or url.fragment:
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"{value!r} is not the address of a server: write it like {example}") from None
    return value


@click.command()
@namespace_option
@watch_namespace_option
@kubeconfig_option
@click.option("--health-url", callback=_base_url, help="Where the --health-port of the operator is reached.")
@click.option("--metrics-url", callback=_base_url, help="Where the --metrics-port of the operator is reached.")
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    callback=names_endpoints,
    help="Where the exchange is reached, as operators of other clusters do or by its Service; may be repeated.",
)
@click.option(
    "--certificate",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Directory with the certificate that the exchange was given. Default: the one that the operator made.",
)
@click.option(
    "--no-objects",
    is_flag=True,
    help="See instead that no account, Interlink, number or CommServer is left, as before an uninstallation.",
)
def check(
    namespace: str,
    namespaces: frozenset[str],
    kubeconfig: str | None,
    health_url: str | None,
    metrics_url: str | None,
    endpoints: tuple[str, ...],
    certificate: Path | None,
    no_objects: bool,
) -> None:
    """See whether an installation works: the operator, its permissions, the served kinds, the exchange.

    Run it with the operator's own login, since permissions are those of whoever asks. One line tells of each check;
    the exit status is 1 if one of them fails.
    """
    asked = Installation(kubeconfig, namespace, namespaces, health_url, metrics_url, endpoints, certificate)
    try:
        well = asyncio.run(_none_left(asked) if no_objects else _all_well(asked))
    except (ApiError, CredentialsError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(0 if well else 1)


async def _all_well(asked: Installation) -> bool:
    """Print what each check finds; return whether none fails. Raises CredentialsError."""
    well = True
    async with Cluster.connect(asked.kubeconfig) as cluster:
        for subject, probe in _checks(asked, cluster):
            found: Finding = await finding(subject, probe)
            click.echo(str(found))
            well = well and not found.problem
    return well


def _checks(asked: Installation, cluster: Cluster) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
    """Return what is checked, in words, and how."""
    checks: list[tuple[str, Callable[[], Awaitable[str]]]] = []
    if asked.health_url is not None:
        checks.append(("the operator is ready", partial(probes.readiness, asked.health_url)))
    if asked.metrics_url is not None:
        checks.append(("the operator shows metrics", partial(probes.metrics, asked.metrics_url)))
    checks.append(("CustomResourceDefinitions", partial(probes.definitions, cluster)))
    checks.append(("identity", partial(probes.identity, cluster, asked.namespace, asked.watched)))
    for where, wanted in needed(asked.namespace, asked.watched).items():
        checks.append((f"permissions {where}", partial(probes.allowed, cluster, wanted)))
    for namespace in sorted(asked.watched) or [asked.namespace]:
        checks.append((f"writing in namespace {namespace}", partial(probes.writable, cluster, namespace)))
    for endpoint in asked.endpoints:
        now = datetime.now(UTC)
        probe = partial(probes.certificate, cluster, asked.namespace, endpoint, asked.certificate, now)
        checks.append((f"the exchange at {endpoint}", probe))
    return checks


async def _none_left(asked: Installation) -> bool:
    """Print what is left; return whether that is nothing. Raises ApiError and CredentialsError."""
    async with Cluster.connect(asked.kubeconfig) as cluster:
        left = await leftovers(cluster, asked.watched)
    click.echo(_told(left) if left else "ok      no object is left")
    return not left


def _told(left: list[Leftover]) -> str:
    verb = "objects are" if len(left) > 1 else "object is"
    lines = [f"FAILED  {len(left)} {verb} left:", *(f"  {one}" for one in left[:MAX_SHOWN])]
    if len(left) > MAX_SHOWN:
        lines.append(f"  and {len(left) - MAX_SHOWN} more")
    return "\n".join([*lines, _NEXT_STEP])
