"""The customers of an operator: what they may be, and the place where they are kept.

Sources are abbreviated as in the docstring of the package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from simulators.telecom_center.jsonapi import Problem, invalid

LANGUAGES = ("EN", "RU", "LT", "LV")
TERMINATION_MODES = ("operator", "operator_customer", "system", "system_customer", "customer")
Attributes = dict[str, Any]

_MAX_ID = 2**63 - 1
_ID = re.compile(r"[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class _Attribute:
    default: Any
    refusal: Callable[[Any], str]
    """Says why a value is refused; empty if it is not."""


def _name(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        return "is not a string"
    return "" if value and value.strip() else "can't be blank"


def _limit(value: Any) -> str:
    return "" if value is None or type(value) is int else "is not a number"


def _one_of(values: tuple[str, ...]) -> Callable[[Any], str]:
    return lambda value: "" if value in values else "is not included in the list"


ATTRIBUTES: Mapping[str, _Attribute] = {
    "name": _Attribute(None, _name),
    "language": _Attribute("EN", _one_of(LANGUAGES)),
    "capacity_limit": _Attribute(None, _limit),
    "sip_account_limit": _Attribute(None, _limit),
    "trm_mode": _Attribute("operator", _one_of(TERMINATION_MODES)),
}
"""What a customer has.

DOCS, customers.html: `name` is "any string" and required, the languages and their default, limits "any integer"
and null for none, and the five termination modes.  CLIENT names the mode `trm_mode`; DOCS, gateways.html speaks of
a "termination_mode" of customers, which is refused here.  Inferred: the default of the mode, that a blank name is
refused, that a number sent as text is not a number, and the messages, which are those of Rails.
"""


def is_id(value: Any) -> bool:
    """Return whether a caller may choose this id: the text or the number of an integer from 1 to 2^63-1.

    DOCS, customers.html has "123"; CLIENT sends a number.  That an id must be an integer is inferred: it is GEM's
    default (resource_key_type), no text was seen that has another one, and `external_id` of DID numbers has this
    upper bound in DOCS, did-numbers.html.
    """
    text = str(value) if type(value) is int else value
    return isinstance(text, str) and _ID.fullmatch(text) is not None and int(text) <= _MAX_ID


def refusals(attributes: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the values of a whole customer, all at once."""
    found = ((name, attribute.refusal(attributes[name])) for name, attribute in ATTRIBUTES.items())
    return [invalid(name, message) for name, message in found if message]


class Customers:
    """The customers that exist, and who may see them yet.

    The service reads through `visible`; all else is for it to write, and for a test to look and to play somebody
    else: `put` and `remove` change the truth behind the client's back.
    """

    def __init__(self) -> None:
        self.read_lag = 0
        """How many reads do not find a customer that is created from now on, be they of one or of a list."""
        self._attributes: dict[str, Attributes] = {}
        self._hidden: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._attributes

    def __getitem__(self, key: str) -> Attributes:
        """Return a copy of what a customer is; raises KeyError."""
        return dict(self._attributes[key])

    def __len__(self) -> int:
        return len(self._attributes)

    def ids(self) -> list[str]:
        """Return the ids of all customers, the lowest first, as GEM sorts them."""
        return sorted(self._attributes, key=int)

    def put(self, key: str, **attributes: Any) -> None:
        """Create a customer or change these attributes of it, as somebody else would; raises ValueError."""
        if unknown := sorted(attributes.keys() - ATTRIBUTES.keys()):
            raise ValueError(f"customers have no {', '.join(unknown)}")
        customer = {**(self._attributes.get(key) or defaults()), **attributes}
        if problems := refusals(customer):
            raise ValueError(f"customer {key}: {', '.join(problem.detail for problem in problems)}")
        self._attributes[key] = customer

    def remove(self, key: str) -> None:
        """Delete a customer; raises KeyError."""
        del self._attributes[key]
        self._hidden.pop(key, None)

    def create(self, key: str, attributes: Attributes) -> None:
        """Add a customer that reads find only after the lag."""
        self._attributes[key] = attributes
        self._hidden[key] = self.read_lag

    def update(self, key: str, attributes: Attributes) -> None:
        """Replace what a customer is."""
        self._attributes[key] = attributes

    def next_id(self) -> str:
        """Return the id of a customer for whom the caller chose none; how the service counts is inferred."""
        return str(max((int(key) for key in self._attributes), default=0) + 1)

    def visible(self, key: str) -> bool:
        """Return whether a read finds this customer; the lag of one that it does not find is shortened by one."""
        if key not in self._attributes:
            return False
        if (left := self._hidden.get(key, 0)) == 0:
            return True
        self._hidden[key] = left - 1
        return False


def defaults() -> Attributes:
    """Return the values of a customer for whom nothing was said; the name is missing."""
    return {name: attribute.default for name, attribute in ATTRIBUTES.items()}
