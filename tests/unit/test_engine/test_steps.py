"""Steps that fail: what their objects show, and when they are tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import ApiError
from pbx_operator.cluster.errors import Answer, api_error
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.plan import Target
from pbx_operator.domain.steps import StepAttempts
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.memory import FIRST_PAUSE, Memory
from pbx_operator.engine.steps import StepRunner
from pbx_operator.providers.errors import ProviderError

SERVER = Target(CommServer.resource, ObjectKey("lyon", "pbx"), "uid of pbx")
UNSERVED = api_error("get equipmentrecords e-1", Answer(404, {}, b"404 page not found\n"), confidential=False)
REFUSED = fault("Final", provider_reasons.PROVIDER_REFUSED, words="no", code=1)
REJECTED = fault(
    "Credentials", provider_reasons.CREDENTIALS_REJECTED, credentials="version", secret="login", secrets="login"
)
DOWN = api_error("get equipmentrecords e-1", Answer(503, {}, b""), confidential=False)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            UNSERVED,
            "the API server of this cluster does not serve a kind that the operator needs; have an administrator"
            " install the CustomResourceDefinitions: kubectl apply --server-side -f crds/",
        ),
        (
            DOWN,
            "the API server of this cluster did not do what the operator asked it; it is tried again; the operator's"
            " log says more",
        ),
    ],
    ids=["a kind that is not served", "any other error"],
)
async def test_a_call_that_the_api_server_fails_names_the_next_step(error: ApiError, message: str) -> None:
    async def fail() -> None:
        raise error

    memory, ended = Memory(), list[str]()
    runner = StepRunner(memory, lambda: NOW, lambda: 0.0, Errands(workers=16))
    await runner.begin(SERVER, "look", fail, lambda: ended.append("ended"))
    failed = memory.steps(SERVER.uid).failed
    assert failed is not None
    assert (failed.fault.kind, failed.fault.reason.name) == ("Retry", "ProviderUnavailable")
    assert failed.fault.message == message
    assert ended


class Bench:
    """Carries out steps that end as they are told to, while this or that happens."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.runner = StepRunner(self.memory, lambda: NOW, lambda: 0.0, Errands(workers=16))

    async def run(
        self, step: str, ends: Exception | None = None, meanwhile: Callable[[str], None] = lambda uid: None
    ) -> StepAttempts[Any]:
        async def work() -> None:
            meanwhile(SERVER.uid)
            if ends is not None:
                raise ends

        await self.runner.begin(SERVER, step, work, lambda: None)
        return self.memory.steps(SERVER.uid)


@pytest.mark.parametrize("found", [REFUSED, REJECTED], ids=["refused for good", "a login that was refused"])
async def test_a_request_while_a_step_is_under_way_is_met_soon_after_its_failure(found: Fault) -> None:
    """Its status is written before that, so that a login that was refused is not tried by the next process, either."""
    bench = Bench()
    for _ in range(12):
        await bench.run("create", ProviderError(found))
    failed = (await bench.run("create", ProviderError(found), bench.memory.hurry_steps)).failed
    assert failed is not None
    assert (failed.fault, failed.next_try) == (found, NOW + FIRST_PAUSE)
    failed = (await bench.run("create", ProviderError(REFUSED))).failed
    assert failed is not None
    assert failed.next_try >= NOW + timedelta(minutes=12), "nobody has asked for another one since"


async def test_a_request_during_a_look_is_met_by_the_step_that_failed_before() -> None:
    bench = Bench()
    await bench.run("create", ProviderError(REFUSED))
    attempts = await bench.run("look", None, bench.memory.hurry_steps)
    assert attempts.outdated, "the look may have seen too little"
    assert attempts.failed is not None
    assert (attempts.failed.step, attempts.failed.next_try) == ("create", NOW + FIRST_PAUSE)


async def test_what_a_step_does_itself_to_a_record_does_not_shorten_the_pause_after_its_failure() -> None:
    bench = Bench()
    for _ in range(12):
        failed = (await bench.run("reset", DOWN, bench.memory.try_again)).failed
    assert failed is not None
    assert failed.next_try >= NOW + timedelta(minutes=4)


async def test_a_request_before_a_step_is_met_by_that_step() -> None:
    bench = Bench()
    bench.memory.hurry_steps(SERVER.uid)
    failed = (await bench.run("create", ProviderError(REFUSED))).failed
    assert failed is not None
    assert failed.next_try >= NOW + timedelta(minutes=12)
