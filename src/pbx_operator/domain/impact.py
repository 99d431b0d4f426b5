"""Impact: which work a change of one object makes necessary.

The only fan-out rule.  A change reaches the objects whose plan reads what changed, and no others: a status that
changed for people alone moves nothing, and a number reaches the peers only through the offer that was published.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Literal, NamedTuple, Protocol, TypeVar

from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.api.v1alpha1 import DialPlanSlice, Interlink, InternalNumber, LinkRecord, PBXAccount
from pbx_operator.domain.claims import Claim, contested
from pbx_operator.domain.customers.impact import CustomerIndex, customer_rivals, has_customer_work
from pbx_operator.domain.dialplan.slices import owner_of
from pbx_operator.domain.links.facts import account_ready
from pbx_operator.domain.records.facts import (
    SIDES,
    Party,
    account_of,
    accounts_of,
    interlink_of,
    pair_of,
    peer_instance,
    places_of,
)
from pbx_operator.domain.servers.impact import (
    ServerIndex,
    servers_of_change,
    servers_of_changed_account,
    servers_of_record,
)
from pbx_operator.domain.unreadable import Observed, Unreadable


class WorkKey(NamedTuple):
    """One unit of work.

    `Link` owns an Interlink and its side of the records that name its place.  `Account` owns an account with
    its number claims, the statuses of its InternalNumbers, and its slices.  `Server` owns a CommServer.
    `Customer` owns the customer behind an account.
    """

    kind: Literal["Link", "Account", "Server", "Customer"]
    key: ObjectKey

    def __str__(self) -> str:
        return f"{self.kind}({self.key})"


class Index(ServerIndex, CustomerIndex, Protocol):
    """The lookups that the rule needs."""

    def links_of_account(self, account: ObjectKey) -> Iterable[Interlink]:
        """Return the Interlinks that name an account."""

    def links_waiting_for_key(self, key_id: str) -> Iterable[Interlink]:
        """Return the Interlinks whose status shows a key."""

    def records_of_link(self, interlink: ObjectKey) -> Iterable[LinkRecord]:
        """Return the records that name the place of an Interlink."""

    def records_of_account(self, account: ObjectKey) -> Iterable[LinkRecord]:
        """Return the records that name an account."""

    def links_of_pair(self, pair: frozenset[Party]) -> Iterable[LinkRecord]:
        """Return the established records that join two accounts."""

    def accounts_of_domain(self, domain: str) -> Iterable[PBXAccount]:
        """Return the accounts that want or show a SIP domain."""

    def domain_claim(self, account: PBXAccount | Unreadable) -> Claim:
        """Return the claim of an account on its SIP domain."""

    def interlink(self, key: ObjectKey) -> Interlink | None:
        """Return the Interlink at a place, if it can be read."""

    def numbers_of_server(self, server: ObjectKey) -> Iterable[InternalNumber]:
        """Return the InternalNumbers that ring at a CommServer."""

    def offers_any(self, account: ObjectKey, numbers: Set[str]) -> bool:
        """Whether an Offer slice of an account lists one of these numbers."""


R = TypeVar("R", bound=Resource)


def affected(old: Observed, new: Observed, index: Index) -> set[WorkKey]:
    """Return the work that the change of an object from `old` to `new` makes necessary."""
    either = new if new is not None else old
    if either is None:
        return set()
    kind = either.resource.kind
    before = old if isinstance(old, Resource) else None
    after = new if isinstance(new, Resource) else None
    if kind == "Interlink":
        return _of_interlink(either.key, _as(Interlink, before), _as(Interlink, after), index)
    if kind == "PBXAccount":
        work = _of_account(either.key, _as(PBXAccount, before), _as(PBXAccount, after), index)
        work |= _of_what_accounts_claim(old, new, index)
        work |= {WorkKey("Server", server) for server in servers_of_changed_account(old, new, index)}
        work |= {WorkKey("Customer", either.key)} if has_customer_work(old, new) else set()
        unreadable = isinstance(old, Unreadable) or isinstance(new, Unreadable)
        return work | (_links_of_account(either.key, index) if unreadable else set())
    if kind == "InternalNumber":
        return {_account(o) for o in (old, new) if isinstance(o, InternalNumber | Unreadable)}
    if kind == "CommServer":
        work = {WorkKey("Server", server) for server in servers_of_change(old, new, index)}
        return work | (_callers(either.key, index) if old is None or new is None else set())
    if kind == "EquipmentRecord":
        return {WorkKey("Server", server) for server in servers_of_record(old, new)}
    if kind == "LinkRecord":
        return _of_record(_as(LinkRecord, before), _as(LinkRecord, after), index)
    work = _of_slice(_as(DialPlanSlice, before), _as(DialPlanSlice, after), index)
    return work | _in_need_of_name(either.key, index)


def _as(model: type[R], value: Resource | None) -> R | None:
    return value if isinstance(value, model) else None


def _link(key: ObjectKey) -> WorkKey:
    return WorkKey("Link", key)


def _account(o: Interlink | InternalNumber | DialPlanSlice | Unreadable) -> WorkKey:
    named = o.account if isinstance(o, Unreadable) else ObjectKey(o.key.namespace, o.spec.account_ref.name)
    return WorkKey("Account", named)


def _callers(server: ObjectKey, index: Index) -> set[WorkKey]:
    """Return the accounts whose numbers ring at a CommServer, and show whether it is there."""
    return {_account(number) for number in index.numbers_of_server(server)}


# --- Interlink --------------------------------------------------------------------------------------------------


def _of_interlink(key: ObjectKey, old: Interlink | None, new: Interlink | None, index: Index) -> set[WorkKey]:
    work = {_link(key)}
    if _seen_by_peer(old) != _seen_by_peer(new):
        work |= _other_sides(key, index)
    if _seen_by_account(old) != _seen_by_account(new):
        work |= {_account(o) for o in (old, new) if o is not None}
    if _prefix(old) != _prefix(new):
        work |= _siblings_with_prefix(old, index) | _siblings_with_prefix(new, index)
    return work


def _seen_by_peer(link: Interlink | None) -> object:
    """Return what the gate on the other side depends on, beside the record.

    A deletion is not among it: it changes the record within the same work, and that reaches the other side once.
    """
    if link is None:
        return None
    issue = link.spec.issue_key
    allowed = issue.allowed_redeemers if issue else ()
    return (link.metadata.uid, link.spec.gate, allowed, link.status.state == "Ended")


def _seen_by_account(link: Interlink | None) -> object:
    """Return what the account's slices and counts depend on."""
    if link is None:
        return None
    spec = link.spec
    ended = link.status.state == "Ended"
    guarded = spec.sharing is not None and link.status.gate == "Open"
    return (link.metadata.uid, link.metadata.deleting, spec.sharing, spec.dial_prefix, spec.priority, ended, guarded)


