"""The demo of two clusters: it shows what the README promises, fails with a reason, and leaves nothing behind."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from integration.demo import IMPATIENT, copy_of_the_repository, lines_that_do_not_fit, promised_but_not_shown
from support import ROOT, Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

DEMO = "tools/demo_federation.py"


def operators(place: Place) -> int:
    """Return how many operators run."""
    return sum("-m pbx_operator --kubeconfig" in command for command in place.processes().values())


def test_it_tells_the_whole_story_and_leaves_nothing(place: Place) -> None:
    done = place.call(str(ROOT / DEMO))
    assert (done.returncode, done.stderr) == (0, "")
    assert lines_that_do_not_fit(done.stdout) == []
    assert [done.stdout.count(circle) for circle in "⚪🟢"] == [1, 3]
    assert place.is_clean()
    assert promised_but_not_shown("demo-federation", done.stdout) == []


def test_a_number_that_leaves_its_cluster_is_a_failure(place: Place, tmp_path: Path) -> None:
    shared = {"examples/two-clusters/1-rome.yaml": ("visibility: Private", "visibility: Shared")}
    demo = copy_of_the_repository(tmp_path, DEMO, ["tools/two_clusters"], {**shared, **IMPATIENT})
    done = place.call(str(demo))
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
