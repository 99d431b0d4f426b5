"""Whether a CommServer that is being deleted must stay, since a system of it may still show up at its provider."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import NAMESPACE, NOW
from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.domain.faults import FaultKind, fault
from pbx_operator.domain.plan import RemoveFinalizer
from pbx_operator.domain.servers.facts import ServerLook, ServerSnapshot
from pbx_operator.domain.servers.plan import plan_server
from pbx_operator.domain.servers.systems import SystemFacts, SystemSettings
from pbx_operator.domain.steps import POLL_PERIOD, SETTLING, FailedStep, StepAttempts
from server_builders import commserver

LOGIN = {"company": "Customer", "credentialsSecretRef": {"name": "login"}, "applicationSecretRef": {"name": "app"}}
RAINBOW = {"type": "Rainbow", "rainbow": LOGIN}
SECOND = timedelta(seconds=1)
MISSED = ServerLook("Ours", None, NOW + POLL_PERIOD)
GONE = ServerLook("Ours", None, NOW + POLL_PERIOD, deleted=True)
THEIRS = ServerLook(
    "Ours", SystemFacts("s", False, "Pending", SystemSettings("theirs", "FR"), "Changed"), MISSED.next_look
)


def goes(
    since: timedelta,
    *,
    look: ServerLook = MISSED,
    failed: FailedStep | None = None,
    equipment: str | None = "PBX1",
    system: str | None = None,
    **spec: Any,
) -> bool:
    """Whether a CommServer goes that was deleted so long ago."""
    server = commserver(
        deleting=NOW - since,
        finalizers=(TEARDOWN_FINALIZER,),
        status=CommServerStatus(equipment_id=equipment, system_id=system),
        **{"provider": RAINBOW, **spec},
    )
    attempts = StepAttempts(look, failed)
    plan = plan_server(ServerSnapshot(ObjectKey(NAMESPACE, "pbx"), server, attempts=attempts), NOW)
    return any(isinstance(action, RemoveFinalizer) for action in plan.actions)


def creation_failed(kind: FaultKind, next_try: timedelta) -> FailedStep:
    found = fault(kind, provider_reasons.PROVIDER_UNAVAILABLE, problem="it is down", advice="wait")
    return FailedStep("create", found, NOW + next_try, SECOND)


def test_it_stays_as_long_as_a_declaration_without_an_answer_may_show_up() -> None:
    assert not goes(timedelta(0))
    assert not goes(SETTLING - SECOND)
    assert goes(SETTLING)


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"look": GONE}, id="deleted by us"),
        pytest.param({"look": THEIRS}, id="somebody else's"),
        pytest.param({"look": GONE, "system": "s"}, id="known, and deleted by us"),
        pytest.param({"equipment": None}, id="nobody was asked for it"),
        pytest.param({"deletionPolicy": "Orphan"}, id="left there anyway"),
        pytest.param({"provider": {"type": "Builtin"}}, id="in this cluster"),
    ],
)
def test_it_goes_at_once_if_none_can_show_up(facts: dict[str, Any]) -> None:
    assert goes(timedelta(0), **facts)


def test_a_declaration_that_ended_late_without_an_answer_keeps_it_longer() -> None:
    assert not goes(SETTLING, failed=creation_failed("Retry", SECOND))
    assert goes(SETTLING, failed=creation_failed("Final", SECOND)), "it was refused"
    assert goes(SETTLING * 2, failed=creation_failed("Retry", -SETTLING))
