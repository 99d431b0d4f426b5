"""Admission table of InternalNumber."""

from __future__ import annotations

from contract.admission import JSON, Refusal, Row, changed, forbidden, invalid, mismatch

DESTINATIONS: dict[str, JSON] = {
    "phone": {"type": "Phone", "phone": {"username": "desk-7"}},
    "sipURI": {"type": "SIPURI", "sipURI": {"uri": "sips:alice@example.com;transport=tls"}},
    "externalNumber": {"type": "ExternalNumber", "externalNumber": {"e164": "+31201234567"}},
    "application": {"type": "Application", "application": {"kind": "Queue", "name": "sales"}},
    "commServer": {"type": "CommServer", "commServer": {"name": "lyon"}},
}
FREE: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "InternalNumber",
    "metadata": {"name": "reception.200"},
    "spec": {"accountRef": {"name": "amsterdam"}, "number": "200"},
}


def _number(**spec: object) -> JSON:
    return changed(FREE, {"spec": spec})


FULL = tuple(
    _number(number="0007", displayName="Reception", visibility="Private", destination=destination)
    for destination in DESTINATIONS.values()
)


def _missing(member: str) -> Row:
    destination_type = DESTINATIONS[member]["type"]
    return Row(
        f"{destination_type} without {member}",
        _number(destination={"type": destination_type}),
        (invalid(f"spec.destination.{member}", f"`{member}` must be set because `type` is '{destination_type}'"),),
    )


def _surplus(member: str, beside: str) -> Row:
    destination = DESTINATIONS[beside] | {member: DESTINATIONS[member][member]}
    sentence = f"`{member}` may not be set because `type` is '{destination['type']}'"
    return Row(
        f"{destination['type']} with {member}",
        _number(destination=destination),
        (invalid(f"spec.destination.{member}", sentence),),
    )


def _to_sip(uri: str) -> JSON:
    return _number(destination={"type": "SIPURI", "sipURI": {"uri": uri}})


def _no_sip_uri(row_id: str, uri: str) -> Row:
    refusal = mismatch("spec.destination.sipURI.uri", uri, "^sips?:[!-?A-~]+@[!-?A-~]+$")
    return Row(f"SIP URI with {row_id}", _to_sip(uri), (refusal,))


ROWS = (
    Row("free", FREE),
    *(Row(f"destination {full['spec']['destination']['type']}", full) for full in FULL),
    *(_missing(member) for member in DESTINATIONS),
    Row("SIP URI with every sort of part", _to_sip("sips:al%20ice:~!@[2001:db8::1]:5061;transport=tls?Subject=hi")),
    _no_sip_uri("a space", "sip:al ice@example.com"),
    _no_sip_uri("a space of Unicode", "sip:al\u2003ice@example.com"),
    _no_sip_uri("a letter beyond ASCII", "sip:alice@bücher.example"),
    _no_sip_uri("a control character", "sip:al\x01ice@example.com"),
    _no_sip_uri("the last control character", "sip:alice@example.com\x7f"),
    _no_sip_uri("two hosts", "sip:alice@example.com@example.org"),
    _surplus("phone", beside="application"),
    _surplus("sipURI", beside="phone"),
    _surplus("externalNumber", beside="phone"),
    _surplus("application", beside="phone"),
    _surplus("commServer", beside="phone"),
    Row("everything but the account may change", FREE, before=FULL[0]),
    Row("another number", _number(number="0200"), before=FREE),
    Row(
        "another account",
        _number(accountRef={"name": "utrecht"}),
        (
            forbidden(
                "spec.accountRef.name",
                "`name` may not change from 'amsterdam' to 'utrecht':"
                " delete this InternalNumber and create another one",
            ),
        ),
        before=FREE,
    ),
    Row("no number", _number(number=None), (Refusal("spec.number", "Required value"),)),
    Row("number of five digits", _number(number="20000"), (mismatch("spec.number", "20000", "^[0-9]{1,4}$"),)),
    Row("empty number", _number(number=""), (mismatch("spec.number", "", "^[0-9]{1,4}$"),)),
    Row("other digits", _number(number="٢٠٠"), (mismatch("spec.number", "٢٠٠", "^[0-9]{1,4}$"),)),
    Row(
        "number without quotes",
        _number(number=200),
        (invalid("spec.number", '"integer": spec.number in body must be of type string: "integer"'),),
    ),
    Row(
        "unknown visibility",
        _number(visibility="Public"),
        (Refusal("spec.visibility", 'Unsupported value: "Public": supported values: "Shared", "Private"'),),
    ),
)
