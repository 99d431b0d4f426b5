"""Strict reading of requests: whatever the documents do not allow is refused as 400000 that names it.

OPENAPI gives the shape {param, msg, value} and the texts for identifiers and enumerations.  [F]  That an unknown
field or query parameter is refused, and the texts of the other checks, are the simulator's choice.  [?]  It is the
strict one: a client that passes here sends nothing that the documents do not name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from multidict import MultiMapping

from simulators.rainbow.errors import coded, invalid, problem
from simulators.rainbow.state import State, User

Check = Callable[[object], str | None]
"""What is wrong with a value, or None."""

BAD_ID: Final = (
    "Invalid resource identifiers, expected UUID: identifier must be alpha-numeric and have a length of 24 chars"
)
MAX_LIMIT: Final = 1000
_ID = re.compile(r"[0-9A-Za-z]{24}")


def text(minimum: int = 1, maximum: int | None = None) -> Check:
    """Allow strings of so many characters."""
    limits = f"between {minimum} and {maximum}" if maximum else f"at least {minimum}"

    def check(value: object) -> str | None:
        if isinstance(value, str) and minimum <= len(value) <= (maximum or len(value)):
            return None
        return f"Expected a string with a length of {limits} characters."

    return check


def one_of(*allowed: str) -> Check:
    """Allow the values of an enumeration."""
    return lambda value: (
        None
        if value in allowed
        else f"Expected a string and having one of the following values: {','.join(sorted(allowed))}"
    )


def array_of(check: Check) -> Check:
    """Allow arrays whose every item passes a check."""

    def check_all(value: object) -> str | None:
        if not isinstance(value, list):
            return "Expected an array."
        return next((wrong for item in value if (wrong := check(item))), None)

    return check_all


def boolean(value: object) -> str | None:
    """Allow true and false."""
    return None if isinstance(value, bool) else "Expected a boolean."


def identifier(value: object) -> str | None:
    """Allow identifiers of 24 alphanumeric characters.  [F: OPENAPI, DeleteSystems 400]"""
    return None if isinstance(value, str) and _ID.fullmatch(value) else BAD_ID


def problems(
    body: Mapping[str, Any], schema: Mapping[str, Check], required: Collection[str]
) -> list[dict[str, object]]:
    """Return what is wrong with an object: unknown, missing and bad fields."""
    found = [problem(name, f"Unknown field {name}.", value) for name, value in body.items() if name not in schema]
    found += [problem(name, f"Field {name} is mandatory.") for name in required if name not in body]
    for name, check in schema.items():
        if name in body and (wrong := check(body[name])):
            found.append(problem(name, f"Invalid field {name}. {wrong}", body[name]))
    return found


class Query:
    """The query of a request, of which only known parameters may be used."""

    def __init__(self, values: MultiMapping[str], known: Collection[str]) -> None:
        if unknown := [name for name in values if name not in known]:
            raise invalid(*(problem(name, f"Unknown parameter {name}.", values[name]) for name in unknown))
        self._values = values

    def one(self, name: str) -> str | None:
        return self._values.get(name)

    def many(self, name: str) -> list[str]:
        """Return all values of a filter that allows several: name=a&name=b.  [I: "the provided type(s)"]"""
        return self._values.getall(name, [])

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        value = self._values.get(name, default)
        if value not in allowed:
            raise invalid(problem(name, f"Expected one of: {','.join(sorted(allowed))}", value))
        return value

    def number(self, name: str, default: int, minimum: int, maximum: int | None = None) -> int:
        value = self._values.get(name, str(default))
        if re.fullmatch(r"-?[0-9]{1,9}", value) and minimum <= int(value) <= (maximum or int(value)):
            return int(value)
        raise invalid(problem(name, f"Expected a number from {minimum} to {maximum or 'any'}.", value))

    def flag(self, name: str) -> bool | None:
        value = self._values.get(name)
        if value not in {None, "true", "false"}:
            raise invalid(problem(name, "Expected a boolean.", value))
        return None if value is None else value == "true"


@dataclass(frozen=True)
class Request:
    """A call after its route is found and its sender is known."""

    params: Mapping[str, str]
    query: MultiMapping[str]
    headers: Mapping[str, str]
    content: bytes
    user: User | None = None

    def by(self) -> User:
        """Return who calls; only for endpoints that need a token."""
        if self.user is None:
            raise TypeError("this endpoint has no user")
        return self.user

    def identifier(self, name: str) -> str:
        """Return a path parameter that must be an identifier."""
        value = self.params[name]
        if wrong := identifier(value):
            raise invalid(problem(name, wrong, value))
        return value

    def body(self, schema: Mapping[str, Check], required: Collection[str] = ()) -> dict[str, Any]:
        """Return the JSON object that was sent, if it fits the schema."""
        body = self._object()
        if found := problems(body, schema, required):
            raise invalid(*found)
        return body

    def nothing(self) -> None:
        """Refuse a body where none is documented; an empty object counts as none."""
        if self.content:
            self.body({})

    def no_query(self) -> None:
        """Refuse query parameters where none is documented."""
        Query(self.query, ())

    def _object(self) -> dict[str, Any]:
        if self.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            raise invalid(problem("content-type", "Expected application/json.", self.headers.get("Content-Type", "")))
        try:
            body = json.loads(self.content)
        except ValueError:
            raise coded(400000, "The body is not valid JSON.") from None
        if not isinstance(body, dict):
            raise coded(400000, "The body is not a JSON object.")
        return body


@dataclass(frozen=True)
class Endpoint:
    """An operation of the API, by its operationId in OPENAPI."""

    operation: str
    method: str
    path: str
    """As aiohttp routes it; the literal ones come before those with parameters."""
    roles: frozenset[str] | None
    """Who may call it (x-permissions of OPENAPI); None for the login, which needs no token."""
    answer: Callable[[State, Request], dict[str, Any]]
    """Do it, in one step, and return the body of the 200; raises ApiError and has then changed nothing but counters."""
