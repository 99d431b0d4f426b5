"""Differences between what a provider has and what is wanted, field by field, and their words for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pydantic.alias_generators import to_camel

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LONGEST = 100
"""Characters of a value that are shown: a hundred rules would fill a condition."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting that is not as wanted; the field is one of the settings' dataclass."""

    field: str
    actual: object
    wanted: object


def every_difference(actual: DataclassInstance, wanted: DataclassInstance) -> tuple[Difference, ...]:
    """Return the fields of two settings of one dataclass that differ, in the order of their declaration."""
    pairs = ((each.name, getattr(actual, each.name), getattr(wanted, each.name)) for each in fields(wanted))
    return tuple(Difference(name, found, wish) for name, found, wish in pairs if found != wish)


def described(changed: Iterable[Difference]) -> str:
    """Return differences in words, field by field."""
    return "; ".join(f"{to_camel(d.field)} is {_shown(d.actual)}, wanted is {_shown(d.wanted)}" for d in changed)


def _shown(value: object) -> str:
    text = "none" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
