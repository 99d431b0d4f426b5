"""Envelopes: whatever is changed on the way is noticed, and what is signed has one meaning."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbx_operator.domain.protocol.envelope import (
    MAX_PAYLOAD,
    Envelope,
    EnvelopeError,
    open_envelope,
    payload_bytes,
    seal,
)
from pbx_operator.domain.protocol.keys import SigningKey

OURS, THEIRS = (SigningKey(hashlib.sha256(name).digest()) for name in (b"ours", b"theirs"))
MESSAGE = {"from": "us", "links": [{"state": "Live", "rev": 5}], "name": "Zoë"}
SEALED = seal("sync", MESSAGE, OURS)

scalars = st.none() | st.booleans() | st.integers() | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
messages = st.dictionaries(st.text(), values)


def signed(payload: bytes, kind: str = "sync") -> Envelope:
    """Sign any bytes, which `seal` would never make."""
    by, sig = OURS.public, OURS.sign(f"pbx-operator/v1\0{kind}\0".encode() + payload)
    return Envelope(payload=base64.b64encode(payload).decode(), by=by, sig=sig)


def refusal(envelope: Envelope, kind: str = "sync") -> str:
    with pytest.raises(EnvelopeError) as caught:
        open_envelope(envelope, kind)
    return str(caught.value)


@given(messages)
def test_what_was_sealed_is_what_is_opened(message: dict[str, Any]) -> None:
    sealed = seal("sync", message, OURS)
    assert sealed.by == OURS.public
    assert open_envelope(Envelope.model_validate_json(sealed.model_dump_json()), "sync") == message


def test_the_signed_bytes_are_those_of_the_protocol() -> None:
    """Another implementation must come to the same."""
    assert signed(payload_bytes(SEALED)) == SEALED
    assert payload_bytes(seal("sync", {"b": 1, "a": [True]}, OURS)) == b'{"a":[true],"b":1}'


@given(st.sampled_from(["payload", "by", "sig"]), st.data())
def test_no_character_can_be_changed(member: str, data: st.DataObject) -> None:
    text = getattr(SEALED, member)
    place = data.draw(st.integers(0, len(text) - 1))
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + (
        "+/" if member == "payload" else "-_"
    )
    changed = text[:place] + data.draw(st.sampled_from(alphabet)) + text[place + 1 :]
    assume(changed != text)
    refusal(SEALED.model_copy(update={member: changed}))


@given(st.integers(0, len(payload_bytes(SEALED)) - 1), st.integers(1, 255))
def test_no_byte_of_the_message_can_be_changed(place: int, flip: int) -> None:
    payload = bytearray(payload_bytes(SEALED))
    payload[place] ^= flip
    changed = SEALED.model_copy(update={"payload": base64.b64encode(payload).decode()})
    assert refusal(changed) == "its signature is wrong"


@given(st.text(max_size=20))
def test_a_message_of_one_type_is_none_of_another(kind: str) -> None:
    assume(kind != "sync")
    assert refusal(SEALED, kind) == "its signature is wrong"


def test_nobody_can_sign_for_somebody_else() -> None:
    assert refusal(SEALED.model_copy(update={"by": THEIRS.public})) == "its signature is wrong"
    assert refusal(SEALED.model_copy(update={"sig": seal("sync", MESSAGE, THEIRS).sig})) == "its signature is wrong"


@given(st.binary(max_size=64))
def test_nothing_is_read_before_it_is_known_to_be_signed(payload: bytes) -> None:
    changed = SEALED.model_copy(update={"payload": base64.b64encode(payload).decode()})
    assert refusal(changed) == "its signature is wrong"


@pytest.mark.parametrize(
    "payload",
    [
        b'{"to": "us", "to": "them"}',
        b'{"to": "us", "\\u0074o": "them"}',
        b'{"links": [{"rev": 1, "rev": 2}]}',
        b'{"to": "us"',
        b"",
        b"\xff",
        b"[" * 200_000,
    ],
)
def test_signed_but_of_two_meanings_or_none(payload: bytes) -> None:
    assert refusal(signed(payload)) == "it is signed, but not JSON with unique names"


@pytest.mark.parametrize("payload", [b"[]", b'"text"', b"1", b"null"])
def test_signed_but_no_object(payload: bytes) -> None:
    assert refusal(signed(payload)) == "it is signed, but not a JSON object"


@pytest.mark.parametrize("payload", ["e30", "e30=\n", "e3=0", "=", "e31="])
def test_a_payload_is_written_in_one_way(payload: str) -> None:
    """`e31=` has bits to spare: it would be another text for the same bytes."""
    assert "its payload is" in refusal(SEALED.model_copy(update={"payload": payload}))


def test_a_message_has_a_longest_length() -> None:
    padding = MAX_PAYLOAD - len(json.dumps({"x": ""}, separators=(",", ":")))
    longest = seal("sync", {"x": "y" * padding}, OURS)
    assert len(open_envelope(longest, "sync")["x"]) == padding
    assert refusal(signed(b" " * (MAX_PAYLOAD + 1))) == f"its payload has more than {MAX_PAYLOAD} bytes"
