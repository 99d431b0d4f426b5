"""`values.schema.json`: the values' schema in one piece, as Helm 3 and 4 read it.

Rules between values are in the template `_refusals.tpl`, which can say what to do.
"""

from __future__ import annotations

from typing import Any

from helm_chart.values import Values

JSON = dict[str, Any]
DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest that every Helm 3 knows."""
GLOBAL: JSON = {
    "description": "Helm hands the parent chart's global values on; this chart uses none.",
    "type": "object",
    "additionalProperties": True,
}


def values_schema() -> JSON:
    """Return the schema of the values: closed, without references, with a description of every value."""
    schema = Values.model_json_schema()
    whole: JSON = _inlined(schema, schema["$defs"])
    whole["properties"]["global"] = GLOBAL
    return {"$schema": DIALECT, **whole}


def _inlined(part: Any, definitions: JSON) -> Any:
    if isinstance(part, list):
        return [_inlined(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        definition = definitions[part["$ref"].rpartition("/")[2]]
        part = {**definition, **{key: value for key, value in part.items() if key not in ("$ref", "default")}}
    kept = {key: value for key, value in part.items() if key not in ("$defs", "title")}
    inlined = {key: _inlined(value, definitions) for key, value in kept.items()}
    if isinstance(inlined.get("description"), str):
        inlined["description"] = " ".join(inlined["description"].split())
    return inlined
