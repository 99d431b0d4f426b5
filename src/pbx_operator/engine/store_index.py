"""The Store's lookups by the names that the rules of `domain/impact` use, which know no Store."""

from __future__ import annotations

from collections.abc import Set

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import (
    CommServer,
    DialPlanSlice,
    Interlink,
    InternalNumber,
    LinkRecord,
    PBXAccount,
)
from pbx_operator.domain.accounts.domains import domain_claim
from pbx_operator.domain.claims import Claim
from pbx_operator.domain.records.facts import Party
from pbx_operator.domain.unreadable import Unreadable
from pbx_operator.engine.store import Store


class StoreIndex:
    """The Store's lookups by the names that the rules use."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def links_of_account(self, account: ObjectKey) -> list[Interlink]:
        """Return the Interlinks that name an account."""
        return self._store.interlinks.select("account", account)

    def links_waiting_for_key(self, key_id: str) -> list[Interlink]:
        """Return the Interlinks whose status shows a key."""
        return self._store.interlinks.select("key", key_id)

    def records_of_link(self, interlink: ObjectKey) -> list[LinkRecord]:
        """Return the records that name the place of an Interlink."""
        return self._store.records.select("interlink", interlink)

    def records_of_account(self, account: ObjectKey) -> list[LinkRecord]:
        """Return the records that name an account."""
        return self._store.records.select("account", account)

    def links_of_pair(self, pair: frozenset[Party]) -> list[LinkRecord]:
        """Return the established records that join two accounts."""
        return self._store.records.select("pair", pair)

    def accounts_of_domain(self, domain: str) -> list[PBXAccount]:
        """Return the accounts that want or show a SIP domain."""
        return self._store.accounts.select("domain", domain)

    def domain_claim(self, account: PBXAccount | Unreadable) -> Claim:
        """Return the claim of an account on its SIP domain."""
        return domain_claim(account, self._store.domain_suffix)

    def numbers_of_server(self, server: ObjectKey) -> list[InternalNumber]:
        """Return the InternalNumbers that ring at a CommServer."""
        return self._store.numbers.select("server", server)

    def interlink(self, key: ObjectKey) -> Interlink | None:
        """Return the Interlink at a place, if it can be read."""
        return self._store.interlinks.get(key)

    def accounts_of_customer(self, customer: str) -> list[PBXAccount]:
        """Return the accounts that want or show a customer."""
        return self._store.accounts.select("customer", customer)

    def servers_of_account(self, account: ObjectKey) -> list[CommServer]:
        """Return the CommServers that name an account."""
        return self._store.servers.select("account", account)

    def servers_of_equipment(self, equipment: str) -> list[CommServer]:
        """Return the CommServers that want or show an equipment ID."""
        return self._store.servers.select("equipment", equipment)

    def offers_any(self, account: ObjectKey, numbers: Set[str]) -> bool:
        """Whether an Offer slice of an account lists one of these numbers."""
        if not numbers:
            return False
        offers = (part for link in self.links_of_account(account) for part in self._offers(link.key))
        return any(row.number in numbers for part in offers for row in part.spec.rows)

    def _offers(self, interlink: ObjectKey) -> list[DialPlanSlice]:
        return self._store.slices.select("offer", interlink)
