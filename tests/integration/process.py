"""The operator and exchange servers as processes: started, asked, killed."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp

from pbx_operator.network.addresses import NetworkRules
from pbx_operator.sandbox.ports import unused_port
from support import ROOT

DEADLINE = 30.0
"""Seconds after which an operator that does not start, answer or end fails the test."""
POLL = 0.02
HOST = "127.0.0.1"
LOOPBACK = NetworkRules(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
"""Lets a client dial what listens here."""
LAUNCHER = Path(__file__).with_name("launcher.py")


class OperatorProcess:
    """One process; its log goes to a file of its own."""

    def __init__(self, kubeconfig: Path, log: Path, *arguments: str, periods: dict[str, float] | None = None) -> None:
        """Start it; with `periods` (see `launcher`) it waits for `go` after it has loaded its code."""
        self.log = log
        self._health, self._metrics = unused_port(), unused_port()
        options = ("--kubeconfig", kubeconfig, "--health-port", self._health, "--metrics-port", self._metrics)
        self._process = _start(log, *options, *arguments, periods=periods)

    def go(self) -> None:
        """Let a process that was started with `periods` become the operator."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")

    def kill(self) -> None:
        """End it as a crash of its node would."""
        self._process.kill()

    def freeze(self) -> None:
        """Stop it in the middle of what it does, as a host without CPU would, until `thaw`."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to end in order."""
        self._process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end and return its exit status."""
        status = await asyncio.to_thread(self._process.wait, DEADLINE)
        if self._process.stdin is not None:
            self._process.stdin.close()
        return status

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def logs(self) -> str:
        """Return everything that it said."""
        return self.log.read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        """Return its log lines; each must be a JSON object."""
        return [json.loads(line) for line in self.logs().splitlines()]

    async def says(self, *words: str) -> dict[str, Any]:
        """Wait for a log line whose message holds all these words, and return it."""
        async with asyncio.timeout(DEADLINE):
            while True:
                complete = self.logs().rpartition("\n")[0].splitlines()
                for line in map(json.loads, complete):
                    if all(word in line["msg"] for word in words):
                        return dict(line)
                await asyncio.sleep(POLL)

    def url(self, path: str) -> str:
        """Return the server of /healthz and /readyz, or that of /metrics."""
        return f"http://{HOST}:{self._metrics if path == '/metrics' else self._health}"

    async def answers(self, path: str) -> tuple[int, str]:
        """Return status and text of /healthz, /readyz or /metrics, as soon as it listens there."""
        async with asyncio.timeout(DEADLINE), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(f"{self.url(path)}{path}") as answer:
                        return answer.status, await answer.text()
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(POLL)

    async def idle(self) -> None:
        """Wait until no key waits for a worker or is in work."""
        async with asyncio.timeout(DEADLINE):
            while True:
                _, text = await self.answers("/metrics")
                counts = re.findall(r"^(?:workqueue_depth|controller_runtime_active_workers)\S* (\S+)$", text, re.M)
                if counts and not any(float(count) for count in counts):
                    return
                await asyncio.sleep(POLL)


@asynccontextmanager
async def exchange_server(
    kubeconfig: Path, log: Path, port: int, *endpoints: int, periods: dict[str, float] | None = None
) -> AsyncIterator[None]:
    """Run an exchange server of its own, which others reach at the ports `endpoints`; it must end in order."""
    reached = [part for endpoint in endpoints for part in ("--endpoint", f"https://localhost:{endpoint}")]
    options = ("--kubeconfig", kubeconfig, "--port", port, "--metrics-port", unused_port())
    process = _start(log, "exchange", *options, *reached, periods=periods)
    assert process.stdin is not None
    process.stdin.close()
    try:
        yield
        process.terminate()
        assert await asyncio.to_thread(process.wait, DEADLINE) == 0
    finally:
        process.kill()
        process.wait()


def _start(log: Path, *arguments: object, periods: dict[str, float] | None) -> subprocess.Popen[bytes]:
    program = ["-m", "pbx_operator"] if periods is None else [str(LAUNCHER), json.dumps(periods)]
    environment = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            bufsize=0,
        )
