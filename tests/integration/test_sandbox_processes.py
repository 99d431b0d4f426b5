"""The sandbox's command line: several at once, exit codes, and nothing left however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pbx_operator.sandbox.registry import SandboxState
from support import until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")


class Place:
    """A temporary directory of its own, by which all processes of a test can be told from others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {**os.environ, "TMPDIR": str(folder)}

    @property
    def sandboxes(self) -> Path:
        return self.folder / f"pbx-sandbox-{os.getuid()}"

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pbx_operator.sandbox", *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.popen(*arguments) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def processes(self) -> dict[int, str]:
        """Return the command lines of the processes that were given this directory; a zombie has no environment."""
        mark = f"TMPDIR={self.folder}".encode()
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has just ended, or is not ours
        return found

    def states(self) -> list[SandboxState]:
        files = self.sandboxes.glob("*/sandbox.json")
        return [SandboxState.model_validate_json(text) for file in files if (text := file.read_text())]

    def is_clean(self) -> bool:
        return not self.processes() and not any(self.sandboxes.iterdir())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    for pid in place.processes():
        os.kill(pid, signal.SIGKILL)


def start_run(place: Place) -> subprocess.Popen[str]:
    """Start `run` with a command that lasts, and wait until the command runs."""
    process = place.popen("run", "--", "sh", "-c", "echo started; exec sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert any("sleep 600" in command for command in place.processes().values())
    return process


def test_run_gives_the_command_a_cluster_and_its_options_and_returns_its_code(place: Place) -> None:
    script = 'kubectl get --raw /readyz && echo " $KUBECONFIG $0" && exit 7'
    done = place.call("run", "sh", "-c", script, "--data-dir")
    assert done.returncode == 7, done.stderr
    readiness, kubeconfig, option = done.stdout.split()
    assert (readiness, option) == ("ok", "--data-dir")
    assert Path(kubeconfig).is_relative_to(place.sandboxes)
    assert place.is_clean()


def test_run_of_an_unknown_command_says_so(place: Place) -> None:
    done = place.call("run", "no-such-command")
    assert (done.returncode, done.stderr) == (1, "Error: cannot run 'no-such-command': No such file or directory\n")
    assert place.is_clean()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_run_ends_the_command_and_the_sandbox(place: Place, number: signal.Signals) -> None:
    with start_run(place) as process:
        process.send_signal(number)
    assert process.returncode == 128 + number
    assert place.is_clean()


def test_a_command_may_take_its_time_to_end(place: Place) -> None:
    command = "trap 'kubectl get --raw /readyz; exit 5' TERM; echo started; while :; do sleep 0.05; done"
    with place.popen("run", "--", "sh", "-c", command) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.terminate()
        assert process.stdout.read() == "ok"
    assert process.returncode == 5
    assert place.is_clean()


def test_nothing_is_left_of_a_killed_run(place: Place) -> None:
    with start_run(place) as process:
        process.kill()
    until(place.is_clean, "the servers, the command and the files are gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_start_that_is_cut_short(place: Place, number: signal.Signals) -> None:
    with place.popen("run", "--", "true") as process:
        until(lambda: any("etcd" in command for command in place.processes().values()), "etcd starts")
        process.send_signal(number)
    until(place.is_clean, "the servers and the files are gone")


def test_the_servers_die_with_a_killed_supervisor_and_the_next_look_tidies_up(place: Place) -> None:
    with start_run(place) as process:
        os.kill(place.states()[0].supervisor_pid, signal.SIGKILL)
        until(lambda: not any("etcd" in command for command in place.processes().values()), "etcd is gone")
        assert place.call("status").stderr == "no sandbox is running\n"
        assert not any(place.sandboxes.iterdir())
        process.terminate()
    assert place.is_clean()


def test_several_start_at_once_and_each_goes_alone(place: Place) -> None:
    elsewhere = place.folder / "elsewhere" / "c"
    starting = [
        place.popen("up"),
        place.popen("up", "--name", "b"),
        place.popen("up", "--name", "c", "--data-dir", str(elsewhere)),
    ]
    results = [process.communicate() for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0], results
    kubeconfigs = [Path(out.strip()) for out, _ in results]
    assert kubeconfigs[2] == elsewhere / "kubeconfig"
    assert all("is ready at https://127.0.0.1:" in err for _, err in results)

    listing = place.call("status").stdout
    for name, kubeconfig in zip(("default", "b", "c"), kubeconfigs, strict=True):
        assert f"{name}: ready\n" in listing
        assert f"  {kubeconfig}\n" in listing
    ports = re.findall(r", port (\d+), ready\n", listing)
    assert len(set(ports)) == len(ports) == 9

    assert place.call("down", "--name", "b").returncode == 0
    assert not kubeconfigs[1].exists()
    remaining = place.call("status").stdout
    assert "default: ready" in remaining
    assert "c: ready" in remaining
    assert "b: " not in remaining

    assert place.call("down").returncode == 0
    assert place.call("down", "--name", "c").returncode == 0
    assert not elsewhere.exists()
    assert place.is_clean()


def test_a_taken_name_and_a_taken_directory_are_refused(place: Place) -> None:
    mine = place.folder / "mine"
    mine.mkdir()
    refused = place.call("up", "--data-dir", str(mine))
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Error: data directory {mine} exists: remove it or choose another\n",
    )
    assert mine.exists()
    assert place.call("up").returncode == 0
    again = place.call("up")
    assert again.returncode == 1
    assert again.stderr.startswith("Error: a sandbox named 'default' is already running")
    assert "default: ready" in place.call("status").stdout
    assert place.call("down").returncode == 0
    assert place.is_clean()


def test_down_of_what_does_not_run_names_what_does(place: Place) -> None:
    done = place.call("down", "--name", "x")
    assert (done.returncode, done.stderr) == (1, "Error: no sandbox named 'x' is running; running are: none\n")
