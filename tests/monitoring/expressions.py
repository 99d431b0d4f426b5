"""What expressions of Prometheus are about."""

from __future__ import annotations

import re

_METRIC = re.compile(
    r"\b(?:pbx_operator|controller_runtime|workqueue|rest_client|leader_election|process|python)_\w+(?=\W|$)"
)
_HISTOGRAM_PARTS = ("_bucket", "_sum", "_count")


def metrics_in(expression: str) -> set[str]:
    """Return the names of the metrics, with that of the histogram for its parts."""
    names = _METRIC.findall(expression)
    return {re.sub(rf"({'|'.join(_HISTOGRAM_PARTS)})$", "", name) for name in names}
