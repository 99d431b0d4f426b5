"""One control plane as a whole: its directory, ports and identities, its three servers and their readiness.

`components` knows how to run one server; `supervisor` decides when.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pbx_operator.sandbox.components import (
    LOOPBACK,
    APIServerFiles,
    Component,
    ComponentName,
    ReservedPort,
    apiserver_command,
    controller_manager_command,
    etcd_command,
)
from pbx_operator.sandbox.health import health_problem
from pbx_operator.sandbox.pki import CertificateAuthority, create_service_account_key
from pbx_operator.sandbox.registry import ComponentState, SandboxState

if TYPE_CHECKING:
    from pathlib import Path

    from pbx_operator.sandbox.binaries import Binaries

_STOP_GRACE = 10.0


class Servers:
    """The servers of one sandbox, made in an empty directory and not yet started."""

    def __init__(self, name: str, data_dir: Path, binaries: Binaries) -> None:
        self._name = name
        self._data_dir = data_dir
        self._binaries = binaries
        self._ports = ReservedPort(), ReservedPort(), ReservedPort()
        self._url = f"https://{LOOPBACK}:{self._ports[1].number}"
        pki = pki_directory(data_dir)
        pki.mkdir()
        authority = CertificateAuthority.create(pki)
        self._ca_certificate = authority.files.certificate
        admin = authority.issue_client("admin", ["system:masters"])
        self._kubeconfig = authority.write_kubeconfig(data_dir / "kubeconfig", self._url, "admin", admin)
        self._components = self._make_components(authority)

    def _make_components(self, authority: CertificateAuthority) -> dict[ComponentName, Component]:
        service_account_key = authority.directory / "service-account.key"
        create_service_account_key(service_account_key)
        server = authority.issue_server([LOOPBACK, "localhost"])
        files = APIServerFiles(self._ca_certificate, server, service_account_key)
        manager = authority.kubeconfig_for(self._url, "system:kube-controller-manager")
        etcd_port, port, manager_port = (reserved.number for reserved in self._ports)
        commands: list[tuple[ComponentName, list[str], int]] = [
            ("etcd", etcd_command(self._binaries, self._data_dir / "etcd", etcd_port), etcd_port),
            ("kube-apiserver", apiserver_command(self._binaries, files, port, etcd_port), port),
            (
                "kube-controller-manager",
                controller_manager_command(self._binaries, manager, server, manager_port),
                manager_port,
            ),
        ]
        return {
            name: Component(name, command, log_file(self._data_dir, name), port) for name, command, port in commands
        }

    def state(self) -> SandboxState:
        """Describe the sandbox as it is now."""
        return SandboxState(
            name=self._name,
            supervisor_pid=os.getpid(),
            data_dir=self._data_dir,
            url=self._url,
            kubeconfig=self._kubeconfig,
            kubectl=self._binaries.kubectl,
            components={
                name: ComponentState(pid=component.pid, port=component.port)
                for name, component in self._components.items()
            },
        )

    def start(self, name: ComponentName) -> None:
        """Start one server without waiting until it is ready."""
        self._components[name].start()

    def stop(self, name: ComponentName) -> None:
        """Let one server end in order."""
        self._components[name].stop(_STOP_GRACE)

    def kill(self, name: ComponentName) -> None:
        """Kill one server as a crash would."""
        self._components[name].kill()

    def stop_all(self) -> None:
        """Stop every server, etcd last: an API server that lost its etcd first takes a minute to end."""
        for name in reversed(self._components):
            self.stop(name)
        for port in self._ports:
            port.release()

    def unready(self) -> str | None:
        """Tell what is not ready yet; None when every server that was started is.

        Raises:
            SandboxError: a server that was started has ended.

        """
        for component in self._components.values():
            component.check()
            if component.pid is None:
                continue
            problem = health_problem(component.name, component.port, self._ca_certificate)
            if problem is not None:
                return f"{component.name}: {problem}; the end of its log:\n{component.log_tail()}"
        return None


def pki_directory(data_dir: Path) -> Path:
    """Name the directory of certificates, keys and kubeconfigs."""
    return data_dir / "pki"


def log_file(data_dir: Path, component: ComponentName) -> Path:
    """Name the log of one server."""
    return data_dir / f"{component}.log"
