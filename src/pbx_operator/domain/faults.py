"""What can go wrong at a provider, by what it means for the operator.

A provider's client sorts each answer into one of these, with a reason of the closed table; the plan waits, gives up
until something changes, or asks again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal

from pbx_operator.api.conditions import Reason
from pbx_operator.api.provider_reasons import PROVIDER_UNAVAILABLE
from pbx_operator.api.reasons import Verdict

FaultKind = Literal["Final", "Retry", "Credentials", "Conflict"]
"""`Final`: the same request will never be accepted.  `Retry`: it may be, later; whether it was carried out is not
known.  `Credentials`: nothing is accepted until the credentials, or the rights that they give, change.  `Conflict`:
another system or customer is in the way, or was a moment ago."""

_SEE_PROVISIONED = "its provider does not answer as it should, see the condition Provisioned"


@dataclass(frozen=True, slots=True)
class Fault:
    """One answer of a provider that was not as wished."""

    kind: FaultKind
    reason: Reason
    message: str
    """What to show: the reason's message.  Without secrets, and the same for the same fault."""
    retry_after: timedelta | None = None
    """How long the provider wants to be left alone at least."""
    credentials: str | None = None
    """The version of the credentials that were refused, for kind `Credentials`."""
    hint: str = ""
    """What else helps while the provider never answered for the object."""

    def told(self, *, answered: bool) -> str:
        """Return what to show of an object for which the provider has `answered` before, or never."""
        return self.message if answered or not self.hint else f"{self.message}; {self.hint}"


def fault(
    kind: FaultKind,
    reason: Reason,
    *,
    retry_after: timedelta | None = None,
    credentials: str | None = None,
    **facts: object,
) -> Fault:
    """Make a fault whose message comes from the table of reasons. Raises KeyError if a fact for it is missing."""
    return Fault(kind, reason, reason.message(**facts), retry_after, credentials)


def mention_outage(ready: Verdict, provisioned: Verdict) -> Verdict:
    """Return Ready with a word about a provider that does not answer any more, which leaves what is Ready as it is."""
    if ready.status != "True" or provisioned.reason is not PROVIDER_UNAVAILABLE:
        return ready
    return replace(ready, message=f"{ready.message}; {_SEE_PROVISIONED}")
