"""Options that several commands of `pbx-operator` have, so that one thing has one name and one rule everywhere."""

from __future__ import annotations

import click

from pbx_operator.checks import names_namespace


def _namespaces(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> frozenset[str]:
    for value in values:
        names_namespace(context, parameter, value)
    return frozenset(values)


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
