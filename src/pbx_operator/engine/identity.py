"""The installation's identity: an Ed25519 key, those that it followed, and the cluster that it was made in.

The kube-system UID is kept beside the key, because a restored or cloned etcd carries the Secret into another
cluster.  There nothing may happen by itself until an administrator says that the original is gone.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from pbx_operator.api.meta import GROUP, NAMESPACES, SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import EquipmentRecord, LinkRecord
from pbx_operator.cluster import AlreadyExists, ApiError, Cluster, Gone
from pbx_operator.domain.protocol.keys import SEED_BYTES, SigningKey, base64url
from pbx_operator.domain.protocol.succession import MAX_SUCCESSIONS, Successions, instance_of, speaks_for, succeed
from pbx_operator.domain.records.scope import names_watched

IDENTITY_SECRET = "pbx-operator-identity"
IDENTITY_TYPE = f"{GROUP}/identity"
CONFIRM_ANNOTATION = f"{GROUP}/confirmed-cluster"
"""An administrator sets it on the identity Secret to the kube-system UID of the cluster that took over."""
USABLE_SECONDS = 60.0
"""Between two looks at the Secret, which may have been rotated."""
UNUSABLE_SECONDS = 10.0
"""Between two looks at the Secret of an identity that cannot be used."""

_SUCCESSIONS = TypeAdapter(Successions)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Identity:
    """Who this installation is; all parts share one object, so that what the keeper finds holds for all of them."""

    instance: str
    public_key: str
    """The public half of `key`; empty while that is lost."""
    key: SigningKey | None
    """None if there are records, but the Secret with their key is lost."""
    confirmed: bool
    """Whether the identity may be used in this cluster."""
    successions: Successions = ()
    """What leads from the first key, after which the installation is named, to this one."""
    kept: bool = field(default=True, compare=False)
    """Whether the last look found it in its Secret; if not, this process goes on, but no other one can start."""

    @property
    def lost(self) -> bool:
        """Whether the Secret has to be restored."""
        return self.key is None or not self.kept

    @property
    def usable(self) -> bool:
        """Whether keys may be made and redeemed with it."""
        return self.key is not None and self.confirmed

    @property
    def rotations_left(self) -> int:
        """How often it can still be rotated."""
        return MAX_SUCCESSIONS - len(self.successions)


async def load_identity(cluster: Cluster, namespace: str, watched: frozenset[str]) -> Identity:
    """Read the identity, or make one if this installation never had any: no record names what it watches.

    `watched` are its namespaces; none means all.  Raises ApiError if the API server refuses, ValueError if the Secret
    does not hold an identity.
    """
    home = await _home(cluster)
    identity = await _read(cluster, namespace, home)
    if identity is None:
        if (instance := await _instance_on_record(cluster, watched)) is not None:
            return _lost(instance, namespace)
        identity = _parse(await _create(cluster, namespace, home), namespace, home)
    if not identity.confirmed:
        _log.error(_unconfirmed(namespace, home))
    return identity


async def read_identity(cluster: Cluster, namespace: str) -> Identity:
    """Read the identity that the operator made. Raises ApiError, or ValueError if there is none to be read."""
    identity = await _read(cluster, namespace, await _home(cluster))
    if identity is None:
        raise _missing(namespace)
    return identity


async def usable_identity(cluster: Cluster, namespace: str, watched: frozenset[str]) -> Identity:
    """Read the identity of who watches these namespaces; it may be used in this cluster.

    Raises ApiError, or ValueError with what to do.
    """
    home = await _home(cluster)
    identity = await _read(cluster, namespace, home)
    if identity is None and await _instance_on_record(cluster, watched) is None:
        secret = f"Secret {namespace}/{IDENTITY_SECRET}"
        raise ValueError(f"{secret} does not exist yet: the operator makes one at its first start, so start it")
    if identity is None:
        raise _missing(namespace)
    if not identity.confirmed:
        raise ValueError(_unconfirmed(namespace, home))
    return identity


async def rotate_identity(cluster: Cluster, namespace: str) -> Identity:
    """Replace the key of the identity by a new one; the former is nowhere then. Return the identity as it is now.

    Raises ApiError, Conflict if somebody else wrote the Secret meanwhile: it stays as it is then.  If there was no
    answer, nobody knows, and one rotation more does no harm.  Raises ValueError with what to do if there is no
    identity, or if it may not be used in this cluster or not be rotated any more.
    """
    home = await _home(cluster)
    try:
        secret = await cluster.get(SECRETS, ObjectKey(namespace, IDENTITY_SECRET))
    except Gone:
        raise _missing(namespace) from None
    identity = _parse(secret, namespace, home)
    if identity.key is None or not identity.confirmed:
        raise ValueError(_unconfirmed(namespace, home))
    new = SigningKey(secrets.token_bytes(SEED_BYTES))
    successions = succeed(identity.key, new, identity.successions)
    chain = json.dumps([statement.to_json() for statement in successions])
    data = _encoded({"seed": base64url(new.seed), "successions": chain})
    await cluster.put(SECRETS, {**secret, "data": {**secret["data"], **data}})
    return Identity(identity.instance, new.public, new, confirmed=True, successions=successions)


class IdentityKeeper:
    """Keeps the identity as its Secret is: rotated, back from a backup, or confirmed.

    `changed` is called whenever it is another one then.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, identity: Identity, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.identity = identity
        self._cluster = cluster
        self._namespace = namespace
        self._changed = changed
        self._told = ""

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(USABLE_SECONDS if self.identity.usable else UNUSABLE_SECONDS)
            await self.look()

    async def look(self) -> bool:
        """Look at the Secret; return whether that changed the identity."""
        identity = self.identity
        try:
            found = await _read(self._cluster, self._namespace, await _home(self._cluster))
        except ApiError:
            return False
        except ValueError as error:
            identity.kept = False
            self._tell(str(error))
            return False
        if found is None:
            identity.kept = False
            self._tell_loss()
            return False
        identity.kept = found == identity or self._is_later(found)
        if not identity.kept:
            return False
        self._told = ""
        if found == identity:
            return False
        if identity.key is not None and found.public_key != identity.public_key:
            _log.info("the identity %s was rotated; rotations so far: %d", found.instance, len(found.successions))
        else:
            _log.info("the identity %s is back; confirmed for this cluster: %s", found.instance, found.confirmed)
        identity.key, identity.public_key, identity.successions = found.key, found.public_key, found.successions
        identity.confirmed = found.confirmed
        self._changed()
        return True

    def _is_later(self, found: Identity) -> bool:
        """Whether what was found may take the place of what we have: the same installation, by a later key if any."""
        secret, identity = f"Secret {self._namespace}/{IDENTITY_SECRET}", self.identity
        if found.instance != identity.instance:
            self._tell(
                f"{secret} holds the identity {found.instance}, "
                f"but this installation is {identity.instance}: restore its own from a backup"
            )
            return False
        if found.successions[: len(identity.successions)] != identity.successions:
            self._tell(f"{secret} holds a former key, which peers do not believe any more: restore its latest backup")
            return False
        return True

    def _tell_loss(self) -> None:
        """The key is in memory still; one that is lost since the start was told then."""
        if self.identity.key is not None:
            self._tell(
                f"Secret {self._namespace}/{IDENTITY_SECRET} is gone: restore it from a backup; "
                "this process goes on with the identity that it knows, one that starts cannot"
            )

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


