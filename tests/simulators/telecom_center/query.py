"""The query parameters of JSON:API: sparse fieldsets, filters, sorting and pages.

DOCS, fetching-data.html has all four families, and answers 400 to an `include` that an endpoint does not support;
customers have no related resources.  The bounds of a page, and each error here, are those of GEM (paginator.rb,
configuration.rb, request_parser.rb): inferred.  That an unknown parameter is refused is JSON:API
(#query-parameters).  Sources are abbreviated as in the docstring of the package.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from multidict import MultiMapping

from simulators.telecom_center.jsonapi import Problem, RefusedError, not_allowed

MAX_PAGE_SIZE = 20
"""Resources on a page that a client may ask for; GEM's maximum_page_size."""


@dataclass(frozen=True)
class Query:
    """What a request asks for, once it was found valid."""

    number: int
    """Of the page, from 1."""
    size: int
    """Resources on a page."""
    filters: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The values of which a field must have one, as text."""
    order: tuple[tuple[str, bool], ...] = ()
    """Fields to sort by, the first one first, and whether it descends."""
    fields: frozenset[str] | None = None
    """The attributes to return; None for all."""


def parse(given: MultiMapping[str], kind: str, known: Collection[str], page_size: int, *, is_list: bool) -> Query:
    """Check the parameters of a request for resources of a type with these fields.

    Only a list has pages, filters and an order; every request that is answered with a resource has sparse
    fieldsets.  Raises RefusedError with status 400.
    """
    query = Query(1, page_size)
    filters: dict[str, Collection[str]] = {}
    for name in given:
        value = given[name]
        family, _, rest = name.partition("[")
        member = rest.removesuffix("]")
        if family == "fields" and member:
            query = replace(query, fields=_fields(name, member, value, kind, known))
        elif is_list and name == "page[number]":
            query = replace(query, number=_page_value(name, "number", value, None))
        elif is_list and name == "page[size]":
            query = replace(query, size=_page_value(name, "size", value, MAX_PAGE_SIZE))
        elif is_list and family == "filter" and member:
            if member not in known:
                raise RefusedError(_problem("102", "Filter not allowed", f"{member} is not allowed.", name))
            filters[member] = next(csv.reader([value]), [])
        elif is_list and name == "sort":
            query = replace(query, order=_order(value, kind, known))
        elif name == "include":
            detail = f"{value} is not a valid relationship of {kind}"
            raise RefusedError(_problem("112", "Invalid field", detail, name))
        else:
            raise RefusedError(not_allowed(name, parameter=name))
    return replace(query, filters=filters)


def page_links(url: str, given: MultiMapping[str], query: Query, count: int) -> dict[str, str]:
    """Return the links of a page to its neighbours; there is a `next` while resources follow (GEM, PagedPaginator)."""
    last = max(1, -(-count // query.size))
    pages = {"first": 1, "prev": query.number - 1, "next": query.number + 1, "last": last}
    if query.number <= 1:
        del pages["prev"]
    if query.number >= last:
        del pages["next"]
    others = [(name, value) for name, value in given.items() if not name.startswith("page[")]
    return {
        relation: f"{url}?{urlencode([*others, ('page[number]', number), ('page[size]', query.size)])}"
        for relation, number in pages.items()
    }


def _fields(name: str, member: str, value: str, kind: str, known: Collection[str]) -> frozenset[str]:
    if member != kind:
        raise RefusedError(_problem("101", "Invalid resource", f"{member} is not a valid resource.", name))
    wanted = frozenset(part for part in value.split(",") if part)
    for unknown in sorted(wanted.difference(known)):
        raise RefusedError(_problem("104", "Invalid field", f"{unknown} is not a valid field for {kind}.", name))
    return wanted


def _page_value(name: str, member: str, value: str, maximum: int | None) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        detail = f"{value} is not a valid value for {member} page parameter."
    elif maximum is not None and number > maximum:
        detail = f"{member} exceeds maximum page size of {maximum}."
    else:
        return number
    raise RefusedError(_problem("118", "Invalid page value", detail, name))


def _order(value: str, kind: str, known: Collection[str]) -> tuple[tuple[str, bool], ...]:
    order = tuple((part.removeprefix("-"), part.startswith("-")) for part in value.split(","))
    for by, _ in order:
        if by not in known:
            detail = f"{by} is not a valid sort criteria for {kind}"
            raise RefusedError(_problem("114", "Invalid sort criteria", detail, "sort"))
    return order


def _problem(code: str, title: str, detail: str, parameter: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, code, title, detail, parameter=parameter)


def matches(resource: Mapping[str, Any], query: Query) -> bool:
    """Return whether a resource passes all filters; null is the empty text."""
    return all(_text(resource[name]) in values for name, values in query.filters.items())


def _text(value: Any) -> str:
    return "" if value is None else str(value)
