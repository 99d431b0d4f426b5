"""promtool, and the metrics that there are."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT

PACKAGE = "github.com/prometheus/prometheus/cmd/promtool"
NO_DISCOVERY = "-tags=remove_all_sd"
"""Without the clients of all clouds, which rules do not need."""

Promtool = Callable[..., str]


@pytest.fixture(scope="session")
def promtool() -> Promtool:
    """Return a function that runs promtool; an AssertionError shows what it refuses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        from go_program import go_program

        program = go_program("promtool", PACKAGE, NO_DISCOVERY)

    def run(*arguments: str | Path) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="session")
def documented() -> frozenset[str]:
    """Return every metric of the reference page, and those of the Python runtime that we use."""
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    runtime = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
    return frozenset(re.findall(r"^\| `(\w+)` \|", page, re.M)) | runtime
