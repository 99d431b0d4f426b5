"""CommServer: a PBX on a customer's site, declared to a provider that it connects to.

The product is Rainbow's association of a communication server with a customer company: declared, it is Pending;
once the box has connected with its equipment ID and activation code, Running.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, MAX_EXACT_INTEGER, VERSION, Model, Resource, ResourceType, Time
from pbx_operator.api.schema import (
    ATOMIC,
    SET,
    Column,
    Definition,
    ListType,
    immutable,
    member_of_union,
    rules,
)
from pbx_operator.api.v1alpha1.commserver_rules import (
    CREATE_ANOTHER,
    DIALING,
    DIALLED,
    LICENSE,
    MODE,
    NUMBERING_RULE,
    SITE,
    URL,
)
from pbx_operator.api.v1alpha1.pbxaccount import EmergencyDigits
from pbx_operator.api.v1alpha1.shared import (
    NAME_IS_LABEL,
    PROVIDER_PORT,
    SHORT,
    AccountReference,
    DeletionPolicy,
    DeletionProtection,
    DisplayName,
    DriftPolicy,
    ObjectName,
    Revision,
    SecretReference,
    Status,
    Token,
)

ServerType = Literal["OXOConnect", "OXOConnectEvolution", "OXE", "ThirdParty"]
DeliveryMode = Literal["Stock", "BTCO"]
ServerState = Literal["Pending", "Running", "Degraded", "Activated"]

FleetReference = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9.]{1,32}$")]
DialingDigits = Annotated[str, Field(max_length=SHORT, pattern=DIALLED)]
EquipmentID = Annotated[str, Field(max_length=255, pattern=r"^[A-Za-z0-9._-]{1,255}$")]
ShortText = Annotated[str, Field(max_length=SHORT)]
"""A text whose form a CEL rule checks, which says what to write instead."""
RAINBOW_URL = "https://openrainbow.com"
"""Rainbow's own URL: where a login goes whose Secret names no other."""


class Stock(Model):
    """The references of a box that is taken from the business partner's stock.

    Joined by a hyphen they are both its equipment ID and its first activation code, and the box knows them already.
    """

    model_config = rules(
        immutable("fleetReference", CREATE_ANOTHER),
        immutable("installationReference", CREATE_ANOTHER),
    )

    fleet_reference: FleetReference
    """fleetReference names the fleet, for example `ALE12`. Immutable: delete the CommServer and create another
    one."""
    installation_reference: FleetReference
    """installationReference names the box within the fleet, in quotes, for example `"1234.5678.90"`. Immutable: delete
    the CommServer and create another one."""


class Activation(Model):
    """How the box proves once that it is the declared one."""

    model_config = rules(immutable("secretName", CREATE_ANOTHER, optional=True))

    secret_name: ObjectName | None = None
    """secretName is the Secret that receives the equipment ID and a generated activation code; default is the
    CommServer's name with `-activation`. Immutable: delete the CommServer and create another one."""
    revision: Revision = 1
    """revision asks for another activation code when it is raised: same equipment ID, and the box must be connected
    anew; lower values are ignored."""


class ServerDialing(Model):
    """How numbers are dialled at the site."""

    model_config = rules(*DIALING)

    country: ShortText
    """country is the ISO 3166-1 alpha-2 code, for example `FR`; it translates national numbers and decides which
    numbers are emergency numbers."""
    national_prefix: ShortText | None = None
    """nationalPrefix is dialled before a number of the same country, in quotes, for example `"0"`; absent: none."""
    international_prefix: ShortText | None = None
    """internationalPrefix is dialled before a number of another country, in quotes, for example `"00"`; absent:
    none."""
    outbound_prefix: ShortText | None = None
    """outboundPrefix gets an outside line, in quotes, for example `"0"`; absent: none. It may not be the beginning
    of an emergency number, unless that is in acknowledgedEmergencyNumbers or a rule adds the prefix."""


class WebRTCGateway(Model):
    """The gateway for calls over the Internet."""

    model_config = rules(LICENSE)

    mode: Literal["Disabled", "Enabled"] = "Disabled"
    """mode is `Disabled` (default) or `Enabled`; it may be enabled later."""
    license: Literal["NotAccepted", "Accepted"] = "NotAccepted"
    """license is `Accepted` once somebody has read and accepted the provider's license of the gateway; default
    `NotAccepted`."""


