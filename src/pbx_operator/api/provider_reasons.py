"""The rows of the table of reasons that are about servers, customers and the providers behind them.

Part of `api/reasons`, which makes messages and verdicts of them.
"""

from __future__ import annotations

from pbx_operator.api.conditions import Patience, Place, Reason

_READY: Place = ("Ready", "True")
_NOT_READY: Place = ("Ready", "False")
_PROVISIONED: Place = ("Provisioned", "True")
_UNPROVISIONED: Place = ("Provisioned", "False")
_NOT_LOOKED: Place = ("Provisioned", "Unknown")
_CONNECTED: Place = ("Connected", "True")
_DISCONNECTED: Place = ("Connected", "False")
_UNHEARD: Place = ("Connected", "Unknown")
_REFUSED: Place = ("Accepted", "False")
_WARNED: Place = ("Accepted", "True")
_WEAK: Place = ("WeakActivationCode", "True")

FAILED = (_NOT_READY, _UNPROVISIONED)
FAILED_OR_UNKNOWN = (_NOT_READY, _UNPROVISIONED, _NOT_LOOKED)
_BAD_SPEC = (_NOT_READY, _REFUSED)

# --- all is well ------------------------------------------------------------------------------------------------
DECLARED = Reason(
    "Declared",
    "the provider knows the server, whose box has not connected yet",
    "enter equipment ID and activation code on the box; the message names the Secret that has them, if there is one",
    shown=(_READY, _DISCONNECTED),
    text="the provider knows the server, whose box has not connected yet; {step}",
)
RUNNING = Reason("Running", "the server is connected", shown=(_READY, _CONNECTED), text="{contact}")
DEGRADED = Reason(
    "Degraded",
    "a channel of the server is down, or its box has been silent for minutes",
    "check what the message names",
    shown=(_READY, _CONNECTED),
    text="{contact}",
)
ACTIVATED = Reason(
    "Activated",
    "the server was connected once, and is not now",
    "check what the message names",
    shown=(_READY, _DISCONNECTED),
    text="{contact}",
)
PROVISIONED = Reason("Provisioned", "the provider has it as wanted", shown=(_PROVISIONED,))
DRIFTED = Reason(
    "Drifted",
    "somebody changed it at the provider",
    "change the spec, take the change back there, or let driftPolicy enforce",
    shown=(_PROVISIONED,),
    text="{drift}; change the spec, take the change back there, or set spec.driftPolicy to Enforce",
)

# --- the operator goes on by itself -----------------------------------------------------------------------------
PROVISIONING = Reason(
    "Provisioning",
    "the provider is being asked",
    "this passes in seconds; see the operator's log if it lasts",
    Patience.PROGRESS,
    shown=FAILED_OR_UNKNOWN,
)
AWAITING_CONNECTION = Reason(
    "AwaitingConnection",
    "the server is declared, and spec.readyWhen is Running",
    "{step}",
    Patience.PROGRESS,
    shown=(_NOT_READY,),
)
PROVIDER_UNAVAILABLE = Reason(
    "ProviderUnavailable",
    "the provider does not answer as it should",
    "the message says why, and what to look at; it is tried again",
    Patience.PROGRESS,
    shown=FAILED_OR_UNKNOWN,
    text="{problem}; {advice}",
)
PROVIDER_BUSY = Reason(
    "ProviderBusy", "the provider asks for patience", "it is tried again", Patience.PROGRESS, shown=FAILED_OR_UNKNOWN
)

