"""Boxes: the program `pbx-operator device`, started by the commands of docs/boxes.md.

What a box must be told is in files of one folder, and so is the key that it makes for itself.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from three_offices.stage import NotAsExpectedError, eventually
from three_offices.telling import Terminal

REFUSED = "2"
"""The exit code of a box that a person must help."""
START = """\
pbx-operator device --endpoint "$(cat {folder}/endpoint)" --pin "$(cat {folder}/pin)" \\
    --instance "$(cat {folder}/instance)" --equipment-id "$(cat {folder}/equipmentID)" \\
    --activation-code-file {folder}/activationCode --state {folder}/{key} \\
    --channel sip=127.0.0.1:$LINE --interval 1"""
_GRACE_SECONDS = 10.0


class Box:
    """One box; `folder` is the shell's variable that names its folder, `key` the file that it keeps its key in."""

    def __init__(self, terminal: Terminal, folder: str, path: Path, key: str) -> None:
        self._terminal = terminal
        self._folder, self._path = folder, str(path)
        self._command = START.format(folder=folder, key=key)
        self._log = path / f"{key}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Connect it."""
        self._process = self._terminal.start(self._command, self._log)

    def refused(self) -> str:
        """Wait until it has ended since a person must help, and return what it says. Raises NotAsExpectedError."""
        eventually("the box ends", {"exit code": REFUSED}, lambda: {"exit code": self._exit_code()})
        last = self._log.read_text().splitlines()[-1]
        if not last.startswith("{"):
            raise NotAsExpectedError("the last words of the box", "a line of its log", last)
        message: str = json.loads(last)["msg"]
        return message.replace(self._path, self._folder)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _exit_code(self) -> str:
        code = self._process.poll() if self._process is not None else None
        return "none, it runs" if code is None else str(code)
