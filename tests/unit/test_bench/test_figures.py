"""Percentiles, ratios and the counting of requests."""

from __future__ import annotations

from collections import Counter

import pytest
from benchmark.figures import Call, Spread, api_calls, metric_sum, ratios, reads, writes
from hypothesis import given
from hypothesis import strategies as st

REQUESTS = """\
# HELP apiserver_request_total Counter of requests.
# TYPE apiserver_request_total counter
apiserver_request_total{code="201",group="pbx-operator.io",resource="interlinks",subresource="",verb="POST"} 2
apiserver_request_total{code="200",group="pbx-operator.io",resource="interlinks",subresource="status",verb="PUT"} 3
apiserver_request_total{code="409",group="pbx-operator.io",resource="interlinks",subresource="status",verb="PUT"} 7
apiserver_request_total{code="200",group="pbx-operator.io",resource="interlinks",subresource="",verb="GET"} 5
apiserver_request_total{code="0",group="pbx-operator.io",resource="interlinks",subresource="",verb="WATCH"} 4
apiserver_request_total{code="201",group="",resource="secrets",subresource="",verb="POST"} 1
apiserver_request_total{code="201",group="events.k8s.io",resource="events",subresource="",verb="POST"} 6
apiserver_request_total{code="200",group="coordination.k8s.io",resource="leases",subresource="",verb="PUT"} 9
process_cpu_seconds_total 12.5
"""


@pytest.mark.parametrize(
    ("percent", "expected"), [(0, 1.0), (1, 1.0), (50, 2.0), (51, 3.0), (75, 3.0), (99, 4.0), (100, 4.0)]
)
def test_a_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert Spread.of([4.0, 1.0, 3.0, 2.0]).percentile(percent) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_at_least_that_many_samples_do_not_exceed_a_percentile(samples: list[float], percent: float) -> None:
    value = Spread.of(samples).percentile(percent)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= len(samples) * percent / 100 - 1e-9


def test_the_median_of_one_hundred_and_one_is_the_middle_one() -> None:
    assert Spread.of(range(101)).median == 50


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="no samples"):
        Spread.of([]).percentile(50)


def test_ratios_are_taken_pair_by_pair() -> None:
    assert ratios([1.0, 6.0], [2.0, 3.0]).samples == (0.5, 2.0)
    with pytest.raises(ValueError, match="zip"):
        ratios([1.0], [1.0, 2.0])


def test_requests_count_if_they_are_about_our_objects_and_were_answered() -> None:
    assert api_calls(REQUESTS) == Counter(
        {
            Call("POST", "interlinks"): 2,
            Call("PUT", "interlinks", "status"): 3,
            Call("GET", "interlinks"): 5,
            Call("POST", "secrets"): 1,
            Call("POST", "events"): 6,
        }
    )


def test_writes_are_counted_by_resource_and_without_events_unless_these_are_named() -> None:
    calls = api_calls(REQUESTS)
    assert writes(calls) == 6
    assert writes(calls, "interlinks") == 5
    assert writes(calls, "interlinks", "secrets") == 6
    assert writes(calls, "events") == 6
    assert reads(calls) == 5


def test_a_metric_is_summed_over_its_labels() -> None:
    text = '# TYPE done counter\ndone_total{kind="a"} 2\ndone_total{kind="b"} 3\n# TYPE depth gauge\ndepth 4\n'
    assert metric_sum(text, "done_total") == 5
    assert metric_sum(text, "depth") == 4
    assert metric_sum(text, "missing") == 0
