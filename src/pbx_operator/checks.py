"""What a command line checks before anything is done: texts that fields of our kinds would refuse later.

All command lines, `operator`, `device_command` and `cli`, ask here, so that one mistake is told in one way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from pbx_operator.api.v1alpha1.shared import NamespaceName

Check = Callable[[click.Context, click.Parameter, str | None], str | None]


def fits(field_type: Any, problem: str) -> Check:
    """Return the callback that refuses a text that fields of this type do not take; an option that is absent passes.

    `problem` goes on after the quoted text: what it is not, and what to write, with an example.
    """
    adapter: TypeAdapter[str] = TypeAdapter(field_type)

    def check(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
        try:
            return None if value is None else adapter.validate_python(value)
        except ValidationError:
            raise click.BadParameter(f"{value!r} {problem}") from None

    return check


names_namespace = fits(
    NamespaceName, "is not the name of a namespace: write lower case letters, digits and '-', for example tenant-2"
)
"""The callback that refuses what cannot be the name of a namespace."""
