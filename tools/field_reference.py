"""The reference page of all fields, rendered from the CustomResourceDefinitions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

JSON = dict[str, Any]
VALIDATIONS = "x-kubernetes-validations"

INTRODUCTION = """\
# Fields

<!-- Generated from the models by tools/generate.py; do not edit. -->

Every field of every kind of `{api_version}`, as `kubectl explain` knows it. A *required* field must be set
where the field around it is set; `[]` stands for an entry of a list. Below the fields: what `kubectl get`
shows, and the rules that the API server applies beyond types and bounds.
"""
COLUMN_HEAD = "| column | value | meaning |\n|---|---|---|"
FIELD_HEAD = "| field | type | bounds | default | description |\n|---|---|---|---|---|"
_CLASS_OR_ESCAPE = re.compile(r"\[[^\]]*\]|\\.")
RULE_HEAD = "| at | rule | judged |\n|---|---|---|"


def field_reference(definitions: Iterable[JSON]) -> str:
    """Return the Markdown page for these CustomResourceDefinitions."""
    sections = [_section(crd["spec"]) for crd in definitions]
    api_versions = {f"{crd['spec']['group']}/{crd['spec']['versions'][0]['name']}" for crd in definitions}
    return "\n".join([INTRODUCTION.format(api_version=", ".join(sorted(api_versions))), *sections])


def _section(spec: JSON) -> str:
    names, version = spec["names"], spec["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    selectable = ", ".join(_code(field["jsonPath"]) for field in version.get("selectableFields", []))
    lines = [
        f"## {names['kind']}",
        "",
        schema["description"],
        "",
        f"{spec['scope']}; short name {', '.join(_code(name) for name in names['shortNames'])};"
        f" category {', '.join(_code(name) for name in names.get('categories', [])) or 'none'};"
        f" field selectors: {selectable or 'none'}.",
        "",
        FIELD_HEAD,
        *(_field_row(path, field, required) for path, field, required in _fields(schema)),
        "",
        COLUMN_HEAD,
        *(_column_row(column) for column in version["additionalPrinterColumns"]),
        "",
    ]
    rules = [_rule_row(path, rule) for path, rule in _rules("", schema)]
    return "\n".join([*lines, RULE_HEAD, *rules, ""] if rules else lines)


def _fields(schema: JSON, prefix: str = "") -> Iterator[tuple[str, JSON, bool]]:
    """Yield path, schema and whether it is required, for every field below spec and status."""
    for name, field in schema.get("properties", {}).items():
        if not prefix and name not in ("spec", "status"):
            continue
        path = f"{prefix}{name}"
        yield path, field, name in schema.get("required", [])
        yield from _fields(field, f"{path}.")
        if "items" in field:
            yield from _fields(field["items"], f"{path}[].")


def _rules(path: str, schema: JSON) -> Iterator[tuple[str, JSON]]:
    """Yield every CEL rule with the path of the field that it points at."""
    for rule in schema.get(VALIDATIONS, []):
        yield f"{path}{rule['fieldPath']}".removeprefix("."), rule
    for name, field in schema.get("properties", {}).items():
        yield from _rules(f"{path}.{name}", field)
    if "items" in schema:
        yield from _rules(f"{path}[]", schema["items"])


def _field_row(path: str, field: JSON, required: bool) -> str:
    default = _code(json.dumps(field["default"])) if "default" in field else "*required*" if required else ""
    return _row(_code(path), _type(field), _bounds(field), default, field["description"])


def _column_row(column: JSON) -> str:
    wide = " (with `-o wide`)" if "priority" in column else ""
    return _row(column["name"].upper() + wide, _code(column["jsonPath"]), column["description"])


def _rule_row(path: str, rule: JSON) -> str:
    return _row(_code(path), rule["message"], "on update" if "oldSelf" in rule["rule"] else "always")


def _type(field: JSON) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if field.get("format") == "date-time":
        return "time"
    return str(field["type"])


def _bounds(field: JSON) -> str:
    """Say what the API server accepts, shortest form first."""
    if "enum" in field:
        return ", ".join(_code(value) for value in field["enum"])
    if field["type"] == "integer":
        return f"{field['minimum']} to {field['maximum']}"
    if field["type"] == "array":
        return "; ".join(part for part in (f"at most {field['maxItems']} entries", _bounds(field["items"])) if part)
    if field["type"] == "string" and "format" not in field:
        pattern = field.get("pattern", "")
        length = "" if _limits_length(pattern) else f"at most {field['maxLength']} characters"
        return "; ".join(part for part in (_code(pattern) if pattern else "", length) if part)
    return ""


def _limits_length(pattern: str) -> bool:
    """Return whether a pattern says by itself how long a text may be: no `+` or `*` outside of a class."""
    return pattern != "" and not set("+*") & set(_CLASS_OR_ESCAPE.sub("", pattern))


def _code(text: str) -> str:
    return f"`{text}`"


def _row(*cells: str) -> str:
    """Join cells; a pipe inside one would start another, so it is escaped."""
    return "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |"
