"""What nodes need of this machine, outside of their own namespaces: a directory, and a network that joins them.

The network is a bridge in a namespace of its own, so that neither the firewall of this machine nor that of a node has a
say in what passes between nodes.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from contextlib import ExitStack, closing
from typing import Self

from node import groups
from node.errors import NodeError
from node.isolation import Isolation, run
from node.layout import FOLDER, HOST_ADDRESS, NAME, PREFIX_LENGTH

_SETUP = """\
ip link add nodes type bridge
ip link set nodes up
"""


class Host:
    """What nodes use of a machine: one process at a time has it, so leftovers are found by their names."""

    def __init__(self) -> None:
        """Take it, and remove what a killed process left behind.

        Raises:
            NodeError: another process has it, or the kernel refused.

        """
        with ExitStack() as stack:
            stack.enter_context(_only_one())
            _remove_link()
            groups.remove(f"{NAME}-*")
            shutil.rmtree(FOLDER, ignore_errors=True)
            FOLDER.mkdir(mode=0o700)
            stack.callback(shutil.rmtree, FOLDER)
            stack.callback(_remove_link)
            self._bridge = stack.enter_context(closing(Isolation("net", setup=_SETUP)))
            self._connect_this_machine()
            self._stack = stack.pop_all()

    def connect(self, name: str, isolation: Isolation) -> None:
        """Give a node the interface `eth0`, which leads to all others; it goes with either end."""
        peer = ["peer", "name", "eth0", "netns", str(isolation.first)]
        self._bridge.run("ip", "link", "add", name, "type", "veth", *peer)
        self._bridge.run("ip", "link", "set", name, "master", "nodes", "up")

    def close(self) -> None:
        """Leave nothing behind; clusters have to be closed before."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect_this_machine(self) -> None:
        run("ip", "link", "add", NAME, "type", "veth", "peer", "name", "host", "netns", str(self._bridge.first))
        run("ip", "address", "add", f"{HOST_ADDRESS}/{PREFIX_LENGTH}", "dev", NAME)
        run("ip", "link", "set", NAME, "up")
        self._bridge.run("ip", "link", "set", "host", "master", "nodes", "up")


def _remove_link() -> None:
    """Remove this machine's end of the network, which the kernel takes its time for if only the other end goes."""
    subprocess.run(["ip", "link", "delete", NAME], stderr=subprocess.DEVNULL, check=False)


def _only_one() -> socket.socket:
    """Return what says that this process has the machine: an abstract address, which goes with its socket."""
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0{NAME}")
    except OSError:
        mark.close()
        raise NodeError("another process has nodes on this machine: wait for its end") from None
    return mark