def _prefix(link: Interlink | None) -> object:
    """Return what the link's claim on its dialPrefix depends on: it holds while it is established."""
    if link is None:
        return None
    return (link.metadata.uid, link.spec.dial_prefix, link.status.link_id, link.status.state)


def _siblings_with_prefix(link: Interlink | None, index: Index) -> set[WorkKey]:
    if link is None or link.spec.dial_prefix is None:
        return set()
    account = ObjectKey(link.key.namespace, link.spec.account_ref.name)
    siblings = index.links_of_account(account)
    return {_link(s.key) for s in siblings if s.spec.dial_prefix == link.spec.dial_prefix and s.key != link.key}


def _other_sides(key: ObjectKey, index: Index) -> set[WorkKey]:
    return {
        _link(place)
        for record in index.records_of_link(key)
        if record.spec.state == "Established" or record.spec.redeemer is not None
        for place in places_of(record.spec)
        if place != key
    }


# --- PBXAccount -------------------------------------------------------------------------------------------------


def _of_account(key: ObjectKey, old: PBXAccount | None, new: PBXAccount | None, index: Index) -> set[WorkKey]:
    work = {WorkKey("Account", key)}
    if _seen_by_links(old) != _seen_by_links(new):
        work |= _links_of_account(key, index)
    if _seen_by_linked(old) != _seen_by_linked(new):
        for record in index.records_of_account(key):
            work |= {_link(place) for place in places_of(record.spec)}
    if _shown_domain(old) != _shown_domain(new):
        work |= _accounts_linked_to(key, index)
    return work


