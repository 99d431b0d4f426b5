"""Namespaces of a node's own, so that its programs change nothing outside and cannot outlive it.

One process, the first of a PID namespace, holds them.  When it ends, the kernel kills every other process in it,
shims and containers included, and with the last one go the mounts and the network.  It ends with its parent.
What namespaces do not hold is the control group, which `Isolation` removes itself; and settings of the whole kernel,
which a kubelet would change: it is shown files that say they are already as it wants them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from node.errors import NodeError
from node.layout import HOST_ADDRESS, NAME, NODE_ADDRESS, PLUGINS, PREFIX_LENGTH
from pbx_operator.sandbox.processes import signal_with_parent

_PROGRAMS = ("containerd", "ctr", "ip", "iptables", "mount", "nsenter", "runc", "unshare")
_PLUGINS = ("bridge", "host-local", "loopback")
_INSTALL = "on Debian 12 run tools/node/install-packages.sh"

_SETUP = """\
mount --make-rshared /
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
while read -r setting value; do
    file="/run/$(basename "$setting")"
    echo "$value" > "$file"
    mount --bind "$file" "/proc/sys/$setting"
done <<SETTINGS
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
SETTINGS
echo 1 > /proc/sys/net/ipv4/ip_forward
ip link set lo up
echo ready
exec sleep infinity
"""
"""What the first process does: everything that programs of a node write without being told where is in memory."""

_GROUPS_GONE_TIMEOUT = 20.0
_POLL = 0.1


def obstacle() -> str | None:
    """Tell why no node can run here, and what to do about it; None if one can."""
    if sys.platform != "linux":
        return f"a node runs on Linux only, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "only root may start a node"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    missing += [f"{PLUGINS}/{plugin}" for plugin in _PLUGINS if not Path(PLUGINS, plugin).exists()]
    return f"a node needs {', '.join(missing)}: {_INSTALL}" if missing else None


class Isolation:
    """The namespaces and the control group of the one node that a machine can have."""

    def __init__(self) -> None:
        """Make them, after removing what a killed one left behind.

        Raises:
            NodeError: the kernel refused.

        """
        _remove_what_is_left()
        for group in _groups():
            group.mkdir(exist_ok=True)
        flags = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--net"]
        self._holder = subprocess.Popen(
            ["unshare", *flags, "sh", "-euc", _SETUP],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=signal_with_parent(signal.SIGKILL),
        )
        try:
            self._await_setup()
            self._connect()
        except BaseException:
            self.close()
            raise

    def command(self, *command: str) -> list[str]:
        """Return a command line that runs a program, given by its absolute path, inside."""
        return ["nsenter", f"--target={self._first}", "--mount", "--net", "--pid", "--", *command]

    def close(self) -> None:
        """End everything inside and wait until nothing is left."""
        self._holder.kill()
        self._holder.communicate()
        _remove_what_is_left()

    def _await_setup(self) -> None:
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            _, said = self._holder.communicate()
            raise NodeError(f"the namespaces of a node cannot be made here: {said.strip()}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._first = int(children.read_text())

    def _connect(self) -> None:
        """Join the node's network with this machine's; the link goes with the namespace."""
        _run("ip", "link", "add", NAME, "type", "veth", "peer", "name", "eth0", "netns", str(self._first))
        _run("ip", "address", "add", f"{HOST_ADDRESS}/{PREFIX_LENGTH}", "dev", NAME)
        _run("ip", "link", "set", NAME, "up")
        ip = self.command(str(shutil.which("ip")))
        _run(*ip, "address", "add", f"{NODE_ADDRESS}/{PREFIX_LENGTH}", "dev", "eth0")
        _run(*ip, "link", "set", "eth0", "up")
        _run(*ip, "route", "add", "default", "via", HOST_ADDRESS)


def _groups() -> list[Path]:
    """Name our control group in each hierarchy that is mounted: one in version 2, one per controller in version 1."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(folder) / NAME for folder, kind in mounts if kind in ("cgroup", "cgroup2")]


def _remove_what_is_left() -> None:
    """Remove the link, with which the kernel takes its time, and the control groups.

    A process that is just being killed keeps its control group for a moment.
    """
    subprocess.run(["ip", "link", "delete", NAME], stderr=subprocess.DEVNULL, check=False)
    deadline = time.monotonic() + _GROUPS_GONE_TIMEOUT
    while existing := [group for group in _groups() if group.exists()]:
        if time.monotonic() > deadline:
            raise NodeError(f"{existing[0]} cannot be removed: end the processes that are listed below it")
        for group in existing:
            _remove_group(group)
        time.sleep(_POLL)


def _remove_group(group: Path) -> None:
    """Remove a control group as far as it is empty, the inner ones first."""
    inner = [path for path in group.rglob("*") if path.is_dir()]
    for path in [*sorted(inner, reverse=True), group]:
        with contextlib.suppress(OSError):
            path.rmdir()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NodeError(f"{' '.join(command)}: {done.stderr.strip()}")
