"""Names, locks and leftovers of sandboxes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pbx_operator.sandbox import SandboxError
from pbx_operator.sandbox.registry import ComponentState, SandboxState, claim, root, running, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable

HOLD = """
import pathlib, sys
from pbx_operator.sandbox.registry import claim
claimed = claim(sys.argv[1])
claimed.make_directory(pathlib.Path(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def own_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def state(name: str, data_dir: Path) -> SandboxState:
    return SandboxState(
        name=name,
        supervisor_pid=1,
        data_dir=data_dir,
        url="https://127.0.0.1:1",
        kubeconfig=data_dir / "kubeconfig",
        kubectl=Path("kubectl"),
        components={"etcd": ComponentState(pid=None, port=2)},
    )


def hold(name: str, data_dir: Path) -> subprocess.Popen[str]:
    """Claim a name in another process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, name, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_released_name_leaves_nothing(tmp_path: Path) -> None:
    claimed = claim("a")
    claimed.make_directory(tmp_path / "data")
    (tmp_path / "data" / "file").touch()
    claimed.release()
    assert not (tmp_path / "data").exists()
    assert list(root().iterdir()) == []


def test_a_name_is_held_once_and_can_be_taken_again(tmp_path: Path) -> None:
    with hold("a", tmp_path / "data") as holder:
        with pytest.raises(
            SandboxError, match=r"'a' is already running\n  to see it: .* status\n  to end it: .* down --name a\n"
        ):
            claim("a")
        assert not wait_until_gone("a", 0)
        holder.kill()
    assert wait_until_gone("a", 0)
    claim("a").release()


def test_what_runs_is_listed_with_its_last_state(tmp_path: Path) -> None:
    first, second = claim("a"), claim("b")
    first.make_directory(tmp_path / "first")
    assert running() == []  # nothing is known of either yet
    written = state("a", tmp_path / "first")
    written.write()
    assert running() == [written]
    first.release()
    second.release()
    assert running() == []


@pytest.mark.parametrize("finder", [running, lambda: claim("a").release()])
def test_what_a_killed_supervisor_left_is_removed(tmp_path: Path, finder: Callable[[], object]) -> None:
    with hold("a", tmp_path / "data") as holder:
        holder.send_signal(signal.SIGKILL)
    assert (tmp_path / "data").exists()
    finder()
    assert not (tmp_path / "data").exists()
    assert list(root().iterdir()) == []


def test_a_directory_that_exists_is_refused_and_kept(tmp_path: Path) -> None:
    kept = tmp_path / "mine"
    kept.mkdir()
    (kept / "sandbox.json").touch()  # even if it looks like that of another sandbox
    claimed = claim("a")
    with pytest.raises(SandboxError, match=r"mine exists: remove it or choose another"):
        claimed.make_directory(kept)
    claimed.release()
    assert (kept / "sandbox.json").exists()


def test_a_directory_that_somebody_made_anew_is_kept(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with hold("a", data_dir) as holder:
        holder.kill()
    (data_dir / "sandbox.json").unlink()
    (data_dir / "precious").touch()
    assert running() == []
    assert (data_dir / "precious").exists()


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a/b", "..", "a" * 41])
def test_a_name_that_is_no_label_is_refused(name: str) -> None:
    with pytest.raises(SandboxError, match="use at most 40 lower case letters"):
        claim(name)


def test_a_root_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / f"pbx-sandbox-{os.getuid()}").symlink_to(elsewhere)
    with pytest.raises(SandboxError, match="is not a directory of yours: let TMPDIR name one"):
        root()
