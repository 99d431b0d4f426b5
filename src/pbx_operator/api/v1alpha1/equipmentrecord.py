"""EquipmentRecord: the one place where "this activation code was used" is decided, for provider Builtin.

Operator-only and cluster-scoped.  Its name is made of the equipment ID, so that the API server itself keeps two of one
equipment ID from being there.  The exchange lets a box in by it, and writes down what the box reports.  Decisions read
`spec` alone; `status` is soft.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, MAX_EXACT_INTEGER, VERSION, Model, ObjectKey, Resource, ResourceType, Time
from pbx_operator.api.schema import ATOMIC, Column, Definition, ListType, rules
from pbx_operator.api.v1alpha1.commserver import Channel, DialingDigits, EquipmentID, NumberingRule
from pbx_operator.api.v1alpha1.equipmentrecord_rules import LIFE, NAME, OWNER
from pbx_operator.api.v1alpha1.linkrecord import PublicKey
from pbx_operator.api.v1alpha1.pbxaccount import CountryCode
from pbx_operator.api.v1alpha1.shared import UID, DisplayName, DnsLabel, InstanceID, NamespaceName, Revision

MAX_CHANNELS = 16
"""Lines that one box may report."""


class EquipmentOwner(Model):
    """The CommServer that declared the equipment."""

    model_config = rules(*OWNER)

    namespace: NamespaceName
    """namespace is the CommServer's namespace. Immutable: delete the CommServer."""
    name: DnsLabel
    """name is the CommServer's name. Immutable: delete the CommServer."""
    uid: UID
    """uid is the metadata.uid of the CommServer; adoption replaces it when the object was re-created."""

    @property
    def key(self) -> ObjectKey:
        """The CommServer's place, as the Store knows it."""
        return ObjectKey(self.namespace, self.name)


class Device(Model):
    """The box that used the activation code."""

    public_key: PublicKey
    """publicKey is what the box signs with from then on: its login."""
    time: Time
    """time is when it used the activation code, by the exchange's clock."""


class EquipmentSettings(Model):
    """The settings of the box, as its CommServer has them."""

    display_name: DisplayName
    """displayName is the server's name for people."""
    country: CountryCode
    """country is the ISO 3166-1 alpha-2 code, for example `FR`."""
    national_prefix: DialingDigits | None = None
    """nationalPrefix is dialled before a number of the same country; absent: none."""
    international_prefix: DialingDigits | None = None
    """internationalPrefix is dialled before a number of another country; absent: none."""
    outbound_prefix: DialingDigits | None = None
    """outboundPrefix gets an outside line; absent: none."""
    numbering_rules: Annotated[tuple[NumberingRule, ...], Field(max_length=100), ATOMIC] = ()
    """numberingRules apply to outgoing calls, in order."""
    web_rtc_gateway: Literal["Disabled", "Enabled"] = Field(default="Disabled", alias="webRTCGateway")
    """webRTCGateway is `Disabled` or `Enabled`."""


class EquipmentRecordSpec(Model):
    """The truth about one box and its activation code."""

    model_config = rules(*LIFE)

    equipment_id: EquipmentID = Field(alias="equipmentID")
    """equipmentID is the name that the box connects with. Immutable: delete the CommServer."""
    instance: InstanceID
    """instance is the operator installation that keeps this record. Immutable: delete the CommServer."""
    owner: EquipmentOwner
    """owner is the CommServer that declared the equipment; only its uid changes."""
    code_key: PublicKey
    """codeKey is the public half of a key that is derived from the activation code; the code itself lives only in its
    Secret. It changes with a higher revision only."""
    revision: Revision = 1
    """revision counts the activation codes; it never falls."""
    state: Literal["Declared", "Associated"] = "Declared"
    """state is `Declared` until a box has used the activation code, then `Associated`."""
    device: Device | None = None
    """device is the box that used the activation code; set once for each revision."""
    settings: EquipmentSettings
    """settings are those of the box."""


class DeviceReport(Model):
    """What the box said last."""

    time: Time
    """time is when that was written down, by the exchange's clock: at once where a channel changed, else at most once
    a minute."""
    rev: Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)]
    """rev numbers the reports of one box; it only rises, so that a recorded report is worth nothing."""
    channels: Annotated[tuple[Channel, ...], Field(max_length=MAX_CHANNELS), ListType("map", ("name",))] = ()
    """channels tells each line between the server and its surroundings."""


class EquipmentRecordStatus(Model):
    """Soft facts about the box."""

    report: DeviceReport | None = None
    """report is what the box said last."""


class EquipmentRecord(Resource):
    """EquipmentRecord decides which box used an activation code. Written by the operator only."""

    resource: ClassVar[ResourceType] = ResourceType(
        GROUP, VERSION, "EquipmentRecord", "equipmentrecords", namespaced=False
    )
    definition: ClassVar[Definition] = Definition(
        singular="equipmentrecord",
        short_names=("pbxer",),
        declared=False,
        columns=(
            Column("Equipment", ".spec.equipmentID", "Name that the box connects with."),
            Column("State", ".spec.state", "Declared or Associated."),
            Column("Namespace", ".spec.owner.namespace", "Namespace of the CommServer."),
            Column("Server", ".spec.owner.name", "CommServer that declared it."),
            Column("Heard", ".status.report.time", "Time since the last report.", "date"),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
        ),
        selectable_fields=(".spec.equipmentID",),
        rules=(NAME,),
    )

    spec: EquipmentRecordSpec
    """spec is the truth about one box and its activation code."""
    status: EquipmentRecordStatus = EquipmentRecordStatus()
    """status holds soft facts that may be lost."""


def equipment_manifest(name: str, spec: EquipmentRecordSpec) -> dict[str, Any]:
    """Return what the API server is sent to create a record."""
    resource = EquipmentRecord.resource
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name},
        "spec": spec.to_json(),
    }
