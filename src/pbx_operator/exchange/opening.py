"""From the bytes of an HTTP request to a message that somebody signed for us.

Everything that arrives is hostile until its signature is checked, and may be nonsense after that.  Whatever is
wrong ends as a Refusal, which names the field and never its value.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, TypeVar

from aiohttp import hdrs, web
from pydantic import ValidationError

from pbx_operator.domain.protocol.envelope import Envelope, EnvelopeError, open_envelope, payload_bytes
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.protocol.messages import Request
from pbx_operator.exchange.refusals import Refusal

BODY_SECONDS = 10.0
"""How long a sender may take for its body."""

R = TypeVar("R", bound=Request)


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """A request that somebody signed; who that is, and for whom, is not judged yet."""

    request: R
    public_key: str
    digest: str


async def read_body(request: web.Request, limit: int) -> bytes:
    """Read a body of JSON that nobody packed. Raises Refusal."""
    if hdrs.CONTENT_ENCODING in request.headers:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body may not have a Content-Encoding")
    if request.content_type != "application/json":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
    too_large = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body may have {limit} bytes")
    if (request.content_length or 0) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError as error:
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "the body came too slowly") from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body is broken off, or not what its headers say") from error
    return bytes(body)


def parse_envelope(body: bytes) -> Envelope:
    """Read a body as an envelope. Raises Refusal."""
    try:
        return Envelope.model_validate_json(body, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the body is not an envelope: {_fault(error)}") from error


def open_request(envelope: Envelope, model: type[R]) -> Asked[R]:
    """Return the message, if its signer signed it as one of this type. Raises Refusal."""
    # The last character of a key has bits to spare; records compare keys as text, so each has one spelling.
    if envelope.by != base64url(urlsafe_b64decode(envelope.by + "=")):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body is not an envelope: by: not_canonical")
    try:
        message = open_envelope(envelope, model.type)
        digest = hashlib.sha256(payload_bytes(envelope)).digest()
    except EnvelopeError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the envelope cannot be opened as '{model.type}': {error}") from error
    try:
        # By the names of the protocol only: two names for one field could have two values.
        request = model.model_validate(message, by_alias=True, by_name=False)
    except ValidationError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"the message is not a '{model.type}': {_fault(error)}") from error
    return Asked(request, envelope.by, base64url(digest))


def _fault(error: ValidationError) -> str:
    """Name the first field that is wrong, and how, without its value."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    return f"{path}: {first['type']}" if path else first["type"]
