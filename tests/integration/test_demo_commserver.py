"""The demo of communication servers: it shows what the README promises, fails with a reason, and leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.demo import IMPATIENT, copy_of_the_repository, lines_that_do_not_fit, promised_but_not_shown
from support import ROOT, Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

DEMO = "tools/demo_commserver.py"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Return a place where Python finds the simulators, as `make demo-commserver` has it."""
    place = Place(tmp_path)
    known = os.environ.get("PYTHONPATH")
    place.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests"), *([known] if known else [])])
    yield place
    place.kill()


def unset_variables(shown: str) -> set[str]:
    """Return the variables of a shell that commands use and none sets."""
    used = set(re.findall(r"\$([A-Za-z_]+)", shown))
    return {name for name in used if f" {name}=" not in shown and f"for {name} in" not in shown}


def boxes(place: Place) -> int:
    """Return how many boxes run."""
    return sum("pbx-operator device" in command for command in place.processes().values())


def test_it_tells_the_whole_story_and_leaves_nothing(place: Place) -> None:
    done = place.call(str(ROOT / DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_that_do_not_fit(done.stdout) == []
    assert [done.stdout.count(mark) - 1 for mark in "✖⚪🟡🟢🔴"] == [2, 4, 1, 5, 0], "one of each is in the legend"
    assert unset_variables(done.stdout) == set()
    assert place.is_clean()
    assert set(place.folder.iterdir()) == {place.sandboxes}
    assert promised_but_not_shown("demo-commserver", done.stdout) == []


def test_a_box_that_does_not_get_in_is_a_failure(place: Place, tmp_path: Path) -> None:
    strange = {"examples/comm-servers/stock.yaml": ("fleetReference: ALE12", "fleetReference: ALE13")}
    demo = copy_of_the_repository(tmp_path, DEMO, ["tools/comm_servers"], {**strange, **IMPATIENT})
    done = place.call(str(demo))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-3:] == [
        "Error: the server nice, after 10 s",
        "   expected: Ready: Running; WeakActivationCode: -; channels: sip Up; state: Running",
        "   seen:     Ready: Declared; WeakActivationCode: StockCode; channels: -; state: Pending",
    ]
    assert place.is_clean()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_after_a_signal(place: Place, number: signal.Signals) -> None:
    with place.popen(str(ROOT / DEMO)) as process:
        until(lambda: place.states() != [], "the control plane starts")
        until(lambda: boxes(place) == 1, "the first box starts")
        process.send_signal(number)
    until(place.is_clean, "boxes, operator, control plane and files are gone")
    assert set(place.folder.iterdir()) == {place.sandboxes}


def test_what_is_kept_works_as_told_and_ends_as_told(place: Place) -> None:
    done = place.call(str(ROOT / DEMO), "--keep")
    assert (done.returncode, done.stderr) == (0, "")
    _, _, told = done.stdout.partition("go on running.")
    again, end = (
        "\n".join(line for line in part.splitlines() if line.startswith("   "))
        for part in told.split("To end everything and leave nothing behind:")
    )
    assert "the simulator of Rainbow ended with the demo" in " ".join(told.split())
    typed = type_in(place, again)
    assert (typed.returncode, typed.stderr) == (0, "")
    assert typed.stdout.count("commserver.pbx-operator.io/nice condition met") == 2
    assert re.search(r"^nice +Degraded +sip +Down +True +Degraded$", typed.stdout, re.MULTILINE)
    refused = place.call(str(ROOT / DEMO), "--keep")
    assert (refused.returncode, refused.stderr) == (
        1,
        f"Error: the demo is running already; to end it: {end.strip()}\n",
    )
    assert type_in(place, end).returncode == 0
    until(place.is_clean, "operator, control plane and files are gone")


def type_in(place: Place, commands: str) -> subprocess.CompletedProcess[str]:
    """Run commands one after the other, up to the first that fails."""
    return subprocess.run(
        ["bash", "-e", "-c", commands], cwd=ROOT, env=place.environ, capture_output=True, text=True, check=False
    )
