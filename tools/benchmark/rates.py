"""How fast objects can be written: by plain aiohttp, and by the operator's own client.

Both write under the operator's user, as many at once as the operator has workers, turn and turn about.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry

from benchmark.client import Client
from benchmark.stage import USER, plane_cpu
from benchmark.world import each
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.cluster import Cluster
from pbx_operator.cluster.client import request_counter
from pbx_operator.domain.protocol.keys import base32
from pbx_operator.sandbox import ControlPlane

AT_ONCE = 16
RECORDS = 200
"""LinkRecords per round: each is created and then replaced."""
ROUNDS = 6
"""Rounds of each client; the first one of each warms up and is not counted."""

Write = Callable[[ResourceType, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one client wrote, and the CPU seconds of a write: of the client and of the control plane."""

    rate: float
    client_cpu: float
    plane_cpu: float


@dataclass(frozen=True, slots=True)
class Rates:
    """The rounds of both clients; the same index is the same moment."""

    plain: tuple[Pace, ...]
    cluster: tuple[Pace, ...]


async def measure_rates(plane: ControlPlane) -> Rates:
    """Write LinkRecords with either client in turn, and remove them."""
    plain, own = [], []
    keys, kubeconfig = _key_ids(), plane.kubeconfig_for(USER)
    async with (
        Client.connect(kubeconfig) as client,
        Cluster.connect(str(kubeconfig), requests=request_counter(CollectorRegistry())) as cluster,
    ):
        for _ in range(ROUNDS):
            batch = list(itertools.islice(keys, RECORDS))
            plain.append(await _round(plane, client.create, client.put, batch))
            await _remove(client, batch)
            batch = list(itertools.islice(keys, RECORDS))
            own.append(await _round(plane, cluster.create, cluster.put, batch))
            await _remove(client, batch)
    return Rates(tuple(plain[1:]), tuple(own[1:]))


async def _round(plane: ControlPlane, create: Write, put: Write, keys: list[str]) -> Pace:
    """Create and replace a record for each key."""

    async def work(key: str) -> None:
        record = await create(LinkRecord.resource, _record(key))
        record["spec"]["policy"]["accountReady"] = "False"
        await put(LinkRecord.resource, record)

    client_cpu, servers_cpu, begin = time.process_time(), plane_cpu(plane), time.perf_counter()
    await each(keys, work, AT_ONCE)
    seconds, writes = time.perf_counter() - begin, 2 * len(keys)
    return Pace(
        writes / seconds, (time.process_time() - client_cpu) / writes, (plane_cpu(plane) - servers_cpu) / writes
    )


async def _remove(client: Client, keys: list[str]) -> None:
    await each(keys, lambda key: client.delete(LinkRecord.resource, ObjectKey("", f"k-{key}")), AT_ONCE)


def _key_ids() -> Iterator[str]:
    return (base32(f"{number:010}".encode()) for number in itertools.count())


def _record(key_id: str) -> dict[str, Any]:
    """Return a record as the operator makes it when it issues a key."""
    instance, public = "a" * 26, "A" * 43
    return {
        "apiVersion": LinkRecord.resource.api_version,
        "kind": LinkRecord.resource.kind,
        "metadata": {"name": f"k-{key_id}"},
        "spec": {
            "instance": instance,
            "keyID": key_id,
            "keyPublic": public,
            "origin": "Generated",
            "revision": 1,
            "issuedTime": "2026-01-01T00:00:00Z",
            "issuer": {
                "instance": instance,
                "publicKey": public,
                "account": {"namespace": "bench", "name": "office-0000"},
                "interlink": {"namespace": "bench", "name": "office-0000-to-office-0001", "uid": key_id * 2},
            },
            "policy": {"accountReady": "True"},
            "state": "Issued",
        },
    }
