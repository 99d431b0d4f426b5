"""The image's root file system is all that its commands need: run read-only, as its user, without an engine."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from build_image import build_archive
from image.facts import USER_ID
from image.unpacked import UnpackedImage, obstacle

from support import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


@pytest.fixture(scope="module")
def image(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> UnpackedImage:
    if (reason := obstacle()) is not None:
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("image") / "root"
    for folder in (root.parent, root.parent.parent):  # the image's user has to get in
        folder.chmod(0o755)
    return UnpackedImage(archive, root)


def python(image: UnpackedImage, program: str) -> str:
    """Run a program with the image's Python as the image does its own."""
    command = [*image.command()[:-1], "/usr/bin/python3.11", "-c", program]
    return subprocess.run(
        command, env=image.environment(), stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--version"], f"pbx-operator, version {VERSION}"),
        (["--help"], "Usage: pbx-operator [OPTIONS] [COMMAND]"),
        (["exchange", "--help"], "Usage: pbx-operator exchange"),
        (["device", "--help"], "Usage: pbx-operator device"),
    ],
)
def test_each_command_runs(image: UnpackedImage, arguments: list[str], said: str) -> None:
    assert said in image.run(*arguments)


def test_the_user_has_a_name_and_can_write_nothing(image: UnpackedImage) -> None:
    assert python(image, "import getpass, os; print(os.getuid(), getpass.getuser())") == f"{USER_ID} nonroot"
    tries = """
import os
for folder, _, _ in os.walk("/"):
    if not folder.startswith(("/proc", "/sys")):
        try:
            open(f"{folder}/new", "w").close()
        except OSError:
            continue
        print(folder)
"""
    assert python(image, tries) == ""


def test_every_module_of_the_project_can_be_loaded(image: UnpackedImage) -> None:
    """Whatever a command loads only when it needs it is there, too, with the libraries behind it."""
    program = """
import importlib, pkgutil, pbx_operator
for module in pkgutil.walk_packages(pbx_operator.__path__, "pbx_operator."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print("all")
"""
    assert python(image, program) == "all"


def test_what_is_loaded_comes_with_its_bytecode(image: UnpackedImage) -> None:
    """Without it, each start of a read-only container would compile everything."""
    program = """
import os, sys, pbx_operator.commands.operator
compiled = {name: getattr(module, "__cached__", None) for name, module in sys.modules.items()}
print(*(name for name, path in compiled.items() if path and not os.path.exists(path)))
"""
    assert python(image, program) == ""


def test_certificates_of_the_public_authorities_are_trusted(image: UnpackedImage) -> None:
    program = "import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 100)"
    assert python(image, program) == "True"


def test_neither_a_shell_nor_pip_is_in_it(image: UnpackedImage) -> None:
    found = [
        name for name in ("sh", "bash", "pip", "apt-get") for path in image.root.rglob(name) if not path.is_symlink()
    ]
    assert found == []


def test_the_same_sources_give_the_same_archive(archive: Path, tmp_path: Path) -> None:
    build_archive(tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == archive.read_bytes()
