"""The three servers of a control plane: their command lines, and one class that runs any of them.

Flags follow what Kubernetes' own test environments use (kubernetes-sigs/controller-runtime,
`pkg/internal/testing/controlplane`), plus a controller manager for the two controllers that an operator's
objects rely on: garbage collection of owned objects, and the emptying of deleted namespaces.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pbx_operator.sandbox.errors import SandboxError
from pbx_operator.sandbox.processes import tied

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pbx_operator.sandbox.binaries import Binaries
    from pbx_operator.sandbox.pki import KeyPair

LOOPBACK = "127.0.0.1"

ComponentName = Literal["etcd", "kube-apiserver", "kube-controller-manager"]

CONTROLLERS = ("garbage-collector-controller", "namespace-controller")
"""The controllers that run: a sandbox has no nodes, so there is nothing to do for the others."""

_LOG_LINES = 20


class ReservedPort:
    """A random loopback port that nobody else is given while this object lives.

    The socket is bound but never listens, so it receives nothing; a server that sets SO_REUSEPORT shares the
    port.  Hence neither another sandbox nor an outgoing connection can take the port before the server listens,
    or while it is stopped.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give the port back."""
        self._socket.close()


@dataclass(frozen=True)
class APIServerFiles:
    """The files by which the API server proves itself and checks others."""

    ca_certificate: Path
    server: KeyPair
    service_account_key: Path


def etcd_command(binaries: Binaries, data: Path, port: int) -> list[str]:
    """Return etcd's command line: a single member without peers, fast rather than crash-safe."""
    url = f"http://{LOOPBACK}:{port}"
    return [
        str(binaries.etcd),
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls=http://{LOOPBACK}:0",
        "--socket-reuse-port",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver_command(binaries: Binaries, files: APIServerFiles, port: int, etcd_port: int) -> list[str]:
    """Return the API server's command line: RBAC as in production, nothing that needs a node or a network."""
    return [
        str(binaries.kube_apiserver),
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        "--permit-port-sharing",
        # Without it an orderly end waits up to a minute for clients to end their watches.
        "--shutdown-watch-termination-grace-period=1s",
        f"--tls-cert-file={files.server.certificate}",
        f"--tls-private-key-file={files.server.key}",
        f"--client-ca-file={files.ca_certificate}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        "--authorization-mode=RBAC",
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.0.0.0/24",
        # The endpoints of the `kubernetes` Service may not be a loopback address.
        "--endpoint-reconciler-type=none",
    ]


def controller_manager_command(binaries: Binaries, kubeconfig: Path, server: KeyPair, port: int) -> list[str]:
    """Return the controller manager's command line: two controllers, a port only to ask whether they run."""
    return [
        str(binaries.kube_controller_manager),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(CONTROLLERS)}",
        # Its own user may do little; Kubernetes' bootstrap roles are bound to one account per controller.
        "--use-service-account-credentials",
        "--leader-elect=false",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        "--permit-port-sharing",
        f"--tls-cert-file={server.certificate}",
        f"--tls-private-key-file={server.key}",
    ]


class Component:
    """One server process that can be started again after it was stopped; its log file only grows."""

    def __init__(self, name: ComponentName, command: Sequence[str], log: Path, port: int) -> None:
        self.name = name
        self.port = port
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while the process runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process, which dies with the calling process; does nothing if it runs."""
        if self.pid is not None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                tied(self._command, signal.SIGKILL), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def check(self) -> None:
        """Raise a SandboxError with the end of the log if the process has ended by itself."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise SandboxError(f"{self.name} ended with code {code}; the end of its log:\n{self.log_tail()}")

    def stop(self, grace: float) -> None:
        """Ask the process to end and kill it after `grace` seconds; does nothing if it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """Kill the process as a crash would; does nothing if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log_tail(self) -> str:
        """Return the last lines of the log."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-_LOG_LINES:])
