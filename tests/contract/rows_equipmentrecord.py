"""Admission table of EquipmentRecord: what keeps a spent activation code spent, whoever writes the record."""

from __future__ import annotations

from contract.admission import JSON, Row, changed, forbidden, invalid

DELETE = "a record is never edited; delete the CommServer that it stands for"
RAISE = "raise `spec.activation.revision` of the CommServer for another activation code"
INSTANCE, OTHER_INSTANCE = "i" * 26, "j" * 26
PUBLIC, OTHER_PUBLIC = "P" * 43, "Q" * 43
TIME, LATER = "2027-01-31T12:00:00Z", "2027-02-28T12:00:00Z"
DEVICE: JSON = {"publicKey": PUBLIC, "time": TIME}
DECLARED: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "EquipmentRecord",
    "metadata": {"name": f"e-{'a' * 26}"},
    "spec": {
        "equipmentID": "ALE12-1234.5678.90",
        "instance": INSTANCE,
        "owner": {"namespace": "tenant-1", "name": "hotel-du-lac", "uid": "uid-1"},
        "codeKey": PUBLIC,
        "settings": {"displayName": "Hôtel du Lac", "country": "FR"},
    },
}


def _with(record: JSON, **spec: object) -> JSON:
    return changed(record, {"spec": spec})


ASSOCIATED = _with(DECLARED, state="Associated", device=DEVICE)
RENEWED = _with(DECLARED, revision=2, codeKey=OTHER_PUBLIC)
FULL = _with(
    ASSOCIATED,
    revision=2,
    settings={
        "nationalPrefix": "0",
        "internationalPrefix": "00",
        "outboundPrefix": "0",
        "numberingRules": [
            {"match": "^([0-9]{1,5})$", "action": "Rewrite", "replace": "$1", "description": "internal"},
            {"match": "^0800", "action": "Block"},
        ],
        "webRTCGateway": "Enabled",
    },
)


def _rule(**rule: str) -> JSON:
    return _with(DECLARED, settings={"numberingRules": [{"match": "^0800", **rule}]})


def _immutable(*path: str, value: str, old: str) -> Row:
    patch: JSON = {path[-1]: value}
    for name in reversed(path[:-1]):
        patch = {name: patch}
    field = ".".join(("spec", *path))
    sentence = f"`{path[-1]}` may not change from '{old}' to '{value}': {DELETE}"
    return Row(f"another {field}", _with(DECLARED, **patch), (forbidden(field, sentence),), before=DECLARED)


ROWS = (
    Row("declared", DECLARED),
    Row("everything", FULL),
    Row("a box gets in", ASSOCIATED, before=DECLARED),
    Row("another code", RENEWED, before=DECLARED),
    Row("another code, the box is out", RENEWED, before=ASSOCIATED),
    Row("other settings of a box that is in", _with(ASSOCIATED, settings={"country": "DE"}), before=ASSOCIATED),
    Row("taken up by a successor", _with(ASSOCIATED, owner={"uid": "uid-2"}), before=ASSOCIATED),
    _immutable("equipmentID", value="ALE13-1", old="ALE12-1234.5678.90"),
    _immutable("instance", value=OTHER_INSTANCE, old=INSTANCE),
    _immutable("owner", "namespace", value="tenant-2", old="tenant-1"),
    _immutable("owner", "name", value="motel", old="hotel-du-lac"),
    Row(
        "a lower revision",
        DECLARED,
        (
            forbidden(
                "spec.revision",
                "`revision` may not fall from 2 to 1: a spent activation code stays spent",
            ),
        ),
        before=_with(DECLARED, revision=2),
    ),
    Row(
        "another code of the same revision",
        _with(DECLARED, codeKey=OTHER_PUBLIC),
        (forbidden("spec.codeKey", f"`codeKey` may not change because `revision` stays 1: {RAISE}"),),
        before=DECLARED,
    ),
    Row(
        "a box that is not in",
        _with(DECLARED, device=DEVICE),
        (invalid("spec.device", "`device` may not be set because `state` is 'Declared'"),),
    ),
    Row(
        "no box that is in",
        _with(DECLARED, state="Associated"),
        (invalid("spec.device", "`device` must be set because `state` is 'Associated'"),),
    ),
    Row(
        "another box of the same revision",
        _with(ASSOCIATED, device=DEVICE | {"publicKey": OTHER_PUBLIC}),
        (forbidden("spec.device", f"`device` may not change because `revision` stays 1: {RAISE}"),),
        before=ASSOCIATED,
    ),
    Row(
        "another time of the same box",
        _with(ASSOCIATED, device=DEVICE | {"time": LATER}),
        (forbidden("spec.device", f"`device` may not change because `revision` stays 1: {RAISE}"),),
        before=ASSOCIATED,
    ),
    Row(
        "a code unspent again",
        DECLARED,
        (forbidden("spec.device", f"`device` may not be removed because `revision` stays 1: {RAISE}"),),
        before=ASSOCIATED,
    ),
    Row(
        "a box that stays in with another code",
        _with(ASSOCIATED, revision=2, codeKey=OTHER_PUBLIC),
        (
            forbidden(
                "spec.device",
                "`device` may not stay because `revision` rises from 1 to 2: whoever has the new activation code will"
                " be the device",
            ),
        ),
        before=ASSOCIATED,
    ),
    Row(
        "a name of one's own",
        changed(DECLARED, {"metadata": {"name": "my-box"}}),
        (
            invalid(
                "metadata.name",
                "name 'my-box' must be 'e-' and 26 characters made of the equipment ID: records are made by the"
                " operator alone, create a CommServer",
            ),
        ),
    ),
    Row(
        "a rule that blocks and replaces",
        _rule(action="Block", replace="0"),
        (
            invalid(
                "spec.settings.numberingRules[0].replace",
                "`replace` may not be '0' because `action` is 'Block': remove it, or write 'Rewrite'",
            ),
        ),
    ),
    Row(
        "a rule that finds nothing",
        _rule(match="", action="Block"),
        (
            invalid(
                "spec.settings.numberingRules[0].match",
                "`match` may not be '': write a regular expression of 1 to 64 ASCII characters, for example '^0800'",
            ),
        ),
    ),
    Row(
        "a rule that dials letters",
        _rule(action="Rewrite", replace="zero"),
        (
            invalid(
                "spec.settings.numberingRules[0].replace",
                "`replace` may not be 'zero': write what is dialled, in the characters 0-9, *, # and +, with $1 for the"
                " first group of `match`, for example '0$1'; to dial nothing remove it and write 'Block' as `action`",
            ),
        ),
    ),
    Row(
        "a rule that replaces by nothing",
        _rule(action="Rewrite"),
        (
            invalid(
                "spec.settings.numberingRules[0].replace",
                "`replace` must be set because `action` is 'Rewrite'; to dial nothing write 'Block'",
            ),
        ),
    ),
)
