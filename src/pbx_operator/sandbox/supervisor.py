"""The process that owns one sandbox: starts its servers, watches its parent, and leaves nothing behind.

It exists because only a process of its own can clean up after a parent that was killed.  It runs in a session of
its own, so a Ctrl-C in the terminal reaches the parent alone; and it has a single thread, so the kernel can tie
the servers' lives to it (`processes`).  `controlplane` starts it and talks to it over its standard input.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from pbx_operator.sandbox.errors import SandboxError
from pbx_operator.sandbox.protocol import Answer, Channel, Launch, Request
from pbx_operator.sandbox.registry import claim
from pbx_operator.sandbox.servers import Servers

if TYPE_CHECKING:
    from pbx_operator.sandbox.components import ComponentName

_READY_TIMEOUT = 90.0
_READY_POLL = 0.1
_END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Supervisor:
    """Runs one sandbox until it is told to end: by a signal, or by its parent closing the channel."""

    def __init__(self, launch: Launch, channel: Channel) -> None:
        self._launch = launch
        self._channel = channel
        self._attached = True
        self._signals, sender = socket.socketpair()
        sender.setblocking(False)
        signal.set_wakeup_fd(sender.detach())
        for number in (*_END_SIGNALS, signal.SIGCHLD):
            # The handler does nothing: `_wait` reads the number of the signal from the socket.
            signal.signal(number, lambda *_: None)

    def run(self) -> None:
        """Start everything, serve requests, and on the way out remove everything.

        Raises:
            SandboxError: the sandbox could not be started.
            SystemExit: it was told to end.

        """
        claimed = claim(self._launch.name)
        try:
            data_dir = self._launch.data_dir
            claimed.make_directory(data_dir)
            servers = Servers(self._launch.name, data_dir, self._launch.binaries)
            try:
                self._start_all(servers)
                self._serve(servers)
            finally:
                servers.stop_all()
        finally:
            claimed.release()

    def _start_all(self, servers: Servers) -> None:
        servers.state().write()
        servers.start("etcd")  # becomes ready while the API server starts
        self._start(servers, "kube-apiserver")
        self._start(servers, "kube-controller-manager")
        servers.state().write()
        self._channel.send(Answer(state=servers.state()))
        if self._launch.detached:
            self._detach()

    def _detach(self) -> None:
        """Let go of everything that a caller of the parent may wait for."""
        self._attached = False
        self._channel.close()
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), sys.stderr.fileno())

    def _serve(self, servers: Servers) -> None:
        while True:
            if self._wait(None):
                self._handle(servers)
            servers.state().write()

    def _handle(self, servers: Servers) -> None:
        request = self._channel.receive(Request)
        if request is None:
            sys.exit()
        try:
            match request.action:
                case "start":
                    self._start(servers, request.component)
                case "stop":
                    servers.stop(request.component)
                case "kill":
                    servers.kill(request.component)
        except SandboxError as error:
            self._channel.send(Answer(error=str(error)))
        else:
            self._channel.send(Answer(state=servers.state()))

    def _start(self, servers: Servers, name: ComponentName) -> None:
        """Start one server and wait until everything that runs is ready."""
        servers.start(name)
        deadline = time.monotonic() + _READY_TIMEOUT
        while (problem := servers.unready()) is not None:
            if time.monotonic() > deadline:
                raise SandboxError(f"not ready after {_READY_TIMEOUT:.0f} s: {problem}")
            self._wait(_READY_POLL)

    def _wait(self, timeout: float | None) -> bool:
        """Wait for an event, at most `timeout` seconds, and tell whether it is a request."""
        sources: list[socket.socket | Channel] = [self._signals]
        if self._attached:
            sources.append(self._channel)
        readable, _, _ = select.select(sources, [], [], timeout)
        if self._signals in readable and not set(_END_SIGNALS).isdisjoint(self._signals.recv(64)):
            sys.exit()
        if self._channel not in readable:
            return False
        if self._channel.is_closed_by_peer():
            sys.exit()
        return True


def main() -> None:
    """Run the sandbox that the parent describes on standard input, a socket."""
    channel = Channel(socket.socket(fileno=sys.stdin.fileno()))
    launch = channel.receive(Launch)
    if launch is None:
        return
    os.chdir("/")  # hold no directory that the user may want to remove
    with contextlib.suppress(ConnectionError):  # the parent is gone, and so is what it asked for
        try:
            Supervisor(launch, channel).run()
        except SandboxError as error:
            channel.send(Answer(error=str(error)))


if __name__ == "__main__":
    main()
