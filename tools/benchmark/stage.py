"""What is measured, as processes: a fresh control plane, and the operator under its own RBAC user as in production."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp

from benchmark.figures import metric_sum
from benchmark.topology import NAMESPACE
from pbx_operator.api.meta import API_VERSION
from pbx_operator.api.v1alpha1 import KINDS
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.components import ComponentName
from pbx_operator.sandbox.ports import unused_port

ROOT = Path(__file__).resolve().parents[2]
USER = "pbx-operator"
STOP_SECONDS = 40.0
SETTLE_SECONDS = 300.0
POLL_SECONDS = 0.02
_PROGRESS = ("controller_runtime_reconcile_total", "controller_runtime_active_workers", "workqueue_depth")
"""What is asked again and again: to count all objects each time would cost the operator more than its work."""
_TICKS = os.sysconf("SC_CLK_TCK")
SERVERS: tuple[ComponentName, ...] = ("etcd", "kube-apiserver", "kube-controller-manager")


@contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """Start a control plane that serves our kinds, with the operator's rights and a namespace for the objects."""
    with ControlPlane.start() as plane:
        kubectl(plane, "apply", "--server-side", "-f", str(ROOT / "crds"))
        kubectl(plane, "wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
        for manifests in ("rbac.yaml", "users.yaml"):
            kubectl(plane, "apply", "-f", str(ROOT / "examples" / "install" / manifests))
        kubectl(plane, "create", "namespace", NAMESPACE)
        # It looks for new kinds every 30 s only; started anew it knows ours at once.
        plane.stop_component("kube-controller-manager")
        plane.start_component("kube-controller-manager")
        _wait_until_served(plane)
        yield plane


def kubectl(plane: ControlPlane, *arguments: str) -> None:
    """Run kubectl as an administrator. Raises CalledProcessError."""
    command = [str(plane.kubectl), *arguments]
    subprocess.run(command, env=plane.environment(), check=True, stdout=subprocess.DEVNULL, timeout=60)


def _wait_until_served(plane: ControlPlane) -> None:
    """Wait until every kind can be listed; for a moment after its CRD is there the API server says 404 or 429."""
    deadline = time.monotonic() + SETTLE_SECONDS
    for kind in KINDS:
        path = f"/apis/{API_VERSION}/{kind.resource.plural}"
        while True:
            try:
                kubectl(plane, "get", "--raw", path)
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > deadline:
                    raise


def plane_cpu(plane: ControlPlane) -> float:
    """Return the CPU seconds that the servers of the control plane have used."""
    return sum(cpu_seconds(pid) for name in SERVERS if (pid := plane.pid(name)) is not None)


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


class Operator:
    """A running operator."""

    def __init__(
        self, process: asyncio.subprocess.Process, log: Path, ports: tuple[int, int], session: aiohttp.ClientSession
    ) -> None:
        """`ports` are those of metrics and of health."""
        self.started = time.perf_counter()
        self._process = process
        self._log = log
        metrics, health = ports
        self._metrics = f"http://127.0.0.1:{metrics}/metrics"
        self._readiness = f"http://127.0.0.1:{health}/readyz"
        self._session = session
        self._may_end = False

    @classmethod
    @asynccontextmanager
    async def start(cls, plane: ControlPlane, *options: str) -> AsyncIterator[Operator]:
        """Start the operator; at the end let it end in order."""
        log, ports = plane.data_dir / "operator.log", (unused_port(), unused_port())
        command = [sys.executable, "-m", "pbx_operator", "--kubeconfig", str(plane.kubeconfig_for(USER))]
        command += ["--metrics-port", str(ports[0]), "--health-port", str(ports[1]), *options]
        async with aiohttp.ClientSession() as session:
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
            operator = cls(process, log, ports, session)
            try:
                yield operator
                operator._check()
            finally:
                await _end(process)

    @property
    def cpu(self) -> float:
        """CPU seconds used so far."""
        return cpu_seconds(self._process.pid)

    @property
    def peak_memory(self) -> int:
        """The largest resident set so far, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024

    async def settled(self, keys: int) -> float:
        """Wait until at least so many keys were worked on and none waits or is in work; return when that was seen.

        Raises TimeoutError.
        """

        async def done() -> bool:
            metrics = await self.metrics(*_PROGRESS)
            worked, at_work, waiting = (metric_sum(metrics, name) for name in _PROGRESS)
            return bool(metrics) and worked >= keys and at_work == 0 and waiting == 0

        await self._until(done)
        return time.perf_counter()

    async def metrics(self, *names: str) -> str:
        """Return what the operator serves at /metrics, of these names or all; nothing while it starts."""
        try:
            async with self._session.get(self._metrics, params=[("name[]", name) for name in names]) as response:
                return await response.text()
        except aiohttp.ClientConnectionError:
            return ""

    async def ready(self) -> None:
        """Wait until it works, or stands by while another one works. Raises TimeoutError."""
        await self._until(self._is_ready)

    async def end(self) -> None:
        """Let it end in order."""
        self._may_end = True
        await _end(self._process)

    async def kill(self) -> None:
        """End it at once."""
        self._may_end = True
        self._process.kill()
        await self._process.wait()

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(self._readiness) as response:
                return response.ok
        except aiohttp.ClientConnectionError:
            return False

    async def _until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something holds of a running operator. Raises TimeoutError, and RuntimeError if it has ended."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while not await holds():
                self._check()
                await asyncio.sleep(POLL_SECONDS)

    def _check(self) -> None:
        if self._process.returncode is not None and not self._may_end:
            end = self._log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"the operator ended with {self._process.returncode}:\n{end}")


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
