"""How a server is shown beside what `kubectl get` says of it: with a mark for its state or its refusal, and why."""

from __future__ import annotations

from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import ServerState
from pbx_operator.domain.conditions import find

_MARKS: dict[ServerState, tuple[str, str]] = {
    "Pending": ("⚪", "Pending: declared, and no box has connected yet"),
    "Running": ("🟢", "Running: the box is connected, and its channels are Up"),
    "Degraded": ("🟡", "Degraded: a channel is Down, or the box has been silent for 3 minutes"),
    "Activated": ("🔴", "Activated: the box has been silent for 15 minutes"),
}
"""The mark of each state, and what the state means."""
_NOT_READY = ("✖", " refused: Ready is False, whatever the state; something must be corrected first")
"""The same for what was asked for and is not so: a green mark would say the opposite of the reason beside it."""

LEGEND = "\n".join(f"{mark} {meaning}" for mark, meaning in (*_MARKS.values(), _NOT_READY))


def verdict(server: CommServer) -> str:
    """Return the mark of a server, and the message of its condition Ready."""
    ready, state = find(server.status.conditions, "Ready"), server.status.state
    if state is None or ready is None or ready.status == "False":
        mark, _ = _NOT_READY
    else:
        mark, _ = _MARKS[state]
    return f"{mark} {ready.message if ready is not None else 'not seen yet'}"
