"""One node from start to end: its namespaces, its addresses, and the programs that run on it."""

from __future__ import annotations

import signal
import subprocess
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from node import groups
from node.errors import NodeError
from node.isolation import Isolation
from node.layout import HOST_ADDRESS, NODE_NETWORK, PREFIX_LENGTH
from pbx_operator.sandbox.processes import tied

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from node.host import Host
    from node.layout import NodeLayout

_SETUP = """\
mount -t proc proc /proc
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
"""
"""What programs write without being told where is in memory; settings of the whole kernel, which a kubelet would
change, are hidden by files that say they are already as it wants them."""

_LOG_LINES = 20


class Node:
    """A machine of its own, as far as programs can tell, beside other nodes of its cluster."""

    def __init__(self, host: Host, layout: NodeLayout, others: Sequence[NodeLayout]) -> None:
        """Make it, without a program.

        Raises:
            NodeError: the kernel refused.

        """
        self._layout = layout
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        with ExitStack() as stack:
            layout.folder.mkdir()
            stack.callback(groups.remove, layout.name)
            groups.make(layout.name)
            stack.callback(self._await_end)
            self._isolation = stack.enter_context(closing(Isolation("mount", "net", "pid", setup=_SETUP)))
            host.connect(layout.name, self._isolation)
            self._give_addresses(others)
            self._stack = stack.pop_all()

    def start(self, program: str, command: Sequence[str]) -> None:
        """Start a program; what it says goes into its log.

        The program ends with this object, and with the thread that starts it: that should be the main one.
        """
        with self._layout.log(program).open("wb") as log:
            self._processes[program] = subprocess.Popen(
                tied(self._isolation.command(*command), signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def ended(self) -> list[str]:
        """Return which programs have ended."""
        return [program for program, process in self._processes.items() if process.poll() is not None]

    def end_of_log(self, program: str) -> str:
        """Return the last lines of what a program has said; nothing if it was not started."""
        log = self._layout.log(program)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-_LOG_LINES:])

    def has_containerd(self) -> bool:
        """Tell whether images can be loaded."""
        return self._ctr("version").returncode == 0

    def load(self, archive: Path) -> None:
        """Make an image known to the node, which can pull none.

        Raises:
            NodeError: it is no image.

        """
        done = self._ctr("images", "import", str(archive))
        if done.returncode != 0:
            raise NodeError(f"{archive} cannot be loaded: {done.stderr.strip()}")

    def close(self) -> None:
        """End everything on it and wait until nothing is left but its directory."""
        self._stack.close()

    def _give_addresses(self, others: Sequence[NodeLayout]) -> None:
        """Let it reach this machine and the other nodes of its cluster with their pods.

        Outside of the cluster nobody knows its pods: there they speak with the address of their node.
        """
        run, own = self._isolation.run, self._layout
        run("ip", "address", "add", f"{own.address}/{PREFIX_LENGTH}", "dev", "eth0")
        run("ip", "link", "set", "eth0", "up")
        run("ip", "route", "add", "default", "via", HOST_ADDRESS)
        for other in others:
            run("ip", "route", "add", other.pod_network, "via", other.address)
        leaving = ["--source", own.pod_network, "--destination", NODE_NETWORK]
        run("iptables", "--table", "nat", "--append", "POSTROUTING", *leaving, "--jump", "MASQUERADE")

    def _await_end(self) -> None:
        for process in self._processes.values():
            process.wait()

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["ctr", f"--address={self._layout.socket}", "--namespace=k8s.io", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)
