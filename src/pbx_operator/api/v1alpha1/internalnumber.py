"""InternalNumber: a short number of an account and where it rings."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, VERSION, Model, Resource, ResourceType
from pbx_operator.api.schema import Column, Definition, immutable, member_of_union, rules
from pbx_operator.api.v1alpha1.shared import (
    SHORT,
    AccountReference,
    DisplayName,
    DnsLabel,
    InternalNumberDigits,
    Status,
)

Visibility = Literal["Shared", "Private"]


class Phone(Model):
    """A SIP device that registers with the account."""

    username: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9._~!$&'()*+,;=-]+$")]
    """username is the SIP user part of the device, for example `desk-7`."""


class SIPAddress(Model):
    """Any SIP address."""

    uri: Annotated[str, Field(max_length=255, pattern=r"^sips?:[!-?A-~]+@[!-?A-~]+$")]
    """uri is a SIP URI in visible ASCII characters, for example `sip:alice@example.com`."""


class ExternalNumber(Model):
    """A number of the public telephone network."""

    e164: Annotated[str, Field(max_length=SHORT, pattern=r"^\+[1-9][0-9]{1,14}$")]
    """e164 is the number in E.164 form with plus, for example `"+31201234567"`."""


class Application(Model):
    """A service of the account."""

    kind: Literal["Conference", "VoiceMenu", "RingGroup", "Queue", "Voicemail"]
    """kind is the sort of service."""
    name: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    """name is the service's name within the account, for example `sales`."""


class ServerDestination(Model):
    """A communication server, which knows where the number rings behind it."""

    name: DnsLabel
    """name is the CommServer in the number's namespace, for example `lyon`."""


class Destination(Model):
    """Where a number rings: the member that is named by `type`."""

    model_config = rules(
        member_of_union("phone", "Phone"),
        member_of_union("sipURI", "SIPURI"),
        member_of_union("externalNumber", "ExternalNumber"),
        member_of_union("application", "Application"),
        member_of_union("commServer", "CommServer"),
    )

    type: Literal["Phone", "SIPURI", "ExternalNumber", "Application", "CommServer"]
    """type names the member that is set."""
    phone: Phone | None = None
    """phone is a SIP device of the account; set if, and only if, type is `Phone`."""
    sip_uri: SIPAddress | None = Field(default=None, alias="sipURI")
    """sipURI is a SIP address; set if, and only if, type is `SIPURI`."""
    external_number: ExternalNumber | None = None
    """externalNumber is a number of the public network; set if, and only if, type is `ExternalNumber`."""
    application: Application | None = None
    """application is a service of the account; set if, and only if, type is `Application`."""
    comm_server: ServerDestination | None = None
    """commServer is a communication server, which gets the call; set if, and only if, type is `CommServer`."""


class InternalNumberSpec(Model):
    """The number that is wanted."""

    account_ref: Annotated[AccountReference, immutable("name", "delete this InternalNumber and create another one")]
    """accountRef is the PBXAccount that the number belongs to. Immutable: delete this object and create
    another one."""
    number: InternalNumberDigits
    """number is 1 to 4 digits in quotes, for example `"200"`; leading zeros count. It may change: the old number
    is free at once."""
    display_name: DisplayName | None = None
    """displayName is the name for people, for example `Reception`; linked accounts see it when the number is
    shared."""
    visibility: Visibility = "Shared"
    """visibility is `Shared` (default): linked accounts may dial the number, or `Private`: nothing of it leaves
    the account."""
    destination: Destination | None = None
    """destination is where the number rings; absent means that the number is free, held but not answered."""


class InternalNumberStatus(Status):
    """The number as it is."""

    number: InternalNumberDigits | None = None
    """number is the number that this object holds now."""


class InternalNumber(Resource):
    """InternalNumber is a short number of a PBXAccount and where it rings."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "InternalNumber", "internalnumbers")
    definition: ClassVar[Definition] = Definition(
        singular="internalnumber",
        short_names=("inum",),
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether the number serves."),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why, in one word."),
            Column("Number", ".spec.number", "The number that is wanted."),
            Column("Account", ".spec.accountRef.name", "PBXAccount of the number."),
            Column("Visibility", ".spec.visibility", "Shared with linked accounts, or Private."),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', "What to do.", priority=1),
        ),
        selectable_fields=(".spec.accountRef.name", ".spec.number"),
    )

    spec: InternalNumberSpec
    """spec is the number that is wanted."""
    status: InternalNumberStatus = InternalNumberStatus()
    """status is the number as the operator last saw it."""
