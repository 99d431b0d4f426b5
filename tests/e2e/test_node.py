"""Nodes leave nothing behind, however their process ends.  This module comes before those that keep nodes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from node.cluster import Cluster
from node.errors import NodeError
from node.host import Host
from node.isolation import obstacle
from node.layout import FOLDER, NAME

from support import ROOT, until

pytestmark = pytest.mark.timeout(1800)  # its programs may have to be built

SETTINGS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward")
KEEP = """
import signal
from node.cluster import Cluster
from node.host import Host
with Host() as host, Cluster(host, size=2):
    print("up", flush=True)
    signal.pause()
"""


@pytest.fixture(autouse=True)
def possible() -> None:
    if (reason := obstacle()) is not None:
        pytest.skip(reason)


@pytest.fixture
def killed() -> None:
    """Let another process have nodes, and be killed."""
    path = f"{ROOT / 'tools'}:{ROOT / 'src'}"
    environment = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen([sys.executable, "-c", KEEP], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert running()
        with pytest.raises(NodeError, match="another process has nodes"):
            Host()
        process.kill()


def running() -> list[int]:
    """Return the processes of nodes, which all have a directory of theirs in their command line or control group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            about = (entry / "cmdline").read_bytes() + (entry / "cgroup").read_bytes()
        except OSError:
            continue  # it has just ended
        if f"/{NAME}".encode() in about:
            found.append(int(entry.name))
    return found


def traces() -> list[str]:
    """Return what is there of nodes outside of their namespaces."""
    groups = [*Path("/sys/fs/cgroup").glob(f"*/{NAME}*"), *Path("/sys/fs/cgroup").glob(f"{NAME}*")]
    folders = [*FOLDER.parent.glob(NAME), *Path("/sys/class/net").glob(f"{NAME}*")]
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if NAME in line]
    return [*map(str, groups), *map(str, folders), *mounts]


def settings() -> list[str]:
    return [Path("/proc/sys", name).read_text() for name in SETTINGS]


def test_nodes_that_are_closed_leave_nothing() -> None:
    before = settings()
    with Host() as host:
        with Cluster(host, number=1), Cluster(host, number=2):
            assert running()
            assert traces()
        assert running() == []
    assert traces() == []
    assert settings() == before


@pytest.mark.usefixtures("killed")
def test_what_a_killed_process_leaves_goes_with_the_next_one() -> None:
    until(lambda: running() == [], "every process of the nodes has ended")
    Host().close()
    assert traces() == []


def test_a_program_that_ends_is_named_with_its_log_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.commands.control_plane", lambda *_: {"etcd": ["/bin/ls", "/nothing"]})
    with Host() as host, pytest.raises(NodeError, match=r"etcd has ended; the end of its log:\n.*/nothing"):
        Cluster(host)
    assert running() == []
    assert traces() == []
