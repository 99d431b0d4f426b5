"""Measure how long the image's commands take to start: `make measure-image`.

The image runs unpacked, read-only and as its user, beside a control plane of its own.  `--version` loads all code;
an operator is started when /readyz says so, after it has listed and watches every kind.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from image.errors import ImageError, failure_as_exit_code
from image.facts import ROOT
from image.unpacked import UnpackedImage, obstacle

from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.pki import CertificateAuthority
from pbx_operator.sandbox.ports import unused_port
from pbx_operator.sandbox.servers import pki_directory

NAMESPACE = "pbx-system"
RUNS = 5
READY_TIMEOUT = 60.0
POLL = 0.01


def measure(archive: Path) -> None:
    """Print the median, the best and the worst time of both."""
    with tempfile.TemporaryDirectory() as folder, ControlPlane.start() as control_plane:
        image = UnpackedImage(archive, Path(folder) / "root")
        for manifests in ("crds", "examples/install/rbac.yaml"):
            _kubectl(control_plane, "apply", "-f", str(ROOT / manifests))
        _kubectl(control_plane, "wait", "--for=condition=Established", "crd", "--all")
        variables = _as_in_a_pod(control_plane, image)
        _print("pbx-operator --version", lambda: image.run("--version"))
        _print("pbx-operator until ready", lambda: _start(image, variables))


def _print(what: str, action: Callable[[], object]) -> None:
    seconds = [_timed(action) for _ in range(RUNS)]
    print(f"{what:26}{statistics.median(seconds):5.2f} s  ({min(seconds):.2f} to {max(seconds):.2f}, {RUNS} runs)")


def _timed(action: Callable[[], object]) -> float:
    before = time.monotonic()
    action()
    return time.monotonic() - before


def _start(image: UnpackedImage, variables: Mapping[str, str]) -> None:
    """Run an operator until it is ready."""
    health, metrics = unused_port(), unused_port()
    ports = ["--health-port", str(health), "--metrics-port", str(metrics)]
    command = image.command("--namespace", NAMESPACE, *ports)
    log = image.root.with_name("operator.log")
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=image.environment(**variables), stderr=output)
    try:
        deadline = time.monotonic() + READY_TIMEOUT
        while not _ready(health):
            if process.poll() is not None or time.monotonic() > deadline:
                raise ImageError(f"the operator does not become ready:\n{log.read_text(errors='replace')}")
            time.sleep(POLL)
    finally:
        process.kill()
        process.wait()


def _ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def _as_in_a_pod(control_plane: ControlPlane, image: UnpackedImage) -> dict[str, str]:
    """Give the image a service account as a kubelet does, and return the variables that come with it."""
    account = f"--serviceaccount={NAMESPACE}:measured"
    _kubectl(control_plane, "create", "serviceaccount", "measured", "--namespace", NAMESPACE)
    _kubectl(control_plane, "create", "clusterrolebinding", "measured", "--clusterrole=pbx-operator", account)
    _kubectl(control_plane, "create", "rolebinding", "measured", "--role=pbx-operator", account, "-n", NAMESPACE)
    files = {
        "token": _kubectl(control_plane, "create", "token", "measured", "--namespace", NAMESPACE),
        "ca.crt": CertificateAuthority(pki_directory(control_plane.data_dir)).files.certificate.read_text(),
        "namespace": NAMESPACE,
    }
    folder = image.root / "var/run/secrets/kubernetes.io/serviceaccount"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text.strip(), encoding="utf-8")
    server = urlsplit(control_plane.url)
    return {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port)}


def _kubectl(control_plane: ControlPlane, *arguments: str) -> str:
    command = [str(control_plane.kubectl), *arguments]
    return subprocess.run(
        command, env=control_plane.environment(), stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def main() -> None:
    """Measure the archive that the command line names."""
    parser = argparse.ArgumentParser(description="Measure how long the image's commands take to start.")
    parser.add_argument("archive", type=Path, nargs="?", default=ROOT / "build" / "pbx-operator.tar")
    arguments = parser.parse_args()
    if (reason := obstacle()) is not None:
        sys.exit(f"image: not measured: {reason}")
    with failure_as_exit_code():
        measure(arguments.archive)


if __name__ == "__main__":
    main()
