"""Why a question could not be asked, for people: one message each, which ends with the next step."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

import click

from pbx_operator.api.meta import API_VERSION, NAMESPACES, ObjectKey, ResourceType
from pbx_operator.cluster import ApiError, Cluster, Gone

_ANOTHER_CLUSTER = "choose another cluster with --context or --kubeconfig"


class CannotAnswerError(click.ClickException):
    """The question could not be asked; the message ends with the next step."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Needs:
    """What a command reads: first of all objects of this kind, given as `kubectl get` takes it, with these rights."""

    plural: str
    rights: str


def failed_call(error: ApiError, server: str, needs: Needs) -> CannotAnswerError:
    """Say why a call to this API server failed."""
    match error.status:
        case 0:
            check = "check that it runs and that the kubeconfig is right"
            text = f"{server} cannot be reached ({_root_cause(error)}): {check}, or {_ANOTHER_CLUSTER}"
        case HTTPStatus.NOT_FOUND:
            text = (
                f"{server} does not serve {API_VERSION}, its CustomResourceDefinitions are missing: install them with "
                f"`kubectl apply --server-side -f crds/` in the repository of pbx-operator, or {_ANOTHER_CLUSTER}"
            )
        case HTTPStatus.UNAUTHORIZED:
            text = f"{server} does not know you ({error.reason}): log in anew, or choose another user with --context"
        case HTTPStatus.FORBIDDEN:
            text = f"{error.detail or error.message}: ask an administrator for {needs.rights}"
        case _:
            look = f"see what `kubectl get {needs.plural}` says"
            text = f"{server} does not answer this question ({error.message}): {look}"
    return CannotAnswerError(text)


async def absent(cluster: Cluster, resource: ResourceType, key: ObjectKey) -> CannotAnswerError:
    """Say which is not there: the object, or, as far as we may know, its namespace."""
    try:
        await cluster.get(NAMESPACES, ObjectKey("", key.namespace))
    except Gone:
        return CannotAnswerError(f"namespace {key.namespace} does not exist: choose another one with -n")
    except ApiError:
        pass  # whoever may read the object may still not be allowed to read namespaces
    step = f"see `kubectl get {resource.plural} -n {key.namespace}`, or choose another namespace with -n"
    return CannotAnswerError(f"{resource.kind} {key} does not exist: {step}")


def _root_cause(error: BaseException) -> str:
    """Return the innermost words of an error of the network; those around them repeat it."""
    words = error.__class__.__name__
    cause: BaseException | None = error
    while cause is not None:
        words = str(cause) or words
        cause = cause.__cause__
    return words
