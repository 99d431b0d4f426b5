"""What every demo must do: show what the README promises, in lines that fit, and fail when the repository is wrong."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from rich.cells import cell_len

from support import ROOT

COLUMNS: Final = 100
IMPATIENT: Final = {"tools/three_offices/stage.py": ("DEADLINE_SECONDS = 30.0", "DEADLINE_SECONDS = 10.0")}
"""The edit of a copy that lets a demo wait less for what will not happen."""


def lines_that_do_not_fit(output: str) -> list[str]:
    """Return the lines that are too wide, coloured, or end in a blank."""
    return [line for line in output.splitlines() if cell_len(line) > COLUMNS or "\x1b" in line or line != line.rstrip()]


def promised_but_not_shown(demo: str, output: str) -> list[str]:
    """Return the lines of the README's block `demo` that the output does not have, or not in that order."""
    match = re.search(rf"<!-- {demo} -->\n```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert match is not None, f"README.md has a block of the output of {demo}"
    shown = iter(output.splitlines())
    return [line for line in match[1].splitlines() if line not in shown]


def copy_of_the_repository(root: Path, demo: str, folders: Iterable[str], edits: Mapping[str, tuple[str, str]]) -> Path:
    """Copy a demo and what it uses, with one text replaced in each file that is named; return the copied demo."""
    for folder in ("crds", "examples", "tools/three_offices", *folders):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / demo, root / demo)
    for file, (old, new) in edits.items():
        text = (root / file).read_text()
        assert text.count(old) == 1, f"{file} has {old!r} once"
        (root / file).write_text(text.replace(old, new))
    return root / demo
