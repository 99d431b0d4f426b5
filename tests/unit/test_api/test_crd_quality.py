"""The bar for our schemas, without a list of exceptions: described, bounded, list-typed, explained rules."""

from __future__ import annotations

import pytest

from pbx_operator.api.v1alpha1 import KINDS
from schemas import Field, PlacedRule, every_field, every_rule, kinds

FIELDS = [field for field in every_field() if field.path and field.path != "metadata"]
NAMED = [field for field in FIELDS if field.name]
TYPES = {"object", "array", "string", "integer"}
FORBIDDEN_KEYS = {
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "nullable",
    "oneOf",
    "title",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
}


def of_type(*types: str) -> list[Field]:
    return [field for field in FIELDS if field.schema["type"] in types]


def test_every_kind_is_measured() -> None:
    assert set(kinds()) == {kind.resource.kind for kind in KINDS}
    assert len(NAMED) > 150
    assert len(every_rule()) > 50


@pytest.mark.parametrize("field", NAMED, ids=str)
def test_described_by_a_sentence_that_starts_with_the_name(field: Field) -> None:
    description = field.schema["description"]
    assert description.startswith(f"{field.name} ")
    assert description.endswith((".", '."'))
    assert "\n" not in description


@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_one_simple_type(field: Field) -> None:
    """No booleans (they never get a third value), no floats, no maps, nothing nullable or opaque."""
    assert field.schema["type"] in TYPES
    assert not FORBIDDEN_KEYS & field.schema.keys()
    assert field.schema["type"] != "object" or field.schema["properties"]


@pytest.mark.parametrize("field", of_type("string"), ids=str)
def test_strings_are_bounded(field: Field) -> None:
    assert "enum" in field.schema or 0 < field.schema["maxLength"] <= 32768


@pytest.mark.parametrize("field", of_type("integer"), ids=str)
def test_numbers_are_bounded(field: Field) -> None:
    minimum, maximum = field.schema["minimum"], field.schema["maximum"]
    assert minimum < maximum
    assert int(float(maximum)) == maximum, "the API server keeps bounds as floats"
    assert field.schema["format"] == ("int32" if maximum < 2**31 else "int64")


@pytest.mark.parametrize("field", of_type("array"), ids=str)
def test_lists_are_bounded_and_typed(field: Field) -> None:
    """What people write is short; a status may list every number of one to four digits."""
    list_type = field.schema["x-kubernetes-list-type"]
    assert 0 < field.schema["maxItems"] <= (11_110 if field.path.startswith("status") else 160)
    assert list_type in {"atomic", "set", "map"}
    assert ("x-kubernetes-list-map-keys" in field.schema) == (list_type == "map")
    if list_type == "map":
        assert set(field.schema["x-kubernetes-list-map-keys"]) <= set(field.schema["items"]["required"])


@pytest.mark.parametrize("field", [f for f in FIELDS if "default" in f.schema], ids=str)
def test_defaults_are_accepted_values(field: Field) -> None:
    default, schema = field.schema["default"], field.schema
    if schema["type"] == "object":
        assert {name: schema["properties"][name]["default"] for name in default} == default
    elif "enum" in schema:
        assert default in schema["enum"]
    elif schema["type"] == "integer":
        assert schema["minimum"] <= default <= schema["maximum"]
    else:
        assert schema["type"] == "string"
        assert 0 < len(default) <= schema["maxLength"]


@pytest.mark.parametrize("rule", every_rule(), ids=str)
def test_rules_explain_themselves(rule: PlacedRule) -> None:
    """A message for the reference, one that quotes a value, the field at fault, and a reason."""
    assert set(rule.rule) == {"rule", "message", "messageExpression", "fieldPath", "reason"}
    assert "`" in rule.rule["message"]
    assert rule.rule["messageExpression"]
    assert rule.rule["reason"] in {"FieldValueInvalid", "FieldValueForbidden"}


@pytest.mark.parametrize("rule", [rule for rule in every_rule() if rule.transition], ids=str)
def test_rules_on_changes_are_forbidding(rule: PlacedRule) -> None:
    assert rule.rule["reason"] == "FieldValueForbidden"


def test_rules_of_one_place_have_messages_of_their_own() -> None:
    places = [(rule.kind, rule.carrier, rule.rule["message"]) for rule in every_rule()]
    assert len(places) == len(set(places))
