"""What a Kubernetes schema says beyond JSON Schema: list types, CEL rules, columns and names.

The models carry these as annotations, and pydantic carries those into its JSON Schema; `crd` turns that into
CustomResourceDefinitions.  The API server judges by the rules before the operator sees an object.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_CEL_KEYWORDS = frozenset({"namespace"})
"""Field names of ours that CEL reserves; rules write them with underscores around."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of the API server (`x-kubernetes-validations`), on the field or model that carries it.

    `message` is what people read in the reference; `message_expression` is what the API server answers, with
    the offending value in it.  `field_path` points at the member that is wrong, relative to the rule; it cannot
    point into a list.  A rule that mentions `oldSelf` is judged on updates only, and only while both the old and
    the new object have the field that carries it.
    """

    rule: str
    message: str
    message_expression: str
    field_path: str
    reason: Reason = "FieldValueInvalid"

    def to_json(self) -> dict[str, str]:
        """Return the rule as a CustomResourceDefinition has it."""
        return {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.message_expression,
            "fieldPath": self.field_path,
            "reason": self.reason,
        }

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema[VALIDATIONS] = [*schema.get(VALIDATIONS, []), self.to_json()]
        return schema


def rules(*rules: Rule) -> ConfigDict:
    """Return the `model_config` of a model whose every occurrence is judged by these rules."""

    def add_rules(schema: JsonSchemaValue) -> None:
        schema[VALIDATIONS] = [rule.to_json() for rule in rules]

    return ConfigDict(json_schema_extra=add_rules)


def sentence(text: str) -> str:
    """Return the CEL expression of a text in which `{...}` stands for the value of an expression.

    `format` takes values of every type, and its cost is bounded even where the API server cannot bound the
    length of what it inserts (a number, a time, a member of a filtered list); joining texts with `+` is not.

    >>> print(sentence("`end` '{self.end}' is too low"))
    "`end` '%s' is too low".format([self.end])
    """
    values = ", ".join(_PLACEHOLDER.findall(text))
    return f'"{_PLACEHOLDER.sub("%s", text)}".format([{values}])' if values else f'"{text}"'


def choice(condition: str, text: str, otherwise: str) -> str:
    """Return the CEL expression of the one sentence where the condition holds, and of the other elsewhere."""
    return f"{condition} ? {sentence(text)} : {sentence(otherwise)}"


def immutable(field: str, advice: str, *, optional: bool = False) -> Rule:
    """Return the rule that a scalar member never changes; `advice` says what to do instead.

    An `optional` member does not come or go either.
    """
    value = cel_name(field)
    same, shown = f"self.{value} == oldSelf.{value}", value
    if optional:  # `self.?value == oldSelf.?value` is over the API server's cost budget
        same = f"has(self.{value}) == has(oldSelf.{value}) && (!has(self.{value}) || {same})"
        shown = f"?{value}.orValue('')"
    return Rule(
        rule=same,
        message=f"`{field}` is immutable: {advice}",
        message_expression=sentence(
            f"`{field}` may not change from '{{oldSelf.{shown}}}' to '{{self.{shown}}}': {advice}"
        ),
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


def member_of_union(member: str, *types: str) -> Rule:
    """Return the rule that `member` is set if, and only if, the discriminator `type` is one of `types`."""
    wanted = " || ".join(f"self.type == '{type_}'" for type_ in types)
    return Rule(
        rule=f"has(self.{member}) == ({wanted})",
        message=f"`{member}` must be set if, and only if, `type` is {' or '.join(types)}",
        message_expression=choice(
            f"has(self.{member})",
            f"`{member}` may not be set because `type` is '{{self.type}}'",
            f"`{member}` must be set because `type` is '{{self.type}}'",
        ),
        field_path=f".{member}",
    )


def form(field: str, pattern: str, wanted: str, *, optional: bool = False) -> Rule:
    """Return the rule that a text member has a form; `wanted` follows "write", and has an example.

    A pattern of the schema would do, but the API server then answers with the pattern alone.  The member needs a
    maxLength, or the API server cannot bound the cost.
    """
    absent = f"!has(self.{field}) || " if optional else ""
    return Rule(
        rule=f"{absent}self.{field}.matches('{pattern}')",
        message=f"`{field}` has the wrong form: write {wanted}",
        message_expression=sentence(f"`{field}` may not be '{{self.{field}}}': write {wanted}"),
        field_path=f".{field}",
    )


def cel_name(field: str) -> str:
    """Return the name of a field as CEL rules write it."""
    return f"__{field}__" if field in _CEL_KEYWORDS else field


@dataclass(frozen=True, slots=True)
class ListType:
    """How server-side apply merges a list: as a whole, as a set, or as a map with these keys."""

    type: Literal["atomic", "set", "map"]
    keys: tuple[str, ...] = ()

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        schema[LIST_TYPE] = self.type
        if self.keys:
            schema[LIST_MAP_KEYS] = list(self.keys)
        return schema


ATOMIC = ListType("atomic")
SET = ListType("set")


@dataclass(frozen=True, slots=True)
class Column:
    """One printer column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    path: str
    description: str
    type: Literal["string", "integer", "date"] = "string"
    priority: Literal[0, 1] = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """The part of a CustomResourceDefinition that does not follow from the fields.

    `declared` tells whether users write the kind; the others are the operator's own, and `kubectl get pbx` leaves them
    out, since roles such as `view` may not read those without a namespace.
    """

    singular: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    declared: bool = True
    selectable_fields: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
