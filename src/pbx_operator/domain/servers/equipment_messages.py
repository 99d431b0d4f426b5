"""What a box and the exchange say to each other, for provider Builtin.

The same envelopes as between installations: a box is whoever signs with its key, and its name is made of that, as an
installation's is.  An activation code is never among what is said: who has it proves so by a signature.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import MAX_EXACT_INTEGER, Time
from pbx_operator.api.v1alpha1.commserver import Channel, EquipmentID
from pbx_operator.api.v1alpha1.equipmentrecord import MAX_CHANNELS
from pbx_operator.domain.protocol.messages import Answer, Request

Rev = Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)]


class AssociateRequest(Request):
    """An activation code is used: signed by a key that is made of the code inside, by the box's own key outside."""

    type: ClassVar[str] = "associate"
    equipment_id: EquipmentID = Field(alias="equipmentID")
    """equipmentID is the name of the box."""
    proof: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
    """proof binds the activation code to the key of the box."""


AssociationResult = Literal["Associated", "Used", "Unknown"]


class AssociateAnswer(Answer):
    """Whether the box is in."""

    type: ClassVar[str] = "associate-answer"
    result: AssociationResult
    """result is `Associated`, as often as the same box asks; `Used`, another box has used the code; or `Unknown`, there
    is no such equipment or the code is wrong."""
    time: Time | None = None
    """time is when the code was used, for Associated and Used."""


class ReportRequest(Request):
    """A box that is in tells of its channels, and that it is there."""

    type: ClassVar[str] = "report"
    equipment_id: EquipmentID = Field(alias="equipmentID")
    """equipmentID is the name of the box."""
    rev: Rev
    """rev numbers the reports of the box; it only rises."""
    channels: Annotated[tuple[Channel, ...], Field(max_length=MAX_CHANNELS, fail_fast=True)] = ()
    """channels tells each line between the server and its surroundings; of one that is named twice the last counts."""


class ReportAnswer(Answer):
    """Whether a report was heard."""

    type: ClassVar[str] = "report-answer"
    result: Literal["Heard", "Unknown"]
    """result is `Heard`; or `Unknown`, the box is not, or not any more, the one that used the activation code."""
    known_rev: Rev = 0
    """knownRev is the highest rev that was written down; a report with a lower one was not heard."""
