"""JSON:API as a server speaks it: media types, documents and errors, whatever the resource.

Codes, titles and details of errors are those of GEM (lib/jsonapi/exceptions.rb, error_codes.rb), `source` is added
where JSON:API says what it should be.  Sources are abbreviated as in the docstring of the package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web

MEDIA_TYPE = "application/vnd.api+json"


@dataclass(frozen=True)
class Problem:
    """One error object (https://jsonapi.org/format/1.0/#error-objects)."""

    status: HTTPStatus
    code: str
    title: str
    detail: str
    pointer: str = ""
    """Where in the request document the cause is, as a JSON Pointer."""
    parameter: str = ""
    """The query parameter that is the cause."""

    def document(self) -> dict[str, Any]:
        error: dict[str, Any] = {"title": self.title, "detail": self.detail, "code": self.code}
        if self.pointer:
            error["source"] = {"pointer": self.pointer}
        elif self.parameter:
            error["source"] = {"parameter": self.parameter}
        return {**error, "status": str(self.status.value)}


class RefusedError(Exception):
    """A request that is answered with errors; the status is that of the first, as in GEM."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*(problem.detail for problem in problems))
        self.problems = problems

    def response(self) -> web.Response:
        errors = {"errors": [problem.document() for problem in self.problems]}
        return document_response(self.problems[0].status, errors)


def document_response(status: HTTPStatus, document: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a document, with a media type that has no parameters: a charset is one."""
    body = json.dumps(document).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": MEDIA_TYPE, **(headers or {})})


def check_media_types(request: web.BaseRequest) -> None:
    """Refuse media types that JSON:API forbids.

    415: DOCS, headers.html: "with any media type parameters".  That a document of another type is refused, and that
    a call without a document needs no Content-Type, is what GEM does (verify_content_type_header); DOCS only says
    that all requests "should" have it, and CLIENT sends it with DELETE.

    406: DOCS, headers.html: "all instances of that media type are modified with media type parameters".  That a
    header without the media type and without */* is refused, too, and that none at all is accepted, is what GEM
    does (valid_accept_media_type?); CLIENT sends */*.
    """
    sent = request.headers.get("Content-Type", "")
    has_document = request.method in {"POST", "PATCH"}
    if sent != MEDIA_TYPE and (has_document or sent.partition(";")[0].strip() == MEDIA_TYPE):
        raise RefusedError(
            Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "415",
                "Unsupported media type",
                f"All requests that create or update must use the '{MEDIA_TYPE}' Content-Type. "
                f"This request specified '{sent}'.",
            )
        )
    accept = ",".join(request.headers.getall("Accept", []))
    accepted = [part.strip() for part in accept.split(",") if part.strip()]
    if accepted and not any(part == MEDIA_TYPE or part.startswith("*/*") for part in accepted):
        raise RefusedError(
            Problem(
                HTTPStatus.NOT_ACCEPTABLE,
                "406",
                "Not acceptable",
                f"All requests must use the '{MEDIA_TYPE}' Accept without media type parameters. "
                f"This request specified '{accept}'.",
            )
        )


def resource_object(body: bytes, kind: str) -> dict[str, Any]:
    """Return `data` of a request document, with `attributes` that is an object, for a collection of this type.

    409 for another type: JSON:API (#crud-creating-responses-409, #crud-updating-responses-409); GEM alone would say
    400.  All else is 400 as in GEM (request_parser.rb).  Other top-level members are ignored, as both say.
    """
    try:
        document = json.loads(body)
    except ValueError:
        raise RefusedError(bad_request("The body is not JSON.")) from None
    if not isinstance(document, dict):
        raise RefusedError(bad_request("Request must be a hash"))
    if "data" not in document:
        raise RefusedError(missing("data", ""))
    data = document["data"]
    if not isinstance(data, dict):
        raise RefusedError(_wrong_format("Data must be a hash.", "/data"))
    if data.get("type") is None:
        raise RefusedError(missing("type", "/data"))
    if data["type"] != kind:
        detail = f"{data['type']} is not a valid resource."
        raise RefusedError(Problem(HTTPStatus.CONFLICT, "101", "Invalid resource", detail, "/data/type"))
    if not isinstance(data.get("attributes", {}), dict):
        raise RefusedError(_wrong_format("Attributes must be a hash.", "/data/attributes"))
    allowed = {"id", "type", "attributes", "links", "meta"}
    if unknown := [not_allowed(name, pointer=f"/data/{name}") for name in data if name not in allowed]:
        raise RefusedError(*unknown)
    return {"attributes": {}, **data}


def bad_request(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "400", "Bad Request", detail)


def missing(name: str, pointer: str) -> Problem:
    """Return the problem of a member that is absent; the pointer is that of its parent."""
    detail = f"The required parameter, {name}, is missing."
    return Problem(HTTPStatus.BAD_REQUEST, "106", "Missing Parameter", detail, pointer)


def not_allowed(name: str, *, pointer: str = "", parameter: str = "") -> Problem:
    """Return the problem of a member or query parameter that the service does not know."""
    return Problem(HTTPStatus.BAD_REQUEST, "105", "Param not allowed", f"{name} is not allowed.", pointer, parameter)


def not_found(key: str) -> Problem:
    """Return the problem of an unknown id; CLIENT's spec of its NotFoundError has this title and detail."""
    detail = f"The record identified by {key} could not be found."
    return Problem(HTTPStatus.NOT_FOUND, "404", "Record not found", detail)


def invalid(attribute: str, message: str) -> Problem:
    """Return the problem of a value that the model refuses; 422 with title and detail is what CLIENT's spec has."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "100", message, f"{attribute} - {message}", f"/data/attributes/{attribute}"
    )


def _wrong_format(detail: str, pointer: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "122", "Invalid data format", detail, pointer)
