"""Other installations in the same cluster: which namespaces are theirs.

Two operators that look after one namespace would undo each other's work for ever.  Records have no namespace and name
their installation, so both see that the other one is at work, and by one rule both know who goes on: whoever has the
oldest record there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import EquipmentRecord, LinkRecord
from pbx_operator.domain.records.facts import SIDES, interlink_of

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Claim(NamedTuple):
    """That an installation looks after an object, as one of its records says; the oldest sorts first."""

    since: datetime
    instance: str
    key: ObjectKey
    """The place of an Interlink or a CommServer."""
    uid: str


def claims_of(record: LinkRecord | EquipmentRecord) -> list[Claim]:
    """Return what a record claims: nothing once its link has ended."""
    since, instance = record.metadata.creation_timestamp or _BEGINNING, record.spec.instance
    if isinstance(record, EquipmentRecord):
        return [Claim(since, instance, record.spec.owner.key, record.spec.owner.uid)]
    if record.spec.state == "Ended":
        return []
    named = [link for side in SIDES if (link := interlink_of(record.spec, side)) is not None]
    return [Claim(since, instance, link.key, link.uid) for link in named]


def first_claim(claims: Iterable[Claim], stands: Callable[[Claim], bool]) -> Claim | None:
    """Return the oldest claim about an object that is there in that very life, as `stands` tells."""
    return min((claim for claim in claims if stands(claim)), default=None)
