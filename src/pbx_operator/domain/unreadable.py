"""What to show on an object that the operator cannot read.

The API server checks objects when they are written, so this needs a CRD of another version than the operator's.
One such object must not block the others, nor count as absent, nor lose what its status says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ConfigDict

from pbx_operator.api import reasons
from pbx_operator.api.meta import ObjectKey, ObjectMeta, Resource, ResourceType
from pbx_operator.api.reasons import verdict
from pbx_operator.api.v1alpha1.shared import Status
from pbx_operator.domain.claims import Claim, created
from pbx_operator.domain.conditions import merge, summarize
from pbx_operator.domain.deleting import Wait, deleting, leaving
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
    account_name: str = ""
    """The account that it names; empty if that cannot be told."""
    status: OpaqueStatus = field(default_factory=OpaqueStatus)
    orphan: bool = False
    """Its `spec.deletionPolicy` is Orphan, whatever else it says."""

    @property
    def key(self) -> ObjectKey:
        """Where the object is."""
        return ObjectKey(self.metadata.namespace, self.metadata.name)

    @property
    def account(self) -> ObjectKey:
        """The place of the account that it names; one without a name has none."""
        return ObjectKey(self.metadata.namespace, self.account_name)

    def claim(self, field: str) -> Claim:
        """Return its claim on what a field of its status shows, which nobody else may have until it is deleted."""
        shown = (self.status.model_extra or {}).get(field)
        held = shown if isinstance(shown, str) else None
        return Claim(self.key, created(self.metadata), None if self.metadata.deleting else held, held)

    def to_delete(self, field: str) -> str | None:
        """Return what a field of its status shows, if a provider has to delete that before the object may go."""
        return self.claim(field).shows if not self.orphan else None

    @property
    def shown_gate(self) -> object:
        """What an Interlink's status says of its gate."""
        return (self.status.model_extra or {}).get("gate")


def waiting_to_be_readable(unreadable: Unreadable, thing: str) -> Wait:
    """Return what an object that is being deleted waits for: nobody knows where the `thing` behind it is."""
    waiting = f"somebody to make it readable ({unreadable.problem}), so that {thing} can be deleted at the provider"
    return Wait(waiting, f"to leave it there, {leaving(unreadable.resource, unreadable.key)}")


Observed = Resource | Unreadable | None
"""An object as it was seen, or that there is none."""


def show_unreadable(unreadable: Unreadable, now: datetime, *, wait: Wait | None = None) -> StatusUpdate:
    """Return the status that says what is wrong; nothing passes over an Interlink whose wishes nobody knows.

    `wait` is what one that is being deleted waits for.
    """
    ready = verdict("Ready", "False", reasons.UNREADABLE, problem=unreadable.problem)
    if wait is not None:
        ready = deleting(wait)
    accepted = verdict("Accepted", "False", reasons.UNREADABLE, problem=unreadable.problem)
    status, generation = unreadable.status, unreadable.metadata.generation
    conditions = merge(status.conditions, [*summarize(ready, is_stalled=wait is None), accepted], generation, now)
    gate = {"gate": "Closed"} if unreadable.shown_gate is not None else {}
    shown = status.model_copy(update={"observed_generation": generation, "conditions": conditions, **gate})
    return StatusUpdate(Target(unreadable.resource, unreadable.key, unreadable.metadata.uid), shown)
