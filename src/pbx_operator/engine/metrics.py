"""Metrics under controller-runtime's names, so that dashboards made for other operators work here too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pbx_operator.domain.impact import WorkKey


@dataclass(slots=True)
class Outcome:
    """How the work on a key ended: success, requeue, requeue_after or error."""

    result: str = "error"


class Metrics:
    """The counters of the engine; `depth` tells the present length of the queue."""

    def __init__(self, registry: CollectorRegistry, workers: int, depth: Callable[[], int]) -> None:
        self._total = Counter(
            "controller_runtime_reconcile", "Reconciliations.", ["controller", "result"], registry=registry
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors", "Reconciliations that failed.", ["controller"], registry=registry
        )
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds", "Length of reconciliations.", ["controller"], registry=registry
        )
        self._active = Gauge("controller_runtime_active_workers", "Workers at work.", ["controller"], registry=registry)
        self._waited = Histogram(
            "workqueue_queue_duration_seconds", "Time a key waits for a worker.", ["name"], registry=registry
        )
        Gauge("controller_runtime_max_concurrent_reconciles", "Number of workers.", registry=registry).set(workers)
        Gauge("workqueue_depth", "Keys that wait for a worker.", registry=registry).set_function(depth)

    @contextmanager
    def working(self, key: WorkKey, waited: float) -> Iterator[Outcome]:
        """Count the work on a key; the caller sets the outcome."""
        controller = key.kind.lower()
        self._waited.labels(controller).observe(waited)
        active = self._active.labels(controller)
        outcome, begin = Outcome(), time.perf_counter()
        active.inc()
        try:
            yield outcome
        finally:
            active.dec()
            self._seconds.labels(controller).observe(time.perf_counter() - begin)
            self._total.labels(controller, outcome.result).inc()
            if outcome.result == "error":
                self._errors.labels(controller).inc()
