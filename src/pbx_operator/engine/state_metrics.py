"""Metrics of what is, beside those in `metrics` of what is done: counted from the Store whenever somebody asks.

They exist where the operator works, and not where it stands by.  /metrics is served by a thread of its own while the
engine goes on, so everything is copied at once before it is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pbx_operator.api.meta import ConditionStatus
from pbx_operator.api.v1alpha1.commserver import ServerState
from pbx_operator.api.v1alpha1.interlink import LinkState
from pbx_operator.domain.records.facts import peer_instance
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.store import Store


class StateMetrics(Collector):
    """How many objects show which condition, which installations answer, and why this one stands back."""

    def __init__(self, store: Store, memory: Memory, identity: Identity, left: Mapping[str, str]) -> None:
        """`left` has the namespaces that are left to other installations."""
        self._store = store
        self._memory = memory
        self._identity = identity
        self._left = left

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Count anew; called from the thread that serves /metrics."""
        yield self._objects()
        yield self._states()
        yield self._peers()
        yield self._standing_back()

    def _objects(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "pbx_operator_objects",
            "Number of objects by kind, condition and its status; an object counts for each condition that it has.",
            labels=("kind", "condition", "status"),
        )
        for table in (self._store.accounts, self._store.interlinks, self._store.numbers, self._store.servers):
            kind = table.model.resource.kind
            counts = Counter({("Ready", status): 0 for status in get_args(ConditionStatus)})
            for shown in table.statuses():
                counts.update((condition.type, condition.status) for condition in shown.conditions)
            for (condition, status), number in counts.items():
                family.add_metric((kind, condition, status), number)
        return family

    def _states(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "pbx_operator_object_states",
            "Number of Interlinks and CommServers by the one word of their status.state.",
            labels=("kind", "state"),
        )
        for table, states in ((self._store.interlinks, LinkState), (self._store.servers, ServerState)):
            shown = Counter(getattr(status, "state", None) for status in table.statuses())
            for state in get_args(states):
                family.add_metric((table.model.resource.kind, state), shown[state])
        return family

    def _peers(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "pbx_operator_peer_reachable",
            "Whether the installation at the other end of established links answers (1) or has fallen silent (0).",
            labels=("peer",),
        )
        records = [record for record in list(self._store.records) if record.spec.state == "Established"]
        for instance in sorted({peer for record in records if (peer := peer_instance(record.spec)) is not None}):
            reachable = self._memory.reachable(instance)
            if reachable is not None:
                family.add_metric((instance,), reachable)
        return family

    def _standing_back(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "pbx_operator_standing_back",
            "Whether the operator stands back (1): its identity is of another cluster (ClusterUnconfirmed) or gone "
            "(IdentityLost), or another installation looks after one of its namespaces (AnotherInstallation).",
            labels=("reason",),
        )
        family.add_metric(("ClusterUnconfirmed",), not self._identity.confirmed)
        family.add_metric(("IdentityLost",), self._identity.lost)
        family.add_metric(("AnotherInstallation",), bool(self._left))
        return family
