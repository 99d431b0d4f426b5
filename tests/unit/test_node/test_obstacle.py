"""What keeps a node from running on this machine, and what to do about it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from node import isolation


@pytest.fixture(autouse=True)
def root_on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert isolation.obstacle() == "a node runs on Linux only, and this is darwin"


def test_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert isolation.obstacle() == "only root may start a node"


def test_what_is_missing_or_refused_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("ip", "mount", "nsenter", "unshare", "iptables", "ctr", "runc"):
        (tmp_path / program).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(isolation, "PLUGINS", str(tmp_path))
    assert isolation.obstacle() == (
        f"a node needs containerd, {tmp_path}/bridge, {tmp_path}/host-local, {tmp_path}/loopback: "
        "on Debian 12 run tools/node/install-packages.sh"
    )
    for name in ("containerd", "bridge", "host-local", "loopback"):
        (tmp_path / name).touch(mode=0o755)
    (tmp_path / "unshare").write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    assert isolation.obstacle() == (
        "the kernel refuses what a node needs (unshare --mount --net --pid --fork iptables --table=nat --list): "
        "Operation not permitted"
    )
    (tmp_path / "unshare").write_text("#!/bin/sh\n")
    assert isolation.obstacle() is None
