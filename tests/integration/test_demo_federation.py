"""The demo of two clusters: it shows what the README promises, fails with a reason, and leaves nothing behind."""

from __future__ import annotations

import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from support import ROOT, Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

DEMO = "tools/demo_federation.py"
COLUMNS = 100


def operators(place: Place) -> int:
    """Return how many operators run."""
    return sum("-m pbx_operator --kubeconfig" in command for command in place.processes().values())


def test_it_tells_the_whole_story_and_leaves_nothing(place: Place) -> None:
    done = place.call(str(ROOT / DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if cell_len(line) > COLUMNS or "\x1b" in line or line != line.rstrip()] == []
    assert [done.stdout.count(circle) for circle in "⚪🟢"] == [1, 3]
    assert place.is_clean()
    match = re.search(r"<!-- demo-federation -->\n```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match is not None, "README.md has a block of the demo's output"
    shown = iter(lines)
    assert [line for line in match[1].splitlines() if line not in shown] == []


def test_a_number_that_leaves_its_cluster_is_a_failure(place: Place, tmp_path: Path) -> None:
    for folder in ("crds", "examples", "tools/three_offices", "tools/two_clusters"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / DEMO, tmp_path / DEMO)
    for file, (old, new) in {
        "examples/two-clusters/1-rome.yaml": ("visibility: Private", "visibility: Shared"),
        "tools/three_offices/stage.py": ("DEADLINE_SECONDS = 30.0", "DEADLINE_SECONDS = 10.0"),
    }.items():
        text = (tmp_path / file).read_text()
        assert text.count(old) == 1, f"{file} has {old!r} once"
        (tmp_path / file).write_text(text.replace(old, new))
    done = place.call(str(tmp_path / DEMO))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-3:] == [
        "Error: what phones in Paris reach, after 10 s",
        "   expected: 310: NoMatch",
        "   seen:     310: Peer 310@rome.example.com",
    ]
    assert place.is_clean()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_after_a_signal(place: Place, number: signal.Signals) -> None:
    with place.popen(str(ROOT / DEMO)) as process:
        until(lambda: operators(place) == 1, "the operator of the first cluster runs")
        until(lambda: operators(place) == 2, "both operators run")
        process.send_signal(number)
    until(place.is_clean, "operators, control planes and files are gone")
