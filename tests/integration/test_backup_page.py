"""Backup and restore as the page tells to type them: an empty cluster has everything again, statuses too."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from builders import interlink
from integration.api import Raw
from integration.conftest import install
from integration.etcd import Etcd
from integration.harness import Stage, World, open_stage
from integration.releases import OFFICES, RELEASES, captured, confirm, leave
from pbx_operator.sandbox import ControlPlane
from support import ROOT, install_crds, kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Backup and restore\n")[2].partition("\n## ")[0]
BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
BACKED_UP = "pbxaccounts,internalnumbers,interlinks,commservers,linkrecords,equipmentrecords,secrets"
CONTENT = ("spec", "status", "data", "type")
TO_ROME, TO_PARIS = interlink("to-rome", "paris", OFFICES), interlink("to-paris", "rome", OFFICES)


@pytest.fixture
def old_plane() -> Iterator[ControlPlane]:
    """Yield a cluster with our kinds, of which a backup will be made."""
    with ControlPlane.start() as control_plane:
        install_crds(control_plane)
        kubectl(control_plane, "create", "namespace", "pbx-system")
        kubectl(control_plane, "create", "namespace", OFFICES)
        yield control_plane


@pytest.fixture
def new_plane() -> Iterator[ControlPlane]:
    """Yield an empty cluster."""
    with ControlPlane.start() as control_plane:
        yield control_plane


@pytest_asyncio.fixture(loop_scope="module")
async def backup(old_plane: ControlPlane, tmp_path: Path) -> dict[str, Raw]:
    """Make a backup of every kind of object, and return what is in it."""
    await leave(Etcd(old_plane), captured(RELEASES[-1]))
    await typed(BACKUP, old_plane, tmp_path)
    return content(old_plane)


@pytest_asyncio.fixture(loop_scope="module")
async def restored(
    backup: dict[str, Raw], new_plane: ControlPlane, tmp_path: Path
) -> AsyncIterator[tuple[dict[str, Raw], Stage]]:
    """Yield what was backed up, and the stage that it was restored to."""
    (tmp_path / "crds").symlink_to(ROOT / "crds")
    await typed(RESTORE, new_plane, tmp_path)
    async with open_stage(new_plane, tmp_path) as stage:
        yield backup, stage


async def typed(commands: str, plane: ControlPlane, folder: Path) -> None:
    """Type the commands in a folder."""
    environ = {**plane.environment(), "PATH": f"{plane.kubectl.parent}:{plane.environment()['PATH']}"}
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def content(plane: ControlPlane) -> dict[str, Raw]:
    """Return what the backed up objects of a cluster say, by kind, namespace and name."""
    items = json.loads(kubectl(plane, "get", BACKED_UP, "--all-namespaces", "--output=json"))["items"]
    return {name_of(raw): {part: raw[part] for part in CONTENT if part in raw} for raw in items}


def name_of(raw: Raw) -> str:
    return f"{raw['kind']} {raw['metadata'].get('namespace', '')}/{raw['metadata']['name']}"


async def test_everything_is_as_it_was(restored: tuple[dict[str, Raw], Stage]) -> None:
    before, stage = restored
    assert sum("status" in each for each in before.values()) > len(before) / 2
    assert content(stage.control_plane) == before


async def test_the_operator_goes_on_with_it(restored: tuple[dict[str, Raw], Stage]) -> None:
    before, stage = restored
    await asyncio.to_thread(install, stage.control_plane)
    await confirm(stage)
    await stage.observer.ready()
    stage.start("--after-restore")
    stage.observer.namespaces.add(OFFICES)
    await World(stage, OFFICES).green(TO_ROME, TO_PARIS)
    await stage.settle()
    now = content(stage.control_plane)
    records = [name for name in before if name.startswith("LinkRecord")]
    assert [now[name]["spec"]["state"] for name in records] == [before[name]["spec"]["state"] for name in records]
    assert {name for name in now if name.startswith("LinkRecord")} == set(records)
