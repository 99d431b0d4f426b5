"""What to show on an object that the operator cannot read.

The API server checks objects when they are written, so this needs a CRD of another version than the operator's.
One such object must not block the others, nor count as absent, nor lose what its status says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ConfigDict

from pbx_operator.api import reasons
from pbx_operator.api.meta import ObjectKey, ObjectMeta, ResourceType
from pbx_operator.api.reasons import verdict
from pbx_operator.api.v1alpha1.shared import Status
from pbx_operator.domain.conditions import merge, summarize
from pbx_operator.domain.plan import StatusUpdate, Target


class OpaqueStatus(Status):
    """A status whose conditions are known and whose other fields are kept as they are."""

    model_config = ConfigDict(extra="allow")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object whose metadata is known and whose content does not fit the model."""

    resource: ResourceType
    metadata: ObjectMeta
    problem: str
    """The fields that do not fit, without their values."""
    account: ObjectKey | None = None
    """The account that it names, as far as that can be told."""
    status: OpaqueStatus = field(default_factory=OpaqueStatus)

    @property
    def key(self) -> ObjectKey:
        """Where the object is."""
        return ObjectKey(self.metadata.namespace, self.metadata.name)


def show_unreadable(unreadable: Unreadable, now: datetime) -> StatusUpdate:
    """Return the status that says what is wrong."""
    ready = verdict("Ready", "False", reasons.UNREADABLE, problem=unreadable.problem)
    accepted = verdict("Accepted", "False", reasons.UNREADABLE, problem=unreadable.problem)
    status, generation = unreadable.status, unreadable.metadata.generation
    conditions = merge(status.conditions, [*summarize(ready, is_stalled=True), accepted], generation, now)
    shown = status.model_copy(update={"observed_generation": generation, "conditions": conditions})
    return StatusUpdate(Target(unreadable.resource, unreadable.key, unreadable.metadata.uid), shown)
