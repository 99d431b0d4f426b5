"""Pages with commands, typed one after the other as a newcomer would: what they show below must be seen."""

from __future__ import annotations

import re
import subprocess
from dataclasses import astuple
from pathlib import Path

from pbx_operator.sandbox.binaries import ASSETS_VARIABLE, find_binaries
from pbx_operator.sandbox.ports import unused_port
from support import ROOT, Place, until

CUT = "…"
END_OF_BLOCK = "-- end of block --"
BLOCK = re.compile(r"^```sh\n(?P<commands>.*?)^```\n(\n```text\n(?P<shown>.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def follow(page: Path, place: Place, *ports: int) -> None:
    """Type all commands of a page; each block shows what stands below it, and nothing is left in the end.

    Other ports stand for those that the page names, since somebody may have these.
    """
    blocks, environ = blocks_of(page), newcomer(place)
    before = files_of(place)
    script = "".join(f"{commands}echo '{END_OF_BLOCK}'\n" for commands, _ in blocks)
    for port in ports:
        assert str(port) in script, f"the page names port {port}"
        script = script.replace(str(port), str(unused_port()))
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
    for (commands, shown), output in zip(blocks, outputs, strict=True):
        assert not_printed(shown, output) == [], f"{commands}{output}"
    until(place.is_clean, "programs, control planes and files are gone")
    assert files_of(place) == before


def blocks_of(page: Path) -> list[tuple[str, list[str]]]:
    """Return the commands of each block of a page, with the lines that it shows below them."""
    text = page.read_text()
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
