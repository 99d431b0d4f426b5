"""Programs in Go are built once for each set of pinned versions; who cannot build them is told why."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from support import ROOT

FAKE_GO = """\
#!/bin/sh
while [ "$1" != "-o" ]; do shift; done
echo '#!/bin/sh' > "$2/promtool"
chmod +x "$2/promtool"
echo built >> "$BUILDS"
"""
FAILING_GO = "#!/bin/sh\necho 'missing go.sum entry' >&2\nexit 1\n"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return the module, with an empty cache and one pinned program."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import go_program

    monkeypatch.setattr(go_program, "TOOLS", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    pin(tmp_path, "one")
    return go_program


def pin(folder: Path, version: str) -> None:
    (folder / "promtool").mkdir(exist_ok=True)
    (folder / "promtool/go.mod").write_text(f"module {version}\n")
    (folder / "promtool/go.sum").write_text("")


def use_go(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> None:
    (folder / "go").write_text(script)
    (folder / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_it_is_built_once_for_the_same_versions(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_go(monkeypatch, tmp_path, FAKE_GO)
    first = tool.go_program("promtool", "example.com/cmd/promtool")
    assert first.is_file()
    assert tool.go_program("promtool", "example.com/cmd/promtool") == first
    assert (tmp_path / "builds").read_text() == "built\n"
    pin(tmp_path, "two")
    assert tool.go_program("promtool", "example.com/cmd/promtool") != first


def test_a_build_that_fails_leaves_nothing_and_says_why(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_go(monkeypatch, tmp_path, FAILING_GO)
    with pytest.raises(tool.BuildError, match=r"missing go\.sum entry"):
        tool.go_program("promtool", "example.com/cmd/promtool")
    assert list((tmp_path / "cache").glob("*/*/promtool")) == []


def test_without_go_it_says_what_is_needed(tool: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(tool.BuildError, match="there is no go on PATH: install Go"):
        tool.go_program("promtool", "example.com/cmd/promtool")
