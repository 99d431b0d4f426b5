"""What commands that ask a cluster share: options, one call with its failures in plain words, and reading objects."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.arguments import names_namespace
from pbx_operator.cli.failures import CannotAnswerError, Needs, absent, failed_call
from pbx_operator.cluster import ApiError, Cluster, CredentialsError, Gone
from pbx_operator.cluster.client import REQUESTS
from pbx_operator.cluster.credentials import Credentials, find_kubeconfig

F = TypeVar("F", bound=Callable[..., None])
R = TypeVar("R", bound=Resource)
T = TypeVar("T")

DEFAULT_NAMESPACE = "default"
"""The namespace where kubectl looks, too, if neither it nor the kubeconfig's context is told one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to ask, as the options say."""

    namespace: str | None
    kubeconfig: str | None
    context_name: str | None

    def ask(self, look: Callable[[Cluster, str], Awaitable[T]], needs: Needs) -> T:
        """Return what is found in the cluster and namespace. Raises CannotAnswerError if that fails."""
        return asyncio.run(self._ask(look, needs))

    async def _ask(self, look: Callable[[Cluster, str], Awaitable[T]], needs: Needs) -> T:
        credentials = Credentials(find_kubeconfig(self.kubeconfig), self.context_name)
        try:
            async with Cluster(credentials, user_agent="pbx", requests=REQUESTS) as cluster:
                return await look(cluster, self.namespace or credentials.namespace or DEFAULT_NAMESPACE)
        except CredentialsError as error:
            raise CannotAnswerError(str(error)) from error
        except ApiError as error:
            raise failed_call(error, credentials.host, needs) from error


def options(owner: str) -> Callable[[F], F]:
    """Return the decorator that gives a command the options of `Place`, and the form of its answer.

    `owner` is what lies in the namespace.
    """
    default = f"Default: that of the kubeconfig's context, else {DEFAULT_NAMESPACE}."
    decorators = (
        click.option("-n", "--namespace", callback=names_namespace, help=f"Namespace of {owner}. {default}"),
        click.option("--kubeconfig", help="Default: KUBECONFIG, else ~/.kube/config; in a Pod the service account."),
        click.option("--context", "context_name", help="Context of the kubeconfig. Default: the current one."),
        click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer."),
    )

    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


async def read(cluster: Cluster, model: type[R], key: ObjectKey) -> R:
    """Return an object. Raises ApiError, or CannotAnswerError if it is not there or cannot be read."""
    try:
        return parse(model, await cluster.get(model.resource, key))
    except Gone as error:
        raise await absent(cluster, model.resource, key) from error


def parse(model: type[R], item: dict[str, Any]) -> R:
    """Return an object of what the API server sent. Raises CannotAnswerError if it is of another version."""
    try:
        return model.model_validate(item)
    except ValidationError as error:
        name = f"{model.resource.kind} {item['metadata']['name']}"
        raise CannotAnswerError(f"{name} does not fit this version of pbx: use the operator's version") from error
