"""The upper layers: the packages that the operator needs, and the operator itself, with its bytecode.

A process without write access cannot keep bytecode, so it is in the image; without it each start would compile
a thousand modules.  It carries the hash of its source and no times, and is made by the image's own Python.
"""

from __future__ import annotations

import configparser
import platform
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from image.errors import ImageError
from image.facts import PACKAGES_FOLDER, PYTHON, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_GLIBC = ("2_17", "2_28", "2_34")
"""Versions of the C library that wheels are built for; that of Debian 12, 2.36, runs all of them."""
_UNUSED = ("phonenumbers/carrierdata", "phonenumbers/geodata", "phonenumbers/tzdata")
"""Data about carriers and places, which no command loads; PyPI's `phonenumberslite` leaves out the same."""
_NOT_COMPILED = r"/kubernetes/(aio/)?client/(api|models)/(?!__init__|v1_(managed_fields|object_meta|owner_reference))"
"""Code for every kind of Kubernetes, of which the commands load next to nothing: a fifth of the image's size."""
_INSTALLER_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip writes about this installation: only an uninstallation needs it, and it differs between machines."""
_SCRIPT = """\
#!/usr/bin/python{python}
import sys

from {module} import {function}

sys.exit({function}())
"""


def build_dependencies(tree: Path, python: Sequence[str]) -> None:
    """Install the runtime packages of the lock file, for the Python and C library of the image.

    Args:
        tree: an empty directory.
        python: the command that runs the image's Python.

    Raises:
        ImageError: pip cannot get a package, or one is not what the lock file says.

    """
    platforms = [f"--platform=manylinux_{version}_{platform.machine()}" for version in _GLIBC]
    options = ["--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
    _pip_install(tree, [*options, *platforms, "--requirement", str(ROOT / "requirements" / "runtime.txt")])
    for folder in _UNUSED:
        shutil.rmtree(tree / PACKAGES_FOLDER / folder)
    compile_all(tree / PACKAGES_FOLDER, python)


def build_application(tree: Path, python: Sequence[str]) -> None:
    """Install the project and its commands; as `build_dependencies` otherwise."""
    _pip_install(tree, ["--no-build-isolation", str(ROOT)])
    _write_commands(tree)
    compile_all(tree / PACKAGES_FOLDER, python)


def compile_all(folder: Path, python: Sequence[str]) -> None:
    """Compile the modules of a directory with the image's Python.

    Raises:
        ImageError: a module cannot be compiled.

    """
    in_image = f"/{PACKAGES_FOLDER}" if folder.as_posix().endswith(PACKAGES_FOLDER) else f"/usr/lib/python{PYTHON}"
    options = ["-q", "-f", "--invalidation-mode", "unchecked-hash", "-x", _NOT_COMPILED]
    home = python[-1].removesuffix(f"/bin/python{PYTHON}")
    _run(
        [*python, "-s", "-S", "-m", "compileall", *options, "-s", str(folder), "-p", in_image, str(folder)],
        environment={"PYTHONHOME": home, "PYTHONHASHSEED": "0"},
    )


def _pip_install(tree: Path, arguments: Sequence[str]) -> None:
    """Let pip put packages into the tree; the lock file is complete, so pip resolves nothing."""
    folder = tree / PACKAGES_FOLDER
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "install", "--no-compile", "--no-deps", "--target", str(folder), *arguments])
    shutil.rmtree(folder / "bin", ignore_errors=True)  # scripts for the Python that runs pip
    for name in _INSTALLER_FILES:
        for file in folder.glob(f"*.dist-info/{name}"):
            file.unlink()


def _write_commands(tree: Path) -> None:
    """Write a script for each command that the project declares."""
    declared = configparser.ConfigParser()
    declared.read(next((tree / PACKAGES_FOLDER).glob("pbx_operator-*.dist-info")) / "entry_points.txt")
    folder = tree / "usr/local/bin"
    folder.mkdir(parents=True)
    for name, target in declared["console_scripts"].items():
        module, _, function = target.partition(":")
        script = folder / name
        script.write_text(_SCRIPT.format(python=PYTHON, module=module, function=function), encoding="utf-8")
        script.chmod(0o755)


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
