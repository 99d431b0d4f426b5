"""Errors by meaning, and addresses of objects: the pure parts of the API client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pbx_operator.api.meta import NAMESPACES, SECRETS, ObjectKey, ResourceType
from pbx_operator.cluster import AlreadyExists, ApiError, Conflict, Forbidden, Gone, Invalid, Unavailable
from pbx_operator.cluster.errors import ADD_WRITER, RECORDS_POLICY, Answer, api_error, operator_advice
from pbx_operator.cluster.paths import collection_path, creation_path, object_path
from support import CRDS, ROOT


def status(reason: str, **more: Any) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "reason": reason, **more}).encode()


@pytest.mark.parametrize(
    ("code", "body", "meaning"),
    [
        (400, status("BadRequest"), Invalid),
        (401, status("Unauthorized"), Forbidden),
        (403, status("Forbidden"), Forbidden),
        (404, status("NotFound", details={"name": "x", "kind": "secrets"}), Gone),
        (404, status("NotFound", details={}), Unavailable),  # the kind is not served: says nothing of the object
        (404, b"404 page not found\n", Unavailable),
        (405, status("MethodNotAllowed"), ApiError),
        (409, status("Conflict"), Conflict),
        (409, status("AlreadyExists"), AlreadyExists),
        (410, status("Expired"), Unavailable),
        (413, b"", Invalid),
        (422, status("Invalid"), Invalid),
        (429, status("TooManyRequests"), Unavailable),
        (500, status("InternalError"), Unavailable),
        (502, b"<html>bad gateway</html>", Unavailable),
        (504, status("Timeout"), Unavailable),
        (599, b"", Unavailable),
    ],
)
def test_every_status_has_one_meaning(code: int, body: bytes, meaning: type[ApiError]) -> None:
    error = api_error("GET /x", Answer(code, {}, body), confidential=False)
    assert type(error) is meaning
    assert error.status == code


ROLE = "check the operator's ClusterRole"
REFUSED_BY_POLICY = "is forbidden: ValidatingAdmissionPolicy '{0}' with binding '{0}' denied request: not you"


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ('User "x" cannot list resource "interlinks" in API group "" at the cluster scope', f"{ROLE} (examples/"),
        (
            'User "x" cannot create resource "secrets" in API group "" in the namespace "paris"',
            f"{ROLE}, or its RoleBinding in namespace paris (examples/install/rbac.yaml)",
        ),
        (REFUSED_BY_POLICY.format(RECORDS_POLICY), ADD_WRITER),
    ],
)
def test_a_refusal_is_advised_by_its_cause(words: str, advice: str) -> None:
    assert operator_advice(forbidden(words)).startswith(advice)


@pytest.mark.parametrize(
    "words", [REFUSED_BY_POLICY.format("some.example.com"), 'admission webhook "x.example.com" denied the request: no']
)
def test_what_others_refuse_is_not_taken_for_a_missing_right(words: str) -> None:
    assert operator_advice(forbidden(words)) == ""


def test_the_policy_for_records_has_the_name_that_is_looked_for() -> None:
    policies = (ROOT / "examples/install/policies.yaml").read_text(encoding="utf-8")
    assert f"policyName: {RECORDS_POLICY}\n" in policies


def forbidden(words: str) -> ApiError:
    return api_error("POST /x", Answer(403, {}, status("Forbidden", message=words)), confidential=False)


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({"Retry-After": "7"}, {}, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"Retry-After": "7"}, {"retryAfterSeconds": 3}, 7.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({}, {}, None),
    ],
)
def test_retry_after(headers: dict[str, str], details: dict[str, Any], seconds: float | None) -> None:
    answer = Answer(429, headers, status("TooManyRequests", details=details))
    assert api_error("GET /x", answer, confidential=False).retry_after == seconds


def test_the_text_names_the_call_and_repeats_the_server() -> None:
    answer = Answer(409, {}, status("Conflict", message="the object has been modified"))
    error = api_error("PUT /api/v1/namespaces/a/secrets/s", answer, confidential=True)
    assert str(error) == "PUT /api/v1/namespaces/a/secrets/s: 409 Conflict: the object has been modified"
    assert error.detail == "the object has been modified"


def test_a_strange_answer_is_not_repeated() -> None:
    error = api_error("PUT /x", Answer(502, {}, b"you sent: hunter2"), confidential=False)
    assert str(error) == "PUT /x: 502 Bad Gateway"


def test_refused_content_of_a_secret_is_not_repeated() -> None:
    cause = {"field": "data[key]", "reason": "FieldValueInvalid", "message": 'Invalid value: "hunter2"'}
    body = status("Invalid", message='Secret is invalid: Invalid value: "hunter2"', details={"causes": [cause]})
    error = api_error("PATCH /x", Answer(422, {}, body), confidential=True)
    assert str(error) == "PATCH /x: 422 Invalid: data[key] (FieldValueInvalid)"
    assert error.detail == "data[key] (FieldValueInvalid)"


LINKS = ResourceType("pbx-operator.io", "v1alpha1", "Interlink", "interlinks")


@pytest.mark.parametrize(
    ("resource", "key", "path"),
    [
        (SECRETS, ObjectKey("a", "s"), "/api/v1/namespaces/a/secrets/s"),
        (NAMESPACES, ObjectKey("", "a"), "/api/v1/namespaces/a"),
        (LINKS, ObjectKey("a", "x y:z"), "/apis/pbx-operator.io/v1alpha1/namespaces/a/interlinks/x%20y:z"),
        (CRDS, ObjectKey("", "c"), "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/c"),
    ],
)
def test_object_paths(resource: ResourceType, key: ObjectKey, path: str) -> None:
    assert object_path(resource, key) == path


def test_collection_paths() -> None:
    assert collection_path(LINKS) == "/apis/pbx-operator.io/v1alpha1/interlinks"
    assert collection_path(LINKS, "a") == "/apis/pbx-operator.io/v1alpha1/namespaces/a/interlinks"
    assert creation_path(SECRETS, {"metadata": {"namespace": "a"}}) == "/api/v1/namespaces/a/secrets"
    assert creation_path(NAMESPACES, {"metadata": {"name": "a"}}) == "/api/v1/namespaces"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../b", "a%2fb"])
def test_no_name_can_leave_its_place(name: str) -> None:
    """An empty name would address, and delete, the whole collection."""
    with pytest.raises(ValueError, match="cannot be the name"):
        object_path(SECRETS, ObjectKey("a", name))
    if name:
        with pytest.raises(ValueError, match="cannot be the name"):
            collection_path(SECRETS, name)


def test_incomplete_addresses_are_refused() -> None:
    with pytest.raises(ValueError, match="the namespace is empty"):
        object_path(SECRETS, ObjectKey("", "s"))
    with pytest.raises(ValueError, match=r"metadata\.namespace is empty"):
        creation_path(SECRETS, {"metadata": {"name": "s"}})
    with pytest.raises(ValueError, match="has no namespace"):
        object_path(NAMESPACES, ObjectKey("a", "b"))