async def _instance_on_record(cluster: Cluster, watched: frozenset[str]) -> str | None:
    """Return the installation that keeps the records of what is watched; None if there are none.

    Another identity than theirs would find all of them to be a neighbour's, and do nothing there for ever.
    """
    kinds: tuple[type[LinkRecord | EquipmentRecord], ...] = (LinkRecord, EquipmentRecord)
    for kind in kinds:
        for raw in (await cluster.list(kind.resource)).items:
            record = kind.model_validate(raw)
            if names_watched(record, watched):
                return record.spec.instance
    return None


def _lost(instance: str, namespace: str) -> Identity:
    _log.error(
        "Secret %s/%s does not exist although records of installation %s do: if --namespace is right, restore it from "
        "a backup; links that exist go on",
        *(namespace, IDENTITY_SECRET, instance),
    )
    return Identity(instance, "", None, confirmed=True)


async def _create(cluster: Cluster, namespace: str, home: str) -> dict[str, Any]:
    seed = base64url(secrets.token_bytes(SEED_BYTES))
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": IDENTITY_SECRET, "namespace": namespace},
        "type": IDENTITY_TYPE,
        "data": _encoded({"seed": seed, "clusterUID": home}),
    }
    try:
        return await cluster.create(SECRETS, body)
    except AlreadyExists:
        return await cluster.get(SECRETS, ObjectKey(namespace, IDENTITY_SECRET))
    except Gone:
        step = f"kubectl create namespace {namespace}, or choose another one with --namespace"
        raise ValueError(f"namespace {namespace} does not exist: {step}") from None


def _parse(secret: dict[str, Any], namespace: str, home: str) -> Identity:
    try:
        data = {name: base64.b64decode(value).decode() for name, value in secret.get("data", {}).items()}
        key = SigningKey(base64.urlsafe_b64decode(data["seed"] + "="))
        origin = data["clusterUID"]
    except (KeyError, ValueError) as error:
        message = f"Secret {namespace}/{IDENTITY_SECRET} must have the entries seed and clusterUID: restore it"
        raise ValueError(message) from error
    try:
        successions = _SUCCESSIONS.validate_json(data.get("successions", "[]"))
    except ValidationError:
        successions = None
    if successions is None or not speaks_for(key.public, instance_of(key.public, successions), successions):
        raise ValueError(f"Secret {namespace}/{IDENTITY_SECRET}: seed and successions do not match: restore it")
    confirmed = home in (origin, secret["metadata"].get("annotations", {}).get(CONFIRM_ANNOTATION))
    return Identity(instance_of(key.public, successions), key.public, key, confirmed, successions)


def _encoded(data: dict[str, str]) -> dict[str, str]:
    """Return the entries of a Secret as the API server takes them."""
    return {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}


def _missing(namespace: str) -> ValueError:
    return ValueError(
        f"Secret {namespace}/{IDENTITY_SECRET} does not exist: restore it from a backup; "
        "only where there is neither a LinkRecord nor an EquipmentRecord yet does the operator make one when it starts"
    )


def _unconfirmed(namespace: str, home: str) -> str:
    return (
        f"The identity in Secret {namespace}/{IDENTITY_SECRET} was made in another cluster. If that one is gone for "
        f"good, confirm: kubectl annotate secret -n {namespace} {IDENTITY_SECRET} {CONFIRM_ANNOTATION}={home}"
    )
