"""One cluster from start to end: its nodes, its control plane, their readiness, and the images they know."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING, Self

from image.base import this_machine
from image.oci import pack, write_layout

from node import commands
from node.errors import NodeError
from node.files import make_identities, write_files
from node.layout import PAUSE_IMAGE, ClusterLayout
from node.node import Node
from pbx_operator.sandbox.binaries import find_binaries, find_node_binaries

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from node.host import Host

_START_TIMEOUT = 120.0
_POLL = 0.2


class Cluster:
    """A running cluster, whose control plane runs on its first node.

    It ends when this object is closed or its process ends, however it ends; and with the thread that makes it, which
    should be the main one.
    """

    def __init__(self, host: Host, *, number: int = 1, size: int = 1) -> None:
        """Start it, and wait until pods can be scheduled to each of its nodes.

        `number` tells it from other clusters of this machine; `layout` has the bounds.

        Raises:
            NodeError: a program ended or did not become ready.
            SandboxError: a program cannot be built.

        """
        self._binaries, self._node_binaries = find_binaries(), find_node_binaries()
        self._layout = layout = ClusterLayout(number, size)
        self._nodes: list[Node] = []
        with ExitStack() as stack:
            layout.folder.mkdir()
            stack.callback(shutil.rmtree, layout.folder)
            for own in layout.nodes:
                others = [other for other in layout.nodes if other != own]
                self._nodes.append(stack.enter_context(closing(Node(host, own, others))))
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
        """Make an image known to every node, which can pull none.

        Raises:
            NodeError: it is no image.

        """
        for node in self._nodes:
            node.load(archive)

    def close(self) -> None:
        """End everything and leave nothing behind."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        layout, first = self._layout, self._nodes[0]
        identities = make_identities(layout)
        write_files(layout, identities)
        for program, command in commands.control_plane(layout, self._binaries, identities).items():
            first.start(program, command)
        for node, own in zip(self._nodes, layout.nodes, strict=True):
            node.start("containerd", ["containerd", "--config", str(own.containerd)])
        for node in self._nodes:
            self._await("containerd", node.has_containerd, node)
        self.load(self._pause_image())
        self._await("kube-apiserver", lambda: self._kubectl("get", "--raw", "/readyz"))
        for program, command in commands.controllers(layout, self._binaries, self._node_binaries, identities).items():
            first.start(program, command)
        for node, own in zip(self._nodes, layout.nodes, strict=True):
            for program, command in commands.node(layout, own, self._node_binaries, identities).items():
                node.start(program, command)
        for node, own in zip(self._nodes, layout.nodes, strict=True):
            ready = partial(self._kubectl, "wait", "--for=condition=Ready", "--timeout=1s", f"node/{own.name}")
            self._await("kubelet", ready, node)
        # Pods of a namespace need its service account, which a controller makes.
        self._await("kube-controller-manager", lambda: self._kubectl("get", "serviceaccount", "default"))

    def _await(self, program: str, condition: Callable[[], bool], node: Node | None = None) -> None:
        """Wait until a program does its work, and fail with the end of its log if it does not.

        `node` is where it runs: the first one, unless it is named.
        """
        deadline = time.monotonic() + _START_TIMEOUT
        while not condition():
            ended = [(other, each) for other in self._nodes for each in other.ended()]
            if ended or time.monotonic() > deadline:
                where, culprit = ended[0] if ended else (node or self._nodes[0], program)
                problem = "has ended" if ended else f"not ready in {_START_TIMEOUT:.0f} s"
                raise NodeError(f"{culprit} {problem}; the end of its log:\n{where.end_of_log(culprit)}")
            time.sleep(_POLL)

    def _kubectl(self, *arguments: str) -> bool:
        command = [str(self.kubectl), f"--kubeconfig={self.kubeconfig}", "--request-timeout=5s", *arguments]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _pause_image(self) -> Path:
        """Make the image of the process that holds the namespaces of a pod."""
        folder = self._layout.folder
        tree = folder / "pause"
        tree.mkdir()
        shutil.copy2(self._node_binaries.pause, tree / "pause")
        layer = pack(tree, folder / "pause.tar.gz", "pause")
        process = {"User": "65535:65535", "Entrypoint": ["/pause"]}
        write_layout(folder / "pause.tar", PAUSE_IMAGE, [layer], this_machine().debian, process)
        return folder / "pause.tar"
