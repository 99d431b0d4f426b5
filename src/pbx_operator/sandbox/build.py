"""Builds the programs of the control plane, and those of a node, with Go, once per set of pinned versions.

Kubernetes publishes no wheels, and downloading release binaries would need hosts that many networks block; the
Go module proxy is an ordinary package registry.  `binaries` decides when a build is needed.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pbx_operator.sandbox.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MODULE_FILES = ("go.mod", "go.sum")

_PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "kube-proxy": "k8s.io/kubernetes/cmd/kube-proxy",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "pause": "./pause",
}
_BUILT_AS = {"etcd": "server"}
"""Go names a program after the last element of its package path that is not a version."""

_PROGRESS_INTERVAL = 10.0
_ERROR_LINES = 20


def build(module: Path, target: Path, programs: Sequence[str], environ: Mapping[str, str]) -> None:
    """Build `programs` from the Go module into `target`; several callers at once build only once.

    Raises:
        SandboxError: Go is missing or too old, or the build fails.

    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with _exclusive(target.with_name(f"{target.name}.lock")):
        if all((target / program).is_file() for program in programs):
            return
        prefix = f"{target.name}.partial-"
        for leftover in target.parent.glob(f"{prefix}*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as partial:
            _go_build(module, Path(partial), programs, environ)
            _install(Path(partial), target, programs)


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _report("another process is building the control plane; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _go_build(module: Path, output: Path, programs: Sequence[str], environ: Mapping[str, str]) -> None:
    go_mod = (module / "go.mod").read_text()
    go = _find_go(go_mod, environ)
    _report(f"building {', '.join(programs)} with {go}: up to 8 minutes on 2 cores, once")
    flags = ["-v", "-trimpath", "-ldflags", f"-s -w {_version_flags(go_mod)}", "-o", f"{output}/"]
    with subprocess.Popen(
        [go, "build", *flags, *(_PACKAGES[program] for program in programs)],
        cwd=module,
        env={**_go_environ(environ), "CGO_ENABLED": "0"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            last_lines = _follow(process)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise SandboxError(f"building {', '.join(programs)} failed; go build said:\n" + "\n".join(last_lines))


def _follow(process: subprocess.Popen[str]) -> Sequence[str]:
    """Report the progress of `go build -v`, one line per package, and return the last lines."""
    start = reported = time.monotonic()
    lines: deque[str] = deque(maxlen=_ERROR_LINES)
    for count, line in enumerate(process.stderr or (), start=1):
        lines.append(line.rstrip())
        now = time.monotonic()
        if now - reported >= _PROGRESS_INTERVAL:
            reported = now
            _report(f"{now - start:.0f} s, step {count}: {lines[-1]}")
    return lines


def _install(partial: Path, target: Path, programs: Sequence[str]) -> None:
    """Move each program into place by a rename, so that a reader never sees half of one."""
    target.mkdir(exist_ok=True)
    for program in programs:
        (partial / _BUILT_AS.get(program, program)).replace(target / program)
    _report(f"built; the programs are in {target}")


def _find_go(go_mod: str, environ: Mapping[str, str]) -> str:
    """Return the path of a `go` that is new enough for the module."""
    required = _search(r"^go (\d+\.\d+)", go_mod)
    advice = f"install Go {required} or newer, or set KUBEBUILDER_ASSETS to a directory of binaries"
    go = shutil.which("go", path=environ.get("PATH", ""))
    if go is None:
        raise SandboxError(f"the control plane has to be built once, but there is no go on PATH: {advice}")
    answer = subprocess.run(
        [go, "env", "GOVERSION"], env=_go_environ(environ), capture_output=True, text=True, check=False
    )
    version = re.search(r"go(\d+)\.(\d+)", answer.stdout)
    if version is None:
        raise SandboxError(f"{go} env GOVERSION did not name a version: {advice}\n{answer.stderr}")
    if (int(version[1]), int(version[2])) < tuple(int(part) for part in required.split(".")):
        raise SandboxError(f"{go} is {version[0]}, too old to build the control plane: {advice}")
    return go


def _go_environ(environ: Mapping[str, str]) -> dict[str, str]:
    # Without this an older Go would quietly download a newer one.
    return {**environ, "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _version_flags(go_mod: str) -> str:
    """Stamp the version as release builds do: kubectl and Helm refuse to parse an unstamped one."""
    version = _search(r"^\s*k8s\.io/kubernetes (v\S+)", go_mod)
    major, minor, _ = version.removeprefix("v").split(".", maxsplit=2)
    stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in stamps.items())


def _search(pattern: str, go_mod: str) -> str:
    match = re.search(pattern, go_mod, re.MULTILINE)
    if match is None:
        raise SandboxError(f"go.mod of the control plane has no line that matches {pattern!r}")
    return match[1]


def _report(text: str) -> None:
    print(f"sandbox: {text}", file=sys.stderr, flush=True)