class NumberingRule(Model):
    """What becomes of some of the numbers that are dialled in the provider's applications."""

    model_config = rules(*NUMBERING_RULE)

    match: ShortText
    """match is a regular expression that finds the part of a number to replace, in quotes, for example `"^0321"`, in
    a part of JavaScript's syntax; write `[0-9]` for a digit."""
    action: Literal["Rewrite", "Block"]
    """action is `Rewrite` (the part that was found becomes `replace`) or `Block` (nothing is dialled)."""
    replace: ShortText | None = None
    """replace is what the found part becomes, in quotes, for example `"0$1"`, `$1` being the first group; set if, and
    only if, action is `Rewrite`."""
    description: DisplayName | None = None
    """description is for people."""


class RainbowProvider(Model):
    """A company in ALE Rainbow."""

    model_config = rules(
        PROVIDER_PORT, immutable("url", CREATE_ANOTHER), immutable("company", CREATE_ANOTHER), SITE, URL
    )

    url: Annotated[str, Field(max_length=253)] = RAINBOW_URL
    """url is where Rainbow is; default `https://openrainbow.com`. Immutable: delete the CommServer and create another
    one."""
    company: DisplayName
    """company is the name of the customer company in Rainbow. Immutable: delete the CommServer and create another
    one."""
    site_id: Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9]{24}$")] | None = Field(
        default=None, alias="siteID"
    )
    """siteID is the site of the company that the server stands at, 24 letters and digits; default is the only site of
    the company. Immutable once it is set: delete the CommServer and create another one."""
    credentials_secret_ref: SecretReference
    """credentialsSecretRef names the Secret with the login of an administrator, entries `username` and
    `password`, and `url` if `url` here is not the default."""
    application_secret_ref: SecretReference
    """applicationSecretRef names the Secret with the Rainbow application, entries `id` and `secret`."""


class ServerProvider(Model):
    """What the server connects to."""

    model_config = rules(immutable("type", CREATE_ANOTHER), member_of_union("rainbow", "Rainbow"))

    type: Literal["Builtin", "Rainbow"] = "Builtin"
    """type is `Builtin` (default: the exchange of this operator) or `Rainbow`. Immutable: delete the CommServer and
    create another one."""
    rainbow: RainbowProvider | None = None
    """rainbow is the company in ALE Rainbow; set if, and only if, type is `Rainbow`."""


class CommServerSpec(Model):
    """The server that is wanted."""

    model_config = rules(*MODE)

    account_ref: AccountReference | None = None
    """accountRef is the PBXAccount whose numbers the server serves; its additional emergency numbers are guarded here
    as well. Absent: none."""
    display_name: DisplayName | None = None
    """displayName is the server's name for people; default is the object's name."""
    type: ServerType
    """type is the sort of PBX. Immutable: delete the CommServer and create another one."""
    delivery_mode: DeliveryMode
    """deliveryMode is `Stock`, the box was delivered without customer information and is known by `stock`, or `BTCO`
    (build to customer order, OXO Connect only): equipment ID and activation code are generated and entered on the box.
    Immutable: delete the CommServer and create another one."""
    stock: Stock | None = None
    """stock names the box; set if, and only if, deliveryMode is `Stock`."""
    activation: Activation = Activation()
    """activation is about the activation code."""
    dialing: ServerDialing
    """dialing is how numbers are dialled at the site."""
    web_rtc_gateway: WebRTCGateway = Field(default=WebRTCGateway(), alias="webRTCGateway")
    """webRTCGateway is for calls over the Internet."""
    numbering_rules: Annotated[tuple[NumberingRule, ...], Field(max_length=100), ATOMIC] = ()
    """numberingRules apply to outgoing calls from the provider's applications, at most 100: the first that matches
    wins, and what it makes of the number is dialled as it is. None may keep people from an emergency number, dialled
    with or without the outbound prefix."""
    acknowledged_emergency_numbers: Annotated[tuple[EmergencyDigits, ...], Field(max_length=32), SET] = ()
    """acknowledgedEmergencyNumbers are emergency numbers that the outbound prefix or a numbering rule touches on
    purpose, in quotes, without the outbound prefix, for example `"18"`, at most 32."""
    ready_when: Literal["Declared", "Running"] = "Declared"
    """readyWhen says when this object is Ready: once the provider knows the server (default; a person must still
    connect the box) or once it runs."""
    provider: ServerProvider = ServerProvider()
    """provider is what the server connects to."""
    deletion_policy: DeletionPolicy = "Delete"
    """deletionPolicy says what becomes of the provider's system when this object is deleted: `Delete` (default) or
    `Orphan`, it stays."""
    drift_policy: DriftPolicy = "Enforce"
    """driftPolicy says what happens to changes that others make at the provider: `Enforce` (default) takes them back,
    `Report` tells of them."""
    deletion_protection: DeletionProtection = "Disabled"
    """deletionProtection `Enabled` lets the API server refuse to delete this object until it is `Disabled` (default)
    again, if the cluster has the policies of `examples/install/policies.yaml`."""


