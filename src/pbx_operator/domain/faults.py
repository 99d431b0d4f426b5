"""What can go wrong at a provider, by what it means for the operator.

A provider's client sorts each answer into one of these, with a reason of the closed table; the plan waits, gives up
until something changes, or asks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

FaultKind = Literal["Final", "Retry", "Credentials", "Conflict"]
"""`Final`: the same request will never be accepted.  `Retry`: it may be, later.  `Credentials`: nothing will be
accepted until the credentials, or the rights that they give, change; they are not tried again.  `Conflict`: another
system or customer is in the way."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer that was not as wished; the texts hold no secrets."""

    kind: FaultKind
    reason: str
    """The name of a row of `api/provider_reasons`."""
    detail: str = ""
    """The provider's own words for it, shortened."""
    not_before: datetime | None = None
    """When the provider wants to be asked again at the earliest."""
