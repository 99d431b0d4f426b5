"""The renders that the tests judge: one of each file of values in the chart's folder `ci`."""

from __future__ import annotations

import pytest
from helm_chart.rendering import Manifest, ci_values, objects, rendered


@pytest.fixture(scope="session", params=sorted(ci_values()))
def render(request: pytest.FixtureRequest) -> list[Manifest]:
    """Return the objects of one render."""
    return objects(rendered(ci_values()[request.param]))
