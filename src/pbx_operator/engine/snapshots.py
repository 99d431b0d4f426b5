"""Snapshots: all that a plan may know, gathered from the Store and the memory without any call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, Interlink, InternalNumber, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec, record_name
from pbx_operator.api.v1alpha1.pbxaccount import InterlinkCounts
from pbx_operator.domain.accounts.domains import wanted_domain
from pbx_operator.domain.accounts.plan import AccountSnapshot
from pbx_operator.domain.claims import Claim
from pbx_operator.domain.conditions import Since
from pbx_operator.domain.customers.facts import CustomerSnapshot, customer_claim, customer_id, place_of
from pbx_operator.domain.dialplan.numbers import server_of
from pbx_operator.domain.dialplan.offers import NO_OFFER, EstablishedLink, Offer, has_own_offer, offer_of
from pbx_operator.domain.dialplan.prefixes import prefix_holders
from pbx_operator.domain.links.facts import (
    ClusterFacts,
    LinkSnapshot,
    ended_as_duplicate,
    established_of,
    live,
    mine,
    side_of,
)
from pbx_operator.domain.plan import Target, target_of
from pbx_operator.domain.records.facts import SIDES, Party, account_of, interlink_of, other_side, pair_of, peer_instance
from pbx_operator.domain.records.redemption import Redemption
from pbx_operator.domain.servers.facts import ServerSnapshot, claim_of, equipment_id
from pbx_operator.domain.unreadable import Unreadable
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.offers import Offers
from pbx_operator.engine.store import Store


class Snapshots:
    """Gathers snapshots, and answers what the authority asks about other records."""

    def __init__(
        self,
        store: Store,
        memory: Memory,
        cluster: ClusterFacts,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._memory = memory
        self._cluster = cluster
        self._clock = clock
        self._offers = Offers(store)

    def know_identity(self, *, confirmed: bool) -> None:
        """Take note that the identity is there, and whether it may be used in this cluster."""
        self._cluster = replace(self._cluster, identity_lost=False, confirmed=confirmed)

    # --- links --------------------------------------------------------------------------------------------------

    def link(self, key: ObjectKey) -> LinkSnapshot:
        """Gather what bears on one Interlink, or on the place of one."""
        link, records = self._store.interlinks.get(key), tuple(self._store.records.select("interlink", key))
        place = LinkSnapshot(
            key,
            self._cluster,
            records=records,
            others=self._others(key, records),
            accounts=self._accounts(records),
            unreadable=self._unreadable(records),
        )
        return self._with_object(place, link) if link is not None else place

    def _with_object(self, s: LinkSnapshot, link: Interlink) -> LinkSnapshot:
        """Add what bears on the Interlink itself."""
        account = ObjectKey(s.key.namespace, link.spec.account_ref.name)
        owner, unreadable = self._store.accounts.get(account), self._store.accounts.unreadable(account)
        attempts = self._memory.attempts(link.metadata.uid)
        shown_key = attempts.look.key_id if attempts.look is not None else None
        shown = self._record_of_key(shown_key or link.status.key_id)
        s = replace(
            s,
            interlink=link,
            account=owner,
            unreadable_account=unreadable.metadata if unreadable is not None else None,
            attempts=attempts,
            since=self._memory.since(target_of(link)),
            older_prefix_holder=self._older_prefix_holder(link, account),
            offer_published=not has_own_offer(owner, link) or bool(self._store.slices.select("offer", s.key)),
            shown_record=shown,
            spent_elsewhere=link.role == "Redeemer" and self._spent_elsewhere(shown_key),
            rivals=self._rivals(s.records, shown, Party(self._cluster.instance, account)),
        )
        if all(peer_instance(r.spec) is None for r in s.records):
            return s
        return replace(s, offer=self._offers.over(s.key, account), peer_reachable=self._peer_reachable(s, link))

    def _peer_reachable(self, s: LinkSnapshot, link: Interlink) -> bool | None:
        record = established_of(mine(s, link))
        return self._memory.reachable(peer_instance(record.spec)) if record is not None else None

    def _spent_elsewhere(self, key_id: str | None) -> bool:
        return key_id is not None and any(_spent_its_key(r) for r in self._store.records.select("key", key_id))

    def _others(self, key: ObjectKey, records: Iterable[LinkRecord]) -> dict[ObjectKey, Interlink]:
        found = {}
        for record in records:
            for side in SIDES:
                named = interlink_of(record.spec, side)
                if named is not None and named.key != key and (link := self._store.interlinks.get(named.key)):
                    found[named.key] = link
        return found

    def _accounts(self, records: Iterable[LinkRecord]) -> dict[ObjectKey, PBXAccount]:
        named = [account_of(record.spec, side) for record in records for side in SIDES]
        found = {name.key: self._store.accounts.get(name.key) for name in named if name is not None}
        return {key: account for key, account in found.items() if account is not None}

    def _unreadable(self, records: Iterable[LinkRecord]) -> frozenset[ObjectKey]:
        store, found = self._store, set()
        for record in records:
            for side in SIDES:
                link, account = interlink_of(record.spec, side), account_of(record.spec, side)
                if link is not None and store.interlinks.unreadable(link.key) is not None:
                    found.add(link.key)
                if account is not None and store.accounts.unreadable(account.key) is not None:
                    found.add(account.key)
        return frozenset(found)

    def _record_of_key(self, key_id: str | None) -> LinkRecord | None:
        return self._store.records.get(ObjectKey("", record_name(key_id))) if key_id is not None else None

    def _rivals(
        self, records: Iterable[LinkRecord], shown: LinkRecord | None, account: Party
    ) -> tuple[LinkRecord, ...]:
        pairs = {pair_of(r.spec) for r in records if r.spec.state == "Established" or ended_as_duplicate(r)}
        if shown is not None and shown.spec.state == "Issued" and (unused := pair_of(shown.spec)) is not None:
            pairs.add(unused | {account})
        return tuple(rival for pair in pairs if pair is not None for rival in self._store.records.select("pair", pair))

    def _older_prefix_holder(self, link: Interlink, account: ObjectKey) -> str | None:
        prefix = link.spec.dial_prefix
        if prefix is None:
            return None
        siblings = self._store.interlinks.select("prefix", (account, prefix))
        linked = (_linked(sibling, record, NO_OFFER) for sibling in siblings if (record := self._established(sibling)))
        holder = prefix_holders(found for found in linked if found is not None).get(prefix)
        return holder if holder != link.metadata.name else None

    # --- accounts -----------------------------------------------------------------------------------------------

    def account(self, key: ObjectKey) -> AccountSnapshot:
        """Gather what bears on one account, or on the place of one."""
        store = self._store
        account, unreadable = store.accounts.get(key), store.accounts.unreadable(key)
        if account is None:
            self._offers.forget(key)
        numbers = tuple(store.numbers.select("account", key))
        interlinks = store.interlinks.select("account", key)
        links = tuple(self._links(interlinks))
        own = target_of(account) if account is not None else None
        return AccountSnapshot(
            key=key,
            domain_suffix=store.domain_suffix,
            account=account,
            unreadable=unreadable.metadata if unreadable is not None else None,
            numbers=numbers,
            servers=frozenset(self._servers(key.namespace, numbers)),
            claimed=tuple(u.claim("number") for u in store.numbers.unreadables(key)),
            links=links,
            open_gates=frozenset(self._open_gates(key, interlinks)),
            interlinks=_count(interlinks, links),
            live_records=any(live(r) for r in store.records.select("account", key)),
            slices=tuple(store.slices.select("account", key)),
            taken=frozenset(self._taken(key, interlinks)),
            rivals=self._domain_rivals(account) if account is not None else (),
            customer=self.customer(key),
            shows_customer=unreadable is not None and unreadable.to_delete("customerID") is not None,
            since=self._since(own, numbers),
            published=self._memory.published(key),
            counters_written=self._memory.counted(own) if own is not None else None,
        )

    def _servers(self, namespace: str, numbers: Iterable[InternalNumber]) -> Iterable[str]:
        """Return the CommServers at which numbers ring, and that are there, readable or not."""
        for name in {server_of(number) for number in numbers}:
            if name is not None and self._store.servers.find(ObjectKey(namespace, name)) is not None:
                yield name

    def _links(self, interlinks: Iterable[Interlink]) -> Iterable[EstablishedLink]:
        for link in interlinks:
            record = self._established(link)
            linked = _linked(link, record, self._offer(record, link)) if record is not None else None
            if linked is not None:
                yield linked

    def _open_gates(self, account: ObjectKey, interlinks: Iterable[Interlink]) -> Iterable[str]:
        yield from (i.metadata.name for i in interlinks if i.status.gate == "Open")
        unreadable = self._store.interlinks.unreadables(account)
        yield from (u.metadata.name for u in unreadable if u.shown_gate == "Open")

    def _established(self, link: Interlink) -> LinkRecord | None:
        records = tuple(self._store.records.select("interlink", link.key))
        return established_of(mine(LinkSnapshot(link.key, self._cluster, records=records), link))

    def _offer(self, record: LinkRecord, link: Interlink) -> Offer:
        """Return what the other side of a link offers."""
        heard = record.status.heard
        if peer_instance(record.spec) is not None:
            return offer_of(heard) if heard is not None else NO_OFFER
        other = other_side(side_of(link))
        owner, named = account_of(record.spec, other), interlink_of(record.spec, other)
        return self._offers.over(named.key, owner.key) if owner is not None and named is not None else NO_OFFER

    def _taken(self, account: ObjectKey, interlinks: Iterable[Interlink]) -> Iterable[str]:
        slices = self._store.slices
        for owner in (account, *(link.key for link in interlinks)):
            found = slices.select("owner", owner)
            yield from (s.metadata.name for s in found if s.spec.account_ref.name != account.name)
        yield from (u.metadata.name for u in slices.unreadables() if u.metadata.namespace == account.namespace)

    def _domain_rivals(self, account: PBXAccount) -> tuple[PBXAccount | Unreadable, ...]:
        accounts, domain = self._store.accounts, wanted_domain(account, self._store.domain_suffix)
        unreadable = [u for u in accounts.unreadables() if u.claim("sipDomain").shows == domain]
        return (*(a for a in accounts.select("domain", domain) if a.key != account.key), *unreadable)

    def _since(self, own: Target | None, numbers: Iterable[InternalNumber]) -> dict[Target, Since]:
        targets = [target_of(n) for n in numbers]
        seen = {t: self._memory.since(t) for t in (*targets, *([own] if own is not None else []))}
        return {target: since for target, since in seen.items() if since is not None}

    # --- customers and servers --------------------------------------------------------------------------------------

    def customer(self, key: ObjectKey) -> CustomerSnapshot:
        """Gather what bears on the customer of one account."""
        account = self._store.accounts.get(key)
        place = place_of(account) if account is not None else None
        if account is None or place is None:
            return CustomerSnapshot(account)
        wanted = customer_claim(account, place).wants
        rivals = (a for a in self._store.accounts.select("customer", wanted) if a.key != key)
        claims = [customer_claim(r, at) for r in rivals if (at := place_of(r)) is not None]
        opaque = (u.claim("customerID") for u in self._store.accounts.unreadables())
        claims += [replace(c, wants=wanted, shows=wanted) for c in opaque if c.shows == customer_id(account, place)]
        return CustomerSnapshot(account, tuple(claims), self._memory.steps(account.metadata.uid))

    def server(self, key: ObjectKey) -> ServerSnapshot:
        """Gather what bears on one CommServer, or on the place of one."""
        server = self._store.servers.get(key)
        if server is None:
            return ServerSnapshot(key)
        account, uid = server.spec.account_ref, server.metadata.uid
        return ServerSnapshot(
            key,
            server,
            self._store.accounts.get(ObjectKey(key.namespace, account.name)) if account is not None else None,
            self._equipment_rivals(server),
            self._memory.steps(uid),
            self._memory.since(target_of(server)),
            self._cluster.reachable,
        )

    def _equipment_rivals(self, server: CommServer) -> tuple[Claim, ...]:
        servers, equipment = self._store.servers, equipment_id(server)
        claims = [claim_of(s) for s in servers.select("equipment", equipment) if s.key != server.key]
        unreadable = [u.claim("equipmentID") for u in servers.unreadables()]
        return (*claims, *(claim for claim in unreadable if claim.shows == equipment))

    # --- what the authority asks --------------------------------------------------------------------------------

    def pair_linked(self, record: LinkRecordSpec, request: Redemption) -> bool:
        """Whether another live link joins the accounts that this redemption would join."""
        unused = pair_of(record.model_copy(update={"redeemer": None}))
        if unused is None:
            return False
        pair = unused | {Party(request.instance, request.account.key)}
        return any(r.spec.key_id != record.key_id for r in self._store.records.select("pair", pair))

    def namespace_records(self, namespace: str) -> int:
        """How many records have their issuer in the namespace."""
        return len(self._store.records.select("namespace", namespace))

    def restoring(self) -> bool:
        """Whether records must be left alone, since a backup is being restored."""
        return self._cluster.restoring(self._clock())


def _spent_its_key(record: LinkRecord) -> bool:
    """Whether a link with another installation's key is over; one that was given up may have left the key unused."""
    end = record.spec.end
    return record.spec.role == "Replica" and end is not None and end.reason != "Cancelled"


def _linked(link: Interlink, record: LinkRecord, offered: Offer) -> EstablishedLink | None:
    redeemer = record.spec.redeemer
    return EstablishedLink(link, record.spec.key_id, redeemer.time, offered) if redeemer is not None else None


def _count(interlinks: Iterable[Interlink], links: Iterable[EstablishedLink]) -> InterlinkCounts:
    linked = {link.interlink.key for link in links}
    pending = [i for i in interlinks if i.key not in linked and i.status.state != "Ended"]
    return InterlinkCounts(pending=len(pending), established=len(linked))
