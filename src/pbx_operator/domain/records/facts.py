"""What a LinkRecord says: which objects it names, whose installation keeps it, what it waits for.

Only readings of a record as it is.  What may become of it is decided in `machine`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    InterlinkIdentity,
    LinkRecord,
    LinkRecordSpec,
    NamespacedName,
    Policy,
    SideClosing,
)

Side = Literal["issuer", "redeemer"]
SIDES: tuple[Side, Side] = ("issuer", "redeemer")


def expired(spec: LinkRecordSpec, now: datetime) -> bool:
    """Whether an unused key may no longer be used; only the issuer's clock counts."""
    return spec.policy.expiration_time is not None and now >= spec.policy.expiration_time


def any_closing(spec: LinkRecordSpec) -> bool:
    """Whether a side has announced the end."""
    return spec.closing.issuer is not None or spec.closing.redeemer is not None


def closing_of(spec: LinkRecordSpec, side: Side) -> SideClosing | None:
    """Return the announcement of one side."""
    return spec.closing.issuer if side == "issuer" else spec.closing.redeemer


def first_closing(spec: LinkRecordSpec) -> tuple[Side, SideClosing] | None:
    """Return the announcement that ends the link first, and whose it is."""
    found = [(side, closing) for side in SIDES if (closing := closing_of(spec, side)) is not None]
    return min(found, key=lambda item: item[1].ends_at, default=None)


def next_timer(spec: LinkRecordSpec) -> datetime | None:
    """Return when RunTimers will have something to do."""
    if spec.state == "Issued":
        return spec.policy.expiration_time
    due = first_closing(spec) if spec.state == "Established" else None
    return due[1].ends_at if due else None


def other_side(side: Side) -> Side:
    """Return the side across the link."""
    return "redeemer" if side == "issuer" else "issuer"


def kept_by(spec: LinkRecordSpec) -> Side:
    """Return the side whose installation keeps the record."""
    return "redeemer" if spec.role == "Replica" else "issuer"


def peer_instance(spec: LinkRecordSpec) -> str | None:
    """Return the other installation that the record joins with ours; None if there is none (yet)."""
    other = spec.issuer.instance if spec.role == "Replica" else spec.redeemer.instance if spec.redeemer else None
    return other if other != spec.instance else None


def peer_contact(record: LinkRecord) -> Contact | None:
    """Return how the peer's installation is reached: as it said itself, else as the key said that was carried."""
    return record.status.contact or record.spec.contact


def peer_key(record: LinkRecord) -> str | None:
    """Return the last identity key of the peer that the record knows: of the redemption, or heard since."""
    spec = record.spec
    peer = spec.issuer if spec.role == "Replica" else spec.redeemer
    return record.status.peer_key or (peer.public_key if peer is not None else None)


def _is_ours(spec: LinkRecordSpec, side: Side) -> bool:
    """Whether the objects of a side are in the cluster that keeps the record: names of others mean nothing here."""
    party = spec.issuer if side == "issuer" else spec.redeemer
    return party is not None and party.instance == spec.instance


def interlink_of(spec: LinkRecordSpec, side: Side) -> InterlinkIdentity | None:
    """Return the Interlink of this cluster that the record names on one side."""
    if not _is_ours(spec, side):
        return None
    if side == "issuer":
        return spec.issuer.interlink
    return spec.redeemer.interlink if spec.redeemer else None


def account_of(spec: LinkRecordSpec, side: Side) -> NamespacedName | None:
    """Return the account of this cluster that the record names on one side."""
    if not _is_ours(spec, side):
        return None
    if side == "issuer":
        return spec.issuer.account
    return spec.redeemer.account if spec.redeemer else None


def places_of(spec: LinkRecordSpec) -> set[ObjectKey]:
    """Return the places of the Interlinks of this cluster that the record names."""
    return {named.key for side in SIDES if (named := interlink_of(spec, side)) is not None}


def accounts_of(spec: LinkRecordSpec) -> set[ObjectKey]:
    """Return the accounts of this cluster that the record names."""
    return {named.key for side in SIDES if (named := account_of(spec, side)) is not None}


class Party(NamedTuple):
    """An account, wherever it is."""

    instance: str
    account: ObjectKey


def pair_of(spec: LinkRecordSpec) -> frozenset[Party] | None:
    """Return the two accounts that a record joins, or the issuer's alone while nobody redeemed it.

    None where the key did not tell its issuer's account: then the issuer alone knows whether the pair is linked.
    """
    if spec.issuer.account is None:
        return None
    issuer = Party(spec.issuer.instance, spec.issuer.account.key)
    redeemer = spec.redeemer
    return frozenset({issuer} if redeemer is None else {issuer, Party(redeemer.instance, redeemer.account.key)})


def sides_of(spec: LinkRecordSpec, interlink: ObjectKey) -> tuple[Side, ...]:
    """Return the sides on which the record names an Interlink of this place, in any of its lives."""
    return tuple(s for s in SIDES if (named := interlink_of(spec, s)) is not None and named.key == interlink)


def admits(allowed: tuple[AllowedRedeemer, ...], issuer_instance: str, instance: str, account: NamespacedName) -> bool:
    """Whether the list lets this account redeem: no list admits all, else one entry must match in all its fields."""
    return not allowed or any(
        (entry.instance or issuer_instance) == instance
        and entry.namespace in (None, account.namespace)
        and entry.account in (None, account.name)
        for entry in allowed
    )


def wanted_policy(spec: LinkRecordSpec, account_ready: bool, allowed: tuple[AllowedRedeemer, ...]) -> Policy:
    """Return the policy that a record should hold while its key is unused."""
    return Policy(
        expiration_time=spec.policy.expiration_time,
        allowed_redeemers=allowed,
        account_ready="True" if account_ready else "False",
    )
