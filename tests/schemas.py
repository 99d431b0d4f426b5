"""Walks through the generated CustomResourceDefinitions, for the tests that measure them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pbx_operator.api.crd import custom_resource_definitions
from pbx_operator.api.schema import VALIDATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = dict[str, Any]


class Field(NamedTuple):
    """One field, or one entry of a list (its path then ends in `[]`)."""

    kind: str
    path: str
    schema: JSON

    @property
    def name(self) -> str:
        """The JSON name, empty for the root and for entries of a list."""
        return "" if self.path.endswith("[]") else self.path.rpartition(".")[2]

    def __str__(self) -> str:
        return f"{self.kind}.{self.path}"


class PlacedRule(NamedTuple):
    """One CEL rule, with the path of the field that carries it and of the one that it points at."""

    kind: str
    carrier: str
    rule: JSON

    @property
    def path(self) -> str:
        """Where errors of this rule point."""
        return f"{self.carrier}{self.rule['fieldPath']}".removeprefix(".")

    @property
    def transition(self) -> bool:
        """Whether the rule compares with the old object."""
        return "oldSelf" in self.rule["rule"]

    def __str__(self) -> str:
        return f"{self.kind}.{self.path}: {self.rule['message']}"


def kinds() -> dict[str, JSON]:
    """Return the root schema of every kind."""
    return {
        crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in custom_resource_definitions()
    }


def every_field() -> list[Field]:
    """Return every node of every schema, roots and entries of lists included."""
    return [field for kind, schema in kinds().items() for field in fields_below(kind, "", schema)]


def fields_below(kind: str, path: str, schema: JSON) -> Iterator[Field]:
    """Yield a node and everything below it."""
    yield Field(kind, path, schema)
    for name, member in schema.get("properties", {}).items():
        yield from fields_below(kind, f"{path}.{name}".removeprefix("."), member)
    if "items" in schema:
        yield from fields_below(kind, f"{path}[]", schema["items"])


def every_rule() -> list[PlacedRule]:
    """Return every CEL rule of every kind."""
    return [
        PlacedRule(field.kind, field.path, rule)
        for field in every_field()
        for rule in field.schema.get(VALIDATIONS, [])
    ]
