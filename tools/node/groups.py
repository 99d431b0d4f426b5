"""Control groups of nodes: what namespaces do not hold, and what therefore has to be removed."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from node.errors import NodeError

_GONE_TIMEOUT = 20.0
_POLL = 0.1


def make(name: str) -> None:
    """Make a control group in each hierarchy."""
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)


def remove(pattern: str) -> None:
    """Remove the control groups with such a name, and what is below them.

    A process that is just being killed keeps its control group for a moment.

    Raises:
        NodeError: a process that is not of a node lives in one of them.

    """
    deadline = time.monotonic() + _GONE_TIMEOUT
    while existing := [group for hierarchy in _hierarchies() for group in hierarchy.glob(pattern)]:
        if time.monotonic() > deadline:
            raise NodeError(f"{existing[0]} cannot be removed: end the processes that are listed below it")
        for group in existing:
            _remove_empty(group)
        time.sleep(_POLL)


def _hierarchies() -> list[Path]:
    """Return where they are mounted: one in version 2, one per controller in version 1."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(folder) for folder, kind in mounts if kind in ("cgroup", "cgroup2")]


def _remove_empty(group: Path) -> None:
    """Remove a control group as far as it is empty, the inner ones first."""
    inner = [path for path in group.rglob("*") if path.is_dir()]
    for path in [*sorted(inner, reverse=True), group]:
        with contextlib.suppress(OSError):
            path.rmdir()
