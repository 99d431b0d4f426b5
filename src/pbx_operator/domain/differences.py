"""Differences between what a provider has and what is wanted, field by field, and their words for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import TYPE_CHECKING

from pydantic import BaseModel
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
    """Return differences in words, field by field; of a list the first item that differs, and how many more do."""
    return "; ".join(_words(to_camel(d.field), d.actual, d.wanted) for d in changed)


def _words(name: str, actual: object, wanted: object) -> str:
    if isinstance(actual, tuple) and isinstance(wanted, tuple):
        pairs = enumerate(zip_longest(actual, wanted))
        (index, first), *others = ((i, pair) for i, pair in pairs if pair[0] != pair[1])
        more = f" (and {len(others)} more)" if others else ""
        return _words(f"{name}[{index}]", *first) + more
    return f"{name} is {_shown(actual)}, wanted is {_shown(wanted)}"


def _shown(value: object) -> str:
    if isinstance(value, BaseModel):
        text = value.model_dump_json(exclude_none=True)
    else:
        text = "none" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
