"""What tests with real processes and networks share: kubectl, the place that tells their processes from others,
deadlines, and what a machine may lack."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pbx_operator.api.meta import ResourceType
from pbx_operator.sandbox.registry import SandboxState

if TYPE_CHECKING:
    from collections.abc import Callable

    from pbx_operator.sandbox import ControlPlane

CRDS = ResourceType(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 30.0
PAUSE_SECONDS = 0.05


def _has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6")


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


def ensure_namespace(control_plane: ControlPlane, name: str) -> None:
    """Create a namespace, unless it is there."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    kubectl(control_plane, "apply", "-f", "-", stdin=json.dumps(namespace))


def install_crds(control_plane: ControlPlane, folder: Path = ROOT / "crds") -> None:
    """Let the API server serve our kinds, as the definitions in a folder have them."""
    kubectl(control_plane, "apply", "--server-side", "-f", str(folder))
    kubectl(control_plane, "wait", "--for=condition=Established", "--timeout=30s", "-f", str(folder))


class Place:
    """A temporary directory of its own, by which all processes of a test can be told from others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {**os.environ, "TMPDIR": str(folder)}

    @property
    def sandboxes(self) -> Path:
        """Where sandboxes of this place lie."""
        return self.folder / f"pbx-sandbox-{os.getuid()}"

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Python with these arguments."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments to its end."""
        with self.popen(*arguments) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def processes(self) -> dict[int, str]:
        """Return the command lines of the processes that were given this directory; a zombie has no environment."""
        mark = f"TMPDIR={self.folder}".encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has just ended, or is not ours
        return found

    def states(self) -> list[SandboxState]:
        """Return what the sandboxes of this place note about themselves."""
        files = self.sandboxes.glob("*/sandbox.json")
        return [SandboxState.model_validate_json(text) for file in files if (text := file.read_text())]

    def is_clean(self) -> bool:
        """Whether neither processes nor files are left."""
        return not self.processes() and not any(self.sandboxes.iterdir())

    def kill(self) -> None:
        """End every process of this place at once."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as the condition holds; fail if it does not before the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_SECONDS:.0f} s: {what}"
        time.sleep(PAUSE_SECONDS)
