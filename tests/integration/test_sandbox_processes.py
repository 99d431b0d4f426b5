"""The sandbox's command line: several at once, exit codes, and nothing left however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")


def start(place: Place, *arguments: str) -> subprocess.Popen[str]:
    return place.popen("-m", "pbx_operator.sandbox", *arguments)


def sandbox(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return place.call("-m", "pbx_operator.sandbox", *arguments)


def shell(place: Place, command: str) -> str:
    """Return what a command prints that somebody was told to type."""
    done = subprocess.run(command, shell=True, env=place.environ, capture_output=True, text=True, check=True)
    return done.stdout


def start_run(place: Place) -> subprocess.Popen[str]:
    """Start `run` with a command that lasts, and wait until the command runs."""
    process = start(place, "run", "--", "sh", "-c", "echo started; exec sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    assert any("sleep 600" in command for command in place.processes().values())
    return process


def test_run_gives_the_command_a_cluster_and_its_options_and_returns_its_code(place: Place) -> None:
    script = 'kubectl get --raw /readyz && echo " $KUBECONFIG $0" && exit 7'
    done = sandbox(place, "run", "sh", "-c", script, "--data-dir")
    assert done.returncode == 7, done.stderr
    readiness, kubeconfig, option = done.stdout.split()
    assert (readiness, option) == ("ok", "--data-dir")
    assert Path(kubeconfig).is_relative_to(place.sandboxes)
    assert place.is_clean()


def test_run_of_an_unknown_command_says_so(place: Place) -> None:
    done = sandbox(place, "run", "no-such-command")
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
    with start(place, "run", "--", "sh", "-c", command) as process:
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
    with start(place, "run", "--", "true") as process:
        until(lambda: any("etcd" in command for command in place.processes().values()), "etcd starts")
        process.send_signal(number)
    until(place.is_clean, "the servers and the files are gone")


def test_the_servers_die_with_a_killed_supervisor_and_the_next_look_tidies_up(place: Place) -> None:
    with start_run(place) as process:
        os.kill(place.states()[0].supervisor_pid, signal.SIGKILL)
        until(lambda: not any("etcd" in command for command in place.processes().values()), "etcd is gone")
        assert sandbox(place, "status").stderr == "no sandbox is running\n"
        assert not any(place.sandboxes.iterdir())
        process.terminate()
    assert place.is_clean()


def test_a_data_directory_needs_a_place(place: Place) -> None:
    """No parents are made, since nobody would remove them."""
    refused = sandbox(place, "up", "--data-dir", str(place.folder / "none" / "data"))
    assert refused.returncode == 1
    assert "cannot be made (No such file or directory): choose a place that exists" in refused.stderr
    assert not (place.folder / "none").exists()


def test_several_start_at_once_and_each_goes_alone(place: Place) -> None:
    elsewhere = place.folder / "elsewhere"
    starting = [
        start(place, "up"),
        start(place, "up", "--name", "b"),
        start(place, "up", "--name", "c", "--data-dir", str(elsewhere)),
    ]
    results = [process.communicate() for process in starting]
    assert [process.returncode for process in starting] == [0, 0, 0], results
    kubeconfigs = [Path(out.strip()) for out, _ in results]
    assert kubeconfigs[2] == elsewhere / "kubeconfig"
    assert all("is ready at https://127.0.0.1:" in err for _, err in results)

    listing = sandbox(place, "status").stdout
    assert sandbox(place, "status", "--name", "none").stderr == "Error: sandbox 'none' is not running\n"
    for name, kubeconfig in zip(("default", "b", "c"), kubeconfigs, strict=True):
        assert f"{name}: ready\n" in listing
        assert f"  {kubeconfig}\n" in listing
    ports = re.findall(r", port (\d+), ready\n", listing)
    assert len(set(ports)) == len(ports) == 9

    assert sandbox(place, "down", "--name", "b").returncode == 0
    assert not kubeconfigs[1].exists()
    remaining = sandbox(place, "status").stdout
    assert "default: ready" in remaining
    assert "c: ready" in remaining
    assert "b: " not in remaining

    assert sandbox(place, "down").returncode == 0
    assert sandbox(place, "down", "--name", "c").returncode == 0
    assert not elsewhere.exists()
    until(place.is_clean, "the supervisors have ended, too")


def test_a_taken_name_and_a_taken_directory_are_refused(place: Place) -> None:
    mine = place.folder / "mine"
    mine.mkdir()
    refused = sandbox(place, "up", "--data-dir", str(mine))
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Error: data directory {mine} exists: remove it or choose another\n",
    )
    assert mine.exists()
    first = sandbox(place, "up")
    assert first.returncode == 0
    again = sandbox(place, "up")
    assert again.returncode == 1
    problem, *steps = again.stderr.splitlines()
    assert problem == "Error: a sandbox named 'default' is already running"
    use, see, end, _ = (step.partition(": ")[2] for step in steps)
    assert use == f"export KUBECONFIG={first.stdout.strip()}"
    assert "default: ready" in shell(place, see)
    assert shell(place, end) == ""
    until(place.is_clean, "the supervisor has ended, too")


def test_down_of_what_does_not_run_names_what_does(place: Place) -> None:
    done = sandbox(place, "down", "--name", "x")
    assert (done.returncode, done.stderr) == (1, "Error: no sandbox named 'x' is running; running are: none\n")
