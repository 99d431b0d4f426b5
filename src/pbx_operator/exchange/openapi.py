"""The exchange described as an OpenAPI 3.1 document, out of the models that it reads and writes with.

What goes over the wire is the same for all calls, an envelope; what is inside of it is told by `contentSchema`.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from pbx_operator.api.meta import Model
from pbx_operator.domain.protocol.envelope import PROTOCOL, Envelope
from pbx_operator.domain.protocol.messages import (
    Answer,
    Cancel,
    CancelAnswer,
    CancelRequest,
    Receipt,
    RedeemAnswer,
    RedeemRequest,
    Request,
    SyncAnswer,
    SyncRequest,
)
from pbx_operator.domain.servers.equipment_messages import (
    AssociateAnswer,
    AssociateRequest,
    ReportAnswer,
    ReportRequest,
)

JSON = dict[str, Any]

_REF = "#/components/schemas/{model}"
_DESCRIPTION = f"""How two installations of the operator speak with each other, and boxes with one of them.

Every request and every answer that counts is an *envelope*: `payload` is the message, as JSON in base64; `by` is
the Ed25519 public key of the signer; `sig` is its signature over `{PROTOCOL}`, a zero byte, the type of the message,
a zero byte and the bytes of the payload. The signature is checked before the payload is read, and no name may stand
twice in it. Requests name the installation that they are for, answers the SHA-256 of the request's payload.

A signed answer always has the status 200 and says what was decided. Any other status comes with an unsigned error
and decides nothing: ask again."""

_CALLS: tuple[tuple[str, type[Request], type[Answer], str], ...] = (
    ("redeem", RedeemRequest, RedeemAnswer, "Redeem a key"),
    ("cancel", CancelRequest, CancelAnswer, "Make sure that a link is never made"),
    ("sync", SyncRequest, SyncAnswer, "Tell one side of links and learn the other"),
    ("associate", AssociateRequest, AssociateAnswer, "Use an activation code"),
    ("report", ReportRequest, ReportAnswer, "Tell the channels of a box"),
)
_INNER: tuple[type[Model], ...] = (Cancel, Receipt)
"""Messages that travel, signed, inside of others."""

_ERRORS = {
    "400": "The body is not an envelope, its signature is wrong, or the message is not of the expected type.",
    "403": "The signer may not speak for the sender of the message.",
    "408": "The body came too slowly.",
    "413": "The body is too large.",
    "415": "The body is not application/json, or has a Content-Encoding.",
    "421": "The message is for another installation.",
    "429": "Too many requests; `Retry-After` tells when to ask again.",
    "503": "Nothing can be decided now; `Retry-After` tells when to ask again.",
}


def document() -> JSON:
    """Return the OpenAPI document."""
    return {
        "openapi": "3.1.1",
        "info": {"title": "pbx-operator exchange", "version": "v1", "description": _DESCRIPTION},
        "paths": {f"/v1/{call[0]}": {"post": _call(*call)} for call in _CALLS} | _plain_paths(),
        "components": {"schemas": _schemas()},
    }


def _call(name: str, request: type[Request], answer: type[Answer], summary: str) -> JSON:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": _sealed(request)},
        "responses": {
            "200": {"description": "The decision, signed.", "content": _sealed(answer)},
            **{status: _error(status, text) for status, text in _ERRORS.items()},
        },
    }


def _sealed(message: type[Request] | type[Answer]) -> JSON:
    """Return the content of a body: an envelope of this type of message."""
    payload = {
        "description": f"A {message.__name__}, signed as type `{message.type}`.",
        "contentEncoding": "base64",
        "contentMediaType": "application/json",
        "contentSchema": _ref(message),
    }
    return {"application/json": {"schema": {"allOf": [_ref(Envelope)], "properties": {"payload": payload}}}}


def _error(status: str, text: str) -> JSON:
    response: JSON = {
        "description": text,
        "content": {"application/json": {"schema": {"$ref": _REF.format(model="Error")}}},
    }
    if status in ("429", "503"):
        seconds = {"type": "integer", "minimum": 1}
        response["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": seconds}}
    return response


def _plain_paths() -> JSON:
    content = {"application/json": {"schema": {"type": "object"}}}
    refused = {status: _error(status, _ERRORS[status]) for status in ("429", "503")}
    description = {"200": {"description": "An OpenAPI document.", "content": content}, **refused}
    health = {"200": {"description": "The process works.", "content": content}}
    return {
        "/openapi.json": {
            "get": {"operationId": "describe", "summary": "Return this document", "responses": description}
        },
        "/healthz": {"get": {"operationId": "health", "summary": "Tell that the process works", "responses": health}},
    }


def _schemas() -> JSON:
    messages = [model for _, request, answer, _ in _CALLS for model in (request, answer)]
    _, schemas = models_json_schema(
        [(model, "validation") for model in (Envelope, *messages, *_INNER)], ref_template=_REF
    )
    error = {
        "description": "Why there is no signed answer; it quotes nothing of the request.",
        "type": "object",
        "required": ["error"],
        "properties": {"error": {"type": "string"}},
    }
    return {**_tidy(schemas["$defs"]), "Error": error}


def _tidy(node: Any) -> Any:
    """Leave out what only the Kubernetes API server reads, and join the lines of descriptions."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidy(value) for key, value in node.items() if not key.startswith("x-kubernetes-")}
    if isinstance(tidy.get("description"), str):
        tidy["description"] = " ".join(tidy["description"].split())
    return tidy


def _ref(model: type[Model]) -> JSON:
    return {"$ref": _REF.format(model=model.__name__)}
