"""How models become structural schemas."""

from __future__ import annotations

import copy
from functools import reduce
from typing import Annotated, Any, Literal

import phonenumbers
import pytest
from pydantic import Field

from pbx_operator.api.crd import custom_resource_definition, custom_resource_definitions, missing_fields, structural
from pbx_operator.api.meta import Model, Time
from pbx_operator.api.schema import (
    ATOMIC,
    VALIDATIONS,
    ListType,
    Rule,
    choice,
    immutable,
    member_of_union,
    rules,
    sentence,
)
from pbx_operator.api.v1alpha1 import DialPlanSlice, Interlink, LinkRecord, PBXAccount
from pbx_operator.domain.dialplan.emergency import emergency_numbers

ON_FIELD = Rule("self.size == 1", "on the field", "'x'", ".size")
ON_MODEL = Rule("self.size > 0", "on the model", "'x'", ".size")


class Inner(Model):
    """A part."""

    model_config = rules(ON_MODEL)

    size: Annotated[int, Field(ge=0, le=9)] = 3
    """size is a number."""
    note: Annotated[str, Field(max_length=4)] | None = None
    """note is optional."""


class Derived(Inner):
    """A part with more."""


class Outer(Model):
    """A whole."""

    optional: Inner | None = None
    """optional is a part
    on two lines."""
    inner: Annotated[Inner, ON_FIELD] = Inner()
    """inner has a default."""
    derived: Derived
    """derived inherits."""
    color: Literal["Red", "Green"] = "Red"
    """color is one of two."""
    parts: Annotated[tuple[Inner, ...], Field(max_length=5), ListType("map", ("size",))] = ()
    """parts are many."""
    words: Annotated[tuple[Annotated[str, Field(max_length=3)], ...], Field(max_length=2), ATOMIC] = ()
    """words are few."""
    big: Annotated[int, Field(ge=-1, le=2**40)] = -1
    """big is large."""
    time: Time
    """time is a moment."""


@pytest.fixture(scope="module")
def outer() -> dict[str, Any]:
    schema = Outer.model_json_schema()
    return structural({key: value for key, value in schema.items() if key != "$defs"}, schema["$defs"])


def test_required_are_the_fields_without_a_default(outer: dict[str, Any]) -> None:
    assert outer["required"] == ["derived", "time"]
    assert list(outer["properties"]) == ["optional", "inner", "derived", "color", "parts", "words", "big", "time"]


def test_an_optional_model_is_written_out_in_place(outer: dict[str, Any]) -> None:
    assert outer["properties"]["optional"] == {
        "description": "optional is a part on two lines.",
        "type": "object",
        "properties": {
            "size": {
                "description": "size is a number.",
                "type": "integer",
                "format": "int32",
                "default": 3,
                "minimum": 0,
                "maximum": 9,
            },
            "note": {"description": "note is optional.", "type": "string", "maxLength": 4},
        },
        VALIDATIONS: [ON_MODEL.to_json()],
    }


def test_a_default_object_leaves_out_what_is_absent(outer: dict[str, Any]) -> None:
    assert outer["properties"]["inner"]["default"] == {"size": 3}


def test_rules_of_the_field_join_those_of_the_model(outer: dict[str, Any]) -> None:
    assert outer["properties"]["inner"][VALIDATIONS] == [ON_MODEL.to_json(), ON_FIELD.to_json()]
    assert outer["properties"]["derived"][VALIDATIONS] == [ON_MODEL.to_json()]


def test_lists_say_how_they_merge_and_have_no_empty_default(outer: dict[str, Any]) -> None:
    parts, words = outer["properties"]["parts"], outer["properties"]["words"]
    assert (parts["x-kubernetes-list-type"], parts["x-kubernetes-list-map-keys"]) == ("map", ["size"])
    assert words == {
        "description": "words are few.",
        "type": "array",
        "maxItems": 2,
        "x-kubernetes-list-type": "atomic",
        "items": {"type": "string", "maxLength": 3},
    }
    assert "default" not in parts


def test_scalars(outer: dict[str, Any]) -> None:
    assert outer["properties"]["color"]["enum"] == ["Red", "Green"]
    assert outer["properties"]["big"]["format"] == "int64"
    assert outer["properties"]["time"] == {
        "description": "time is a moment.",
        "type": "string",
        "format": "date-time",
        "maxLength": 35,
    }