def _of_what_accounts_claim(old: Observed, new: Observed, index: Index) -> set[WorkKey]:
    """Return the accounts with an interest in the SIP domains or the customer on which the account's claim changed."""
    domains = contested(_domain_claim(old, index), _domain_claim(new, index))
    work = {WorkKey("Account", rival.key) for domain in domains for rival in index.accounts_of_domain(domain)}
    for rival in customer_rivals(old, new, index):
        work |= {WorkKey("Account", rival), WorkKey("Customer", rival)}
    return work


def _links_of_account(account: ObjectKey, index: Index) -> set[WorkKey]:
    """Return the account's Interlinks, and its own side of each of its links, whose Interlink may be gone."""
    return {_link(link.key) for link in index.links_of_account(account)} | {
        _link(place.key)
        for record in index.records_of_account(account)
        for side in SIDES
        if (owner := account_of(record.spec, side)) is not None and owner.key == account
        if (place := interlink_of(record.spec, side)) is not None
    }


def _seen_by_links(account: PBXAccount | None) -> object:
    """Return what the links of the account itself depend on."""
    if account is None:
        return None
    spec, meta = account.spec, account.metadata
    return (meta.uid, meta.deleting, account_ready(account), spec.country, spec.numbering, spec.emergency)


def _seen_by_linked(account: PBXAccount | None) -> object:
    """Return what both ends of the account's links show of it, or depend on beside the record."""
    if account is None:
        return None
    return (account.metadata.uid, account.spec.display_name, account.status.sip_domain)


def _domain_claim(account: Observed, index: Index) -> Claim | None:
    return index.domain_claim(account) if isinstance(account, PBXAccount | Unreadable) else None


def _shown_domain(account: PBXAccount | None) -> str | None:
    return account.status.sip_domain if account is not None else None


def _accounts_linked_to(account: ObjectKey, index: Index) -> set[WorkKey]:
    return {
        WorkKey("Account", other)
        for record in index.records_of_account(account)
        if record.spec.state == "Established" and record.spec.redeemer is not None
        for other in accounts_of(record.spec)
        if other != account
    }


# --- LinkRecord and DialPlanSlice -------------------------------------------------------------------------------


def _of_record(old: LinkRecord | None, new: LinkRecord | None, index: Index) -> set[WorkKey]:
    either = new if new is not None else old
    if either is None:
        return set()
    work = {_link(place) for o in (old, new) if o is not None for place in places_of(o.spec)}
    work |= {_link(link.key) for link in index.links_waiting_for_key(either.spec.key_id)}
    if _heard(old) != _heard(new):
        work |= {WorkKey("Account", account) for account in accounts_of(either.spec)}
    joined = _joins(new)
    if joined == _joins(old) or joined == ("Issued",):
        return work
    accounts = accounts_of(either.spec)
    work |= {WorkKey("Account", account) for account in accounts}
    if joined is None:
        return work | _bystanders(accounts, index)
    return work | _rivals(either, index)


def _heard(record: LinkRecord | None) -> object:
    """Return what a peer in another cluster lets the account dial."""
    heard = record.status.heard if record is not None else None
    return (heard.sip_domain, heard.numbers) if heard is not None else None


