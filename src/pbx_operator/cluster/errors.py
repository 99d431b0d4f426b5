"""What a failed call to the API server means for the caller.

Callers decide by meaning ("somebody else wrote first", "nobody knows whether it happened"), never by status
code, so each meaning is one class.  The texts are safe to log and to show in a status: they name the call and
the server's answer, and never hold a request body, because the body of a Secret is secret.
"""

# ruff: noqa: N818 - the classes carry the words of the Kubernetes API: `except Conflict` reads as it is meant

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class CredentialsError(Exception):
    """The kubeconfig or the service account cannot be used; a person must correct it."""


class ApiError(Exception):
    """A call to the API server failed; the subclasses tell what that means.

    `status` is the HTTP status (0 if there was no answer), `reason` the metav1.Status reason or the kind of
    network error, `message` the explanation for people, `detail` the part of it that are the server's own words, and
    `retry_after` the seconds to wait that the server asked for, if it did.
    """

    def __init__(
        self, message: str, *, status: int = 0, reason: str = "", detail: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after


class Conflict(ApiError):
    """Somebody else changed the object first, or a precondition (UID, resourceVersion) does not hold."""


class AlreadyExists(ApiError):
    """An object of that name is there already."""


class Gone(ApiError):
    """The object, or on creation its namespace, is not there."""


class Forbidden(ApiError):
    """The API server does not know us (401) or does not let us (403), also create in a namespace being deleted."""


class Invalid(ApiError):
    """The API server refuses the content; sending the same again is useless."""


class Unavailable(ApiError):
    """No usable answer: nobody knows whether a write happened.  Look before trying again.

    Covers network errors, timeouts, 5xx and 429.  Also a 404 that names no object (the kind is not served, a
    proxy answers), so that a missing CRD never reads as "the object is gone", and a list that kept expiring (410)
    while it was being read.
    """


_MEANINGS: dict[int, type[ApiError]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.NOT_FOUND: Unavailable,
    HTTPStatus.GONE: Unavailable,
    HTTPStatus.TOO_MANY_REQUESTS: Unavailable,
}


INSTALL_CRDS = "install the CustomResourceDefinitions: kubectl apply --server-side -f crds/"
"""What an administrator does about a kind that is not served."""

RECORDS_POLICY = "records.pbx-operator.io"
ADD_WRITER = (
    f"add this user to the writers of the policy {RECORDS_POLICY}"
    " (examples/install/policies.yaml; policies.writers of the chart)"
)
"""What an administrator does if the policy for records does not know the operator's user."""

_BY_ADMISSION = re.compile(r"denied (?:the )?request")
"""How the API server tells of a refusal by a policy or a webhook, whose own words then follow; no right is missing."""

_IN_NAMESPACE = re.compile(r"cannot \w+ resource .* in the namespace \"([^\"]+)\"")


def is_unserved(error: ApiError) -> bool:
    """Whether the API server does not know the kind, as when its CustomResourceDefinition is missing."""
    return isinstance(error, Unavailable) and error.status == HTTPStatus.NOT_FOUND


def operator_advice(error: ApiError) -> str:
    """Return what an administrator of the operator can do about an error; nothing if it may pass by itself."""
    if is_unserved(error):
        return INSTALL_CRDS
    if not isinstance(error, Forbidden) or "being terminated" in error.message:
        return ""
    if error.status == HTTPStatus.UNAUTHORIZED:
        return "check the operator's credentials"
    if f"ValidatingAdmissionPolicy '{RECORDS_POLICY}'" in error.message:
        return ADD_WRITER
    if _BY_ADMISSION.search(error.message):
        return ""
    namespace = _IN_NAMESPACE.search(error.message)
    role = f"ClusterRole, or its RoleBinding in namespace {namespace[1]}" if namespace else "ClusterRole"
    return f"check the operator's {role} (examples/install/rbac.yaml)"


def explained(error: Exception) -> str:
    """Return the text of an error with that advice."""
    advice = operator_advice(error) if isinstance(error, ApiError) else ""
    return f"{error}; {advice}" if advice else str(error)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def api_error(call: str, answer: Answer, *, confidential: bool) -> ApiError:
    """Return the error that an answer stands for.

    `call` names the call for people.  With `confidential` the server's own words are left out, because the API
    server quotes refused values: only the refused fields are named.
    """
    status = _metav1_status(answer.body)
    reason = str(status.get("reason") or "")
    details = status.get("details") or {}
    meaning = _meaning(answer.status, reason, details)
    text = _refused_fields(details) if confidential and meaning is Invalid else status.get("message")
    words = [f"{call}: {answer.status} {reason or _phrase(answer.status)}", text]
    return meaning(
        ": ".join(str(word) for word in words if word),
        status=answer.status,
        reason=reason,
        detail=str(text or ""),
        retry_after=_retry_after(answer.headers, details),
    )


def _meaning(code: int, reason: str, details: dict[str, Any]) -> type[ApiError]:
    if code == HTTPStatus.CONFLICT and reason == "AlreadyExists":
        return AlreadyExists
    if code == HTTPStatus.NOT_FOUND and reason == "NotFound" and details.get("name"):
        return Gone
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unavailable
    return _MEANINGS.get(code, ApiError)


def _metav1_status(body: bytes) -> dict[str, Any]:
    """Return the metav1.Status of an answer, or nothing if something else than the API server spoke."""
    try:
        status = json.loads(body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def _refused_fields(details: dict[str, Any]) -> str:
    return ", ".join(f"{cause.get('field')} ({cause.get('reason')})" for cause in details.get("causes") or ())


def _phrase(code: int) -> str:
    return HTTPStatus(code).phrase if code in HTTPStatus.__members__.values() else ""


def _retry_after(headers: Mapping[str, str], details: dict[str, Any]) -> float | None:
    """Return the seconds to wait; the API server sends whole seconds, never a date."""
    text = headers.get("Retry-After", "")
    seconds = int(text) if text.isdecimal() else details.get("retryAfterSeconds")
    return float(seconds) if seconds is not None else None
