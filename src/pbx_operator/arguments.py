"""What a command line checks of its arguments before anything is done: texts that our kinds would refuse later.

All command lines, those in `commands` and in `cli`, ask here, so that one mistake is told in one way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from pbx_operator.api.v1alpha1.shared import NamespaceName
from pbx_operator.domain.protocol.endpoints import EndpointError, parse_endpoint

Check = Callable[[click.Context, click.Parameter, str | None], str | None]
ManyCheck = Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[str, ...]]

MAX_REPEATS = 4
"""Endpoints, and pins, that one contact has at most."""


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


def each_fits(field_type: Any, problem: str, things: str) -> ManyCheck:
    """Return the callback of an option that may be repeated; `things` is what it takes, for whoever gives too many."""
    each = fits(field_type, problem)

    def check(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            each(context, parameter, value)
        return _few(values, things)

    return check


def names_endpoints(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is not an endpoint of an exchange, and more of them than others take."""
    for value in values:
        try:
            parse_endpoint(value)
        except EndpointError as error:
            raise click.BadParameter(str(error)) from None
    return _few(values, "endpoints")


def _few(values: tuple[str, ...], things: str) -> tuple[str, ...]:
    if len(values) > MAX_REPEATS:
        raise click.BadParameter(f"{len(values)} {things} are too many: give at most {MAX_REPEATS}")
    return values


names_namespace = fits(
    NamespaceName, "is not the name of a namespace: write lower case letters, digits and '-', for example tenant-2"
)
"""The callback that refuses what cannot be the name of a namespace."""