def _joins(record: LinkRecord | None) -> tuple[str, ...] | None:
    """Return what accounts depend on: whether a live record is there, and which two objects it joins, if it does."""
    if record is None or record.spec.state == "Ended":
        return None
    issuer, redeemer = record.spec.issuer.interlink, record.spec.redeemer
    if redeemer is None:
        return (record.spec.state,)
    return (record.spec.state, issuer.uid if issuer is not None else "", redeemer.interlink.uid)


def _rivals(record: LinkRecord, index: Index) -> set[WorkKey]:
    """Return the issuers of other links of the same pair, one of which must end."""
    pair = pair_of(record.spec)
    rivals = index.links_of_pair(pair) if pair is not None else ()
    return {_link(place) for rival in rivals for place in places_of(rival.spec)}


def _bystanders(accounts: set[ObjectKey], index: Index) -> set[WorkKey]:
    """Return the redeemers that the end of a link may help, since their two accounts are not linked any more.

    Each has one end in either account, so the account with fewer Interlinks leads to all of them.
    """
    few: list[Interlink] = min((list(index.links_of_account(a)) for a in accounts), key=len, default=[])
    keys = {link.status.key_id for link in few if link.status.key_id is not None}
    waiting = {_link(link.key) for key in keys for link in index.links_waiting_for_key(key)}
    return waiting | {_link(link.key) for link in few}


def _of_slice(old: DialPlanSlice | None, new: DialPlanSlice | None, index: Index) -> set[WorkKey]:
    work = {_account(o) for o in (old, new) if o is not None}
    if old is None or new is None:
        work |= {_link(place) for o in (old, new) if o is not None for place in _offering_link(o)}
    for account in {_account(o).key for o in (old, new) if o is not None}:
        if _offered(old) != _offered(new) or index.offers_any(account, _changed_names(old, new)):
            work |= _accounts_linked_to(account, index) | _links_elsewhere(account, index)
    return work


def _links_elsewhere(account: ObjectKey, index: Index) -> set[WorkKey]:
    """Return the links that tell peers in other clusters what the account offers."""
    records = (r for r in index.records_of_account(account) if peer_instance(r.spec) is not None)
    return {_link(place) for record in records for place in places_of(record.spec)}


def _in_need_of_name(slice_: ObjectKey, index: Index) -> set[WorkKey]:
    """Return the account that needs the name of a slice for its own, whoever made that slice."""
    owner = owner_of(slice_.name)
    place = ObjectKey(slice_.namespace, owner.name)
    if owner.kind == "PBXAccount":
        return {WorkKey("Account", place)}
    link = index.interlink(place)
    return {_account(link)} if link is not None else set()


def _offering_link(slice_: DialPlanSlice) -> Iterable[ObjectKey]:
    """Return the Interlink whose gate waits for the slice."""
    source = slice_.spec.source
    return (ObjectKey(slice_.key.namespace, source.interlink),) if source.type == "Offer" and source.interlink else ()


def _offered(slice_: DialPlanSlice | None) -> object:
    """Return what the rows let peers dial, and under which names."""
    if slice_ is None or slice_.spec.source.type == "Peer":
        return ()
    source = slice_.spec.source
    rows = tuple((r.number, r.display_name) for r in slice_.spec.rows if source.type == "Offer" or r.offered == "All")
    return (source.type, source.interlink, rows) if rows or source.type == "Offer" else ()


def _changed_names(old: DialPlanSlice | None, new: DialPlanSlice | None) -> set[str]:
    """Return the own numbers with another name among those that are not offered to all: Offer rows hold no names."""
    return {number for number, _ in _kept_back(old) ^ _kept_back(new)}


def _kept_back(slice_: DialPlanSlice | None) -> set[tuple[str, str | None]]:
    rows = slice_.spec.rows if slice_ is not None else ()
    return {(r.number, r.display_name) for r in rows if r.offered == "None"}
