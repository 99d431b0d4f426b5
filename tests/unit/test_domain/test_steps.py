"""The rules of patience with providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from builders import NOW
from pbx_operator.api import provider_reasons
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.steps import FailedStep, rejected_credentials

REFUSED = fault("Credentials", provider_reasons.CREDENTIALS_REJECTED, secrets="login", credentials="2")
DOWN = fault("Retry", provider_reasons.PROVIDER_UNAVAILABLE, problem="it is down", advice="wait")


@dataclass
class Look:
    next_look: datetime


FRESH, DUE = Look(NOW + timedelta(minutes=1)), Look(NOW)


@pytest.mark.parametrize(
    ("look", "failed", "shown"),
    [
        (None, None, "1"),
        (DUE, None, "1"),
        (FRESH, None, None),
        (FRESH, REFUSED, "2"),
        (DUE, DOWN, "1"),
    ],
    ids=["nothing known", "not looked since", "accepted", "refused", "no answer"],
)
def test_refused_credentials_are_remembered_until_others_are_accepted(
    look: Look | None, failed: Fault | None, shown: str | None
) -> None:
    failure = FailedStep("look", failed, NOW, timedelta(seconds=1)) if failed is not None else None
    assert rejected_credentials("1", look, failure, NOW) == shown
