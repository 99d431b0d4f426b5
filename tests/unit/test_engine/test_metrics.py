"""The metrics of the engine: names, labels, and that they tell the truth."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from pbx_operator.api.meta import ObjectKey
from pbx_operator.domain.impact import WorkKey
from pbx_operator.engine import metrics as module
from pbx_operator.engine.metrics import Metrics, Result
from pbx_operator.engine.queue import WorkQueue

LINK = WorkKey("Link", ObjectKey("a", "x"))
ACCOUNT = WorkKey("Account", ObjectKey("a", "x"))
BY_CONTROLLER = [
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_reconcile_time_seconds_count",
    "controller_runtime_active_workers",
]
BY_NAME = [
    "workqueue_depth",
    "workqueue_adds_total",
    "workqueue_retries_total",
    "workqueue_queue_duration_seconds_count",
    "workqueue_work_duration_seconds_count",
    "workqueue_unfinished_work_seconds",
]
"""Names and labels of controller-runtime and client-go."""


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class Bench:
    """Metrics with a queue that is counted."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, 16)
        self.queue: WorkQueue[WorkKey] = WorkQueue(lambda: 0.0, self.metrics.waiting)

    def value(self, name: str, controller: str = "link", **labels: str) -> float | None:
        label = "name" if name.startswith("workqueue") else "controller"
        return self.registry.get_sample_value(name, {label: controller, **labels})

    def counts(self, *names: str) -> list[float | None]:
        return [self.value(f"workqueue_{name}") for name in names]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.parametrize("controller", ["link", "account", "server", "customer"])
def test_every_series_exists_from_the_start(bench: Bench, controller: str) -> None:
    assert [bench.value(name, controller) for name in (*BY_CONTROLLER, *BY_NAME)] == [0.0] * 9
    assert bench.value("controller_runtime_max_concurrent_reconciles", controller) == 16
    for result in ("success", "requeue", "requeue_after", "error"):
        assert bench.value("controller_runtime_reconcile_total", controller, result=result) == 0


def test_no_series_appears_later(bench: Bench) -> None:
    def series() -> set[str]:
        return {line.rpartition(" ")[0] for line in generate_latest(bench.registry).decode().splitlines()}

    before = series()
    for key in (LINK, ACCOUNT):
        bench.metrics.waiting(key, 1)
        with bench.metrics.working(key, 1.0):
            pass
    assert series() == before


async def test_the_depth_follows_the_queue(bench: Bench) -> None:
    bench.queue.add(LINK)
    bench.queue.add(LINK)
    bench.queue.add(ACCOUNT)
    assert bench.counts("depth", "adds_total") == [1, 1]
    await bench.queue.get()
    assert bench.counts("depth", "adds_total") == [0, 1]
    bench.queue.add(LINK)
    bench.queue.add(LINK)
    assert bench.counts("depth", "adds_total") == [1, 2]
    bench.queue.looked(LINK)
    bench.queue.looked(LINK)
    assert bench.counts("depth", "adds_total") == [0, 2]
    bench.queue.add(LINK)
    bench.queue.done(LINK)
    assert bench.counts("depth", "adds_total") == [1, 3]
    assert bench.value("workqueue_depth", "account") == 1
    await bench.queue.get()
    await bench.queue.get()
    assert bench.counts("depth", "adds_total") == [0, 3]


def test_work_is_measured_while_it_goes_on_and_when_it_is_done(bench: Bench, clock: Clock) -> None:
    with bench.metrics.working(LINK, 3.0) as outcome:
        clock.now = 7.0
        assert bench.value("controller_runtime_active_workers") == 1
        assert bench.value("workqueue_unfinished_work_seconds") == 7
        outcome.result = "success"
    assert bench.value("controller_runtime_active_workers") == 0
    assert bench.value("controller_runtime_reconcile_time_seconds_sum") == 7
    sums = ("unfinished_work_seconds", "work_duration_seconds_sum", "queue_duration_seconds_sum")
    assert bench.counts(*sums) == [0, 7, 3]


@pytest.mark.parametrize(
    ("result", "errors", "retries"),
    [("success", 0, 0), ("requeue_after", 0, 0), ("requeue", 0, 1), ("error", 1, 1)],
)
def test_results_are_counted(bench: Bench, result: Result, errors: int, retries: int) -> None:
    with bench.metrics.working(LINK, 0.0) as outcome:
        outcome.result = result
    assert bench.value("controller_runtime_reconcile_total", result=result) == 1
    assert bench.value("controller_runtime_reconcile_errors_total") == errors
    assert bench.value("workqueue_retries_total") == retries


def test_work_that_breaks_off_is_an_error(bench: Bench) -> None:
    with pytest.raises(KeyError), bench.metrics.working(LINK, 0.0):
        raise KeyError
    assert bench.value("controller_runtime_reconcile_total", result="error") == 1
    assert bench.value("controller_runtime_active_workers") == 0
