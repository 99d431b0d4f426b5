"""Admission table of PBXAccount."""

from __future__ import annotations

from contract.admission import JSON, Refusal, Row, changed, forbidden, invalid, mismatch

LABEL = "must have at most 57 characters and no dot, so that generated names fit"
DIGITS = "^[0-9]{1,4}$"
DISPLAY_NAME = r"^[^\x00-\x1f\x7f-\x9f" + "\ufffd-\U00010000]{1,255}$"
MINIMAL: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "PBXAccount",
    "metadata": {"name": "amsterdam"},
    "spec": {"country": "NL"},
}
FULL: JSON = changed(
    MINIMAL,
    {
        "spec": {
            "displayName": "Mike Brown, 東京",
            "sipDomain": "amsterdam.pbx.example.com",
            "numbering": {
                "ranges": [{"start": "200", "end": "299"}, {"start": "7", "end": "7"}],
                "outOfRange": "Reject",
                "dialing": "DigitByDigit",
                "reservedPrefixes": ["0", "*7"],
            },
            "emergency": {"protection": "Warn", "additionalNumbers": ["1999"]},
            "sharing": {"mode": "Selected", "numbers": [{"start": "200", "end": "249"}]},
            "deletionPolicy": "Orphan",
            "driftPolicy": "Report",
            "deletionProtection": "Enabled",
        }
    },
)
CENTER: JSON = {
    "url": "https://api.sandbox.telecom.center",
    "credentialsSecretRef": {"name": "telecom-center"},
    "customerID": "123",
    "language": "LT",
    "capacityLimit": 10,
    "sipAccountLimit": 5,
}
LEAST: JSON = {"credentialsSecretRef": {"name": "other"}, "customerID": "123"}
ANOTHER = "delete the PBXAccount and create another one"


def _account(**spec: object) -> JSON:
    return changed(MINIMAL, {"spec": spec})


def _at(center: JSON | None, type_: str = "TelecomCenter") -> JSON:
    return _account(provider={"type": type_, **({"telecomCenter": center} if center is not None else {})})


def _customer(value: object) -> JSON:
    return _at({**CENTER, "customerID": value})


CUSTOMER = _at(CENTER)


def _named(name: str) -> JSON:
    return changed(MINIMAL, {"metadata": {"name": name}})


def _range(start: str, end: str) -> JSON:
    return _account(numbering={"ranges": [{"start": "200", "end": "299"}, {"start": start, "end": end}]})


def _shared(start: str, end: str) -> JSON:
    return _account(sharing={"mode": "Selected", "numbers": [{"start": start, "end": end}]})


def _end(list_path: str, index: int, sentence: str) -> tuple[Refusal]:
    return (invalid(f"spec.{list_path}[{index}].end", sentence),)


