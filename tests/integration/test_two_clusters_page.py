"""The page for two clusters: its commands, typed one after the other, do what it shows, and leave nothing behind."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path

import pytest

from pbx_operator.sandbox.binaries import ASSETS_VARIABLE, find_binaries
from pbx_operator.sandbox.ports import unused_port
from support import ROOT, Place, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

PAGE = ROOT / "docs" / "two-clusters.md"
PORT = "8443"
"""The port that the page names; here another one stands for it, since somebody may have this one."""
CUT = "…"
END_OF_BLOCK = "-- end of block --"
BLOCK = re.compile(r"^```sh\n(?P<commands>.*?)^```\n(\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def blocks() -> list[tuple[str, list[str]]]:
    """Return the commands of each block of the page, with the lines that it shows below them."""
    text = PAGE.read_text()
    found = [(match["commands"], (match["shown"] or "").splitlines()) for match in BLOCK.finditer(text)]
    fences = text.count("```") // 2
    assert fences == len(found) + sum(shown != [] for _, shown in found), (
        "each fence is one of commands or their output"
    )
    return found


def newcomer(place: Place) -> dict[str, str]:
    """Return the environment of a user who has nothing but a checkout, and the programs of the control plane."""
    home, programs = place.folder / "home", place.folder / "programs"
    home.mkdir()
    programs.mkdir()
    for program in astuple(find_binaries()):
        (programs / program.name).symlink_to(program)
    ours = {"HOME": str(home), ASSETS_VARIABLE: str(programs)}
    others = {"KUBECONFIG", "XDG_CACHE_HOME", "POD_NAMESPACE"}
    return {name: value for name, value in place.environ.items() if name not in others} | ours


def not_printed(shown: list[str], output: str) -> list[str]:
    """Return the lines that are not in the output in this order; how many spaces there are says nothing."""
    printed = iter([" ".join(line.split()) for line in output.splitlines()])
    return [line for line in shown if not any(re.fullmatch(pattern_of(line), one) for one in printed)]


def pattern_of(line: str) -> str:
    """Return the regular expression of a line of the page."""
    return ".*".join(re.escape(part) for part in " ".join(line.split()).split(CUT))


def files_of(place: Place) -> set[Path]:
    """Return what lies in the place beside its sandboxes."""
    return set(place.folder.iterdir()) - {place.sandboxes}


def test_its_commands_do_what_it_shows_and_leave_nothing(place: Place) -> None:
    page, environ = blocks(), newcomer(place)
    before = files_of(place)
    script = "".join(f"{commands}echo '{END_OF_BLOCK}'\n" for commands, _ in page).replace(PORT, str(unused_port()))
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    outputs = done.stdout.split(f"{END_OF_BLOCK}\n")[:-1]
    for (commands, shown), output in zip(page, outputs, strict=True):
        assert not_printed(shown, output) == [], f"{commands}{output}"
    until(place.is_clean, "operators, control planes and files are gone")
    assert files_of(place) == before
