"""Metrics under the names and labels of controller-runtime and client-go, so that dashboards for them work here too.

To them the operator is several controllers (CONTROLLERS), which share their workers: each may have all of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pbx_operator.domain.impact import WorkKey

Result = Literal["success", "requeue", "requeue_after", "error"]

CONTROLLERS = ("link", "account", "server", "customer")


@dataclass(slots=True)
class Outcome:
    """How the work on a key ended."""

    result: Result = "error"


class Metrics:
    """The counters of the engine.

    Every series exists from the start: a rate over one that appears late would miss its first step.
    """

    def __init__(self, registry: CollectorRegistry, workers: int) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self._total = counter(
            "controller_runtime_reconcile",
            "Number of times that an object was worked on, by how that ended.",
            ["controller", "result"],
        )
        self._errors = counter(
            "controller_runtime_reconcile_errors", "Number of times that failed and are tried again.", ["controller"]
        )
        self._seconds = histogram(
            "controller_runtime_reconcile_time_seconds", "Seconds that one time takes.", ["controller"]
        )
        self._active = gauge("controller_runtime_active_workers", "Number of workers that are at work.", ["controller"])
        self._workers = gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Number of workers that may be at work; all controllers share them.",
            ["controller"],
        )
        self._depth = gauge("workqueue_depth", "Number of objects that wait for a worker.", ["name"])
        self._adds = counter("workqueue_adds", "Number of times that an object began to wait.", ["name"])
        self._retries = counter("workqueue_retries", "Number of times that an object must be tried again.", ["name"])
        self._waited = histogram(
            "workqueue_queue_duration_seconds", "Seconds that an object waits for a worker.", ["name"]
        )
        self._worked = histogram("workqueue_work_duration_seconds", "Seconds that a worker has an object.", ["name"])
        self._unfinished = gauge(
            "workqueue_unfinished_work_seconds", "Seconds spent so far on the objects that are in work.", ["name"]
        )
        self._begun: dict[str, dict[WorkKey, float]] = {controller: {} for controller in CONTROLLERS}
        for controller in CONTROLLERS:
            self._begin(controller, workers)

    def _begin(self, controller: str, workers: int) -> None:
        """Make all series of a controller."""
        self._workers.labels(controller).set(workers)
        self._unfinished.labels(controller).set_function(partial(_time_spent, self._begun[controller]))
        for series in (self._errors, self._seconds, self._active, self._depth, self._adds, self._retries):
            series.labels(controller)
        for histogram in (self._waited, self._worked):
            histogram.labels(controller)
        for result in get_args(Result):
            self._total.labels(controller, result)

    def waiting(self, key: WorkKey, change: int) -> None:
        """Count a key that begins to wait (+1) or does not wait any more (-1)."""
        controller = key.kind.lower()
        self._depth.labels(controller).inc(change)
        if change > 0:
            self._adds.labels(controller).inc(change)

    @contextmanager
    def working(self, key: WorkKey, waited: float) -> Iterator[Outcome]:
        """Count the work on a key that waited so many seconds; the caller sets the outcome."""
        controller = key.kind.lower()
        self._waited.labels(controller).observe(waited)
        active, begun = self._active.labels(controller), self._begun[controller]
        outcome, begin = Outcome(), time.perf_counter()
        begun[key] = begin
        active.inc()
        try:
            yield outcome
        finally:
            active.dec()
            del begun[key]
            self._done(controller, outcome.result, time.perf_counter() - begin)

    def _done(self, controller: str, result: Result, seconds: float) -> None:
        self._seconds.labels(controller).observe(seconds)
        self._worked.labels(controller).observe(seconds)
        self._total.labels(controller, result).inc()
        if result == "error":
            self._errors.labels(controller).inc()
        if result in ("error", "requeue"):
            self._retries.labels(controller).inc()


def _time_spent(begun: dict[WorkKey, float]) -> float:
    """Return the seconds since the keys in work were begun; called from the thread that serves /metrics."""
    now = time.perf_counter()
    return sum(now - begin for begin in list(begun.values()))
