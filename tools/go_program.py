"""Programs that the tests need and that are written in Go: built once for each set of pinned versions.

Each has a folder in `tools` with its `go.mod` and `go.sum`.  What is built goes beside the control plane's programs,
`$XDG_CACHE_HOME/pbx-operator`, since a build takes minutes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLS = Path(__file__).resolve().parent


class BuildError(Exception):
    """A program cannot be built; the text says why and what to do."""


def go_program(folder: str, package: str, *flags: str) -> Path:
    """Return the program of a Go package, by the versions that `tools/<folder>` pins; build it if that was never done.

    Raises BuildError if there is no Go, or the build fails.
    """
    module = TOOLS / folder
    sources = [module / "go.mod", module / "go.sum", *sorted(module.glob("*.go"))]
    pinned = b"".join(file.read_bytes() for file in sources)
    digest = hashlib.sha256(pinned + " ".join((package, *flags)).encode()).hexdigest()[:16]
    target = _cache() / f"{folder}-{digest}"
    program = target / package.rpartition("/")[2]
    if not program.is_file():
        target.mkdir(parents=True, exist_ok=True)
        with _exclusive(target / "lock"):
            if not program.is_file():
                _build(module, package, flags, program)
    return program


def _cache() -> Path:
    """Return the folder for what is built; an unset, empty or relative XDG_CACHE_HOME means the default."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (configured if configured.is_absolute() else Path.home() / ".cache") / "pbx-operator"


@contextmanager
def _exclusive(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(module: Path, package: str, flags: tuple[str, ...], program: Path) -> None:
    """Build into a folder of its own, and move the program into place at once."""
    go = shutil.which("go")
    if go is None:
        raise BuildError(f"{program.name} has to be built once, but there is no go on PATH: install Go")
    print(f"building {program.name} with {go}: some minutes, once", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as partial:
        done = subprocess.run(
            [go, "build", "-trimpath", "-ldflags=-s -w", *flags, "-o", f"{partial}/", package],
            cwd=module,
            env={**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BuildError(f"building {program.name} failed; go build said:\n{done.stderr}")
        (Path(partial) / program.name).replace(program)
