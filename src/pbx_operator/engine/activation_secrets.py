"""Activation Secrets: the only code of the engine that reads or writes an activation code.

A code is written before the provider hears of it, so that a process may die at any moment without losing it.  It
stays after the box has used it, since nobody but the user knows when it was read.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pbx_operator.api.meta import SECRETS, ObjectKey, ObjectMeta
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.cluster import AlreadyExists, Cluster, Gone
from pbx_operator.domain.protocol.keys import base32
from pbx_operator.domain.servers.facts import activation_secret_name, equipment_id
from pbx_operator.domain.servers.typed import code_of
from pbx_operator.engine.owned_secrets import holder, owned_secret

SECRET_TYPE = "pbx-operator.io/activation"
EQUIPMENT_ENTRY, CODE_ENTRY, REVISION_ENTRY = "equipmentID", "activationCode", "revision"
INSTANCE_ENTRY, ENDPOINT_ENTRY, PIN_ENTRY = "instance", "endpoint", "pin"
"""Where a box of provider Builtin connects to; nothing of it is secret."""
_ADDRESS_ENTRIES = (INSTANCE_ENTRY, ENDPOINT_ENTRY, PIN_ENTRY)


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation code in its Secret; `repr` does not show it."""

    code: str = field(repr=False)
    revision: int
    uid: str
    """The metadata.uid of the Secret."""
    address: Mapping[str, str]
    """The entries that tell where to connect to; empty if it has none."""


class NotOurSecretError(Exception):
    """The Secret of the wanted name is not of this CommServer, or is no activation Secret any more."""

    def __init__(self, holder: str | None = None) -> None:
        super().__init__(holder)
        self.holder = holder
        """Kind and name of what controls it, if something else does."""


def fresh_code() -> str:
    """Make an activation code that nobody can guess."""
    return code_of(base32(secrets.token_bytes(16)))


async def read_activation(cluster: Cluster, server: CommServer) -> Activation | None:
    """Return what the Secret says; None if there is none. Raises NotOurSecretError, ApiError."""
    try:
        raw = await cluster.get(SECRETS, _name(server))
    except Gone:
        return None
    metadata = ObjectMeta.model_validate(raw["metadata"])
    if all(owner.uid != server.metadata.uid for owner in metadata.owner_references) or metadata.deleting:
        raise NotOurSecretError(holder(metadata, server))
    try:
        data = {name: base64.b64decode(value).decode("ascii") for name, value in (raw.get("data") or {}).items()}
        address = {name: data[name] for name in _ADDRESS_ENTRIES if name in data}
        return Activation(data[CODE_ENTRY], int(data[REVISION_ENTRY]), metadata.uid, address)
    except (KeyError, ValueError, binascii.Error) as error:
        raise NotOurSecretError from error


def address_entries(instance: str, contact: Contact) -> dict[str, str]:
    """Return the entries that tell a box where to connect to; none if this installation cannot be reached."""
    if not contact.endpoints or not contact.pins:
        return {}
    return {INSTANCE_ENTRY: instance, ENDPOINT_ENTRY: contact.endpoints[0], PIN_ENTRY: contact.pins[0]}


async def write_activation(
    cluster: Cluster, server: CommServer, code: str, revision: int, address: Mapping[str, str]
) -> None:
    """Create the Secret, in place of the one with the code before; `address` are entries that it has beside.

    The operator may not change Secrets: that would be a right to all of them.  Who dies in between leaves none.  Then
    a code that is not used yet is made anew; of a used one nothing is made up, since its box proves that very code
    whenever it starts, and another one would turn it away: a higher revision brings both.  Raises NotOurSecretError,
    ApiError.
    """
    known = await read_activation(cluster, server)
    if known is not None:
        await cluster.delete(SECRETS, _name(server), uid=known.uid)
    try:
        await cluster.create(SECRETS, _manifest(server, code, revision, address))
    except AlreadyExists as error:
        raise NotOurSecretError from error


def _name(server: CommServer) -> ObjectKey:
    return ObjectKey(server.key.namespace, activation_secret_name(server))


def _manifest(server: CommServer, code: str, revision: int, address: Mapping[str, str]) -> dict[str, Any]:
    entries = {EQUIPMENT_ENTRY: equipment_id(server), CODE_ENTRY: code, REVISION_ENTRY: str(revision), **address}
    return owned_secret(_name(server), server, SECRET_TYPE, entries)
