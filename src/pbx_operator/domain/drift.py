"""Drift: what somebody else changed at a provider, and what is done about it.

One rule for all that is provided: what differs although the present generation was applied has drifted, and
`spec.driftPolicy` is about nothing else.
"""

from __future__ import annotations

from pbx_operator.api.v1alpha1 import CommServer, PBXAccount
from pbx_operator.domain.differences import Difference

Provided = CommServer | PBXAccount


def drifted(wish: Provided, found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Return the differences that are not those of a new spec: somebody changed these settings at the provider."""
    return found if wish.status.applied_generation == wish.metadata.generation else ()


def to_apply(wish: Provided, found: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Return the differences to give to the provider: of a new spec, and what has drifted unless that is reported."""
    return () if wish.spec.drift_policy == "Report" and drifted(wish, found) else found


def reported_gone(wish: Provided, found: object | None) -> bool:
    """Whether somebody deleted it at the provider, where a look found nothing, and that is only reported."""
    was_there = wish.status.applied_generation is not None
    return found is None and was_there and wish.spec.drift_policy == "Report"