ROWS = (
    Row("minimal", MINIMAL),
    Row("everything set", FULL),
    Row("everything may change", MINIMAL, before=FULL),
    Row("name of 57 characters", _named("a" * 57)),
    Row("name of 58 characters", _named("a" * 58), (invalid("metadata.name", f"name '{'a' * 58}' {LABEL}"),)),
    Row("name with a dot", _named("ams.nl"), (invalid("metadata.name", f"name 'ams.nl' {LABEL}"),)),
    Row("no country", _account(country=None), (Refusal("spec.country", "Required value"),)),
    Row("country in lower case", _account(country="nl"), (mismatch("spec.country", "nl", "^[A-Z]{2}$"),)),
    Row("range of one number", _range("5", "5")),
    Row("range of four digits with leading zeros", _range("0000", "0099")),
    Row(
        "range with ends of different length",
        _range("90", "100"),
        _end("numbering.ranges", 1, "`end` '100' must have as many digits as `start` '90'"),
    ),
    Row(
        "range upside down",
        _range("299", "200"),
        _end("numbering.ranges", 1, "`end` '200' may not be lower than `start` '299'"),
    ),
    Row(
        "range of five digits",
        _range("10000", "10099"),
        (
            mismatch("spec.numbering.ranges[1].start", "10000", DIGITS),
            mismatch("spec.numbering.ranges[1].end", "10099", DIGITS),
        ),
    ),
    Row(
        "number without quotes",
        _account(numbering={"ranges": [{"start": 200, "end": "299"}]}),
        (
            invalid(
                "spec.numbering.ranges[0].start",
                '"integer": spec.numbering.ranges[0].start in body must be of type string: "integer"',
            ),
        ),
    ),
    Row(
        "range partly behind a reserved prefix",
        _account(numbering={"ranges": [{"start": "000", "end": "199"}], "reservedPrefixes": ["0"]}),
    ),
    Row(
        "range wholly behind a reserved prefix",
        _account(
            numbering={
                "ranges": [{"start": "200", "end": "299"}, {"start": "010", "end": "099"}],
                "reservedPrefixes": ["9", "0"],
            }
        ),
        (
            invalid(
                "spec.numbering.ranges",
                "every number from '010' to '099' begins with one of `reservedPrefixes` [\"9\", \"0\"]",
            ),
        ),
    ),
    Row(
        "reserved prefix twice",
        _account(numbering={"reservedPrefixes": ["0", "0"]}),
        (Refusal("spec.numbering.reservedPrefixes[1]", 'Duplicate value: "0"'),),
    ),
    Row(
        "emergency number of one digit",
        _account(emergency={"additionalNumbers": ["1"]}),
        (mismatch("spec.emergency.additionalNumbers[0]", "1", "^[0-9]{2,6}$"),),
    ),
    Row("shared range", _shared("200", "249")),
    Row(
        "shared range with ends of different length",
        _shared("1", "10"),
        _end("sharing.numbers", 0, "`end` '10' must have as many digits as `start` '1'"),
    ),
    Row(
        "shared range upside down",
        _shared("9", "1"),
        _end("sharing.numbers", 0, "`end` '1' may not be lower than `start` '9'"),
    ),
    Row(
        "Selected without numbers",
        _account(sharing={"mode": "Selected"}),
        (invalid("spec.sharing.numbers", "`numbers` must list the offered ranges because `mode` is 'Selected'"),),
    ),
    Row(
        "numbers without Selected",
        _account(sharing={"mode": "None", "numbers": [{"start": "1", "end": "2"}]}),
        (
            invalid(
                "spec.sharing.numbers",
                "`numbers` may not be set because `mode` is 'None': remove it, or write 'Selected'",
            ),
        ),
    ),
    Row("no numbers without Selected", _account(sharing={"mode": "None", "numbers": []})),
    Row(
        "domain in capitals",
        _account(sipDomain="PBX.example.com"),
        (
            mismatch(
                "spec.sipDomain",
                "PBX.example.com",
                r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$",
            ),
        ),
    ),
    Row("a customer with everything set", CUSTOMER),
    Row("the least of a customer", _at({"credentialsSecretRef": {"name": "telecom-center"}})),
    Row("all of a customer but its place and id may change", _at({**LEAST, "url": CENTER["url"]}), before=_at(CENTER)),
    Row(
        "TelecomCenter without a customer",
        _at(None),
        (invalid("spec.provider.telecomCenter", "`telecomCenter` must be set because `type` is 'TelecomCenter'"),),
    ),
    Row(
        "a customer of Builtin",
        _at(CENTER, "Builtin"),
        (invalid("spec.provider.telecomCenter", "`telecomCenter` may not be set because `type` is 'Builtin'"),),
    ),
    Row(
        "another provider",
        _at(CENTER),
        (forbidden("spec.provider.type", f"`type` may not change from 'Builtin' to 'TelecomCenter': {ANOTHER}"),),
        before=MINIMAL,
    ),
    Row(
        "a place at no port",
        _at({**CENTER, "url": "https://api.example.com:99999"}),
        (
            invalid(
                "spec.provider.telecomCenter.url",
                "`url` 'https://api.example.com:99999' has a port that is not a number from 1 to 65535",
            ),
        ),
    ),
    Row(
        "another place",
        changed(_at(CENTER), {"spec": {"provider": {"telecomCenter": {"url": "https://api.example.com"}}}}),
        (
            forbidden(
                "spec.provider.telecomCenter.url",
                f"`url` may not change from '{CENTER['url']}' to 'https://api.example.com': {ANOTHER}",
            ),
        ),
        before=_at(CENTER),
    ),
    Row(
        "another customer",
        _customer("124"),
        (
            forbidden(
                "spec.provider.telecomCenter.customerID", f"`customerID` may not change from '123' to '124': {ANOTHER}"
            ),
        ),
        before=_at(CENTER),
    ),
    Row(
        "a customer with a leading zero",
        _customer("0123"),
        (mismatch("spec.provider.telecomCenter.customerID", "0123", "^[1-9][0-9]{0,18}$"),),
    ),
    Row(
        "a negative limit",
        _at({**CENTER, "capacityLimit": -1}),
        (
            invalid(
                "spec.provider.telecomCenter.capacityLimit",
                "-1: spec.provider.telecomCenter.capacityLimit in body should be greater than or equal to 0",
            ),
        ),
    ),
    Row(
        "a customer without a login",
        _at({"customerID": "123"}),
        (Refusal("spec.provider.telecomCenter.credentialsSecretRef", "Required value"),),
    ),
    Row(
        "display name of two lines",
        _account(displayName="a\nb"),
        (mismatch("spec.displayName", "a\nb", DISPLAY_NAME),),
    ),
    Row(
        "display name with a control character of ISO 8859",
        _account(displayName="a\x85b"),
        (mismatch("spec.displayName", "a\x85b", DISPLAY_NAME),),
    ),
    Row(
        "display name with a character that is none",
        _account(displayName="a\ufffeb"),
        (mismatch("spec.displayName", "a\ufffeb", DISPLAY_NAME),),
    ),
    Row("display name of all planes", _account(displayName="é東\ufffc\U00010001😀")),
    Row("display name with the character after the last control character", _account(displayName="a\xa0b")),
)
