"""Numbers out of measurements: percentiles, counts of requests, and lines of Prometheus text."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from pbx_operator.api.meta import GROUP

_WRITE_VERBS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REQUESTS = "apiserver_request_total"


class Call(NamedTuple):
    """What the API server counts requests by."""

    verb: str
    resource: str
    subresource: str = ""


Calls = Counter[Call]


@dataclass(frozen=True, slots=True)
class Spread:
    """How some durations in seconds, or rates, are spread."""

    samples: tuple[float, ...]

    @classmethod
    def of(cls, samples: Iterable[float]) -> Spread:
        """Keep the samples in order of size."""
        return cls(tuple(sorted(samples)))

    def percentile(self, percent: float) -> float:
        """Return the smallest sample that at least so many percent of all do not exceed (nearest rank).

        Raises ValueError if there are no samples.
        """
        if not self.samples:
            raise ValueError("no samples")
        return self.samples[max(math.ceil(len(self.samples) * percent / 100) - 1, 0)]

    @property
    def median(self) -> float:
        """The middle sample, the lower one of two."""
        return self.percentile(50)


def ratios(these: Sequence[float], those: Sequence[float]) -> Spread:
    """Return the ratios of measurements that were taken in pairs, so that both of a pair met the same noise."""
    return Spread.of(a / b for a, b in zip(these, those, strict=True))


def api_calls(metrics: str) -> Calls:
    """Return the requests for our kinds, Secrets and Events that an API server answered without an error."""
    lines = "\n".join(line for line in metrics.splitlines() if line.startswith(_REQUESTS))
    calls: Calls = Counter()
    for family in text_string_to_metric_families(lines + "\n"):
        for sample in family.samples:
            labels = sample.labels
            ours = labels["group"] == GROUP or labels["resource"] in ("secrets", "events")
            if ours and labels["code"].startswith("2"):
                calls[Call(labels["verb"], labels["resource"], labels["subresource"])] += int(sample.value)
    return calls


def writes(calls: Calls, *resources: str) -> int:
    """Return how many calls write one of these resources; without any named, everything but Events."""
    return sum(
        count
        for call, count in calls.items()
        if call.verb in _WRITE_VERBS and (call.resource in resources if resources else call.resource != "events")
    )


def reads(calls: Calls) -> int:
    """Return how many calls read one object."""
    return sum(count for call, count in calls.items() if call.verb == "GET")


def metric_sum(metrics: str, name: str) -> float:
    """Return the sum of all samples of a name in Prometheus text; 0 if there are none."""
    families = text_string_to_metric_families(metrics)
    return sum(sample.value for family in families for sample in family.samples if sample.name == name)