# --- it may pass by itself, but not for ever --------------------------------------------------------------------
EQUIPMENT_IN_USE = Reason(
    "EquipmentInUse",
    "equipment ID {equipment} belongs to {rival}",
    "delete that one; or delete this one, and create it with the references of another box in spec.stock",
    Patience.GRACE,
    shown=FAILED,
)
SYSTEM_NOT_OURS = Reason(
    "SystemNotOurs",
    "the provider has a system {equipment} that this CommServer did not declare",
    "{next_step}, or delete this object and create one for another box",
    Patience.GRACE,
    shown=FAILED,
)
SYSTEM_DELETED = Reason(
    "SystemDeleted",
    "somebody deleted the server at the provider",
    "to have it declared anew set spec.driftPolicy to Enforce; else delete this object",
    Patience.PERSON,
    shown=FAILED,
)
PROVIDER_REFUSED = Reason(
    "ProviderRefused",
    "the provider refuses: {words} (error {code})",
    "correct what it names; it is tried again every 15 minutes",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
CUSTOMER_IN_USE = Reason(
    "CustomerInUse",
    "customer {customer} belongs to {rival}",
    "delete that one; or delete this one, and create it with another spec.provider.telecomCenter.customerID",
    Patience.GRACE,
    shown=FAILED,
)
CUSTOMER_NOT_OURS = Reason(
    "CustomerNotOurs",
    "customer {customer} exists at the provider and is not as wanted, so it may be somebody else's",
    "to take it over make the spec as it is; else delete this object and create one with another customerID",
    Patience.GRACE,
    shown=FAILED,
)
CUSTOMER_GONE = Reason(
    "CustomerGone",
    "somebody deleted customer {customer} at the provider",
    "to have an empty one created set spec.driftPolicy to Enforce; else delete the PBXAccount",
    Patience.GRACE,
    shown=FAILED,
)
CREDENTIALS_MISSING = Reason(
    "CredentialsMissing",
    "Secret {secret} {problem}",
    "it needs the entries {entries}, each with a text, and is looked at again within minutes",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
CREDENTIALS_ELSEWHERE = Reason(
    "CredentialsElsewhere",
    "Secret {secret} is not for {url}, and nothing was sent there, since {problem}",
    "if the login is for that URL, write it into the Secret's entry 'url', which is looked at again within minutes;"
    " else delete this object and create another one with the right {field}",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)

# --- a person must act ------------------------------------------------------------------------------------------
INVALID_ENDPOINT = Reason(
    "InvalidEndpoint",
    "{field} {problem}",
    "delete this object and create another one, since the URL is immutable",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
ADDRESS_FORBIDDEN = Reason(
    "AddressForbidden",
    "{host}: {problem}",
    "if {field} is right, have an administrator start the operator with --allow-network, else delete this object and"
    " create another one; it is tried every 15 minutes",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
CREDENTIALS_INVALID = Reason(
    "CredentialsInvalid",
    "Secret {secret} {problem}, and nothing was sent, so that no try of the login is used up",
    "write the entry '{entry}' without it, as from a file that printf wrote or that went through tr -d '\\n'; it is"
    " looked at again within minutes",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
CREDENTIALS_REJECTED = Reason(
    "CredentialsRejected",
    "the provider refused the login of Secret {secrets}",
    "correct what is wrong, which is looked at again within minutes; it is not tried before, so that the login is not"
    " locked",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
LOGIN_LOCKED = Reason(
    "LoginLocked",
    "the provider has locked the login of Secret {secret} after too many wrong passwords",
    "give it a new password at the provider, which unlocks it, and write that into the Secret; it is not tried before",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
SETTINGS_REFUSED = Reason(
    "SettingsRefused",
    "the provider does not accept the settings: {words}",
    "correct spec",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
ACCESS_DENIED = Reason(
    "AccessDenied",
    "the provider does not let the login of Secret {secret} do this",
    "give it the right, or name another login",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)
EXCHANGE_MISSING = Reason(
    "ExchangeMissing",
    "the operator has no exchange that the box could connect to",
    "start it with --exchange-endpoint https://HOST:8443, the address by which boxes reach it",
    Patience.PERSON,
    shown=(_NOT_READY,),
)
INVALID_NUMBERING_RULE = Reason(
    "InvalidNumberingRule",
    "a numbering rule cannot be applied",
    "correct it",
    Patience.PERSON,
    shown=_BAD_SPEC,
    text="{problems}",
)
EMERGENCY_CALL = Reason(
    "EmergencyCall",
    "a numbering rule or the outbound prefix keeps people from an emergency number",
    "change it, or add the number to spec.acknowledgedEmergencyNumbers",
    Patience.PERSON,
    shown=_BAD_SPEC,
    text="{problems}",
)

# --- beside Ready -----------------------------------------------------------------------------------------------
ACCEPTED_WITH_WARNINGS = Reason("AcceptedWithWarnings", "the spec is valid, but: {problems}", shown=(_WARNED,))
NOT_PROVISIONED = Reason(
    "NotProvisioned",
    "the provider is not asked for it as the spec is now",
    "the condition Ready says why",
    shown=(_UNPROVISIONED,),
)
NOT_DECLARED = Reason(
    "NotDeclared",
    "the provider does not know the server yet",
    "the condition Ready says why",
    shown=(_UNHEARD,),
)
STOCK_CODE = Reason(
    "StockCode",
    "whoever knows the references of the box can connect in its place until it has connected",
    "raise spec.activation.revision for a generated code (at Rainbow one of four digits), which must then be entered"
    " on the box",
    shown=(_WEAK,),
)

# --- in events alone --------------------------------------------------------------------------------------------
DRIFT_CORRECTED = Reason(
    "DriftCorrected",
    "somebody changed it at the provider, and it was changed back",
    shown=(),
    text="somebody changed it at the provider, and it was changed back: {drift}",
)
LEFT_AT_PROVIDER = Reason(
    "Orphaned",
    "{left} stays, since spec.deletionPolicy is Orphan",
    "{next_step}",
    shown=(),
)

REASONS = tuple(value for value in globals().values() if isinstance(value, Reason))
"""Every row, in the order of this page."""
