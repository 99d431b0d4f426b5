"""DialPlanSlice: the published dial plan of an account, which a SIP server reads.

Sliced like EndpointSlices, so that one changed number rewrites one small object.  The reader's contract:

* emergency numbers first; on overlap the row of the lower `rank` wins;
* a `Peer` row is usable iff its Interlink exists, names this account, is not being deleted and shows
  `status.gate: Open`;
* a call that *arrives* over a link is answered only if the gate is open and the owner's row is offered to that
  link: by its `Offer` slice if there is one, else by `offered: All`;
* slices count only in the account's namespace and with an ownerReference to its UID.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, VERSION, Model, Resource, ResourceType
from pbx_operator.api.schema import SET, Column, Definition, ListType, Rule, member_of_union, rules, sentence
from pbx_operator.api.v1alpha1.internalnumber import Destination
from pbx_operator.api.v1alpha1.pbxaccount import EmergencyDigits
from pbx_operator.api.v1alpha1.shared import SHORT, AccountReference, DisplayName, DnsLabel, InternalNumberDigits

Dialed = Annotated[str, Field(max_length=SHORT, pattern=r"^[0-9*#]{1,8}$")]
Target = Annotated[str, Field(max_length=258, pattern=r"^[0-9]{1,4}@[a-z0-9.-]{1,253}$")]


ROW_MEMBERS = {
    "Own": "offered and neither dialed nor target",
    "Peer": "dialed and target and neither offered nor destination",
    "Offer": "nothing but number",
}
"""Which members the rows of a source have."""


class Source(Model):
    """Where the rows come from: one source per slice."""

    model_config = rules(member_of_union("interlink", "Peer", "Offer"), member_of_union("class", "Peer"))

    type: Literal["Own", "Peer", "Offer"]
    """type is `Own` for the account's numbers, `Peer` for numbers that a linked account offers, `Offer` for the
    numbers that one link may reach when that differs from the account's default."""
    interlink: DnsLabel | None = None
    """interlink is the Interlink that the rows belong to; set if, and only if, type is `Peer` or `Offer`."""
    peer_class: Literal["Plain", "Prefixed"] | None = Field(default=None, alias="class")
    """class tells whether the peer's numbers are dialled as they are (`Plain`) or behind the link's dialPrefix
    (`Prefixed`); set if, and only if, type is `Peer`."""


class Row(Model):
    """One number."""

    number: InternalNumberDigits
    """number is the number as its owner knows it."""
    display_name: DisplayName | None = None
    """displayName is the name for people."""
    destination: Destination | None = None
    """destination is where an own number rings; absent for a free number and for numbers of peers."""
    offered: Literal["All", "None"] | None = None
    """offered tells whether links without an Offer slice may reach this own number."""
    dialed: Dialed | None = None
    """dialed is what a phone of this account dials to reach the peer's number."""
    target: Target | None = None
    """target is where a call to the peer's number goes: `number@domain` of the peer."""


def _rows_of(source: str, members: str) -> Rule:
    """Return the rule about the members of a row `r` of this source."""
    return Rule(
        rule=f"self.source.type != '{source}' || !has(self.rows) || self.rows.all(r, {members})",
        message=f"`rows` of source {source} must have {ROW_MEMBERS[source]}",
        message_expression=sentence(
            f"row '{{self.rows.filter(r, !({members}))[0].number}}' must have {ROW_MEMBERS[source]}"
            f" because `source.type` is '{source}'"
        ),
        field_path=".rows",
    )


class DialPlanSliceSpec(Model):
    """A part of an account's dial plan."""

    model_config = rules(
        _rows_of("Own", "has(r.offered) && !has(r.dialed) && !has(r.target)"),
        _rows_of("Peer", "has(r.dialed) && has(r.target) && !has(r.offered) && !has(r.destination)"),
        _rows_of(
            "Offer",
            "!has(r.displayName) && !has(r.destination) && !has(r.offered) && !has(r.dialed) && !has(r.target)",
        ),
        Rule(
            rule="self.source.type == 'Own' || !has(self.emergencyNumbers) || size(self.emergencyNumbers) == 0",
            message="`emergencyNumbers` may be set only if `source.type` is Own",
            message_expression=sentence(
                "`emergencyNumbers` '{self.emergencyNumbers[0]}' may not be set because"
                " `source.type` is '{self.source.type}'"
            ),
            field_path=".emergencyNumbers",
            reason="FieldValueForbidden",
        ),
    )

    account_ref: AccountReference
    """accountRef is the PBXAccount whose phones use this plan."""
    source: Source
    """source is where the rows come from."""
    rank: Annotated[str, Field(max_length=SHORT, pattern=r"^[ -~]{1,64}$")]
    """rank sorts as text; where two slices have a row for the same digits the lower rank wins."""
    rev: Annotated[str, Field(max_length=SHORT, pattern=r"^[a-z2-7]{26}$")]
    """rev changes exactly when the content does."""
    emergency_numbers: Annotated[tuple[EmergencyDigits, ...], Field(max_length=160), SET] = ()
    """emergencyNumbers go to the emergency service whatever the rows say; on the first Own slice only."""
    rows: Annotated[tuple[Row, ...], Field(max_length=100), ListType("map", ("number",))] = ()
    """rows are the numbers, lowest first."""


class DialPlanSlice(Resource):
    """DialPlanSlice is a published part of an account's dial plan. Written by the operator only."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "DialPlanSlice", "dialplanslices")
    definition: ClassVar[Definition] = Definition(
        singular="dialplanslice",
        short_names=("dps",),
        declared=False,
        columns=(
            Column("Account", ".spec.accountRef.name", "PBXAccount of the plan."),
            Column("Source", ".spec.source.type", "Own, Peer or Offer."),
            Column("Interlink", ".spec.source.interlink", "Interlink of the rows."),
            Column("Rank", ".spec.rank", "Lower wins."),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
        ),
        selectable_fields=(".spec.accountRef.name", ".spec.source.interlink"),
    )

    spec: DialPlanSliceSpec
    """spec is a part of the account's dial plan."""
