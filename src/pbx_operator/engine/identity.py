"""The installation's identity: an Ed25519 key and the cluster that it was made in.

The kube-system UID is kept beside the key, because a restored or cloned etcd carries the Secret into another
cluster.  There nothing may happen by itself until an administrator says that the original is gone.
"""

from __future__ import annotations

import base64
import logging
import secrets
from dataclasses import dataclass
from typing import Any

from pbx_operator.api.meta import GROUP, NAMESPACES, SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.cluster import AlreadyExists, ApiError, Cluster, Gone
from pbx_operator.domain.keys import SEED_BYTES, SigningKey, base64url, instance_id

IDENTITY_SECRET = "pbx-operator-identity"
IDENTITY_TYPE = f"{GROUP}/identity"
CONFIRM_ANNOTATION = f"{GROUP}/confirmed-cluster"
"""An administrator sets it on the identity Secret to the kube-system UID of the cluster that took over."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Identity:
    """Who this installation is; all parts share one object, so that what `Recovery` finds holds for all of them."""

    instance: str
    public_key: str
    key: SigningKey | None
    """None if there are records, but the Secret with their key is lost."""
    confirmed: bool
    """Whether the identity may be used in this cluster."""

    @property
    def usable(self) -> bool:
        """Whether keys may be made and redeemed with it."""
        return self.key is not None and self.confirmed


async def load_identity(cluster: Cluster, namespace: str) -> Identity:
    """Read the identity, or make one if this installation never had any.

    Raises ApiError if the API server refuses, ValueError if the Secret does not hold an identity.
    """
    home = await _home(cluster)
    identity = await _read(cluster, namespace, home)
    if identity is None:
        records = (await cluster.list(LinkRecord.resource)).items
        if records:
            return _lost(records[0])
        identity = _parse(await _create(cluster, namespace, home), namespace, home)
    if not identity.confirmed:
        _log.error(
            "The identity in Secret %s/%s was made in another cluster. If that one is gone for good, confirm: "
            "kubectl annotate secret -n %s %s %s=%s",
            *(namespace, IDENTITY_SECRET, namespace, IDENTITY_SECRET, CONFIRM_ANNOTATION, home),
        )
    return identity


async def read_identity(cluster: Cluster, namespace: str) -> Identity:
    """Read the identity that the operator made. Raises ApiError, or ValueError if there is none to be read."""
    identity = await _read(cluster, namespace, await _home(cluster))
    if identity is None:
        raise ValueError(f"Secret {namespace}/{IDENTITY_SECRET} does not exist: the operator makes it when it starts")
    return identity


class Recovery:
    """Looks after an identity that cannot be used: whether its Secret is back, and whether it is confirmed by now."""

    def __init__(self, cluster: Cluster, namespace: str, identity: Identity) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._told = ""

    async def look(self) -> bool:
        """Look at the Secret; return whether that changed the identity."""
        identity = self._identity
        try:
            found = await _read(self._cluster, self._namespace, await _home(self._cluster))
        except ApiError:
            return False
        except ValueError as error:
            self._tell(str(error))
            return False
        if found is None or (found.key, found.confirmed) == (identity.key, identity.confirmed):
            return False
        if found.instance != identity.instance:
            self._tell(
                f"Secret {self._namespace}/{IDENTITY_SECRET} holds the identity {found.instance}, "
                f"but this installation is {identity.instance}: restore its own from a backup"
            )
            return False
        identity.key, identity.confirmed = found.key, found.confirmed
        _log.info("the identity %s is back; confirmed for this cluster: %s", found.instance, found.confirmed)
        return True

    def _tell(self, problem: str) -> None:
        """Log a problem once, not at every look."""
        if problem != self._told:
            _log.error(problem)
            self._told = problem


async def _home(cluster: Cluster) -> str:
    """Return by which UID this cluster is told from others."""
    uid: str = (await cluster.get(NAMESPACES, ObjectKey("", "kube-system")))["metadata"]["uid"]
    return uid


async def _read(cluster: Cluster, namespace: str, home: str) -> Identity | None:
    try:
        secret = await cluster.get(SECRETS, ObjectKey(namespace, IDENTITY_SECRET))
    except Gone:
        return None
    return _parse(secret, namespace, home)


def _lost(record: dict[str, Any]) -> Identity:
    spec = LinkRecord.model_validate(record).spec
    ours = spec.redeemer if spec.role == "Replica" and spec.redeemer is not None else spec.issuer
    assert ours.public_key is not None, "only a peer's may be absent"
    _log.error(
        "Secret %s is gone although LinkRecords exist: restore it from a backup; links that exist go on",
        IDENTITY_SECRET,
    )
    return Identity(ours.instance, ours.public_key, None, confirmed=True)


async def _create(cluster: Cluster, namespace: str, home: str) -> dict[str, Any]:
    data = {"seed": base64url(secrets.token_bytes(SEED_BYTES)), "clusterUID": home}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": IDENTITY_SECRET, "namespace": namespace},
        "type": IDENTITY_TYPE,
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in data.items()},
    }
    try:
        return await cluster.create(SECRETS, body)
    except AlreadyExists:
        return await cluster.get(SECRETS, ObjectKey(namespace, IDENTITY_SECRET))


def _parse(secret: dict[str, Any], namespace: str, home: str) -> Identity:
    try:
        data = {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}
        key = SigningKey(base64.urlsafe_b64decode(data["seed"] + "="))
        origin = data["clusterUID"]
    except (KeyError, ValueError) as error:
        message = f"Secret {namespace}/{IDENTITY_SECRET} must have the entries seed and clusterUID: restore it"
        raise ValueError(message) from error
    confirmed = home in (origin, secret["metadata"].get("annotations", {}).get(CONFIRM_ANNOTATION))
    return Identity(instance_id(key.public), key.public, key, confirmed)
