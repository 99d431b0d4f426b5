"""Namespaces that one process holds, so that what runs in them changes nothing outside and cannot outlive it.

The process ends with its parent.  If it is the first of a PID namespace, the kernel kills every other process in it,
shims and containers included, and with the last one go the mounts and the network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from node.errors import NodeError
from node.layout import PLUGINS
from pbx_operator.sandbox.processes import tied

_PROGRAMS = ("containerd", "ctr", "ip", "iptables", "mount", "nsenter", "runc", "unshare")
_PLUGINS = ("bridge", "host-local", "loopback")
_TRIAL = ("unshare", "--mount", "--net", "--pid", "--fork")
_INSTALL = "on Debian 12 run tools/node/install-packages.sh"


def obstacle() -> str | None:
    """Tell why no node can run here, and what to do about it; None if one can."""
    if sys.platform != "linux":
        return f"a node runs on Linux only, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "only root may start a node"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    missing += [f"{PLUGINS}/{plugin}" for plugin in _PLUGINS if not Path(PLUGINS, plugin).exists()]
    return f"a node needs {', '.join(missing)}: {_INSTALL}" if missing else _refusal()


def _refusal() -> str | None:
    """Try what containers often may not, even as root: namespaces of their own, and address translation in them."""
    tried = subprocess.run([*_TRIAL, "iptables", "--table=nat", "--list"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        return f"the kernel refuses what a node needs ({' '.join(tried.args)}): {tried.stderr.strip()}"
    return None


class Isolation:
    """Some namespaces, and the process that holds them."""

    def __init__(self, *namespaces: str, setup: str) -> None:
        """Make them, and run the lines of `setup` as the first process in them.

        `namespaces` are names as `unshare` and `nsenter` have them: `mount`, `net`, `pid`.

        Raises:
            NodeError: the kernel refused, or a line failed.

        """
        self._flags = [f"--{each}" for each in namespaces]
        first = ["sh", "-euc", f"{setup}echo ready\nexec sleep infinity"]
        self._holder = subprocess.Popen(
            tied(["unshare", *self._flags, "--fork", "--kill-child", *first], signal.SIGKILL),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, said = self._holder.communicate()
            raise NodeError(f"the namespaces of a node cannot be made here: {said.strip()}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self.first = int(children.read_text())

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return a command line that runs a program inside."""
        # By its path: what is looked up after the entry is looked up by the rules of the namespaces.
        path = shutil.which(program) or program
        return ["nsenter", f"--target={self.first}", *self._flags, "--", path, *arguments]

    def run(self, program: str, *arguments: str) -> None:
        """Run a program inside to its end.

        Raises:
            NodeError: it failed; the text has what it said.

        """
        run(*self.command(program, *arguments))

    def close(self) -> None:
        """End the process that holds them, and with a PID namespace everything in them."""
        self._holder.kill()
        self._holder.communicate()


def run(*command: str) -> None:
    """Run a program to its end.

    Raises:
        NodeError: it failed; the text has what it said.

    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(command)}: {done.stderr.strip()}")
