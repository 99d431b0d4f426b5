"""What a plan is: actions to carry out, statuses to show, and when to look again.

Plans are data.  The rules make them, the engine carries them out, and tests compare them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pbx_operator.api.meta import ObjectKey, Resource, ResourceType
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice
from pbx_operator.api.v1alpha1.interlink import SecretKeyReference
from pbx_operator.api.v1alpha1.linkrecord import SideReport
from pbx_operator.api.v1alpha1.shared import Status
from pbx_operator.domain.customers.facts import CustomerStepName
from pbx_operator.domain.records.machine import Change
from pbx_operator.domain.servers.facts import StepName


@dataclass(frozen=True, slots=True)
class Target:
    """An object in one of its lives: acting on a name alone could hit its successor."""

    resource: ResourceType
    key: ObjectKey
    uid: str


def target_of(o: Resource) -> Target:
    """Return an object in its present life."""
    return Target(o.resource, o.key, o.metadata.uid)


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Keep the object until its teardown is recorded."""

    target: Target


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the object go."""

    target: Target


@dataclass(frozen=True, slots=True)
class TellOrphan:
    """Tell people what an object that goes leaves at its provider, and what they can do about that."""

    target: Target
    left: str
    next_step: str


@dataclass(frozen=True, slots=True)
class ReadKey:
    """Look at the Secret that holds a key; the result is a fact for the next plan."""

    interlink: ObjectKey
    ref: SecretKeyReference


@dataclass(frozen=True, slots=True)
class MintKey:
    """Create the Secret with a fresh key, or take the key of one that is ours already; then record it."""

    interlink: ObjectKey


@dataclass(frozen=True, slots=True)
class IssueOwnKey:
    """Record the key that the user brought along."""

    interlink: ObjectKey


@dataclass(frozen=True, slots=True)
class Redeem:
    """Present the key of the Interlink's Secret to the authority."""

    interlink: ObjectKey
    basis: object
    """What the answer will rest on, as far as this cluster can see it; once that changes, asking anew may help."""


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """Change a record, if the change still applies once the record has been read."""

    record: str
    change: Change


@dataclass(frozen=True, slots=True)
class TellPeer:
    """Put what our side says to a peer in another cluster into the record, from where it is sent."""

    record: str
    told: SideReport


@dataclass(frozen=True, slots=True)
class PurgeRecord:
    """Delete an Ended record that nobody needs any more."""

    target: Target


@dataclass(frozen=True, slots=True)
class DeleteSpentSecret:
    """Delete the generated key Secret of an Interlink, if it is there and ours: its key is spent or void."""

    secret: ObjectKey
    owner_uid: str
    key_id: str


@dataclass(frozen=True, slots=True)
class DeleteInterlink:
    """Delete the Interlink whose peer ended the link."""

    target: Target


@dataclass(frozen=True, slots=True)
class WriteSlice:
    """Create or replace a slice; its metadata has no UID if it is new."""

    slice: DialPlanSlice


@dataclass(frozen=True, slots=True)
class DeleteSlice:
    """Delete a slice that is no longer wanted."""

    target: Target


@dataclass(frozen=True, slots=True)
class ServerStep:
    """Begin the next step of a CommServer at its provider; the outcome is a fact for a later plan."""

    server: ObjectKey
    step: StepName


@dataclass(frozen=True, slots=True)
class CustomerStep:
    """Begin the next step of an account's customer at its provider; the outcome is a fact for a later plan."""

    account: ObjectKey
    step: CustomerStepName


LinkAction = (
    AddFinalizer
    | RemoveFinalizer
    | ReadKey
    | MintKey
    | IssueOwnKey
    | Redeem
    | ChangeRecord
    | TellPeer
    | PurgeRecord
    | DeleteSpentSecret
    | DeleteInterlink
)
"""What the plan of an Interlink may consist of."""

Action = LinkAction | TellOrphan | WriteSlice | DeleteSlice | ServerStep | CustomerStep


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The status that an object should show."""

    target: Target
    status: Status


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of one look at one work key."""

    actions: tuple[Action, ...] = ()
    statuses: tuple[StatusUpdate, ...] = ()
    requeue: datetime | None = None


def earliest(*times: datetime | None) -> datetime | None:
    """Return when to look again; None if none of the times is known."""
    return min((time for time in times if time is not None), default=None)
