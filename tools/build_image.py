"""Build the container image without a container engine: `make image`.

Writes an OCI layout as a tar file, which `ctr images import`, `skopeo copy oci-archive:` and `docker load` take.
With --trees it only makes the layers as directories, which is what the Dockerfile does.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from image.base import build_base, interpreter, this_machine
from image.errors import failure_as_exit_code
from image.facts import ROOT, process_settings, reference
from image.oci import Layer, pack, write_layout
from image.python_code import build_application, build_dependencies, compile_all

LAYERS = {
    "base": "Python and its libraries, from Debian's packages",
    "dependencies": "requirements/runtime.txt",
    "application": "pbx-operator",
}


def build_trees(folder: Path) -> None:
    """Make the layers as directories `base`, `dependencies` and `application`, each anew."""
    for name in LAYERS:
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    base = folder / "base"
    build_base(base)
    python = interpreter(base)
    compile_all(next(base.glob("usr/lib/python3.*")), python)
    build_dependencies(folder / "dependencies", python)
    build_application(folder / "application", python)


def build_archive(output: Path) -> None:
    """Build the image into a tar file and print its name, digest and sizes."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as scratch:
        folder = Path(scratch)
        build_trees(folder)
        layers = [pack(folder / name, folder / f"{name}.tar.gz", origin) for name, origin in LAYERS.items()]
        partial = folder / output.name
        digest = write_layout(partial, reference(), layers, this_machine().debian, process_settings())
        partial.replace(output)
        _report(layers, digest, output)


def _report(layers: list[Layer], digest: str, output: Path) -> None:
    print(f"name    {reference()}\ndigest  {digest}\nfile    {output}")
    for layer in layers:
        print(f"        {_megabytes(layer.size)} ({_megabytes(layer.unpacked)} unpacked)  {layer.origin}")
    total, unpacked = sum(layer.size for layer in layers), sum(layer.unpacked for layer in layers)
    print(f"size    {_megabytes(total)} ({_megabytes(unpacked)} unpacked)")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:6.1f} MB"


def main() -> None:
    """Build what the command line says."""
    parser = argparse.ArgumentParser(description="Build the container image without a container engine.")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--output", type=Path, default=ROOT / "build" / "pbx-operator.tar", help="the archive to write")
    kind.add_argument("--trees", type=Path, help="make the layers as directories in this one, and no archive")
    arguments = parser.parse_args()
    with failure_as_exit_code():
        if arguments.trees:
            build_trees(arguments.trees)
        else:
            build_archive(arguments.output)


if __name__ == "__main__":
    main()
