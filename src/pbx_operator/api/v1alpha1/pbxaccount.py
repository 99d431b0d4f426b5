"""PBXAccount: an isolated phone system with its own numbers and links."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pbx_operator.api.meta import GROUP, MAX_EXACT_INTEGER, VERSION, Model, Resource, ResourceType
from pbx_operator.api.schema import (
    ATOMIC,
    SET,
    Column,
    Definition,
    Rule,
    immutable,
    member_of_union,
    rules,
    sentence,
)
from pbx_operator.api.v1alpha1.shared import (
    NAME_IS_LABEL,
    PROVIDER_PORT,
    SHORT,
    Count,
    DeletionPolicy,
    DeletionProtection,
    DialPrefix,
    DisplayName,
    DriftPolicy,
    HostName,
    InternalNumberDigits,
    NumberRange,
    ProviderURL,
    SecretReference,
    Sharing,
    Status,
    Token,
)

CustomerID = Annotated[str, Field(max_length=SHORT, pattern=r"^[1-9][0-9]{0,18}$")]
Language = Literal["EN", "RU", "LT", "LV"]
CountryCode = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Z]{2}$")]
EmergencyDigits = Annotated[str, Field(max_length=SHORT, pattern=r"^[0-9]{2,6}$")]

_BEHIND_PREFIX = "self.reservedPrefixes.exists(p, r.start.startsWith(p) && r.end.startsWith(p))"
"""True for a range `r` all of whose numbers begin with one reserved prefix."""
_RANGE_BEHIND_PREFIX = f"self.ranges.filter(r, {_BEHIND_PREFIX})[0]"

TELECOM_CENTER_URL = "https://api.telecom.center"
"""The Operator API's own URL: where a login goes whose Secret names no other."""
_CREATE_ANOTHER = "delete the PBXAccount and create another one"


class Numbering(Model):
    """Which internal numbers the account has room for, and how its phones dial."""

    model_config = rules(
        Rule(
            rule=f"!has(self.ranges) || !has(self.reservedPrefixes) || !self.ranges.exists(r, {_BEHIND_PREFIX})",
            message="`ranges` may not lie wholly behind one of `reservedPrefixes`",
            message_expression=sentence(
                f"every number from '{{{_RANGE_BEHIND_PREFIX}.start}}' to '{{{_RANGE_BEHIND_PREFIX}.end}}'"
                " begins with one of `reservedPrefixes` {self.reservedPrefixes}"
            ),
            field_path=".ranges",
        )
    )

    ranges: Annotated[tuple[NumberRange, ...], Field(max_length=32), ATOMIC] = ()
    """ranges are the blocks that internal numbers should come from, at most 32; empty (default) means every number
    of 1 to 4 digits."""
    out_of_range: Literal["Warn", "Reject"] = "Warn"
    """outOfRange says what happens to a number outside `ranges`: `Warn` (default) accepts it, `Reject` does not."""
    dialing: Literal["EnBloc", "DigitByDigit"] = "EnBloc"
    """dialing is how phones send digits: whole numbers at once (`EnBloc`, default) or `DigitByDigit`, where a
    short emergency number rings before a longer number that begins with it can be finished."""
    reserved_prefixes: Annotated[tuple[DialPrefix, ...], Field(max_length=32), SET] = ()
    """reservedPrefixes are digits with another meaning, for example `"0"` for an outside line or `"*7"` for a
    feature code; internal numbers and dial prefixes may not begin with them, nor be the beginning of one where that
    cuts it off (dial prefixes, and numbers with `dialing: DigitByDigit`)."""


class Emergency(Model):
    """How the account guards emergency numbers. The operator guards; it does not route emergency calls."""

    protection: Literal["Enforce", "Warn"] = "Enforce"
    """protection is `Enforce` (default): refuse numbers that hide an emergency number, or `Warn`: report them. A number
    that equals an emergency number is refused under either."""
    additional_numbers: Annotated[tuple[EmergencyDigits, ...], Field(max_length=32), SET] = ()
    """additionalNumbers are protected beside those of the country, 2 to 6 digits each and in quotes, for example
    `"1999"` for a site's own fire brigade; 112 and 911 always are."""


class TelecomCenterProvider(Model):
    """A customer of an operator at telecom.center, which sells phone.systems under other names."""

    model_config = rules(
        PROVIDER_PORT,
        immutable("url", _CREATE_ANOTHER),
        immutable("customerID", _CREATE_ANOTHER, optional=True),
    )

    url: ProviderURL = TELECOM_CENTER_URL
    """url is where the Operator API is; default `https://api.telecom.center`, for tests
    `https://api.sandbox.telecom.center`. Immutable: delete the PBXAccount and create another one."""
    credentials_secret_ref: SecretReference
    """credentialsSecretRef names the Secret with the operator's login, entries `username` and `password`,
    and `url` if `url` here is not the default."""
    customer_id: CustomerID | None = Field(default=None, alias="customerID")
    """customerID is the id of the customer, in quotes, for example `"123"`; absent: one of 19 digits is made of the
    object's UID. An existing customer is taken over only if its name, language and limits are as wanted here.
    Immutable: delete the PBXAccount and create another one."""
    language: Language = "EN"
    """language is that of the customer's user interface: `EN` (default), `RU`, `LT` or `LV`."""
    capacity_limit: Count | None = None
    """capacityLimit is how many calls the customer may have at the same time; absent: no limit."""
    sip_account_limit: Count | None = None
    """sipAccountLimit is how many SIP accounts the customer may have; absent: no limit."""


