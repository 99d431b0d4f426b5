"""What is said where the image cannot be built."""

from __future__ import annotations

from pathlib import Path

import pytest
from image import base
from image.errors import ImageError


def test_a_machine_without_apt_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ImageError, match="no apt-get here: build the image on Debian 12, or with the Dockerfile"):
        base.build_base(tmp_path)


def tools(folder: Path, monkeypatch: pytest.MonkeyPatch, release: str) -> None:
    """Let this machine be a release of Debian or its like, which has no packages."""
    for tool in ("apt-get", "dpkg-deb"):
        (folder / tool).write_text("#!/bin/sh\necho E: Unable to locate package >&2; exit 100\n", encoding="utf-8")
        (folder / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    identity, version = release.split()
    monkeypatch.setattr("platform.freedesktop_os_release", lambda: {"ID": identity, "VERSION_ID": version})


def test_another_release_than_the_image_is_made_of_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path, monkeypatch, "ubuntu 24.04")
    with pytest.raises(ImageError, match=r"this is ubuntu 24\.04, whose packages .* on Debian 12, or with the Dockerf"):
        base.build_base(tmp_path)


def test_packages_that_are_not_to_be_had_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools(tmp_path, monkeypatch, "debian 12")
    with pytest.raises(ImageError, match=r"run `apt-get update` first(.|\n)*Unable to locate package"):
        base.build_base(tmp_path / "tree")


def test_an_unknown_kind_of_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ImageError, match="no image for riscv64: build on one of x86_64, aarch64"):
        base.this_machine()
