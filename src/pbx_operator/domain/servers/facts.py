"""What is known about one CommServer when its plan is made, and the first conclusions from it.

Providers are asked beside the workers, and what they last said comes as `ServerAttempts`.  Losing that costs another
question and nothing else, since whatever a plan must not forget is in the status, in the Secret, or at the provider.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, PBXAccount
from pbx_operator.domain.claims import Claim, created
from pbx_operator.domain.conditions import Since
from pbx_operator.domain.protocol.keys import base32
from pbx_operator.domain.servers.systems import SystemFacts, SystemOwner, SystemWish, settings_of
from pbx_operator.domain.servers.typed import equipment_id_of
from pbx_operator.domain.steps import StepAttempts, settled_at

StepName = Literal["look", "deliver", "create", "update", "recover", "reset", "readdress", "delete"]


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What the last look at the activation Secret and at the provider found."""

    secret: Literal["NotNeeded", "Missing", "Foreign", "Ours"]
    system: SystemFacts | None
    next_look: datetime
    secret_revision: int | None = None
    """The revision of the code in the Secret, if that is ours."""
    address_outdated: bool = False
    """Our Secret does not tell a box where the exchange of this operator is now."""
    pause: timedelta = timedelta(0)
    """How long after this look the next one was due, if the Secret is Foreign: it may be freed at any moment."""
    holder: str | None = None
    """Kind and name of what controls the Secret, if that is Foreign and something does."""
    deleted: bool = False
    """We deleted the system ourselves; a provider that is slow to find a new one may have shown none before."""


ServerAttempts = StepAttempts[ServerLook]


@dataclass(frozen=True, slots=True)
class ServerSnapshot:
    """One CommServer, or the place of one, and all that bears on it."""

    key: ObjectKey
    server: CommServer | None = None
    account: PBXAccount | None = None
    """The account that it names, if that exists."""
    rivals: tuple[Claim, ...] = ()
    """The claims of the other CommServers of the cluster on the same equipment ID."""
    attempts: ServerAttempts = field(default_factory=StepAttempts)
    since: Since | None = None
    reachable: bool = False
    """Boxes can connect to the exchange of this operator."""


def equipment_id(server: CommServer) -> str:
    """Return the name that the box connects with.

    In stock mode the couple of references, as the box knows it.  Otherwise the one that the status shows; at first it
    is made of the object's UID, so that whoever makes it again makes the same one, and no system is declared twice.
    An object that was restored with its status has another UID, and the same box.
    """
    stock = server.spec.stock
    if stock is not None:
        return f"{stock.fleet_reference}-{stock.installation_reference}"
    if server.status.equipment_id is not None:
        return server.status.equipment_id
    return equipment_id_of(base32(hashlib.sha256(server.metadata.uid.encode()).digest()))


def equipment_of(server: CommServer) -> set[str]:
    """Return the equipment IDs that a CommServer wants or shows."""
    return claim_of(server).things


def claim_of(server: CommServer) -> Claim:
    """Return the claim of a CommServer on its equipment ID, which it keeps until it is gone."""
    return Claim(server.key, created(server.metadata), equipment_id(server), server.status.equipment_id)


def stock_code(server: CommServer) -> str | None:
    """Return the activation code that the box knows without being told: that of stock mode, before any reset."""
    return equipment_id(server) if server.spec.stock is not None and server.spec.activation.revision == 1 else None


def activation_secret_name(server: CommServer) -> str:
    """Return the name of the Secret that tells the activation code."""
    return server.spec.activation.secret_name or f"{server.metadata.name}-activation"


def known_revision(server: CommServer, look: ServerLook) -> int:
    """Return the revision of the activation code that the provider has.

    The Secret tells, or the status, whichever is higher; if both are lost, nothing is reset by surprise.
    """
    known = [r for r in (look.secret_revision, server.status.activation_revision) if r is not None]
    return max(known, default=server.spec.activation.revision)


def system_to_delete(server: CommServer, look: ServerLook | None) -> str | None:
    """Return the provider's name of the system that goes with a CommServer, if one is left.

    The one that the status names is ours even if the look missed it, since it was just declared or the Secret is not
    readable.
    """
    if look is not None and look.system is not None and look.system.ours:
        return look.system.system_id
    return server.status.system_id if look is None or not look.deleted else None


def may_show_up(server: CommServer, attempts: ServerAttempts, now: datetime) -> bool:
    """Whether a system that the last look did not find may have been declared for a CommServer that is being deleted.

    As for customers: a creation whose answer was lost leaves no trace but the system itself, and Rainbow may be slow to
    show it.  What provider Builtin has is in this cluster, where a look misses nothing.
    """
    deleted, look, shown = server.metadata.deletion_timestamp, attempts.look, server.status
    if deleted is None or server.spec.provider.type != "Rainbow" or server.spec.deletion_policy == "Orphan":
        return False
    if shown.equipment_id is None or shown.system_id is not None:
        return False
    missed = look is not None and look.system is None and not look.deleted
    return missed and now < settled_at(deleted, attempts)


def wish_of(server: CommServer) -> SystemWish:
    """Return what a provider is asked for."""
    return SystemWish(
        owner=SystemOwner(server.key, server.metadata.uid),
        equipment_id=equipment_id(server),
        type=server.spec.type,
        settings=settings_of(server),
        system_id=server.status.system_id,
        rejected_credentials=server.status.rejected_credentials,
    )
