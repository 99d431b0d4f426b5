"""How a server is shown beside what `kubectl get` says of it: with a mark for its state, and why."""

from __future__ import annotations

from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import ServerState
from pbx_operator.domain.conditions import find

_MARKS: dict[ServerState | None, tuple[str, str]] = {
    "Pending": ("⚪", "Pending: declared, and no box has connected yet"),
    "Running": ("🟢", "Running: the box is connected, and its channels are Up"),
    "Degraded": ("🟡", "Degraded: a channel is Down, or the box has been silent for 3 minutes"),
    "Activated": ("🔴", "Activated: the box has been silent for 15 minutes"),
    None: ("✖", " not declared: something must be corrected first"),
}
"""The mark of each state, and what the state means."""

LEGEND = "\n".join(f"{mark} {meaning}" for mark, meaning in _MARKS.values())


def verdict(server: CommServer) -> str:
    """Return the mark of a server, and the message of its condition Ready."""
    ready = find(server.status.conditions, "Ready")
    mark, _ = _MARKS[server.status.state]
    return f"{mark} {ready.message if ready is not None else 'not seen yet'}"
