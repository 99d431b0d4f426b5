"""What links to other clusters cost while nothing changes: it should grow with the peers, not with the links.

One operator redeems keys of several installations.  Each of these is an exchange server of its own, and all keep their
records in a second control plane: an exchange server looks at nothing else.  Their Interlinks do not exist, so nobody
offers numbers; what is said meanwhile is the same.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from benchmark.client import Client
from benchmark.figures import api_calls, metric_sum, writes
from benchmark.observer import established
from benchmark.stage import STOP_SECONDS, Operator, control_plane, kubectl
from benchmark.topology import NAMESPACE, Pair, redeemer_manifest
from benchmark.world import World, each
from pbx_operator.api.meta import SECRETS
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    InterlinkIdentity,
    Issuer,
    LinkRecordSpec,
    NamespacedName,
    record_manifest,
    record_name,
)
from pbx_operator.cluster import Cluster
from pbx_operator.domain.accounts.status import COUNTER_PERIOD
from pbx_operator.domain.protocol.keys import SECRET_ENTRY, SEED_BYTES, Bundle, IssuerAddress, SigningKey, key_id
from pbx_operator.engine.identity import Identity, load_identity
from pbx_operator.exchange.beside import ExchangeSettings, contact_of, prepare_certificate
from pbx_operator.sandbox import ControlPlane
from pbx_operator.sandbox.ports import unused_port

SIZES = ((100, 10), (1000, 10), (1000, 2))
"""Links, and the peers that they lead to."""
INTERVAL = 5
"""Seconds between two syncs with a peer; by default it is a minute."""
WINDOW = 60
"""Seconds for which nothing changes, and all that happens is counted."""
OPTIONS = ("--allow-network", "127.0.0.0/8", "--allow-network", "::1/128", "--sync-interval", str(INTERVAL))
REDEEMING = 8
"""Interlinks that are created at a time."""
HUB = "hub"

_now = partial(datetime.now, UTC)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Quiet:
    """A while in which nothing changes."""

    links: int
    peers: int
    requests: int
    """Requests to other installations."""
    writes: int
    """Writes in both clusters."""
    operator_cpu: float
    """CPU seconds of the operator."""

    @property
    def expected(self) -> int:
        """One request to each peer in each interval."""
        return self.peers * WINDOW // INTERVAL


@dataclass(frozen=True, slots=True)
class _Peer:
    """Another installation."""

    namespace: str
    identity: Identity
    contact: Contact


async def quiet(links: int, peers: int) -> Quiet:
    """Link one account with so many others of so many installations; then count while nothing changes."""
    _log.info("%d links to %d installations", links, peers)
    with control_plane() as here, control_plane() as there:
        async with (
            _installations(there, peers) as installations,
            World.open(here) as world,
            Client.connect(there.kubeconfig) as theirs,
            Operator.start(here, *OPTIONS) as operator,
        ):
            await world.add_account(0, HUB, 1)

            async def link(number: int) -> None:
                peer, pair = installations[number % peers], Pair(f"office-{number}", HUB)
                await _redeem(world.client, pair, await _issue(theirs, peer, pair.issuer))
                await world.interlinks.until(pair.redeeming, established, "established")

            await each(range(links), link, REDEEMING)
            await operator.settled(links)
            return await _count(world, theirs, operator, links, peers)


async def _count(world: World, theirs: Client, operator: Operator, links: int, peers: int) -> Quiet:
    async def counts() -> tuple[int, int, float]:
        written = sum([await _written(client) for client in (world.client, theirs)])
        asked = metric_sum(await operator.metrics(), "pbx_operator_peer_requests_total")
        return int(asked), written, operator.cpu

    await asyncio.sleep(COUNTER_PERIOD.total_seconds() + INTERVAL)  # until all that was put off was done
    before = await counts()
    await asyncio.sleep(WINDOW)
    asked, written, cpu = (after - earlier for after, earlier in zip(await counts(), before, strict=True))
    return Quiet(links, peers, int(asked), int(written), cpu)


async def _written(client: Client) -> int:
    return writes(api_calls(await client.text("/metrics")))


@asynccontextmanager
async def _installations(plane: ControlPlane, count: int) -> AsyncIterator[list[_Peer]]:
    """Start so many exchange servers, each with an identity in a namespace of its own."""
    processes: list[subprocess.Popen[bytes]] = []
    async with Cluster.connect(str(plane.kubeconfig)) as cluster:
        try:
            peers = []
            for number in range(count):
                namespace, port = f"installation-{number}", unused_port()
                kubectl(plane, "create", "namespace", namespace)
                settings = ExchangeSettings((f"https://localhost:{port}",), port)
                identity = await load_identity(cluster, namespace, frozenset())
                contact = contact_of(settings, await prepare_certificate(cluster, namespace, settings, _now))
                processes.append(_exchange(plane, namespace, settings))
                peers.append(_Peer(namespace, identity, contact))
            yield peers
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(STOP_SECONDS)


def _exchange(plane: ControlPlane, namespace: str, settings: ExchangeSettings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pbx_operator", "exchange", "--kubeconfig", str(plane.kubeconfig)]
    command += ["--namespace", namespace, "--endpoint", settings.endpoints[0], "--port", str(settings.port)]
    with (plane.data_dir / f"{namespace}.log").open("wb") as output:
        return subprocess.Popen(
            [*command, "--metrics-port", str(unused_port())], env=dict(os.environ), stdout=output, stderr=output
        )


async def _issue(client: Client, peer: _Peer, account: str) -> str:
    """Let an installation know of a new key, and return its text."""
    key = SigningKey(secrets.token_bytes(SEED_BYTES))
    owner = NamespacedName(namespace=peer.namespace, name=account)
    interlink = InterlinkIdentity(namespace=peer.namespace, name=account, uid=f"uid-of-{account}")
    identity = peer.identity
    spec = LinkRecordSpec(
        instance=identity.instance,
        key_id=key_id(key.public),
        key_public=key.public,
        revision=1,
        issued_time=_now().replace(microsecond=0),
        issuer=Issuer(instance=identity.instance, public_key=identity.public_key, account=owner, interlink=interlink),
    )
    await client.create(LinkRecord.resource, record_manifest(record_name(spec.key_id), spec))
    address = IssuerAddress(public_key=identity.public_key, account=owner, interlink=interlink, contact=peer.contact)
    return Bundle(key, identity.instance, account, issuer=address).text()


async def _redeem(client: Client, pair: Pair, text: str) -> None:
    """Enter a key."""
    data = {SECRET_ENTRY: base64.b64encode(text.encode()).decode()}
    metadata: dict[str, Any] = {"namespace": NAMESPACE, "name": f"{pair.issuing}-key"}
    await client.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
    await client.create(Interlink.resource, redeemer_manifest(pair))
