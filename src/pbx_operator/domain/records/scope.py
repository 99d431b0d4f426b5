"""What is an operator's business: several may share a cluster, each with namespaces of its own.

Records have no namespace, so every operator sees those of all.  To act on another one's LinkRecord would end its links:
what the objects are that it names, only the other one knows.
"""

from __future__ import annotations

from dataclasses import dataclass

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import EquipmentRecord, LinkRecord
from pbx_operator.domain.records.facts import accounts_of, places_of


@dataclass(frozen=True, slots=True)
class Scope:
    """What one installation looks after."""

    instance: str
    namespaces: frozenset[str] = frozenset()
    """The namespaces that it watches; none means all."""

    def covers(self, namespace: str) -> bool:
        """Whether objects of a namespace are watched."""
        return not self.namespaces or namespace in self.namespaces

    def holds(self, record: LinkRecord) -> bool:
        """Whether a record is this installation's, and names something that is watched."""
        return record.spec.instance == self.instance and names_watched(record, self.namespaces)


def names_watched(record: LinkRecord | EquipmentRecord, namespaces: frozenset[str]) -> bool:
    """Whether a record names an object of its own cluster that is in one of the namespaces; none means all."""
    return any(not namespaces or key.namespace in namespaces for key in _named(record))


def _named(record: LinkRecord | EquipmentRecord) -> tuple[ObjectKey, ...]:
    if isinstance(record, EquipmentRecord):
        return (record.spec.owner.key,)
    return (*places_of(record.spec), *accounts_of(record.spec))
