"""What tests against a real control plane share: kubectl, and waiting for a condition with a deadline."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pbx_operator.sandbox import ControlPlane

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 30.0
PAUSE_SECONDS = 0.05


def kubectl(control_plane: ControlPlane, *arguments: str, stdin: str = "") -> str:
    """Run kubectl as administrator and return what it prints; an AssertionError shows why it failed."""
    done = subprocess.run(
        [control_plane.kubectl, *arguments],
        env=control_plane.environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as the condition holds; fail if it does not before the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}"
        time.sleep(PAUSE_SECONDS)
