"""What the operator knows of the cluster: parsed objects with the indexes that planning needs.

Fed by the first LIST, by watches, and by the responses to our own writes, in any order and more than once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import (
    CommServer,
    DialPlanSlice,
    EquipmentRecord,
    Interlink,
    InternalNumber,
    LinkRecord,
    PBXAccount,
)
from pbx_operator.domain.accounts.domains import domain_claim
from pbx_operator.domain.customers.facts import claimed_customers
from pbx_operator.domain.dialplan.numbers import server_of
from pbx_operator.domain.dialplan.slices import owner_of
from pbx_operator.domain.links.facts import key_reference
from pbx_operator.domain.records.facts import Party, accounts_of, interlink_of, pair_of, peer_instance, places_of
from pbx_operator.domain.records.neighbours import Claim, claims_of, first_claim
from pbx_operator.domain.records.scope import Scope
from pbx_operator.domain.servers.facts import equipment_of
from pbx_operator.engine.tables import SharedTable, Table


def _account_of_reference(o: Interlink | InternalNumber | DialPlanSlice) -> Iterable[ObjectKey]:
    return (ObjectKey(o.key.namespace, o.spec.account_ref.name),)


def _server_of_number(number: InternalNumber) -> Iterable[ObjectKey]:
    server = server_of(number)
    return (ObjectKey(number.key.namespace, server),) if server is not None else ()


def _account_of_server(server: CommServer) -> Iterable[ObjectKey]:
    account = server.spec.account_ref
    return (ObjectKey(server.key.namespace, account.name),) if account is not None else ()


def _key_of_status(link: Interlink) -> Iterable[str]:
    return (link.status.key_id,) if link.status.key_id else ()


def _secret_of_user(link: Interlink) -> Iterable[ObjectKey]:
    reference = key_reference(link)
    return (ObjectKey(link.key.namespace, reference.name),) if reference else ()


def _places_of_record(record: LinkRecord) -> Iterable[ObjectKey]:
    return places_of(record.spec)


def _accounts_of_record(record: LinkRecord) -> Iterable[ObjectKey]:
    return accounts_of(record.spec)


def _namespace_of_record(record: LinkRecord) -> Iterable[str]:
    issuer = interlink_of(record.spec, "issuer")
    return (issuer.namespace,) if issuer is not None else ()


def _pair_of_record(record: LinkRecord) -> Iterable[frozenset[Party]]:
    pair = pair_of(record.spec)
    return (pair,) if pair is not None and record.spec.state == "Established" else ()


def _peer_of_record(record: LinkRecord) -> Iterable[str]:
    peer = peer_instance(record.spec)
    return (peer,) if peer is not None else ()


def _key_of_record(record: LinkRecord) -> Iterable[str]:
    return (record.spec.key_id,)


def _prefix_of_link(link: Interlink) -> Iterable[tuple[ObjectKey, str]]:
    prefix = link.spec.dial_prefix
    return ((ObjectKey(link.key.namespace, link.spec.account_ref.name), prefix),) if prefix else ()


def _interlink_of_offer(part: DialPlanSlice) -> Iterable[ObjectKey]:
    source = part.spec.source
    return (ObjectKey(part.key.namespace, source.interlink),) if source.type == "Offer" and source.interlink else ()


def _claimed_namespaces(record: LinkRecord | EquipmentRecord) -> Iterable[str]:
    return {claim.key.namespace for claim in claims_of(record)}


def _owner_by_name(part: DialPlanSlice) -> Iterable[ObjectKey]:
    return (ObjectKey(part.key.namespace, owner_of(part.metadata.name).name),)


class Store:
    """The tables of our kinds."""

    def __init__(self, domain_suffix: str, scope: Scope) -> None:
        """`scope` tells which records are this installation's."""
        self._scope = scope
        self.domain_suffix = domain_suffix
        """The domain below which accounts without an own SIP domain get theirs."""
        self.accounts = Table(PBXAccount, domain=self._domains_of, customer=claimed_customers)
        self.interlinks = Table(
            Interlink, account=_account_of_reference, key=_key_of_status, secret=_secret_of_user, prefix=_prefix_of_link
        )
        self.numbers = Table(InternalNumber, account=_account_of_reference, server=_server_of_number)
        self.servers = Table(CommServer, account=_account_of_server, equipment=equipment_of)
        self.records = SharedTable(
            LinkRecord,
            scope.holds,
            Table(LinkRecord, claimed=_claimed_namespaces),
            interlink=_places_of_record,
            account=_accounts_of_record,
            namespace=_namespace_of_record,
            pair=_pair_of_record,
            peer=_peer_of_record,
            key=_key_of_record,
        )
        self.equipment = Table(EquipmentRecord, claimed=self._claimed_by_others)
        self.slices = Table(
            DialPlanSlice, account=_account_of_reference, offer=_interlink_of_offer, owner=_owner_by_name
        )
        self.tables: dict[str, Table[Any]] = {
            table.model.resource.plural: table
            for table in (
                self.accounts,
                self.interlinks,
                self.numbers,
                self.servers,
                self.records,
                self.equipment,
                self.slices,
            )
        }

    def neighbour(self, namespace: str) -> str | None:
        """Return the other installation whose namespace this is, if it is one's."""
        theirs = [*self.records.others.select("claimed", namespace), *self.equipment.select("claimed", namespace)]
        if not theirs:
            return None
        every = (claim for record in (*theirs, *self.records, *self.equipment) for claim in claims_of(record))
        first = first_claim((claim for claim in every if claim.key.namespace == namespace), self._stands)
        return first.instance if first is not None and first.instance != self._scope.instance else None

    def _domains_of(self, account: PBXAccount) -> set[str]:
        return domain_claim(account, self.domain_suffix).things

    def _stands(self, claim: Claim) -> bool:
        """Whether the object of a claim is there, in the life that the claim is about."""
        known = (table.metadata_of(claim.key) for table in (self.interlinks, self.servers))
        return any(metadata is not None and metadata.uid == claim.uid for metadata in known)

    def _claimed_by_others(self, record: EquipmentRecord) -> Iterable[str]:
        return _claimed_namespaces(record) if record.spec.instance != self._scope.instance else ()
