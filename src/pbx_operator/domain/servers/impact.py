"""Which CommServers a change touches; a part of `impact`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, EquipmentRecord, PBXAccount
from pbx_operator.domain.claims import Claim, contested
from pbx_operator.domain.servers.equipment import is_news
from pbx_operator.domain.servers.facts import claim_of
from pbx_operator.domain.unreadable import Observed, Unreadable


class ServerIndex(Protocol):
    """The lookups that the rule needs."""

    def servers_of_account(self, account: ObjectKey) -> Iterable[CommServer]:
        """Return the CommServers that name an account."""

    def servers_of_equipment(self, equipment: str) -> Iterable[CommServer]:
        """Return the CommServers that want or show an equipment ID."""


def servers_of_change(old: Observed, new: Observed, index: ServerIndex) -> set[ObjectKey]:
    """Return a changed CommServer, and those with an interest in an equipment ID on which its claim changed."""
    changed = contested(_claim(old), _claim(new))
    rivals = {rival.key for equipment in changed for rival in index.servers_of_equipment(equipment)}
    return rivals | {o.key for o in (old, new) if o is not None}


def servers_of_changed_account(old: Observed, new: Observed, index: ServerIndex) -> set[ObjectKey]:
    """Return the CommServers of an account if what changed bears on them."""
    if _seen_by_servers(old) == _seen_by_servers(new):
        return set()
    return {server.key for o in (old, new) if o is not None for server in index.servers_of_account(o.key)}


def servers_of_record(old: Observed, new: Observed) -> set[ObjectKey]:
    """Return the places of the CommServers that must look at their equipment anew because its record changed."""
    before, after = (o if isinstance(o, EquipmentRecord) else None for o in (old, new))
    if not is_news(before, after):
        return set()
    return {record.spec.owner.key for record in (before, after) if record is not None}


def _claim(server: Observed) -> Claim | None:
    if isinstance(server, Unreadable):
        return server.claim("equipmentID")
    return claim_of(server) if isinstance(server, CommServer) else None


def _seen_by_servers(account: Observed) -> object:
    """Return what the emergency guard of the account's servers depends on."""
    return (account.metadata.uid, account.spec.emergency) if isinstance(account, PBXAccount) else None
