"""Key Secrets: the only code that reads or writes the text of a key.

Nothing here returns or logs a key's text; callers get a parsed key that does not show itself.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pbx_operator.api.meta import SECRETS, ObjectKey, ObjectMeta
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.api.v1alpha1.interlink import SecretKeyReference
from pbx_operator.cluster import AlreadyExists, Cluster, Gone
from pbx_operator.domain.protocol.keys import (
    SECRET_ENTRY,
    SECRET_TYPE,
    SEED_BYTES,
    Bundle,
    MalformedKeyError,
    SigningKey,
    parse_key,
)
from pbx_operator.engine.owned_secrets import holder, owned_secret


@dataclass(frozen=True, slots=True)
class KeyNotThere:
    """Why there is no key to be read."""

    found: Literal["Missing", "Malformed"]
    """Missing is the Secret, or its entry."""
    problem: str = ""


async def read_key(cluster: Cluster, namespace: str, reference: SecretKeyReference) -> Bundle | KeyNotThere:
    """Read the key that a user put into a Secret. Raises ApiError other than Gone."""
    try:
        secret = await cluster.get(SECRETS, ObjectKey(namespace, reference.name))
    except Gone:
        return KeyNotThere("Missing")
    return _parse_entry(secret, reference.key)


def _parse_entry(secret: dict[str, Any], entry: str) -> Bundle | KeyNotThere:
    value = (secret.get("data") or {}).get(entry)
    if value is None:
        return KeyNotThere("Missing", "the Secret is there, the entry is not")
    try:
        return parse_key(base64.b64decode(value).decode("ascii"))
    except MalformedKeyError as error:
        return KeyNotThere("Malformed", str(error))
    except (binascii.Error, UnicodeDecodeError):
        return KeyNotThere("Malformed", "it is not plain text")


@dataclass(frozen=True, slots=True)
class KeySecret:
    """A generated key in its Secret."""

    key: SigningKey
    fresh: bool
    """Created by this call, so no record can know the key yet."""


class SecretNotOurs(Exception):  # noqa: N818 - a fact about the cluster, not an error of the program
    """The wanted name belongs to another Secret: a stranger's, or one that is still being collected."""

    def __init__(self, problem: Literal["WaitingForCleanup", "SecretNameTaken"], holder: str | None = None) -> None:
        super().__init__(problem)
        self.holder = holder
        """Kind and name of what controls it, if something else does."""
        self.problem: Literal["WaitingForCleanup", "SecretNameTaken"] = problem


async def create_key_secret(
    cluster: Cluster, name: ObjectKey, owner: Interlink, text: Callable[[SigningKey], str]
) -> KeySecret:
    """Create the Secret with the text of a fresh key, or return the one that this Interlink created before.

    Creating comes first, so that of two processes one wins and both go on with the same key.
    Raises SecretNotOurs, or ApiError.
    """
    key = SigningKey(secrets.token_bytes(SEED_BYTES))
    try:
        await cluster.create(SECRETS, owned_secret(name, owner, SECRET_TYPE, {SECRET_ENTRY: text(key)}))
    except AlreadyExists:
        return await _existing(cluster, name, owner)
    return KeySecret(key, fresh=True)


async def _existing(cluster: Cluster, name: ObjectKey, owner: Interlink) -> KeySecret:
    try:
        secret = await cluster.get(SECRETS, name)
    except Gone as error:
        raise SecretNotOurs("WaitingForCleanup") from error
    metadata = ObjectMeta.model_validate(secret["metadata"])
    owners = {o.uid for o in metadata.owner_references if o.kind == "Interlink" and o.name == owner.metadata.name}
    if owner.metadata.uid not in owners:
        raise SecretNotOurs("WaitingForCleanup" if owners else "SecretNameTaken", holder(metadata, owner))
    bundle = _parse_entry(secret, SECRET_ENTRY)
    if metadata.deleting or isinstance(bundle, KeyNotThere):
        raise SecretNotOurs("WaitingForCleanup" if metadata.deleting else "SecretNameTaken")
    return KeySecret(bundle.key, fresh=False)


async def delete_key_secret(cluster: Cluster, name: ObjectKey, owner_uid: str) -> None:
    """Delete a generated Secret, if it is there and belongs to this Interlink. Raises ApiError."""
    try:
        secret = await cluster.get(SECRETS, name)
        metadata = ObjectMeta.model_validate(secret["metadata"])
        if any(o.uid == owner_uid for o in metadata.owner_references):
            await cluster.delete(SECRETS, name, uid=metadata.uid)
    except Gone:
        return
