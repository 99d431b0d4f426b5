"""Children that are tied to their parent are otherwise what they would be without that."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from pbx_operator.sandbox.processes import tied

START_COMPONENT = """
import os, sys
from pathlib import Path
from pbx_operator.sandbox.components import Component
component = Component("etcd", ["sleep", "600"], Path(sys.argv[1]), 1)
os.register_at_fork(before=lambda: print("before"), after_in_parent=lambda: print("after"))
component.start()
component.kill()
"""


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_hook_of_a_fork_runs_where_a_raising_signal_handler_would_be_in_vain(tmp_path: Path) -> None:
    """What is raised in such a hook is told on standard error and forgotten, and with it the end of the program."""
    done = run([sys.executable, "-c", START_COMPONENT, str(tmp_path / "log")])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_tied_program_ignores_no_other_signals() -> None:
    ignored = ["grep", "SigIgn", "/proc/self/status"]
    assert run(tied(ignored, signal.SIGKILL)).stdout == run(ignored).stdout


def test_a_program_that_cannot_run_is_named() -> None:
    done = run(tied(["no-such-command"], signal.SIGKILL))
    assert (done.returncode, done.stderr) == (1, "Error: cannot run 'no-such-command': No such file or directory\n")


def test_a_program_whose_parent_has_ended_already_gets_the_signal_at_once() -> None:
    command = tied(["sleep", "600"], signal.SIGTERM)
    here = run([sys.executable, "-c", "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))", *command])
    assert here.returncode == 256 - signal.SIGTERM, "its parent is not the process that made the command"
