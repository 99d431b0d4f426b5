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
from pbx_operator.cluster import AlreadyExists, Cluster, Gone
from pbx_operator.domain.keys import SEED_BYTES, SigningKey, base64url, instance_id

IDENTITY_SECRET = "pbx-operator-identity"
IDENTITY_TYPE = f"{GROUP}/identity"
CONFIRM_ANNOTATION = f"{GROUP}/confirmed-cluster"
"""An administrator sets it on the identity Secret to the kube-system UID of the cluster that took over."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this installation is; `key` is None if there are records but their identity is lost."""

    instance: str
    public_key: str
    key: SigningKey | None
    confirmed: bool


async def load_identity(cluster: Cluster, namespace: str) -> Identity:
    """Read the identity, or make one if this installation never had any.

    Raises ApiError if the API server refuses, ValueError if the Secret does not hold an identity.
    """
    home = (await cluster.get(NAMESPACES, ObjectKey("", "kube-system")))["metadata"]["uid"]
    try:
        secret = await cluster.get(SECRETS, ObjectKey(namespace, IDENTITY_SECRET))
    except Gone:
        records = (await cluster.list(LinkRecord.resource)).items
        if records:
            return _lost(records[0])
        secret = await _create(cluster, namespace, home)
    return _parse(secret, namespace, home)


def _lost(record: dict[str, Any]) -> Identity:
    issuer = LinkRecord.model_validate(record).spec.issuer
    _log.error(
        "Secret %s is gone although LinkRecords exist: restore it from a backup; links that exist go on",
        IDENTITY_SECRET,
    )
    return Identity(issuer.instance, issuer.public_key, None, confirmed=True)


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
    if not confirmed:
        _log.error(
            "The identity in Secret %s/%s was made in another cluster. If that one is gone for good, confirm: "
            "kubectl annotate secret -n %s %s %s=%s",
            *(namespace, IDENTITY_SECRET, namespace, IDENTITY_SECRET, CONFIRM_ANNOTATION, home),
        )
    return Identity(instance_id(key.public), key.public, key, confirmed)
