"""Steps whose call to the API server fails: what their objects show, and how they go on."""

from __future__ import annotations

import pytest

from builders import NOW
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.cluster import ApiError
from pbx_operator.cluster.errors import Answer, api_error
from pbx_operator.domain.plan import Target
from pbx_operator.engine.errands import Errands
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.steps import StepRunner

SERVER = Target(CommServer.resource, ObjectKey("lyon", "pbx"), "uid of pbx")
UNSERVED = api_error("get equipmentrecords e-1", Answer(404, {}, b"404 page not found\n"), confidential=False)
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
