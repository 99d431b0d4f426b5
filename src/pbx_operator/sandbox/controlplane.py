"""The sandbox as Python code sees it: start a control plane, use it, stop and start its servers, take it down.

    with ControlPlane.start() as cp:
        subprocess.run([cp.kubectl, "get", "namespaces"], env=cp.environment(), check=True)

Everything that runs belongs to a `supervisor` process; this module starts that process and talks to it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pbx_operator.sandbox.binaries import find_binaries
from pbx_operator.sandbox.errors import SandboxError
from pbx_operator.sandbox.health import health_problem
from pbx_operator.sandbox.pki import CertificateAuthority
from pbx_operator.sandbox.protocol import Action, Answer, Channel, Launch, Request
from pbx_operator.sandbox.registry import SandboxState, root, running, wait_until_gone
from pbx_operator.sandbox.servers import log_file, pki_directory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from pbx_operator.sandbox.components import ComponentName

_END_TIMEOUT = 60.0


class ControlPlane:
    """A running control plane that ends when this object is closed or this process ends, however it ends.

    Not safe for use by several threads at once.
    """

    def __init__(self, supervisor: subprocess.Popen[bytes], channel: Channel, state: SandboxState) -> None:
        self._supervisor = supervisor
        self._channel = channel
        self._state = state

    @classmethod
    def start(cls, name: str | None = None, data_dir: Path | None = None) -> Self:
        """Start a control plane and wait until it is ready.

        Args:
            name: unique among running sandboxes, at most 40 lower case letters, digits and hyphens; default random.
            data_dir: must not exist yet and is removed in the end; default under the system's temporary directory.

        Raises:
            SandboxError: a program cannot be found or built, or the servers do not become ready.

        """
        return cls(*_launch(name or f"anonymous-{secrets.token_hex(4)}", data_dir, detached=False))

    @property
    def name(self) -> str:
        """The name of the sandbox."""
        return self._state.name

    @property
    def url(self) -> str:
        """The URL of the API server; it stays the same when the API server is started again."""
        return self._state.url

    @property
    def kubeconfig(self) -> Path:
        """A kubeconfig in group system:masters: for test set-up, not for what is tested."""
        return self._state.kubeconfig

    @property
    def kubectl(self) -> Path:
        """A kubectl that fits the API server."""
        return self._state.kubectl

    @property
    def data_dir(self) -> Path:
        """The directory of everything this sandbox wrote."""
        return self._state.data_dir

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Return a kubeconfig for this user and these groups, each of 1–64 characters; RBAC decides what they may."""
        return CertificateAuthority(pki_directory(self.data_dir)).kubeconfig_for(self.url, user, groups)

    def environment(self) -> dict[str, str]:
        """Return this process's environment with KUBECONFIG set and the sandbox's kubectl first on PATH."""
        path = os.pathsep.join(filter(None, [str(self.kubectl.parent), os.environ.get("PATH")]))
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "PATH": path}

    def pid(self, component: ComponentName) -> int | None:
        """Return the process id of a server; None while it is stopped by one of the methods below."""
        return self._state.components[component].pid

    def log_file(self, component: ComponentName) -> Path:
        """Return the path of a server's log."""
        return log_file(self.data_dir, component)

    def start_component(self, component: ComponentName) -> None:
        """Start a stopped server, on the same port with the same data, and wait until it is ready.

        Raises:
            SandboxError: it, or another server that should run, has ended or is not ready within 90 s.

        """
        self._request("start", component)

    def stop_component(self, component: ComponentName) -> None:
        """Let a server end in order, within 10 s."""
        self._request("stop", component)

    def kill_component(self, component: ComponentName) -> None:
        """Kill a server as a crash would."""
        self._request("kill", component)

    def close(self) -> None:
        """Take everything down and wait until nothing is left; a second call does nothing."""
        self._channel.close()
        _await_end(self._supervisor, self.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _request(self, action: Action, component: ComponentName) -> None:
        self._state = _ask(self._channel, Request(action=action, component=component))


def start_detached(name: str, data_dir: Path | None) -> SandboxState:
    """Start a control plane that runs until `take_down`, and wait until it is ready.

    Raises:
        SandboxError: as `ControlPlane.start`.

    """
    _, channel, state = _launch(name, data_dir, detached=True)
    channel.close()
    return state


def take_down(name: str) -> None:
    """End a running sandbox and wait until nothing of it is left.

    Raises:
        SandboxError: there is none of this name, or it does not end.

    """
    states = {state.name: state for state in running()}
    if name not in states:
        raise SandboxError(f"no sandbox named {name!r} is running; running are: {', '.join(states) or 'none'}")
    supervisor = states[name].supervisor_pid
    with contextlib.suppress(ProcessLookupError):  # it has just ended
        os.kill(supervisor, signal.SIGTERM)
    if not wait_until_gone(name, _END_TIMEOUT):
        raise SandboxError(
            f"sandbox {name!r} did not end within {_END_TIMEOUT:.0f} s: kill its supervisor, process {supervisor}"
        )


def component_problems(state: SandboxState) -> dict[ComponentName, str]:
    """Tell what keeps each server from being ready; empty when all are."""
    ca_certificate = CertificateAuthority(pki_directory(state.data_dir)).files.certificate
    problems = {}
    for name, component in state.components.items():
        problem = health_problem(name, component.port, ca_certificate) if component.pid else "not running"
        if problem is not None:
            problems[name] = problem
    return problems


def _launch(
    name: str, data_dir: Path | None, *, detached: bool
) -> tuple[subprocess.Popen[bytes], Channel, SandboxState]:
    launch = Launch(
        name=name,
        data_dir=(data_dir or root() / name).absolute(),
        binaries=find_binaries(),
        detached=detached,
    )
    ours, theirs = socket.socketpair()
    with theirs:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "pbx_operator.sandbox.supervisor"],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    channel = Channel(ours)
    try:
        return supervisor, channel, _ask(channel, launch)
    except BaseException:
        channel.close()
        _await_end(supervisor, name)
        raise


def _ask(channel: Channel, message: Launch | Request) -> SandboxState:
    try:
        channel.send(message)
        answer = channel.receive(Answer)
    except OSError:  # this end or the other one is closed
        answer = None
    if answer is None or answer.state is None:
        reason = answer.error if answer else None
        raise SandboxError(reason or "the supervisor of the sandbox has ended: start a new sandbox")
    return answer.state


def _await_end(supervisor: subprocess.Popen[bytes], name: str) -> None:
    try:
        supervisor.wait(_END_TIMEOUT)
    except subprocess.TimeoutExpired:
        supervisor.kill()  # the servers die with it
        supervisor.wait()
    wait_until_gone(name, 0)  # removes what a killed supervisor left behind
