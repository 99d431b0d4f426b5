"""The process that owns the demo's control plane and operator, and leaves nothing of them behind.

A process of its own: a demo that is killed cannot clean up after itself, and with `--keep` both outlive the demo.
It ends when the demo closes its standard input without having asked to keep everything, on a signal, when the
operator ends, or when somebody takes the sandbox down.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pbx_operator.sandbox import ControlPlane, SandboxError
from pbx_operator.sandbox.processes import signal_with_parent
from pbx_operator.sandbox.registry import running

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ("kubectl apply --server-side -f crds/", "kubectl apply -f examples/install/rbac.yaml")
"""How an administrator brings the kinds and the operator's rights into a cluster."""
OPERATOR_USER = "pbx-operator"
"""The user that the installed rights are bound to."""
KEEP = b"keep\n"
"""What the demo writes if everything is to stay."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 30.0
_LOG_LINES = 10


def main(name: str | None) -> None:
    """Start everything, describe it in one line of JSON, and stay until it is time to end."""
    for number in _SIGNALS:
        signal.signal(number, _end)
    with ControlPlane.start(name) as control_plane:
        _install(control_plane)
        log = control_plane.data_dir / "operator.log"
        with _operator(control_plane, log) as operator:
            facts = {"kubeconfig": control_plane.kubeconfig, "kubectl": control_plane.kubectl, "log": log}
            print(json.dumps({name: str(value) for name, value in facts.items()}), flush=True)
            _stay(control_plane, operator)
        if operator.returncode != 0 and _runs(control_plane):
            sys.exit(f"the operator ended with code {operator.returncode}:\n{_tail(log)}")


def _end(*_: object) -> None:
    _ignore_signals()
    sys.exit()


def _ignore_signals() -> None:
    """From now on a signal would only cut the clean-up short."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _install(control_plane: ControlPlane) -> None:
    for command in INSTALL:
        done = subprocess.run(
            command, shell=True, cwd=ROOT, env=control_plane.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"{command}: {done.stderr.strip()}")
    # The garbage collector looks for new kinds every 30 s only; one that starts now knows them.
    control_plane.stop_component("kube-controller-manager")
    control_plane.start_component("kube-controller-manager")


@contextmanager
def _operator(control_plane: ControlPlane, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the operator as its own user; in the end it may finish what it does, unless there is no cluster any more."""
    kubeconfig = control_plane.kubeconfig_for(OPERATOR_USER)
    options = [f"--kubeconfig={kubeconfig}", f"--health-port={_free_port()}", "--metrics-port=0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pbx_operator", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=signal_with_parent(signal.SIGKILL),
        )
    try:
        yield process
    finally:
        _ignore_signals()
        process.send_signal(signal.SIGTERM if _runs(control_plane) else signal.SIGKILL)
        try:
            process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stay(control_plane: ControlPlane, operator: subprocess.Popen[bytes]) -> None:
    demo = [sys.stdin.fileno()]
    while operator.poll() is None and _runs(control_plane):
        readable, _, _ = select.select(demo, [], [], _POLL_SECONDS)
        if readable and os.read(sys.stdin.fileno(), len(KEEP)) != KEEP:
            return
        if readable:
            demo.clear()


def _runs(control_plane: ControlPlane) -> bool:
    return any(state.name == control_plane.name for state in running())


def _tail(log: Path) -> str:
    with log.open() as lines:
        return "".join(deque(lines, maxlen=_LOG_LINES))


if __name__ == "__main__":
    try:
        main(sys.argv[1] if sys.argv[1:] else None)
    except SandboxError as error:
        sys.exit(str(error))
