"""Each rule finds its change and names the field, and what is harmless passes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from crd_compatibility import Incompatibility, incompatibilities

Schema = dict[str, Any]
NAME = "phones.example.com"
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
LIST: Schema = {"type": "array", "items": TEXT}


def definition(field: Schema, **more: Any) -> Schema:
    """Return a CRD whose spec has the one field `x`."""
    spec = {"type": "object", "properties": {"x": field}, **more}
    schema = {"type": "object", "properties": {"spec": spec}}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"kind": "Phone"}
    return {"metadata": {"name": NAME}, "spec": {"scope": "Namespaced", "names": names, "versions": [version]}}


def found(old: Schema, new: Schema) -> list[tuple[str, str]]:
    """Return path and rule of each incompatibility between two schemas of the field `x`."""
    return [(each.path, each.rule) for each in incompatibilities([definition(old)], [definition(new)])]


BREAKING = {
    "another type": (TEXT, NUMBER, "type"),
    "a default appears": (TEXT, TEXT | {"default": "a"}, "default"),
    "a default changes": (TEXT | {"default": "a"}, TEXT | {"default": "b"}, "default"),
    "a default goes": (TEXT | {"default": "a"}, TEXT, "default"),
    "null is refused": (TEXT | {"nullable": True}, TEXT, "nullable"),
    "an enum appears": (TEXT, TEXT | {"enum": ["a"]}, "enum"),
    "an enum loses a value": (TEXT | {"enum": ["a", "b"]}, TEXT | {"enum": ["a"]}, "enum"),
    "an enum gains a value": (TEXT | {"enum": ["a"]}, TEXT | {"enum": ["a", "b"]}, "enum"),
    "maximum appears": (NUMBER, NUMBER | {"maximum": 3}, "maximum"),
    "maximum sinks": (NUMBER | {"maximum": 4}, NUMBER | {"maximum": 3}, "maximum"),
    "maxLength appears": (TEXT, TEXT | {"maxLength": 3}, "maxLength"),
    "maxLength sinks": (TEXT | {"maxLength": 4}, TEXT | {"maxLength": 3}, "maxLength"),
    "maxItems sinks": (LIST | {"maxItems": 4}, LIST | {"maxItems": 3}, "maxItems"),
    "maxProperties appears": ({"type": "object"}, {"type": "object", "maxProperties": 1}, "maxProperties"),
    "minimum appears": (NUMBER, NUMBER | {"minimum": 3}, "minimum"),
    "minimum rises": (NUMBER | {"minimum": 2}, NUMBER | {"minimum": 3}, "minimum"),
    "minLength rises": (TEXT | {"minLength": 1}, TEXT | {"minLength": 2}, "minLength"),
    "minItems appears": (LIST, LIST | {"minItems": 1}, "minItems"),
    "minProperties appears": ({"type": "object"}, {"type": "object", "minProperties": 1}, "minProperties"),
    "a pattern appears": (TEXT, TEXT | {"pattern": "^a"}, "pattern"),
    "a pattern changes": (TEXT | {"pattern": "^a"}, TEXT | {"pattern": "^b"}, "pattern"),
    "a format appears": (TEXT, TEXT | {"format": "date-time"}, "format"),
    "items are to be unique": (LIST, LIST | {"uniqueItems": True}, "uniqueItems"),
    "a bound excludes itself": (
        NUMBER | {"maximum": 3},
        NUMBER | {"maximum": 3, "exclusiveMaximum": True},
        "exclusiveMaximum",
    ),
    "a rule appears": (TEXT, TEXT | {"x-kubernetes-validations": [{"rule": "a"}]}, "x-kubernetes-validations"),
    "a rule changes": (
        TEXT | {"x-kubernetes-validations": [{"rule": "a"}]},
        TEXT | {"x-kubernetes-validations": [{"rule": "b"}]},
        "x-kubernetes-validations",
    ),
    "a list merges in another way": (
        LIST | {"x-kubernetes-list-type": "set"},
        LIST | {"x-kubernetes-list-type": "atomic"},
        "x-kubernetes-list-type",
    ),
    "an unknown keyword": (TEXT, TEXT | {"not": {"enum": ["a"]}}, "not"),
    "items are not described": (LIST, {"type": "array"}, "items"),
    "further fields are refused": (
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object"},
        "additionalProperties",
    ),
}
HARMLESS = {
    "nothing": (TEXT, TEXT),
    "a description": (TEXT, TEXT | {"description": "new"}),
    "a higher maximum": (TEXT | {"maxLength": 3}, TEXT | {"maxLength": 4}),
    "no maximum": (TEXT | {"maxLength": 3}, TEXT),
    "a lower minimum": (NUMBER | {"minimum": 3}, NUMBER | {"minimum": 2}),
    "no minimum": (NUMBER | {"minimum": 3}, NUMBER),
    "no pattern": (TEXT | {"pattern": "^a"}, TEXT),
    "no enum": (TEXT | {"enum": ["a"]}, TEXT),
    "null": (TEXT, TEXT | {"nullable": True}),
    "a rule less": (TEXT | {"x-kubernetes-validations": [{"rule": "a"}]}, TEXT),
    "the words of a rule": (
        TEXT | {"x-kubernetes-validations": [{"rule": "a", "message": "b"}]},
        TEXT | {"x-kubernetes-validations": [{"rule": "a", "message": "c"}]},
    ),
    "duplicates": (LIST | {"uniqueItems": True}, LIST),
}


@pytest.mark.parametrize(("old", "new", "rule"), BREAKING.values(), ids=BREAKING)
def test_a_breaking_change_is_found_with_its_path(old: Schema, new: Schema, rule: str) -> None:
    assert found(old, new) == [(".spec.x", rule)]


@pytest.mark.parametrize(("old", "new", "rule"), BREAKING.values(), ids=BREAKING)
@pytest.mark.parametrize(("nest", "path"), [("items", ".spec.x[]"), ("additionalProperties", ".spec.x{}")])
def test_it_is_found_inside_of_lists_and_maps(old: Schema, new: Schema, rule: str, nest: str, path: str) -> None:
    outer = {"type": "object"}
    assert found({**outer, nest: old}, {**outer, nest: new}) == [(path, rule)]


@pytest.mark.parametrize(("old", "new"), HARMLESS.values(), ids=HARMLESS)
def test_a_harmless_change_passes(old: Schema, new: Schema) -> None:
    assert found(old, new) == []


def test_a_field_may_come_but_not_go() -> None:
    one = {"type": "object", "properties": {"a": TEXT}}
    two = {"type": "object", "properties": {"a": TEXT, "b": TEXT}}
    assert found(one, two) == []
    assert found(two, one) == [(".spec.x.b", "existingFieldRemoval")]


def test_a_field_may_become_optional_but_not_required() -> None:
    optional, required = definition(TEXT), definition(TEXT, required=["x"])
    assert incompatibilities([required], [optional]) == []
    assert incompatibilities([optional], [required]) == [
        Incompatibility(NAME, "v1", ".spec", "required", "x became required")
    ]


def test_the_message_tells_definition_field_and_change() -> None:
    (change,) = incompatibilities([definition(TEXT | {"maxLength": 9})], [definition(TEXT | {"maxLength": 8})])
    assert str(change) == f"{NAME} v1.spec.x: maxLength: changed from 9 to 8"


def rules(new: list[Schema]) -> list[str]:
    return [each.rule for each in incompatibilities([definition(TEXT)], new)]


def test_definitions_may_come_but_not_go() -> None:
    assert incompatibilities([], [definition(TEXT)]) == []
    (gone,) = incompatibilities([definition(TEXT)], [])
    assert str(gone) == f"{NAME}: definitionRemoval: the definition is gone, and all its objects with it"


def test_scope_and_kind_stay() -> None:
    changed = definition(TEXT)
    changed["spec"] |= {"scope": "Cluster", "names": {"kind": "Telephone"}}
    assert rules([changed]) == ["scope", "kind"]


def test_a_version_that_is_stored_or_served_stays() -> None:
    changed = definition(TEXT)
    changed["spec"]["versions"][0]["name"] = "v2"
    assert rules([changed]) == ["storedVersionRemoval"]

    old = definition(TEXT)
    second = copy.deepcopy(old["spec"]["versions"][0]) | {"name": "v0", "storage": False}
    old["spec"]["versions"].append(second)
    assert [each.rule for each in incompatibilities([old], [definition(TEXT)])] == ["servedVersionRemoval"]

    unserved = definition(TEXT)
    unserved["spec"]["versions"][0]["served"] = False
    assert rules([unserved]) == ["servedVersionRemoval"]


def test_a_second_served_version_waits_for_rules_of_its_own() -> None:
    changed = definition(TEXT)
    second = copy.deepcopy(changed["spec"]["versions"][0]) | {"name": "v2", "storage": False}
    changed["spec"]["versions"].append(second)
    assert rules([changed]) == ["servedVersions"]
    second["served"] = False
    assert rules([changed]) == []


def test_the_status_stays_a_subresource() -> None:
    changed = definition(TEXT)
    changed["spec"]["versions"][0]["subresources"] = {}
    assert rules([changed]) == ["statusRemoval"]
