"""Runs the commands of a built image without a container engine: unpacked, read-only, as the image's user.

For tests and measurements.  What a container runtime adds, limits and namespaces of network and processes, is
missing; what the image promises, a root file system that is complete and needs no write access, is the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

from image.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path

_ENTER = """\
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
user="$1"
shift
exec chroot --userspec="$user" "$0" "$@"
"""
_PROGRAMS = ("unshare", "mount", "chroot")


def obstacle() -> str | None:
    """Tell why no image can be run here; None if one can."""
    if sys.platform != "linux":
        return f"an image runs on Linux only, and this is {sys.platform}"
    if os.geteuid() != 0:
        return "only root may enter the root file system of an image"
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    return f"there is no {', '.join(missing)} here" if missing else None


class UnpackedImage:
    """The root file system of an image in a directory, and how its processes are started."""

    def __init__(self, archive: Path, root: Path) -> None:
        """Unpack an OCI layout in a tar file into a new directory.

        Raises:
            ImageError: there is no such file.

        """
        if not archive.is_file():
            raise ImageError(f"there is no image at {archive}: run `make image`")
        self.root = root
        root.mkdir()
        root.chmod(0o755)
        with tarfile.open(archive) as layout:
            index = _read(layout, "index.json")
            manifest = _read(layout, _blob(index["manifests"][0]["digest"]))
            self.settings: dict[str, Any] = _read(layout, _blob(manifest["config"]["digest"]))["config"]
            for layer in manifest["layers"]:
                with tarfile.open(fileobj=layout.extractfile(_blob(layer["digest"])), mode="r:gz") as content:
                    content.extractall(root, filter="tar")

    def command(self, *arguments: str) -> list[str]:
        """Return a command line that runs the image's entry point with these arguments, as its user, read-only."""
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _ENTER]
        return [*enter, str(self.root), self.settings["User"], *self.settings["Entrypoint"], *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the image's environment variables, and `more`."""
        return {**dict(variable.split("=", maxsplit=1) for variable in self.settings["Env"]), **more}

    def run(self, *arguments: str) -> str:
        """Run the entry point to its end and return what it printed.

        Raises:
            ImageError: it ended with an error.

        """
        done = subprocess.run(
            self.command(*arguments), env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise ImageError(f"{arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _read(layout: tarfile.TarFile, name: str) -> Any:
    file = layout.extractfile(name)
    if file is None:
        raise ImageError(f"{name} of the archive is no file: run `make image` again")
    return json.load(file)
