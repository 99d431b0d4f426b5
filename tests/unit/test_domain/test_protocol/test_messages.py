"""Statements: what one side says of a redemption is read only as it was signed."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from pydantic import ValidationError

from builders import NOW, digest
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.envelope import Envelope, envelope_of, proof_of, seal
from pbx_operator.domain.protocol.keys import SigningKey, instance_id
from pbx_operator.domain.protocol.messages import Cancel, Receipt, read_receipt, read_statement, sign
from pbx_operator.domain.records.redemption import cancel_bytes, sign_redemption
from simulation.site import signing_key

ISSUER, REDEEMER, KEY = signing_key("issuer"), signing_key("redeemer"), signing_key("the key")
ABOUT = {
    "issuer": instance_id(ISSUER.public),
    "key_id": digest("key", 16),
    "link_id": digest("link", 26),
    "redeemer": instance_id(REDEEMER.public),
}
ACCOUNT = NamespacedName(namespace="ns", name="a")
INTERLINK = InterlinkIdentity(namespace="ns", name="to-b", uid="uid")
RECEIPT = Receipt(**ABOUT, redeemer_key=REDEEMER.public, account=ACCOUNT, interlink=INTERLINK, time=NOW)


def altered(kind: str = "receipt", key: SigningKey = ISSUER, **changes: object) -> Envelope:
    """Sign the receipt with changes that the model itself would refuse."""
    return seal(kind, RECEIPT.to_json() | changes, key)


def test_what_was_signed_is_read() -> None:
    signed = sign(RECEIPT, ISSUER)
    assert signed.by == ISSUER.public
    assert read_statement(signed, Receipt) == RECEIPT
    assert read_receipt(signed, **ABOUT) == RECEIPT


def test_who_may_say_so_is_not_judged() -> None:
    assert read_receipt(sign(RECEIPT, REDEEMER), **ABOUT) == RECEIPT


@pytest.mark.parametrize(
    "envelope",
    [
        altered(kind="cancel"),
        altered(linkID="short"),
        altered(time=None),
        sign(RECEIPT, ISSUER).model_copy(update={"by": REDEEMER.public}),
        sign(RECEIPT, ISSUER).model_copy(update={"payload": altered(keyID=digest("other", 16)).payload}),
        sign(RECEIPT, ISSUER).model_copy(update={"payload": base64.b64encode(b"[]").decode()}),
    ],
    ids=[
        "another type",
        "a field of another form",
        "a field is missing",
        "another signer",
        "another message",
        "a list",
    ],
)
def test_what_proves_nothing_is_none(envelope: Envelope) -> None:
    assert read_statement(envelope, Receipt) is None
    assert read_receipt(envelope, **ABOUT) is None


def test_a_receipt_is_no_cancel() -> None:
    assert read_statement(sign(RECEIPT, ISSUER), Cancel) is None


@pytest.mark.parametrize("name", ABOUT)
def test_a_receipt_is_about_one_redemption(name: str) -> None:
    size = len(ABOUT[name])
    assert read_receipt(sign(RECEIPT, ISSUER), **{**ABOUT, name: digest("another", size)}) is None


def test_a_record_keeps_an_envelope_as_it_is() -> None:
    signed = sign(RECEIPT, ISSUER)
    assert envelope_of(proof_of(signed)) == signed


def test_a_record_keeps_none_that_is_too_long() -> None:
    with pytest.raises(ValidationError, match="payload"):
        proof_of(altered(padding="x" * 4000))


def test_what_the_key_signs_is_the_same_in_every_version() -> None:
    """Installations of several versions speak with each other, so this is not made by the functions under test."""
    request = sign_redemption(KEY, ABOUT["key_id"], REDEEMER, ABOUT["issuer"], ACCOUNT, INTERLINK)
    assert replace(request, link_id="L", key_id="K", instance="I", public_key="P").payload() == (
        b'pbx-operator/v1\0redeem\0{"account":{"name":"a","namespace":"ns"},"instance":"I",'
        b'"interlink":{"name":"to-b","namespace":"ns","uid":"uid"},"keyID":"K","linkID":"L","publicKey":"P"}'
    )
    assert cancel_bytes("i", "k", "l") == b"pbx-operator/v1\0cancel\0ikl"
