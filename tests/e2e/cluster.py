"""The cluster that the end-to-end tests use: the one of KUBECONFIG, one made by kind, or a node on this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from node.isolation import obstacle
from node.node import Node

from pbx_operator.sandbox.binaries import find_binaries

KIND_NAME = "pbx-operator-e2e"
TIMEOUT = 180
"""Seconds for one call, waiting included."""


@dataclass(frozen=True)
class Cluster:
    """A cluster that knows the image, and an administrator's access to it."""

    kubeconfig: Path
    program: Path
    audit: Path | None = None
    """Where the API server notes what pods ask for, an event of audit.k8s.io/v1 a line; None if that is not known."""

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl and return what it prints; an AssertionError shows why it failed."""
        done = self._run(str(self.program), *arguments)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def dialled(self, account: str, *digits: str) -> dict[str, str]:
        """Return what phones of an account reach, by what they dial; its namespace has the same name."""
        pbx = str(Path(sys.executable).with_name("pbx"))
        done = self._run(pbx, "dial", account, *digits, "--namespace", account, "--output", "json")
        assert done.returncode in (0, 1), f"pbx dial: {done.stderr}"  # 1: some digits reach nothing
        answers = json.loads(done.stdout)
        return {answer["digits"]: " ".join([answer["outcome"], answer.get("target", "")]).strip() for answer in answers}

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)


@contextmanager
def open_cluster(archive: Callable[[], Path], folder: Path) -> Iterator[Cluster]:
    """Yield the cluster to use, or skip the test and say why there is none.

    The cluster of KUBECONFIG gets the image from its registry; for the others `archive` builds it.
    """
    if given := os.environ.get("KUBECONFIG"):
        yield Cluster(Path(given), find_binaries().kubectl)
    elif kind := shutil.which("kind"):
        with _kind(kind, archive(), folder / "kubeconfig") as cluster:
            yield cluster
    elif (reason := obstacle()) is not None:
        pytest.skip(f"no KUBECONFIG, no kind, and no node can run here: {reason}")
    else:
        with Node() as node:
            node.load(archive())
            yield Cluster(node.kubeconfig, node.kubectl, node.audit)


@contextmanager
def _kind(kind: str, archive: Path, kubeconfig: Path) -> Iterator[Cluster]:
    name = ["--name", KIND_NAME]
    subprocess.run([kind, "create", "cluster", *name, "--kubeconfig", str(kubeconfig), "--wait", "2m"], check=True)
    try:
        subprocess.run([kind, "load", "image-archive", str(archive), *name], check=True)
        yield Cluster(kubeconfig, find_binaries().kubectl)
    finally:
        subprocess.run([kind, "delete", "cluster", *name, "--kubeconfig", str(kubeconfig)], check=True)
