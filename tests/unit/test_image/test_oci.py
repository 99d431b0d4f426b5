"""The archive: valid by the OCI image specification, and the same for the same content."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image.oci import Layer, pack, write_layout

NAME = "registry.example.com/phones:1.2.3"


def make_tree(folder: Path, names: list[str]) -> Path:
    """Make a tree with a directory, files, a command and a symbolic link; `names` is the order in which."""
    makers: dict[str, Callable[[], object]] = {
        "file": lambda: (folder / "etc/motd").write_text("welcome", encoding="utf-8"),
        "command": lambda: _command(folder / "bin/pbx"),
        "link": lambda: (folder / "etc/link").symlink_to("/bin/pbx"),
        "shared": lambda: (folder / "tmp").chmod(0o1777),
    }
    for directory in ("etc", "bin", "tmp"):
        (folder / directory).mkdir(parents=True)
    for name in names:
        makers[name]()
    return folder


def _command(path: Path) -> None:
    path.write_text("#!/bin/true", encoding="utf-8")
    path.chmod(0o755)


ORDER = ["file", "command", "link", "shared"]


def build(folder: Path, order: list[str] = ORDER) -> Path:
    """Build an image of one layer."""
    layer = pack(make_tree(folder / "tree", order), folder / "layer.tar.gz", "a tree")
    write_layout(folder / "image.tar", NAME, [layer], "amd64", {"User": "65532:65532"})
    return folder / "image.tar"


def read(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar]
        return {name: file.read() for name, file in members if file is not None}


def follow(content: dict[str, bytes], descriptor: dict[str, Any]) -> bytes:
    """Return the blob that a descriptor names, which must have the size and digest that it says."""
    algorithm, _, digest = descriptor["digest"].partition(":")
    blob = content[f"blobs/{algorithm}/{digest}"]
    assert len(blob) == descriptor["size"]
    assert hashlib.sha256(blob).hexdigest() == digest
    return blob


def members(layer: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as tar:
        return {member.name: member for member in tar}


def test_every_blob_is_named_by_its_digest_and_reached_from_the_index(tmp_path: Path) -> None:
    content = read(build(tmp_path))
    assert json.loads(content["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads(content["index.json"])
    manifest = json.loads(follow(content, index["manifests"][0]))
    config = json.loads(follow(content, manifest["config"]))
    layers = [follow(content, layer) for layer in manifest["layers"]]
    assert len(content) == len(["oci-layout", "index.json", "manifest", "config"]) + len(layers)
    assert config["rootfs"]["diff_ids"] == [
        f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}" for layer in layers
    ]
    assert config["architecture"] == "amd64"
    assert config["config"] == {"User": "65532:65532"}


def test_containerd_and_docker_both_learn_the_name(tmp_path: Path) -> None:
    index = json.loads(read(build(tmp_path))["index.json"])
    assert index["manifests"][0]["annotations"] == {
        "io.containerd.image.name": NAME,
        "org.opencontainers.image.ref.name": NAME,
    }


def test_the_digest_returned_is_that_of_the_manifest(tmp_path: Path) -> None:
    layer = pack(make_tree(tmp_path / "tree", ORDER), tmp_path / "layer", "a tree")
    digest = write_layout(tmp_path / "image.tar", NAME, [layer], "amd64", {})
    index = json.loads(read(tmp_path / "image.tar")["index.json"])
    assert index["manifests"][0]["digest"] == digest


def test_a_layer_keeps_files_commands_links_and_the_shared_directory(tmp_path: Path) -> None:
    pack(make_tree(tmp_path / "tree", ORDER), tmp_path / "layer", "a tree")
    found = members((tmp_path / "layer").read_bytes())
    modes = {name: member.mode for name, member in found.items()}
    assert list(found) == ["bin", "bin/pbx", "etc", "etc/link", "etc/motd", "tmp"]
    assert modes["bin/pbx"] == modes["bin"] == 0o755
    assert modes["etc/motd"] == 0o644
    assert modes["tmp"] == 0o1777
    assert found["etc/link"].linkname == "/bin/pbx"
    assert {(member.uid, member.gid, member.uname, member.mtime) for member in found.values()} == {(0, 0, "", 0)}


def test_order_times_and_umask_do_not_change_the_archive(tmp_path: Path) -> None:
    first = build(tmp_path / "first")
    before = os.umask(0o077)
    try:
        (tmp_path / "second").mkdir()
        second = build(tmp_path / "second", ["shared", *reversed(ORDER[:3])])
    finally:
        os.umask(before)
    os.utime(second, (1, 1))
    assert first.read_bytes() == second.read_bytes()


def test_another_content_gives_another_digest(tmp_path: Path) -> None:
    def packed(name: str, text: str) -> Layer:
        tree = tmp_path / name
        tree.mkdir()
        (tree / "file").write_text(text, encoding="utf-8")
        return pack(tree, tmp_path / f"{name}.tar.gz", "a tree")

    one, other = packed("one", "a"), packed("other", "b")
    assert one.digest != other.digest
    assert one.diff_id != other.diff_id
    assert one.unpacked == other.unpacked == 1


def test_what_is_neither_file_nor_directory_nor_link_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
        with pytest.raises(ValueError, match="socket is neither a file nor a directory"):
            pack(tree, tmp_path / "layer", "a tree")
