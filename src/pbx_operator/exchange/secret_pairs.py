"""Where the certificate that the exchange made is kept: a Secret beside the identity, for all replicas."""

from __future__ import annotations

import base64
from typing import Any

from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.cluster import AlreadyExists, Cluster, Conflict, Gone
from pbx_operator.exchange.certificates import CERTIFICATE_FILE, KEY_FILE, KeyPair

CERTIFICATE_SECRET = "pbx-operator-exchange-tls"


class SecretPairs:
    """Implements `certificates.PairStore` on a Secret of type kubernetes.io/tls."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._name = ObjectKey(namespace, CERTIFICATE_SECRET)

    async def load(self) -> KeyPair | None:
        """Return what is stored, if anything is. Raises ApiError."""
        try:
            return _pair(await self._cluster.get(SECRETS, self._name))
        except Gone:
            return None

    async def store(self, new: KeyPair, replaces: KeyPair | None) -> KeyPair:
        """Put `new` in the place of `replaces`, and return what is stored then. Raises ApiError."""
        try:
            if replaces is None:
                await self._cluster.create(SECRETS, self._body(new))
                return new
            secret = await self._cluster.get(SECRETS, self._name)
            if _pair(secret) != replaces:
                return _pair(secret)
            await self._cluster.put(SECRETS, {**secret, "data": _data(new)})
        except (AlreadyExists, Conflict):
            return _pair(await self._cluster.get(SECRETS, self._name))
        return new

    def _body(self, pair: KeyPair) -> dict[str, Any]:
        metadata = {"name": self._name.name, "namespace": self._name.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": "kubernetes.io/tls",
            "data": _data(pair),
        }


def _pair(secret: dict[str, Any]) -> KeyPair:
    """Return the pair in a Secret; one that lacks a part cannot be parsed, and its user says so."""
    data = secret.get("data") or {}
    return KeyPair(*(base64.b64decode(data.get(name, "")) for name in (CERTIFICATE_FILE, KEY_FILE)))


def _data(pair: KeyPair) -> dict[str, str]:
    parts = {CERTIFICATE_FILE: pair.certificate, KEY_FILE: pair.key}
    return {name: base64.b64encode(part).decode() for name, part in parts.items()}
