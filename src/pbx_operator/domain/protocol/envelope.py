"""Envelopes: how two installations of the operator sign what they say to each other.

A signature covers the protocol, the type of the message and its very bytes, and is checked before a byte of the
message is read.  So nothing between the two, not even a proxy that ends TLS, can change, forge or re-label a
message; and since no message holds a secret, whoever records one gains nothing.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any

from pydantic import Field

from pbx_operator.api.meta import Model
from pbx_operator.api.v1alpha1.linkrecord import Proof
from pbx_operator.api.v1alpha1.shared import SHORT
from pbx_operator.domain.protocol.keys import SigningKey, verify

PROTOCOL = "pbx-operator/v1"
MAX_PAYLOAD = 256 * 1024
"""Bytes of the longest message, before base64."""
MAX_SEALED = 360 * 1024
"""Bytes of the longest envelope: a message in base64, its signer and the signature."""


class EnvelopeError(ValueError):
    """What arrived is not a signed message of the expected type; the text says why and quotes nothing of it."""


class Envelope(Model):
    """A message and its signature."""

    payload: Annotated[str, Field(max_length=MAX_PAYLOAD * 4 // 3 + 4, pattern=r"^[A-Za-z0-9+/]*={0,2}$")]
    """payload is the message, JSON in base64: the bytes that were signed."""
    by: Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9_-]{43}$")]
    """by is the Ed25519 public key of the signer, in base64url."""
    sig: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
    """sig is the signature over `pbx-operator/v1`, the type of the message and the payload, each but the last ended
    by a zero byte; in base64url."""


def seal(kind: str, message: dict[str, Any], key: SigningKey) -> Envelope:
    """Sign a message of this type."""
    payload = canonical(message)
    return Envelope(
        payload=base64.b64encode(payload).decode(), by=key.public, sig=key.sign(signed_bytes(kind, payload))
    )


def canonical(message: dict[str, Any]) -> bytes:
    """Return the JSON of a message as we write it: names sorted, no blanks."""
    return json.dumps(message, separators=(",", ":"), sort_keys=True).encode()


def open_envelope(envelope: Envelope, kind: str) -> dict[str, Any]:
    """Return the message, if `by` signed it as one of this type.

    Who `by` is, and whether it may say so, is for the caller to judge.  Raises EnvelopeError.
    """
    payload = payload_bytes(envelope)
    if not verify(envelope.by, envelope.sig, signed_bytes(kind, payload)):
        raise EnvelopeError("its signature is wrong")
    try:
        message = json.loads(payload, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise EnvelopeError("it is signed, but not JSON with unique names") from error
    if not isinstance(message, dict):
        raise EnvelopeError("it is signed, but not a JSON object")
    return message


def proof_of(envelope: Envelope) -> Proof:
    """Return an envelope as records keep it. Raises ValidationError if it is longer than a record holds."""
    return Proof.model_validate(envelope.to_json())


def envelope_of(proof: Proof) -> Envelope:
    """Return what a record keeps as an envelope that can be sent and opened."""
    return Envelope.model_validate(proof.to_json())


def payload_bytes(envelope: Envelope) -> bytes:
    """Return the signed bytes. Raises EnvelopeError."""
    try:
        payload = base64.b64decode(envelope.payload, validate=True)
    except binascii.Error as error:
        raise EnvelopeError("its payload is not base64") from error
    if base64.b64encode(payload).decode() != envelope.payload:
        raise EnvelopeError("its payload is base64 with bits to spare")
    if len(payload) > MAX_PAYLOAD:
        raise EnvelopeError(f"its payload has more than {MAX_PAYLOAD} bytes")
    return payload


def signed_bytes(kind: str, payload: bytes) -> bytes:
    """Return what is signed: this protocol, this type of message, this payload."""
    return f"{PROTOCOL}\0{kind}\0".encode() + payload


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that stands twice: two readers could take different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
