"""Boxes as processes: `pbx-operator device`, with what it needs in files of its own, and the line that it watches."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from integration.process import DEADLINE, HOST, LAUNCHER
from pbx_operator.sandbox.ports import unused_port
from support import ROOT


class Line:
    """A line of the box: accepts connections, or does not."""

    def __init__(self) -> None:
        self.port = unused_port()
        self._server: asyncio.Server | None = None

    async def up(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, self.port)

    async def down(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None


class Box:
    """One box: its files outlive its processes."""

    def __init__(self, directory: Path, name: str, periods: Mapping[str, float]) -> None:
        self.state, self._code = directory / f"{name}.key", directory / f"{name}.code"
        self.log = directory / f"{name}.log"
        self._periods = periods
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, address: Mapping[str, str], code: str, line: Line | None = None) -> None:
        """Start a process with this code, at the exchange and under the name that an activation Secret tells."""
        self._code.write_text(code + "\n")
        options = {
            "--endpoint": address["endpoint"],
            "--pin": address["pin"],
            "--instance": address["instance"],
            "--equipment-id": address["equipmentID"],
            "--activation-code-file": self._code,
            "--state": self.state,
            "--interval": 0.1,
        }
        if line is not None:
            options["--channel"] = f"sip={HOST}:{line.port}"
        arguments = [str(part) for option in options.items() for part in option]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(LAUNCHER), json.dumps(dict(self._periods)), "device", *arguments],
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                bufsize=0,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.close()

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            await self.ended()

    async def terminate(self) -> int:
        """Ask it to end in order, and return its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await self.ended()

    async def ended(self) -> int:
        """Wait for its end and return its exit status."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, DEADLINE)

    def logs(self) -> str:
        """Return everything that it said."""
        return self.log.read_text(encoding="utf-8")
