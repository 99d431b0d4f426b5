"""Writes directories as an OCI image layout in one tar file: what registries' and containers' tools load.

Specification: OCI Image Format 1.1, https://github.com/opencontainers/image-spec.  The same directories always
give the same bytes: owners, times, umask and the order of the file system do not get in.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_COMPRESSION = 6


@dataclass(frozen=True)
class Layer:
    """One packed directory.

    `digest` is that of the compressed file, `diff_id` that of the tar in it, `unpacked` the sum of its files' sizes
    in bytes; `origin` tells people where it comes from.
    """

    file: Path
    digest: str
    diff_id: str
    unpacked: int
    origin: str

    @property
    def size(self) -> int:
        """The compressed size in bytes: what a node downloads."""
        return self.file.stat().st_size


def pack(tree: Path, file: Path, origin: str) -> Layer:
    """Pack everything in a directory as one layer."""
    unpacked = 0
    with file.open("wb") as output, _compressed(output) as compressed:
        content = _Hashing(compressed)
        with tarfile.open(fileobj=content, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in _walk(tree):
                entry = _entry(path, path.relative_to(tree).as_posix())
                unpacked += entry.size
                _add(tar, entry, path)
    return Layer(file, _digest_of(file), content.digest(), unpacked, origin)


def write_layout(
    file: Path, reference: str, layers: Sequence[Layer], architecture: str, process: Mapping[str, object]
) -> str:
    """Write the image and return the digest of its manifest, by which the image can be pinned.

    `reference` is the name with a tag that tools give the image when they load it; `process` is the `config` of the
    image configuration.
    """
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": process,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": layer.origin} for layer in layers],
        }
    )
    described = [{"mediaType": _LAYER, "digest": layer.digest, "size": layer.size} for layer in layers]
    manifest = _json(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _describe(_CONFIG, config), "layers": described}
    )
    with tarfile.open(file, "w") as tar:
        _add_bytes(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _add_bytes(tar, "index.json", _index(manifest, reference))
        for content in (manifest, config):
            _add_bytes(tar, _blob_path(_digest(content)), content)
        for layer in layers:
            entry = tarfile.TarInfo(_blob_path(layer.digest))
            entry.size = layer.size
            with layer.file.open("rb") as blob:
                tar.addfile(entry, blob)
    return _digest(manifest)


def _compressed(output: IO[bytes]) -> gzip.GzipFile:
    return gzip.GzipFile(filename="", mode="wb", fileobj=output, compresslevel=_COMPRESSION, mtime=0)


class _Hashing(io.RawIOBase):
    """Passes on what is written, and knows its digest."""

    def __init__(self, target: gzip.GzipFile) -> None:
        self._target = target
        self._hash = hashlib.sha256()

    def write(self, data: Any) -> int:
        self._hash.update(data)
        return self._target.write(data)

    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _walk(tree: Path) -> Iterator[Path]:
    """Yield everything below a directory: a directory before its content, names in the order of their bytes."""
    for path in sorted(tree.iterdir(), key=lambda path: os.fsencode(path.name)):
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def _entry(path: Path, name: str) -> tarfile.TarInfo:
    """Describe a file, a directory or a symbolic link; all belong to root, so no process can change them."""
    entry = tarfile.TarInfo(name)
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
    elif stat.S_ISDIR(found.st_mode):
        entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if found.st_mode & stat.S_ISVTX else 0o755
    elif stat.S_ISREG(found.st_mode):
        entry.size, entry.mode = found.st_size, 0o755 if found.st_mode & stat.S_IXUSR else 0o644
    else:
        raise ValueError(f"{path} is neither a file nor a directory nor a symbolic link: leave it out of the image")
    return entry


def _add(tar: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    if entry.isreg():
        with path.open("rb") as content:
            tar.addfile(entry, content)
    else:
        tar.addfile(entry)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _index(manifest: bytes, reference: str) -> bytes:
    """Name the image twice, since containerd and Docker look for different annotations."""
    annotations = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference}
    entry = {**_describe(_MANIFEST, manifest), "annotations": annotations}
    return _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]})


def _describe(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _digest_of(file: Path) -> str:
    with file.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"
