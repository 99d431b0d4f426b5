"""Who of several operators works, by one Lease: the rules of client-go's leader election.

Clocks of two machines differ, so nobody believes the times in a Lease: a process that stands by measures with its own
clock how long the Lease has stayed as it is.  The holder gives up before the others may take over.
Source: k8s.io/client-go/tools/leaderelection.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

from pbx_operator.api.meta import Model

DURATION = 10
"""Seconds without a sign of life after which another process may take over."""
RENEW_WITHIN = 7.0
"""Seconds after which a holder whose renewals fail stops working; what it has sent by then is answered or lost before
`DURATION` is over, or meets a resourceVersion that its successor has changed."""
PAUSE = 2.0
"""Seconds between two renewals, and between two looks of a process that stands by."""


class LeaseSpec(Model):
    """The part of a coordination.k8s.io/v1 LeaseSpec that decides; unknown fields are not kept, as in client-go."""

    holder_identity: str = ""
    """Who works; empty if the last holder ended in order."""
    lease_duration_seconds: Annotated[int, Field(ge=0)] = DURATION
    lease_transitions: int = 0
    acquire_time: str = ""
    renew_time: str = ""


def may_lead(spec: LeaseSpec, holder: str, unchanged: float) -> bool:
    """Whether a process may take the Lease, which it has seen as it is for so many seconds."""
    return spec.holder_identity in ("", holder) or unchanged >= spec.lease_duration_seconds


def held(spec: LeaseSpec | None, holder: str, now: datetime) -> dict[str, Any]:
    """Return the spec with which a process takes the Lease or keeps it."""
    time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    same = spec is not None and spec.holder_identity == holder
    transitions = 0 if spec is None else spec.lease_transitions + (not same)
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": DURATION,
        "leaseTransitions": transitions,
        "acquireTime": spec.acquire_time if spec is not None and same else time,
        "renewTime": time,
    }


def released(spec: LeaseSpec, now: datetime) -> dict[str, Any]:
    """Return the spec that lets the next process begin at once."""
    return {**held(spec, spec.holder_identity, now), "holderIdentity": "", "leaseDurationSeconds": 1}
