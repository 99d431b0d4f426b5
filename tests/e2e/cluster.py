"""The clusters of the end-to-end tests: the one of KUBECONFIG, one made by kind, or those of nodes on this machine."""

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

from node.cluster import Cluster as OwnCluster
from node.host import Host
from node.isolation import obstacle

from pbx_operator.sandbox.binaries import find_binaries

KIND_NAME = "pbx-operator-e2e"
TIMEOUT = 180
"""Seconds for one call, waiting included."""
_LINES = 60


@dataclass(frozen=True)
class Cluster:
    """A cluster that knows the image, and an administrator's access to it."""

    kubeconfig: Path
    program: Path
    audit: Path | None = None
    """Where the API server notes what pods ask for, an event of audit.k8s.io/v1 a line; None if that is not known."""

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl and return what it prints; an AssertionError shows why it failed."""
        done = self._run(str(self.program), *arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def beside(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run kubectl beside what is done meanwhile, and end it with that at the latest."""
        with subprocess.Popen(
            [self.program, *arguments],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def dialled(self, account: str, *digits: str) -> dict[str, str]:
        """Return what phones of an account reach, by what they dial; its namespace has the same name."""
        pbx = str(Path(sys.executable).with_name("pbx"))
        done = self._run(pbx, "dial", account, *digits, "--namespace", account, "--output", "json")
        assert done.returncode in (0, 1), f"pbx dial: {done.stderr}"  # 1: some digits reach nothing
        answers = json.loads(done.stdout)
        return {answer["digits"]: " ".join([answer["outcome"], answer.get("target", "")]).strip() for answer in answers}

    def state(self) -> str:
        """Return what a failure makes curious about: pods, events, our objects, and the end of what each pod logged."""
        pods = self._said("get", "pods", "--all-namespaces", "--output=wide")
        parts = [
            pods,
            self._said("get", "events", "--all-namespaces", "--sort-by=.metadata.creationTimestamp"),
            self._said("get", "pbxaccounts,interlinks,commservers", "--all-namespaces"),
        ]
        for namespace, name, *_ in map(str.split, pods.splitlines()[1:]):
            log = ["logs", name, "--namespace", namespace, "--all-containers", f"--tail={_LINES}"]
            parts += [f"logs of {namespace}/{name}:", self._said(*log)]
        return "\n".join(parts)

    def _said(self, *arguments: str) -> str:
        done = self._run(str(self.program), *arguments)
        return "\n".join((done.stdout + done.stderr).splitlines()[-_LINES:])

    def _run(self, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig)}


def no_host() -> str | None:
    """Tell why the tests run on no nodes of their own, of which they can have several; None if they do."""
    if os.environ.get("KUBECONFIG"):
        return "several nodes or clusters of our own are needed, and the cluster of KUBECONFIG is to be used"
    if shutil.which("kind"):
        return "several nodes or clusters of our own are needed, and kind is to be used, with one"
    if (reason := obstacle()) is not None:
        return f"no KUBECONFIG, no kind, and no node can run here: {reason}"
    return None


@contextmanager
def open_cluster(host: Callable[[], Host], archive: Callable[[], Path], folder: Path) -> Iterator[Cluster]:
    """Yield the cluster to use.

    The cluster of KUBECONFIG gets the image from its registry; for the others `archive` builds it.  `host` returns
    where nodes of our own run.
    """
    if given := os.environ.get("KUBECONFIG"):
        yield Cluster(Path(given), find_binaries().kubectl)
    elif kind := shutil.which("kind"):
        with _kind(kind, archive(), folder / "kubeconfig") as cluster:
            yield cluster
    else:
        with own_cluster(host(), archive(), size=2) as cluster:
            yield cluster


@contextmanager
def own_cluster(host: Host, archive: Path, *, number: int = 1, size: int = 1) -> Iterator[Cluster]:
    """Yield a cluster of nodes on this machine."""
    with OwnCluster(host, number=number, size=size) as cluster:
        cluster.load(archive)
        yield Cluster(cluster.kubeconfig, cluster.kubectl, cluster.audit)


@contextmanager
def _kind(kind: str, archive: Path, kubeconfig: Path) -> Iterator[Cluster]:
    name = ["--name", KIND_NAME]
    subprocess.run([kind, "create", "cluster", *name, "--kubeconfig", str(kubeconfig), "--wait", "2m"], check=True)
    try:
        subprocess.run([kind, "load", "image-archive", str(archive), *name], check=True)
        yield Cluster(kubeconfig, find_binaries().kubectl)
    finally:
        subprocess.run([kind, "delete", "cluster", *name, "--kubeconfig", str(kubeconfig)], check=True)
