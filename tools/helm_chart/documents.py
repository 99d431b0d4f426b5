"""`values.yaml`, and the table of values in the chart's README: the values for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from pydantic.fields import FieldInfo

from helm_chart.groups import Group
from helm_chart.values import Values
from pbx_operator.api.manifest import to_yaml

WIDTH = 118
HEADER = "# Generated from the values' models by tools/generate.py; do not edit.\n"
TABLE_HEAD = "| value | default | meaning |\n|---|---|---|"


def values_yaml() -> str:
    """Return the default values with their meaning as comments."""
    return "\n".join([HEADER, *_lines(Values(), 0)]) + "\n"


def values_table() -> str:
    """Return every value with its default and meaning, as a Markdown table."""
    return "\n".join([TABLE_HEAD, *_rows(Values(), "")])


def _lines(group: Group, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, description, value in _fields(group):
        yield from (f"{indent}# {line}" for line in wrap(description, WIDTH - len(indent) - 2))
        if isinstance(value, Group):
            yield f"{indent}{name}:"
            yield from _lines(value, depth + 1)
        else:
            yield from (f"{indent}{line}" for line in to_yaml({name: value}).splitlines())
        if depth == 0:
            yield ""


def _rows(group: Group, prefix: str) -> Iterator[str]:
    for name, description, value in _fields(group):
        path = f"{prefix}{name}"
        if isinstance(value, Group):
            yield f"| **`{path}`** | | {_cell(description)} |"
            yield from _rows(value, f"{path}.")
        else:
            yield f"| `{path}` | `{json.dumps(value)}` | {_cell(description)} |"


def _fields(group: Group) -> Iterator[tuple[str, str, Any]]:
    """Yield name, meaning and default of every value of a group, first those that only this group has."""
    own = type(group).__annotations__
    for attribute, field in sorted(type(group).model_fields.items(), key=lambda item: item[0] not in own):
        value = getattr(group, attribute)
        yield str(field.alias), _meaning(field, value), value


def _meaning(field: FieldInfo, value: Any) -> str:
    text = field.description or (type(value).__doc__ if isinstance(value, Group) else "") or ""
    return " ".join(text.split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
