"""The process that owns a demo's control plane and operator, and leaves nothing of them behind.

A process of its own: a demo that is killed cannot clean up after itself, and with `--keep` both outlive the demo.
It ends when the demo closes its standard input without having asked to keep everything, on a signal, when the
operator ends without having been asked to, or when somebody takes the sandbox down.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from pbx_operator.sandbox import ControlPlane, SandboxError
from pbx_operator.sandbox.pki import CertificateAuthority
from pbx_operator.sandbox.ports import unused_port
from pbx_operator.sandbox.processes import tied
from pbx_operator.sandbox.registry import running
from pbx_operator.sandbox.servers import pki_directory

ROOT = Path(__file__).resolve().parents[2]
INSTALL = (
    "kubectl apply --server-side -f crds/",
    "kubectl apply -f examples/install/rbac.yaml -f examples/install/users.yaml",
)
"""How an administrator brings the kinds and the operator's rights into a cluster."""
OPERATOR_USER = "pbx-operator"
"""The user that the installed rights are bound to."""
KEEP, STOP, START = b"keep\n", b"stop\n", b"start\n"
"""What the demo writes if everything is to stay, and if the operator is to be stopped or started."""

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 30.0
_LOG_LINES = 10


def main(name: str | None, options: Sequence[str], *, trusting: bool) -> None:
    """Start everything, describe it in one line of JSON, and stay until it is time to end.

    A `trusting` operator takes the sandbox's authority for the only one that vouches for servers elsewhere.
    """
    for number in _SIGNALS:
        signal.signal(number, _end)
    with ControlPlane.start(name) as control_plane:
        _install(control_plane)
        authority = CertificateAuthority(pki_directory(control_plane.data_dir))
        variables = {"SSL_CERT_FILE": str(authority.files.certificate)} if trusting else {}
        operator = _Operator(control_plane, options, variables)
        paths = {"kubeconfig": control_plane.kubeconfig, "kubectl": control_plane.kubectl, "log": operator.log}
        try:
            operator.start()
            _tell({**paths, "authority": authority.directory})
            _stay(control_plane, operator)
        finally:
            _ignore_signals()
            code = operator.stop()
        if code != 0 and _runs(control_plane):
            sys.exit(f"the operator ended with code {code}:\n{_tail(operator.log)}")


def _tell(facts: dict[str, Path]) -> None:
    print(json.dumps({name: str(value) for name, value in facts.items()}), flush=True)


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


class _Operator:
    """The operator, as a user of its own; stopped, it may finish what it does, unless there is no cluster any more."""

    def __init__(self, control_plane: ControlPlane, options: Sequence[str], variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._control_plane = control_plane
        kubeconfig = control_plane.kubeconfig_for(OPERATOR_USER)
        own = [f"--kubeconfig={kubeconfig}", f"--health-port={unused_port()}", "--metrics-port=0"]
        self._command = [sys.executable, "-m", "pbx_operator", *own, *options]
        self._process: subprocess.Popen[bytes] | None = None
        self.log = control_plane.data_dir / "operator.log"
        self._code: int | None = None

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                tied(self._command, signal.SIGKILL),
                env={**os.environ, **self._variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def stop(self) -> int | None:
        """Return the exit code of the process that ended last."""
        if self._process is None:
            return self._code
        self._process.send_signal(signal.SIGTERM if _runs(self._control_plane) else signal.SIGKILL)
        try:
            self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._code, self._process = self._process.returncode, None
        return self._code

    @property
    def ended(self) -> bool:
        """Whether the operator has ended unasked."""
        return self._process is not None and self._process.poll() is not None


def _stay(control_plane: ControlPlane, operator: _Operator) -> None:
    demo = [sys.stdin.fileno()]
    while not operator.ended and _runs(control_plane):
        readable, _, _ = select.select(demo, [], [], _POLL_SECONDS)
        if not readable:
            continue
        command = os.read(sys.stdin.fileno(), len(START))
        if command == KEEP:
            demo.clear()
        elif command == START:
            operator.start()
            _tell({})
        elif command == STOP and operator.stop() == 0:
            _tell({})
        else:
            return


def _runs(control_plane: ControlPlane) -> bool:
    return any(state.name == control_plane.name for state in running())


def _tail(log: Path) -> str:
    with log.open() as lines:
        return "".join(deque(lines, maxlen=_LOG_LINES))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", help="name of the sandbox; default: a random one")
    parser.add_argument("--trusting", action="store_true", help="the operator trusts the sandbox's authority alone")
    parser.add_argument("options", nargs="*", help="options of the operator, after `--`")
    wanted = parser.parse_args()
    try:
        main(wanted.name, wanted.options, trusting=wanted.trusting)
    except SandboxError as error:
        sys.exit(str(error))
