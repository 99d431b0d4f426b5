"""Backup and restore as the page tells to type them: an empty cluster has everything again, statuses too."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
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
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.sandbox import ControlPlane
from support import ROOT, install_crds, kubectl

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## Backup and restore\n")[2].partition("\n## ")[0]
BACKUP, RESTORE = re.findall(r"^```sh\n(.*?)^```", SECTION, re.DOTALL | re.MULTILINE)
BACKED_UP = "pbxaccounts,internalnumbers,interlinks,commservers,linkrecords,equipmentrecords,secrets"
CONTENT = ("spec", "status", "data", "type")
TO_ROME, TO_PARIS = interlink("to-rome", "paris", OFFICES), interlink("to-paris", "rome", OFFICES)
FOR_BERN, FROM_BERN = interlink("for-bern", "rome", OFFICES), interlink("from-bern", "bern", OFFICES)


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
    """Run the commands in a folder, as a script. Raises AssertionError if that fails."""
    assert shutil.which("jq"), "the page needs jq: apt-get install jq"
    environ = {**plane.environment(), "PATH": f"{plane.kubectl.parent}:{plane.environment()['PATH']}"}
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", commands],
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


def owners(plane: ControlPlane) -> dict[str, tuple[bool, ...]]:
    """Return for each Secret of an owner whether that lives."""
    living = json.loads(kubectl(plane, "get", "interlinks,commservers", "--all-namespaces", "--output=json"))["items"]
    uids = {raw["metadata"]["uid"] for raw in living}
    secrets = json.loads(kubectl(plane, "get", "secrets", "--all-namespaces", "--output=json"))["items"]
    references = {name_of(raw): raw["metadata"].get("ownerReferences", []) for raw in secrets}
    return {name: tuple(each["uid"] in uids for each in named) for name, named in references.items() if named}


async def test_everything_is_as_it_was(restored: tuple[dict[str, Raw], Stage]) -> None:
    before, stage = restored
    assert sum("status" in each for each in before.values()) > len(before) / 2
    assert content(stage.control_plane) == before


async def test_secrets_have_their_owners_so_that_nobody_collects_them(
    restored: tuple[dict[str, Raw], Stage],
) -> None:
    now = owners(restored[1].control_plane)
    assert set(now) == {f"Secret {OFFICES}/{name}" for name in ("for-bern-key", "lyon-activation", "menton-activation")}
    assert set(now.values()) == {(True,)}


async def test_the_operator_goes_on_with_it(restored: tuple[dict[str, Raw], Stage]) -> None:
    before, stage = restored
    await asyncio.to_thread(install, stage.control_plane)
    await confirm(stage)
    await stage.observer.ready()
    stage.start("--after-restore")
    stage.observer.namespaces.add(OFFICES)
    world = World(stage, OFFICES)
    await world.green(TO_ROME, TO_PARIS)
    await stage.settle()
    assert states(content(stage.control_plane)) == states(before)
    await stage.stop()
    stage.start()
    await stage.settle()
    assert states(before).items() <= states(content(stage.control_plane)).items(), "those of the probes are new"
    await world.ready(FOR_BERN, "KeyIssued")
    spec = {"redeemKey": {"secretRef": {"name": "for-bern-key"}}}
    await stage.api.cluster.patch(Interlink.resource, FROM_BERN.key, {"spec": spec})
    await world.green(FOR_BERN, FROM_BERN)


def states(objects: dict[str, Raw]) -> dict[str, str]:
    """Return the state of each LinkRecord, by its name."""
    return {name: raw["spec"]["state"] for name, raw in objects.items() if name.startswith("LinkRecord")}


async def test_a_backup_without_an_identity_fails(old_plane: ControlPlane, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match='secrets "pbx-operator-identity" not found'):
        await typed(BACKUP, old_plane, tmp_path)
