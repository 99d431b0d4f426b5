"""Which changes of a CustomResourceDefinition break objects, or programs, that were made for the one before.

The rules are those of crdify (https://github.com/kubernetes-sigs/crdify, docs/validations.md): what was valid must
stay valid, and what clients read must mean the same.  They judge definitions alone; whether an operator understands
objects of an older release is for tests with a real API server.  A keyword that no rule knows counts as incompatible
when it changes, so that nothing slips through.

Of crdify's validators one is not here: that of the served versions of one definition among each other.  We serve one,
and what another would have to keep depends on how the two are converted.  So a second one is a finding, until this
module judges them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

MAXIMA = ("maximum", "maxLength", "maxItems", "maxProperties")
MINIMA = ("minimum", "minLength", "minItems", "minProperties")
DEMANDS = ("pattern", "format", "uniqueItems", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
"""Keywords that restrict values if they are there: to drop one allows more, to add or change one forbids something."""
PROSE = ("description", "title", "example", "externalDocs")
NESTED = ("properties", "items", "additionalProperties")
JUDGED = {*MAXIMA, *MINIMA, *DEMANDS, *PROSE, *NESTED}
JUDGED |= {"type", "enum", "default", "required", "nullable", "x-kubernetes-validations"}


@dataclass(frozen=True)
class Incompatibility:
    """One change that the rule `rule` forbids; `path` is the field like `.spec.items[]`, empty for the whole."""

    definition: str
    version: str
    path: str
    rule: str
    message: str

    def __str__(self) -> str:
        where = f"{self.definition} {self.version}{self.path}".rstrip()
        return f"{where}: {self.rule}: {self.message}"


Finding = tuple[str, str, str]
"""Path, rule and message."""


def incompatibilities(old: Sequence[Schema], new: Sequence[Schema]) -> list[Incompatibility]:
    """Return what of the older definitions the newer ones break; definitions that are new break nothing."""
    present = {crd["metadata"]["name"]: crd for crd in new}
    return [found for crd in old for found in _of_definition(crd, present.get(crd["metadata"]["name"]))]


def _of_definition(old: Schema, new: Schema | None) -> Iterator[Incompatibility]:
    name = old["metadata"]["name"]
    if new is None:
        yield Incompatibility(name, "", "", "definitionRemoval", "the definition is gone, and all its objects with it")
        return
    if (before := old["spec"]["scope"]) != (now := new["spec"]["scope"]):
        yield Incompatibility(name, "", "", "scope", f"changed from {before} to {now}")
    if (before := old["spec"]["names"]["kind"]) != (now := new["spec"]["names"]["kind"]):
        yield Incompatibility(name, "", "", "kind", f"changed from {before} to {now}")
    present = {version["name"]: version for version in new["spec"]["versions"]}
    if len(served := [version["name"] for version in present.values() if version["served"]]) > 1:
        yield Incompatibility(name, "", "", "servedVersions", f"nobody has compared {' and '.join(served)}")
    for version in old["spec"]["versions"]:
        for path, rule, message in _of_version(version, present.get(version["name"])):
            yield Incompatibility(name, version["name"], path, rule, message)


def _of_version(old: Schema, new: Schema | None) -> Iterator[Finding]:
    if new is None and old["storage"]:
        yield "", "storedVersionRemoval", "objects are stored in this version"
    elif old["served"] and (new is None or not new["served"]):
        yield "", "servedVersionRemoval", "clients use this version"
    if new is None:
        return
    if "status" in old.get("subresources", {}) and "status" not in new.get("subresources", {}):
        yield "", "statusRemoval", "the operator writes the subresource status"
    yield from _of_schema(old["schema"]["openAPIV3Schema"], new["schema"]["openAPIV3Schema"], "")


def _of_schema(old: Schema, new: Schema, path: str) -> Iterator[Finding]:
    for rule, message in _of_value(old, new):
        yield path, rule, message
    before, now = old.get("properties", {}), new.get("properties", {})
    for name in before:
        if name in now:
            yield from _of_schema(before[name], now[name], f"{path}.{name}")
        else:
            yield f"{path}.{name}", "existingFieldRemoval", "objects that have it lose it"
    for keyword, part in (("items", "[]"), ("additionalProperties", "{}")):
        inner, other = old.get(keyword), new.get(keyword)
        if isinstance(inner, Mapping) and isinstance(other, Mapping):
            yield from _of_schema(inner, other, path + part)
        elif inner != other:
            yield path, keyword, _change(inner, other)


def _of_value(old: Schema, new: Schema) -> Iterator[tuple[str, str]]:
    """Yield what changed for the value itself, by rule."""
    if old.get("type") != new.get("type"):
        yield "type", _change(old.get("type"), new.get("type"))
    if old.get("default") != new.get("default"):
        yield "default", _change(old.get("default"), new.get("default"))
    if old.get("nullable", False) and not new.get("nullable", False):
        yield "nullable", "null was allowed"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield "required", f"{name} became required"
    yield from _of_enum(old, new)
    yield from _of_bounds(old, new)
    for keyword in DEMANDS:
        if new.get(keyword) not in (None, False, old.get(keyword)):
            yield keyword, _change(old.get(keyword), new[keyword])
    known = {rule["rule"] for rule in old.get("x-kubernetes-validations", ())}
    for rule in new.get("x-kubernetes-validations", ()):
        if rule["rule"] not in known:
            yield "x-kubernetes-validations", f"added {rule['rule']}"
    for keyword in sorted((old.keys() | new.keys()) - JUDGED):
        if old.get(keyword) != new.get(keyword):
            yield keyword, _change(old.get(keyword), new.get(keyword))


def _of_enum(old: Schema, new: Schema) -> Iterator[tuple[str, str]]:
    """A further value is incompatible, too: clients that know the old ones, as after a downgrade, meet it."""
    if "enum" not in new:
        return
    if "enum" not in old:
        yield "enum", f"only {', '.join(map(str, new['enum']))} are allowed now"
        return
    for value in old["enum"]:
        if value not in new["enum"]:
            yield "enum", f"{value} was removed"
    for value in new["enum"]:
        if value not in old["enum"]:
            yield "enum", f"{value} was added"


def _of_bounds(old: Schema, new: Schema) -> Iterator[tuple[str, str]]:
    for keyword in MAXIMA:
        if keyword in new and (keyword not in old or new[keyword] < old[keyword]):
            yield keyword, _change(old.get(keyword), new[keyword])
    for keyword in MINIMA:
        if keyword in new and (keyword not in old or new[keyword] > old[keyword]):
            yield keyword, _change(old.get(keyword), new[keyword])


def _change(before: object, now: object) -> str:
    if before is None:
        return f"added: {now}"
    return f"removed: {before}" if now is None else f"changed from {before} to {now}"
