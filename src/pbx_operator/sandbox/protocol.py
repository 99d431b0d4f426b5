"""What a `ControlPlane` and its supervisor say to each other: one JSON document per line over a socket pair.

The parent sends a `Launch`, then one `Request` at a time, and every message is followed by one `Answer`.  The
parent's end of the socket is also its sign of life: when it closes, the supervisor takes everything down.
"""

import socket
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel

from pbx_operator.sandbox.binaries import Binaries
from pbx_operator.sandbox.components import ComponentName
from pbx_operator.sandbox.registry import SandboxState

M = TypeVar("M", bound=BaseModel)

Action = Literal["start", "stop", "kill"]


class Launch(BaseModel):
    """Start a control plane; a detached one goes on after its parent has ended."""

    name: str
    data_dir: Path
    binaries: Binaries
    detached: bool


class Request(BaseModel):
    """Do something to one component."""

    action: Action
    component: ComponentName


class Answer(BaseModel):
    """The state after a request, or why it failed."""

    state: SandboxState | None = None
    error: str | None = None


class Channel:
    """One end of the socket pair."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._reader = end.makefile("rb")

    def fileno(self) -> int:
        """Return the descriptor, to wait on it."""
        return self._socket.fileno()

    def send(self, message: BaseModel) -> None:
        """Send one message; raises BrokenPipeError if the other end is closed."""
        self._socket.sendall(message.model_dump_json().encode() + b"\n")

    def receive(self, kind: type[M]) -> M | None:
        """Wait for one message; None if the other end is closed."""
        line = self._reader.readline()
        return kind.model_validate_json(line) if line else None

    def is_closed_by_peer(self) -> bool:
        """Tell, when the descriptor is readable, whether that is the end rather than a message."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except ConnectionResetError:  # it closed without reading our last answer
            return True

    def close(self) -> None:
        """Close this end."""
        self._reader.close()
        self._socket.close()
