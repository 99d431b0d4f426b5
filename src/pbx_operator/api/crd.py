"""CustomResourceDefinitions out of the models, so that the API server and the operator never disagree.

pydantic describes a model as JSON Schema with references, titles and nulls; the API server wants a *structural*
schema: everything inline, every field of one type, nothing nullable.  This module translates the one into the
other; the annotations of `schema` pass through.  The files in `crds/` are these dictionaries, written by
`tools/generate.py`.
"""

from __future__ import annotations

from typing import Any

from pbx_operator.api.meta import Resource, ResourceType
from pbx_operator.api.schema import VALIDATIONS, Column, Definition
from pbx_operator.api.v1alpha1 import KINDS

JSON = dict[str, Any]

CATEGORY = "pbx"
"""`kubectl get pbx` lists the objects of every kind that users write."""
TIME_LENGTH = 35
"""Characters of the longest RFC 3339 time: nanoseconds and an offset."""
NAME_LENGTH = 253
"""Characters of the longest name that the API server accepts."""
INT32_MAX = 2**31 - 1

_EMPTY: tuple[Any, ...] = (None, [], {})
_API_VERSION = "apiVersion is the version of the schema that this object is written in: `{api_version}`."
_KIND = "kind is the type of this object: `{kind}`."
_NAME = "name is what this object is called, once and for all."


def custom_resource_definitions() -> tuple[JSON, ...]:
    """Return the CustomResourceDefinition of every kind, in the order of the reference."""
    return tuple(custom_resource_definition(kind) for kind in KINDS)


def custom_resource_definition(kind: type[Resource]) -> JSON:
    """Return the CustomResourceDefinition of one kind, in the form that `kubectl apply` takes."""
    resource, definition = kind.resource, kind.definition
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "names": _names(resource, definition),
            "scope": "Namespaced" if resource.namespaced else "Cluster",
            "versions": [_version(kind, definition)],
        },
    }


def _names(resource: ResourceType, definition: Definition) -> JSON:
    names: JSON = {
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "plural": resource.plural,
        "singular": definition.singular,
        "shortNames": list(definition.short_names),
    }
    return {**names, "categories": [CATEGORY]} if definition.declared else names


def _version(kind: type[Resource], definition: Definition) -> JSON:
    root = root_schema(kind)
    version: JSON = {
        "name": kind.resource.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root},
    }
    if "status" in root["properties"]:
        version["subresources"] = {"status": {}}
    version["additionalPrinterColumns"] = [_column(column) for column in definition.columns]
    if definition.selectable_fields:
        version["selectableFields"] = [{"jsonPath": path} for path in definition.selectable_fields]
    return version


def _column(column: Column) -> JSON:
    """Return one printer column; the API server drops a priority of 0, so that stating it would be a difference."""
    described = {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
    }
    return described | ({"priority": column.priority} if column.priority else {})


def root_schema(kind: type[Resource]) -> JSON:
    """Return the structural schema of one kind; of `metadata`, rules see the name only."""
    model = kind.model_json_schema()
    fields = {name: field for name, field in model["properties"].items() if name != "metadata"}
    properties = {
        "apiVersion": _text(_API_VERSION.format(api_version=kind.resource.api_version)),
        "kind": _text(_KIND.format(kind=kind.resource.kind)),
        "metadata": {"type": "object", "properties": {"name": _text(_NAME)}},
    }
    properties |= {name: structural(field, model["$defs"]) for name, field in fields.items()}
    root: JSON = {
        "description": one_line(model["description"]),
        "type": "object",
        "required": [name for name in model["required"] if name in fields],
        "properties": properties,
    }
    if kind.definition.rules:
        root[VALIDATIONS] = [rule.to_json() for rule in kind.definition.rules]
    return root


def missing_fields(wanted: JSON, served: JSON, path: str = "") -> list[str]:
    """Return the fields that an object may have by one schema and not by another, as paths like `spec.rows[].number`.

    What an API server does not know it drops, without a word.  A field below a missing one is not named.
    """
    if "items" in wanted:
        return missing_fields(wanted["items"], served.get("items", {}), f"{path}[]")
    known = served.get("properties", {})
    found = []
    for name, member in wanted.get("properties", {}).items():
        field = f"{path}.{name}" if path else name
        if name not in known:
            found.append(field)
        elif field != "metadata":
            found += missing_fields(member, known[name], field)
    return found


def _text(description: str) -> JSON:
    return {"description": description, "type": "string", "maxLength": NAME_LENGTH}


def structural(node: JSON, definitions: JSON) -> JSON:
    """Translate one node of pydantic's JSON Schema, and everything below it."""
    schema = _inline(node, definitions)
    schema.pop("title", None)
    if "description" in schema:
        schema["description"] = one_line(schema["description"])
    if "default" in schema:
        schema |= _default(schema.pop("default"))
    if "properties" in schema:
        schema["properties"] = {name: structural(field, definitions) for name, field in schema["properties"].items()}
    if "items" in schema:
        schema["items"] = structural(schema["items"], definitions)
    if schema.get("format") == "date-time":
        schema["maxLength"] = TIME_LENGTH
    if schema["type"] == "integer":
        schema["format"] = "int32" if schema["maximum"] <= INT32_MAX else "int64"
    return {key: schema[key] for key in sorted(schema, key=_key_order)}


def _inline(node: JSON, definitions: JSON) -> JSON:
    """Replace a reference, or an optional type, by what it stands for; what is said on the spot wins."""
    said = dict(node)
    if "$ref" in said:
        target = definitions[said.pop("$ref").removeprefix("#/$defs/")]
    elif "anyOf" in said:
        target = next(branch for branch in said.pop("anyOf") if branch != {"type": "null"})
    else:
        return said
    meant = _inline(target, definitions)
    validations = [*meant.get(VALIDATIONS, []), *said.get(VALIDATIONS, [])]
    return meant | said | ({VALIDATIONS: validations} if validations else {})


def _default(default: Any) -> JSON:
    """Return the schema's default, if there is one to speak of: absent and empty mean the same to the operator."""
    value = _without_empty(default)
    return {} if value in _EMPTY else {"default": value}


def _without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    cleaned = {key: _without_empty(member) for key, member in value.items()}
    return {key: member for key, member in cleaned.items() if member not in _EMPTY}


def one_line(text: str) -> str:
    """Join the lines of a docstring, as `kubectl explain` wraps them itself; keep paragraphs apart."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


_KEYS = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "items",
    "required",
    "properties",
    VALIDATIONS,
)


def _key_order(key: str) -> int:
    """Sort what people look for first to the front; an unknown key is a mistake in a model."""
    return _KEYS.index(key)
