"""What a run was made on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from benchmark.client import Client
from benchmark.stage import control_plane
from pbx_operator.sandbox.binaries import find_binaries

Facts = dict[str, str]
"""Names and values, in the order in which they are shown."""


async def describe_machine() -> Facts:
    """Return the facts about hardware and software that the figures depend on."""
    return {
        "CPU": _first("/proc/cpuinfo", "model name"),
        "Cores": str(os.cpu_count()),
        "Memory": f"{int(_first('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "Kernel": platform.release(),
        "Python": platform.python_version(),
        "Kubernetes": await _kubernetes(),
        "etcd": _etcd(),
        "kopf, aiohttp, pydantic": ", ".join(version(name) for name in ("kopf", "aiohttp", "pydantic")),
        "Load before the run": f"{os.getloadavg()[0]:.1f} (1 minute; a quiet machine has about 0)",
    }


def _first(file: str, name: str) -> str:
    """Return the value of the first `name: value` line of a file of /proc."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")


async def _kubernetes() -> str:
    with control_plane() as plane:
        async with Client.connect(plane.kubeconfig) as client:
            return str(json.loads(await client.text("/version"))["gitVersion"])


def _etcd() -> str:
    command = [str(find_binaries().etcd), "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text.splitlines()[0].rpartition(" ")[2]
