"""One node from start to end: its programs, their readiness, and the images it knows."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

from image.base import this_machine
from image.oci import pack, write_layout

from node import commands
from node.errors import NodeError
from node.isolation import Isolation
from node.layout import NAME, PAUSE_IMAGE, Layout, make_identities, write_files
from pbx_operator.sandbox.binaries import find_binaries, find_node_binaries
from pbx_operator.sandbox.processes import signal_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(tempfile.gettempdir()) / NAME
"""There is one node on a machine at a time, so what a killed one left behind is found by its name."""
_START_TIMEOUT = 120.0
_POLL = 0.2
_LOG_LINES = 20


class Node:
    """A running cluster of one node; it ends when this object is closed or its process ends, however it ends.

    It ends, too, with the thread that makes it: that should be the main one.
    """

    def __init__(self) -> None:
        """Start it, and wait until pods can be scheduled.

        Raises:
            NodeError: another one runs on this machine, or a program ended or did not become ready.
            SandboxError: a program cannot be built.

        """
        self._binaries, self._node_binaries = find_binaries(), find_node_binaries()
        self._layout = Layout(FOLDER)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        with ExitStack() as stack:
            stack.enter_context(_only_one())
            shutil.rmtree(FOLDER, ignore_errors=True)
            FOLDER.mkdir(mode=0o700)
            stack.callback(shutil.rmtree, FOLDER)
            stack.callback(self._await_end)
            self._isolation = stack.enter_context(closing(Isolation()))
            self._start()
            self._stack = stack.pop_all()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._layout.kubeconfig

    @property
    def kubectl(self) -> Path:
        """A kubectl that fits the API server."""
        return self._binaries.kubectl

    @property
    def audit(self) -> Path:
        """What pods ask of the API server: an event of audit.k8s.io/v1 a line, each as soon as it is answered."""
        return self._layout.audit

    def load(self, archive: Path) -> None:
        """Make an image known to the node, which can pull none.

        Raises:
            NodeError: it is no image.

        """
        done = self._ctr("images", "import", str(archive))
        if done.returncode != 0:
            raise NodeError(f"{archive} cannot be loaded: {done.stderr.strip()}")

    def log(self, program: str) -> str:
        """Return what a program has logged."""
        return self._layout.log(program).read_text(errors="replace")

    def close(self) -> None:
        """End everything and leave nothing behind."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        identities = make_identities(self._layout)
        write_files(self._layout, identities)
        for name, command in commands.control_plane(self._layout, self._binaries, identities).items():
            self._run(name, command)
        self._run("containerd", [str(shutil.which("containerd")), "--config", f"{FOLDER}/containerd.toml"])
        self._await("containerd", lambda: self._ctr("version").returncode == 0)
        self.load(self._pause_image())
        self._await("kube-apiserver", lambda: self._kubectl("get", "--raw", "/readyz"))
        for name, command in commands.node(self._layout, self._binaries, self._node_binaries, identities).items():
            self._run(name, command)
        ready = ("wait", "--for=condition=Ready", "--timeout=1s", f"node/{NAME}")
        self._await("kubelet", lambda: self._kubectl(*ready))
        # Pods of a namespace need its service account, which a controller makes.
        self._await("kube-controller-manager", lambda: self._kubectl("get", "serviceaccount", "default"))

    def _await_end(self) -> None:
        for process in self._processes.values():
            process.wait()

    def _run(self, name: str, command: list[str]) -> None:
        with self._layout.log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                self._isolation.command(*command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=signal_with_parent(signal.SIGKILL),
            )

    def _await(self, name: str, condition: Callable[[], bool]) -> None:
        """Wait until a program does its work, and fail with the end of its log if it does not."""
        deadline = time.monotonic() + _START_TIMEOUT
        while not condition():
            ended = [other for other, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > deadline:
                culprit, problem = (ended[0], "has ended") if ended else (name, f"not ready in {_START_TIMEOUT:.0f} s")
                lines = self.log(culprit).splitlines()[-_LOG_LINES:]
                raise NodeError("\n".join([f"{culprit} {problem}; the end of its log:", *lines]))
            time.sleep(_POLL)

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ctr", f"--address={self._layout.socket}", "--namespace=k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def _kubectl(self, *arguments: str) -> bool:
        command = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", "--request-timeout=5s", *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _pause_image(self) -> Path:
        """Make the image of the process that holds the namespaces of a pod."""
        tree = FOLDER / "pause"
        tree.mkdir()
        shutil.copy2(self._node_binaries.pause, tree / "pause")
        layer = pack(tree, FOLDER / "pause.tar.gz", "pause")
        process = {"User": "65535:65535", "Entrypoint": ["/pause"]}
        write_layout(FOLDER / "pause.tar", PAUSE_IMAGE, [layer], this_machine().debian, process)
        return FOLDER / "pause.tar"


def _only_one() -> socket.socket:
    """Return what says that this process has the machine's node: an abstract address, which goes with its socket."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0{NAME}")
    except OSError:
        mark.close()
        raise NodeError("another process has a node on this machine: wait for its end") from None
    return mark
