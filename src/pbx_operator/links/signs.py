"""Signs of life: when an installation that cannot be dialled was heard last.

Whoever dials knows whether its peer answers.  Whoever is only dialled, by a peer behind NAT, hears it in an exchange,
which may be another process: that renews a Lease, one per installation, and the operator looks at it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pbx_operator.api.meta import LEASES, ObjectKey
from pbx_operator.cluster import AlreadyExists, ApiError, Cluster, Conflict, Gone

SYNC_PERIOD = timedelta(minutes=1)
"""The longest interval between two syncs that an installation may be given.

How long it takes really, up to a fifth more, is never said to the other side, so this has to hold for all.  A Lease is
renewed by every sync that comes half a period or more after the last renewal, and an installation is silent after
three: when that one sync was skipped, and the next was lost, the one after it still comes in time (30 + 72 + 72 s).
"""

_log = logging.getLogger(__name__)


class SignsOfLife:
    """Keeps the Leases of one installation's peers, in the operator's namespace."""

    def __init__(self, cluster: Cluster, namespace: str, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._clock = clock
        self._renewed: dict[str, datetime] = {}

    async def heard(self, peer: str) -> None:
        """Note that an installation which a link of ours leads to speaks; a note that is lost costs nothing."""
        now = self._clock()
        if now - self._renewed.get(peer, datetime.min.replace(tzinfo=UTC)) < SYNC_PERIOD / 2:
            return
        self._renewed[peer] = now
        try:
            await self._renew(peer, now)
        except (AlreadyExists, Conflict):
            return  # another exchange has just heard it, too
        except ApiError as error:
            _log.warning("that installation %s was heard could not be noted: %s", peer, error)

    async def is_silent(self, peer: str) -> bool | None:
        """Return whether the installation was not heard for three periods; None if it never was. Raises ApiError."""
        try:
            lease = await self._cluster.get(LEASES, self._name(peer))
        except Gone:
            return None
        return self._clock() - datetime.fromisoformat(lease["spec"]["renewTime"]) > 3 * SYNC_PERIOD

    async def _renew(self, peer: str, now: datetime) -> None:
        spec = {"holderIdentity": peer, "renewTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
        try:
            lease = await self._cluster.get(LEASES, self._name(peer))
        except Gone:
            await self._cluster.create(LEASES, self._body(peer, spec))
            return
        await self._cluster.put(LEASES, {**lease, "spec": spec})

    def _name(self, peer: str) -> ObjectKey:
        return ObjectKey(self._namespace, f"pbx-peer-{peer}")

    def _body(self, peer: str, spec: dict[str, Any]) -> dict[str, Any]:
        name = self._name(peer)
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": name.name, "namespace": name.namespace},
            "spec": spec,
        }
