"""What a cluster's probes, monitors and log collectors meet."""

from __future__ import annotations

import socket

import pytest

from builders import interlink
from integration.harness import Stage, World

pytestmark = pytest.mark.asyncio(loop_scope="module")

METRICS = [
    'controller_runtime_reconcile_total{controller="link",result="success"}',
    'controller_runtime_reconcile_time_seconds_bucket{controller="account"',
    'controller_runtime_active_workers{controller="link"}',
    'controller_runtime_max_concurrent_reconciles{controller="account"}',
    'workqueue_depth{name="link"}',
    'workqueue_adds_total{name="account"}',
    'workqueue_queue_duration_seconds_bucket{le="0.005",name="link"}',
    'rest_client_requests_total{code="200",host="127.0.0.1:',
]
"""Names that dashboards for controller-runtime know."""


async def test_metrics_have_the_names_of_controller_runtime(stage: Stage, world: World) -> None:
    a = await world.office("a", "201")
    await world.apply(interlink("x", "a", a.key.namespace))
    await world.ready(interlink("x", "a", a.key.namespace), "KeyIssued")
    status, text = await stage.operator.answers("/metrics")
    assert status == 200
    lines = text.splitlines()
    missing = [name for name in METRICS if not any(line.startswith(name) for line in lines)]
    assert missing == []


async def test_healthz_answers(stage: Stage) -> None:
    await stage.settle()
    status, _ = await stage.operator.answers("/healthz")
    assert status == 200


async def test_every_log_line_is_json_and_names_its_object(stage: Stage, world: World) -> None:
    a = await world.office("a", "201")
    await stage.settle()
    lines = stage.operator.lines()
    about = [line for line in lines if line.get("namespace") == a.key.namespace]
    assert {(line["kind"], line["name"]) for line in about} >= {("PBXAccount", "a"), ("InternalNumber", "n201")}
    assert all({"ts", "level", "logger", "msg"} <= set(line) for line in lines)
    assert not [line for line in lines if line["level"] in ("error", "critical")]


async def test_a_port_that_is_taken_is_one_clear_line(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        for option in ("--health-port", "--metrics-port"):
            operator = stage.prepare(option, str(taken.getsockname()[1]))
            assert await operator.ended() == 1
            (line,) = operator.lines()
            assert line["level"] == "critical"
            assert "choose other ports with --health-port and --metrics-port" in line["msg"]
            stage.operators.remove(operator)


async def test_a_kubeconfig_that_is_missing_is_one_clear_line(stage: Stage) -> None:
    operator = stage.prepare("--kubeconfig", "/nowhere/config")
    assert await operator.ended() == 1
    (line,) = operator.lines()
    assert (line["level"], "kubeconfig /nowhere/config: no such file" in line["msg"]) == ("critical", True)
    stage.operators.remove(operator)


async def test_the_operator_ends_in_order_when_it_is_asked_to(stage: Stage) -> None:
    stage.operator.terminate()
    assert await stage.operator.ended() == 0
    stage.start()
    await stage.settle()
