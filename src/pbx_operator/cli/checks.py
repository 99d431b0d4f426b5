"""What is checked before anything is done: texts on the command line that the fields of our kinds take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

NAMESPACE_ADVICE = "write lower case letters, digits and '-', for example tenant-2"


def fits(field_type: Any, advice: str) -> Callable[..., str | None]:
    """Return the callback that refuses a text that fields of this type do not take, with this advice."""
    adapter: TypeAdapter[str] = TypeAdapter(field_type)

    def check(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        try:
            return None if value is None else adapter.validate_python(value)
        except ValidationError as error:
            raise click.BadParameter(f"'{value}' does not fit: {advice}") from error

    return check
