"""Which sandboxes run on this machine: one lock file for each, held by its supervisor as long as it lives.

A lock cannot be mistaken the way a recorded process id can: the kernel releases it however its holder ends.
The lock file names the data directory, where `sandbox.json` describes the sandbox; so whoever finds a lock that
nobody holds knows what a killed supervisor left behind, and removes it.
"""

import fcntl
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from pbx_operator.sandbox.components import ComponentName
from pbx_operator.sandbox.errors import SandboxError

_STATE_FILE = "sandbox.json"
_LOCK_SUFFIX = ".lock"
_POLL = 0.05
_CLAIM_PATIENCE = 1.0
"""Seconds: somebody who looks for leftovers holds a lock for a moment."""


class ComponentState(BaseModel):
    """One server of a sandbox: its process id while it runs, and its port."""

    model_config = ConfigDict(frozen=True)

    pid: int | None
    port: int


class SandboxState(BaseModel):
    """What a supervisor tells about its sandbox; kept in the data directory."""

    model_config = ConfigDict(frozen=True)

    name: str
    supervisor_pid: int
    data_dir: Path
    url: str
    kubeconfig: Path
    kubectl: Path
    components: dict[ComponentName, ComponentState]

    def write(self) -> None:
        """Replace the description in the data directory; readers never see half of one."""
        temporary = self.data_dir / f"{_STATE_FILE}.tmp"
        temporary.write_text(self.model_dump_json(indent=2))
        temporary.replace(self.data_dir / _STATE_FILE)


class Claim:
    """The sole right to a sandbox name.  A holder that ends without `release` leaves it to be pruned."""

    def __init__(self, lock: Path, descriptor: int) -> None:
        self._lock = lock
        self._descriptor = descriptor

    def make_directory(self, data_dir: Path) -> None:
        """Make the data directory, which goes when the name is released.

        Raises:
            SandboxError: it exists, or there is no place for it.

        """
        try:
            data_dir.mkdir(mode=0o700)
        except FileExistsError as error:
            raise SandboxError(f"data directory {data_dir} exists: remove it or choose another") from error
        except OSError as error:
            place = f"data directory {data_dir} cannot be made ({error.strerror})"
            raise SandboxError(f"{place}: choose a place that exists and is yours") from error
        os.pwrite(self._descriptor, os.fsencode(data_dir), 0)
        (data_dir / _STATE_FILE).touch()

    def clear(self) -> None:
        """Remove the recorded directory, if it is still one of a sandbox."""
        data_dir = _recorded(self._lock)
        if data_dir is not None and (data_dir / _STATE_FILE).exists():
            shutil.rmtree(data_dir)
        os.ftruncate(self._descriptor, 0)

    def release(self) -> None:
        """Remove the recorded directory and give the name back."""
        self.clear()
        self._lock.unlink()
        os.close(self._descriptor)


def root() -> Path:
    """Return this user's directory of sandboxes, made if absent.

    Raises:
        SandboxError: it is not a directory of this user.

    """
    path = Path(tempfile.gettempdir()) / f"pbx-sandbox-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise SandboxError(f"{path} is not a directory of yours: let TMPDIR name one")
    return path


def claim(name: str) -> Claim:
    """Take a name, and remove what a killed supervisor of that name left behind.

    Raises:
        SandboxError: the name is not valid, or a sandbox of that name runs.

    """
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", name):
        raise SandboxError(f"name {name!r}: use at most 40 lower case letters, digits and inner hyphens")
    lock = root() / f"{name}{_LOCK_SUFFIX}"
    deadline = time.monotonic() + _CLAIM_PATIENCE
    while (descriptor := _try_lock(lock, os.O_CREAT)) is None:
        if time.monotonic() > deadline:
            raise SandboxError(_taken(name, _read_state(lock)))
        time.sleep(_POLL)
    taken = Claim(lock, descriptor)
    taken.clear()
    return taken


def _taken(name: str, state: SandboxState | None) -> str:
    """Say how to use, to see and to end the sandbox that has the name; it may be starting, and then has no state."""
    command = f"{sys.executable} -m pbx_operator.sandbox"
    steps = {
        "to use it": f"export KUBECONFIG={state.kubeconfig}" if state else "",
        "to see it": f"{command} status",
        "to end it": f"{command} down --name {name}",
        "to start another one": f"{command} up --name ANOTHER",
    }
    lines = [f"  {purpose}: {step}" for purpose, step in steps.items() if step]
    return "\n".join([f"a sandbox named {name!r} is already running", *lines])


def running() -> list[SandboxState]:
    """Return the running sandboxes by name, and remove what killed ones left behind."""
    held = (lock for lock in sorted(root().glob(f"*{_LOCK_SUFFIX}")) if _held(lock))
    return [state for lock in held if (state := _read_state(lock)) is not None]


def wait_until_gone(name: str, timeout: float) -> bool:
    """Wait until no sandbox of this name runs, then remove what is left of it; False after `timeout` seconds."""
    lock = root() / f"{name}{_LOCK_SUFFIX}"
    deadline = time.monotonic() + timeout
    while _held(lock):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _held(lock: Path) -> bool:
    """Tell whether a supervisor holds the lock; if not, remove what it left behind."""
    try:
        descriptor = _try_lock(lock, 0)
    except FileNotFoundError:
        return False
    if descriptor is None:
        return True
    Claim(lock, descriptor).release()
    return False


def _try_lock(lock: Path, flags: int) -> int | None:
    """Return a descriptor that holds the lock, or None if another process holds it."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if lock.exists() and os.path.samestat(os.fstat(descriptor), lock.stat()):
            return descriptor
        os.close(descriptor)  # its holder removed the file between our open and our lock


def _recorded(lock: Path) -> Path | None:
    """Return the data directory that a lock file names."""
    content = lock.read_bytes()
    return Path(os.fsdecode(content)) if content else None


def _read_state(lock: Path) -> SandboxState | None:
    try:
        data_dir = _recorded(lock)
        content = (data_dir / _STATE_FILE).read_bytes() if data_dir else b""
    except FileNotFoundError:  # it is just being made or removed
        return None
    return SandboxState.model_validate_json(content) if content else None