class Channel(Model):
    """One line between the server and its provider."""

    name: Annotated[str, Field(max_length=32, pattern=r"^[a-z][a-z0-9]*$")]
    """name is the provider's word, for example `csta`."""
    state: Literal["Up", "Down"]
    """state is `Up` or `Down`."""


class TranslatedNumber(Model):
    """What becomes of a typical number."""

    number: Annotated[str, Field(max_length=SHORT)]
    """number is what somebody dials."""
    kind: Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z]+$")]
    """kind is what sort of number it is, for example `Emergency`."""
    result: Annotated[str, Field(max_length=255)]
    """result is what the server dials; empty: nothing."""
    by: Annotated[str, Field(max_length=SHORT)]
    """by is the rule that decided, for example `numberingRules[0]`, or `DefaultAnalysis`."""


class CommServerStatus(Status):
    """The server as it is."""

    state: ServerState | None = None
    """state is `Pending` (declared, never connected), `Running`, `Degraded` (a channel is down, or the
    box is silent) or `Activated` (was connected once, and is not now)."""
    equipment_id: EquipmentID | None = Field(default=None, alias="equipmentID")
    """equipmentID is the name that the server connects with; no other CommServer of the cluster has it."""
    system_id: Token | None = Field(default=None, alias="systemID")
    """systemID is the provider's name of the server."""
    activation_secret_name: ObjectName | None = None
    """activationSecretName is the Secret with the equipment ID and the activation code."""
    activation_revision: Revision | None = None
    """activationRevision is the `spec.activation.revision` that the activation code was made for."""
    applied_generation: Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)] | None = None
    """appliedGeneration is the metadata.generation whose settings the provider was last given or found to have."""
    connection: Annotated[tuple[Channel, ...], Field(max_length=16), ListType("map", ("name",))] = ()
    """connection tells each line between the server and the provider."""
    channels_up: Annotated[str, Field(max_length=SHORT, pattern=r"^[0-9]+/[0-9]+$")] | None = None
    """channelsUp is how many of these are up, for example `2/3`, as the server said last; absent: it has none,
    or is not heard any more."""
    last_seen_time: Time | None = None
    """lastSeenTime is when the server was last heard; written with other changes, else at most every 10 minutes."""
    translations: Annotated[tuple[TranslatedNumber, ...], Field(max_length=16), ATOMIC] = ()
    """translations shows what the numbering rules make of typical numbers; empty while the spec is refused."""
    rejected_credentials: Token | None = None
    """rejectedCredentials is the version of the Secrets whose login the provider refused, and why; it is not tried
    again."""


class CommServer(Resource):
    """CommServer is a PBX on a customer's site, declared to the provider that it connects to."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "CommServer", "commservers")
    definition: ClassVar[Definition] = Definition(
        singular="commserver",
        short_names=("pbxcs",),
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether the server is as wanted."),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why, in one word."),
            Column("State", ".status.state", "Pending, Running, Degraded or Activated."),
            Column("Type", ".spec.type", "Sort of PBX."),
            Column("Equipment", ".status.equipmentID", "Name that the server connects with."),
            Column("Provider", ".spec.provider.type", "What it connects to."),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
            Column("Channels", ".status.channelsUp", "How many are up, as the server said last.", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', "What to do.", priority=1),
        ),
        selectable_fields=(".spec.accountRef.name", ".spec.type"),
        rules=(NAME_IS_LABEL,),
    )

    spec: CommServerSpec
    """spec is the server that is wanted."""
    status: CommServerStatus = CommServerStatus()
    """status is the server as the operator last saw it."""
