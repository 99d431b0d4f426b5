"""The reference page of all metrics, rendered from the metrics that the processes register."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

import pbx_operator.commands.operator  # noqa: F401 - it brings in every module that registers metrics
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.metrics import Metrics
from pbx_operator.engine.state_metrics import StateMetrics
from pbx_operator.engine.store import Store

INTRODUCTION = """\
# Metrics

<!-- Generated from the registered metrics by tools/generate.py; do not edit. -->

`pbx-operator` and `pbx-operator exchange` serve them at `/metrics` of their `--metrics-port`, in the text format of
Prometheus. Those that are known of other controllers have the names and labels of controller-runtime and client-go, so
dashboards for these work here, too. Beside them are those of the Python runtime, `process_…` and `python_…`.

No label names an object, an account or a namespace, so the number of series does not grow with them.
"""
SUFFIXES = {"counter": "_total"}
"""What the text format appends to the name of a metric."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a reader wants to know of a metric."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def row(self) -> str:
        """Return the row of the table."""
        labels = ", ".join(f"`{label}`" for label in self.labels) or "–"
        return f"| `{self.name}` | {self.type} | {labels} | {self.meaning} |"


def metric_reference() -> str:
    """Return the text of the page."""
    sections = (
        ("Every process", "Of the operator, also one that stands by, and of exchange servers.", process_metrics()),
        ("The operator at work", "Only where the operator works, not where it stands by.", engine_metrics()),
    )
    parts = [INTRODUCTION]
    for title, text, metrics in sections:
        rows = [metric.row for metric in sorted(metrics, key=lambda metric: metric.name)]
        head = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
        parts.append("\n".join([f"## {title}", "", text, "", *head, *rows, ""]))
    return "\n".join(parts)


def process_metrics() -> Iterator[Described]:
    """Return the metrics that modules of ours register for the whole process."""
    return described(c for c in collectors(REGISTRY) if isinstance(c, MetricWrapperBase) and not is_runtime(c))


def is_runtime(collector: Collector) -> bool:
    """Whether a metric is one of Python itself."""
    return all(family.name.startswith(("python_", "process_")) for family in collector.collect())


NOBODY = Identity("", "", None, confirmed=True)


def engine_metrics() -> Iterator[Described]:
    """Return the metrics of an engine."""
    registry = CollectorRegistry()
    Metrics(registry, workers=1)
    registry.register(StateMetrics(Store("example.com", Scope(NOBODY.instance)), Memory(), NOBODY, {}))
    return described(collectors(registry))


def collectors(registry: CollectorRegistry) -> Iterable[Collector]:
    """Return what is registered; the library has no public way to ask, and shows no labels where no series is yet."""
    return registry._collector_to_names


def described(registered: Iterable[Collector]) -> Iterator[Described]:
    """Return what a reader wants to know of these."""
    for collector in registered:
        for family in collector.collect():
            labels = _labels(collector) or getattr(family, "_labelnames", ())
            name = family.name + SUFFIXES.get(family.type, "")
            yield Described(name, family.type, tuple(labels), family.documentation)


def _labels(collector: Collector) -> tuple[str, ...]:
    return tuple(collector._labelnames) if isinstance(collector, MetricWrapperBase) else ()
