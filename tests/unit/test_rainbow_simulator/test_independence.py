"""The simulator and the operator are written after the same documents; neither may take anything from the other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from support import ROOT


def imported(directory: Path) -> set[str]:
    """Return the top-level packages that the modules of a directory import."""
    names: set[str] = set()
    for path in directory.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize(("directory", "forbidden"), [("tests/simulators", "pbx_operator"), ("src", "simulators")])
def test_neither_imports_the_other(directory: str, forbidden: str) -> None:
    names = imported(ROOT / directory)
    assert "aiohttp" in names
    assert forbidden not in names