def test_the_translation_leaves_its_input_alone() -> None:
    schema = Outer.model_json_schema()
    before = copy.deepcopy(schema)
    structural({key: value for key, value in schema.items() if key != "$defs"}, schema["$defs"])
    assert schema == before
    assert custom_resource_definitions() == custom_resource_definitions()


def test_an_unseen_object_never_looks_ready() -> None:
    root = custom_resource_definition(PBXAccount)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert root["properties"]["status"]["default"] == {"observedGeneration": -1}


def test_a_kind_with_a_status_has_the_subresource() -> None:
    assert custom_resource_definition(LinkRecord)["spec"]["versions"][0]["subresources"] == {"status": {}}
    assert "subresources" not in custom_resource_definition(DialPlanSlice)["spec"]["versions"][0]


def test_names_and_columns() -> None:
    spec = custom_resource_definition(Interlink)["spec"]
    version = spec["versions"][0]
    assert spec["names"]["categories"] == ["pbx"]
    assert "categories" not in custom_resource_definition(LinkRecord)["spec"]["names"]
    assert spec["names"]["shortNames"] == ["ilk"]
    assert (spec["scope"], custom_resource_definition(LinkRecord)["spec"]["scope"]) == ("Namespaced", "Cluster")
    assert [column["name"] for column in version["additionalPrinterColumns"]][:2] == ["Ready", "Reason"]
    wide = [column["name"] for column in version["additionalPrinterColumns"] if "priority" in column]
    assert wide == ["Accepted", "Calls", "Message"]
    assert {"jsonPath": ".spec.accountRef.name"} in version["selectableFields"]


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("no value", '"no value"'),
        ("`end` '{self.end}' of '{oldSelf.end}'", "\"`end` '%s' of '%s'\".format([self.end, oldSelf.end])"),
        ("write `issueKey: {}`", '"write `issueKey: {}`"'),
    ],
)
def test_a_sentence_is_an_expression(text: str, expression: str) -> None:
    assert sentence(text) == expression


def test_a_choice_is_an_expression() -> None:
    assert (
        choice("has(self.a)", "with '{self.a}'", "without")
        == 'has(self.a) ? "with \'%s\'".format([self.a]) : "without"'
    )


def test_reserved_words_are_escaped_in_rules_only() -> None:
    rule = immutable("namespace", "create another one")
    assert rule.rule == "self.__namespace__ == oldSelf.__namespace__"
    assert rule.field_path == ".namespace"
    assert rule.message == "`namespace` is immutable: create another one"


def test_a_member_of_a_union_may_serve_several_types() -> None:
    assert member_of_union("peer", "A", "B").rule == "has(self.peer) == (self.type == 'A' || self.type == 'B')"


def test_the_emergency_numbers_of_every_country_fit_into_a_slice() -> None:
    """With as many additional ones as an account may have."""
    numbers = DialPlanSlice.model_json_schema()["$defs"]["DialPlanSliceSpec"]["properties"]["emergencyNumbers"]
    additional = PBXAccount.model_json_schema()["$defs"]["Emergency"]["properties"]["additionalNumbers"]
    most = max(len(emergency_numbers(country)) for country in phonenumbers.SUPPORTED_REGIONS)
    assert most + additional["maxItems"] <= numbers["maxItems"]


FIELDS: dict[str, Any] = {
    "properties": {
        "metadata": {"properties": {"name": {}}},
        "spec": {
            "properties": {
                "one": {"type": "string"},
                "many": {"items": {"properties": {"inner": {"type": "string"}}}},
            }
        },
    }
}


@pytest.mark.parametrize(
    ("path", "missing"),
    [
        ((), []),
        (("spec", "properties", "one"), ["spec.one"]),
        (("spec", "properties", "many"), ["spec.many"]),
        (("spec", "properties", "many", "items", "properties", "inner"), ["spec.many[].inner"]),
        (("spec",), ["spec"]),
        (("metadata", "properties", "name"), []),
    ],
)
def test_fields_that_an_older_definition_does_not_know_are_named(path: tuple[str, ...], missing: list[str]) -> None:
    older = copy.deepcopy(FIELDS)
    if path:
        within = reduce(dict.__getitem__, path[:-1], older["properties"])
        del within[path[-1]]
    assert missing_fields(FIELDS, older) == missing
    assert missing_fields(older, FIELDS) == [], "a newer one knows more, which does no harm"
