"""Pauses differ a little from one to the next, whatever they are counted in."""

from __future__ import annotations

from datetime import timedelta

from pbx_operator.network.pauses import jittered


def test_jitter_spreads_and_keeps_the_scale() -> None:
    pauses = {jittered(100) for _ in range(100)}
    assert len(pauses) > 1
    assert all(80 <= pause <= 120 for pause in pauses)


def test_spans_of_time_are_spread_like_seconds() -> None:
    spans = {jittered(timedelta(seconds=100)) for _ in range(100)}
    assert len(spans) > 1
    assert all(timedelta(seconds=80) <= span <= timedelta(seconds=120) for span in spans)