class AccountProvider(Model):
    """Where the phone system really runs."""

    model_config = rules(immutable("type", _CREATE_ANOTHER), member_of_union("telecomCenter", "TelecomCenter"))

    type: Literal["Builtin", "TelecomCenter"] = "Builtin"
    """type is `Builtin` (default: the account exists in this cluster alone) or `TelecomCenter`. Immutable: delete the
    PBXAccount and create another one."""
    telecom_center: TelecomCenterProvider | None = None
    """telecomCenter is the customer at telecom.center; set if, and only if, type is `TelecomCenter`."""


class PBXAccountSpec(Model):
    """The phone system that is wanted."""

    display_name: DisplayName | None = None
    """displayName is the name for people, for example `Mike Brown`; default is the object's name."""
    sip_domain: HostName | None = None
    """sipDomain is the host name of the account's SIP addresses, unique among those of one operator, for example
    `amsterdam.pbx.example.com`; if absent, one is made once from the operator's domain suffix and kept in the
    status: `NAME.NAMESPACE.SUFFIX`, a form that no account of another namespace may take."""
    country: CountryCode
    """country is the ISO 3166-1 alpha-2 code, for example `NL`; it decides which numbers are emergency numbers."""
    numbering: Numbering = Numbering()
    """numbering limits the internal numbers of the account."""
    emergency: Emergency = Emergency()
    """emergency adjusts the protection of emergency numbers."""
    sharing: Sharing = Sharing()
    """sharing is what links of this account offer unless they say otherwise."""
    provider: AccountProvider = AccountProvider()
    """provider is where the phone system really runs."""
    deletion_policy: DeletionPolicy = "Delete"
    """deletionPolicy says what becomes of the provider's customer when this object is deleted: `Delete` (default) or
    `Orphan`, it stays."""
    drift_policy: DriftPolicy = "Enforce"
    """driftPolicy says what happens to changes that others make at the provider: `Enforce` (default) takes them back,
    `Report` tells of them. A changed spec is applied as a whole under either."""
    deletion_protection: DeletionProtection = "Disabled"
    """deletionProtection `Enabled` lets the API server refuse to delete this object until it is `Disabled` (default)
    again, if the cluster has the policies of `examples/install/policies.yaml`."""


class InterlinkCounts(Model):
    """How many links the account has."""

    pending: Count = 0
    """pending is the number of Interlinks that wait for their peer (grey)."""
    established: Count = 0
    """established is the number of linked Interlinks (green)."""


class NumberCounts(Model):
    """How many internal numbers the account has."""

    shared: Count = 0
    """shared is the number of internal numbers that linked accounts may be offered."""
    private: Count = 0
    """private is the number of internal numbers that stay inside the account."""
    conflicted: Count = 0
    """conflicted is the number of InternalNumbers whose number another one holds."""


class ShadowedNumbers(Model):
    """Own numbers that hide a peer's number of the same digits: the local one rings."""

    count: Count = 0
    """count is how many numbers of peers are hidden by own numbers."""
    sample: Annotated[tuple[InternalNumberDigits, ...], Field(max_length=20), SET] = ()
    """sample lists up to 20 of them, lowest first."""


class PBXAccountStatus(Status):
    """The phone system as it is."""

    sip_domain: HostName | None = None
    """sipDomain is the domain that the account holds."""
    interlinks: InterlinkCounts | None = None
    """interlinks counts the account's links; refreshed at most every 30 seconds."""
    internal_numbers: NumberCounts | None = None
    """internalNumbers counts the account's numbers; refreshed at most every 30 seconds."""
    shadowed_numbers: ShadowedNumbers | None = None
    """shadowedNumbers tells which numbers of peers cannot be dialled without a prefix."""
    customer_id: CustomerID | None = Field(default=None, alias="customerID")
    """customerID is the id of the provider's customer, shown once the provider has answered; no other PBXAccount of
    the cluster has it."""
    applied_generation: Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)] | None = None
    """appliedGeneration is the metadata.generation whose settings the provider was last given or found to have; absent:
    the customer was never known to exist."""
    rejected_credentials: Token | None = None
    """rejectedCredentials is the version of the Secret whose login the provider refused, and why; it is not tried
    again."""


class PBXAccount(Resource):
    """PBXAccount is an isolated phone system with its own internal numbers and links."""

    resource: ClassVar[ResourceType] = ResourceType(GROUP, VERSION, "PBXAccount", "pbxaccounts")
    definition: ClassVar[Definition] = Definition(
        singular="pbxaccount",
        short_names=("pbxa",),
        columns=(
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether the account serves."),
            Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', "Why, in one word."),
            Column("Country", ".spec.country", "Country of the emergency numbers."),
            Column("Domain", ".status.sipDomain", "SIP domain of the account."),
            Column("Established", ".status.interlinks.established", "Linked accounts.", "integer"),
            Column("Pending", ".status.interlinks.pending", "Links that wait for their peer.", "integer"),
            Column("Age", ".metadata.creationTimestamp", "Time since creation.", "date"),
            Column("Provider", ".spec.provider.type", "Where the phone system really runs.", priority=1),
            Column("Customer", ".status.customerID", "Id of the provider's customer.", priority=1),
            Column("Message", '.status.conditions[?(@.type=="Ready")].message', "What to do.", priority=1),
        ),
        selectable_fields=(".spec.sipDomain", ".spec.country"),
        rules=(NAME_IS_LABEL,),
    )

    spec: PBXAccountSpec
    """spec is the phone system that is wanted."""
    status: PBXAccountStatus = PBXAccountStatus()
    """status is the phone system as the operator last saw it."""
