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

_FAILED = (_NOT_READY, _UNPROVISIONED)
_FAILED_OR_UNKNOWN = (_NOT_READY, _UNPROVISIONED, _NOT_LOOKED)
_BAD_SPEC = (_NOT_READY, _REFUSED)

# --- all is well ------------------------------------------------------------------------------------------------
DECLARED = Reason(
    "Declared", "the provider knows the server; it waits for the box to connect", shown=(_READY, _DISCONNECTED)
)
RUNNING = Reason("Running", "the server is connected", shown=(_READY, _CONNECTED))
DEGRADED = Reason("Degraded", "the server is connected, but not all its channels are up", shown=(_READY, _CONNECTED))
ACTIVATED = Reason(
    "Activated", "the server was connected once, and is not now", "check the box", shown=(_READY, _DISCONNECTED)
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
    "Provisioning", "the provider is being asked", patience=Patience.PROGRESS, shown=_FAILED_OR_UNKNOWN
)
AWAITING_CONNECTION = Reason(
    "AwaitingConnection",
    "the server is declared",
    "connect the box: spec.readyWhen is Running",
    Patience.PROGRESS,
    shown=(_NOT_READY,),
)
PROVIDER_UNAVAILABLE = Reason(
    "ProviderUnavailable",
    "the provider does not answer as it should",
    "it is tried again; the operator's log says why",
    Patience.PROGRESS,
    shown=_FAILED_OR_UNKNOWN,
)
PROVIDER_BUSY = Reason(
    "ProviderBusy",
    "the provider asks for patience",
    "it is tried again",
    Patience.PROGRESS,
    shown=_FAILED_OR_UNKNOWN,
)

# --- it may pass by itself, but not for ever --------------------------------------------------------------------
EQUIPMENT_IN_USE = Reason(
    "EquipmentInUse",
    "equipment ID {equipment} belongs to another CommServer of this cluster",
    "delete that one, or this one",
    Patience.GRACE,
    shown=_FAILED,
)
EQUIPMENT_RELEASING = Reason(
    "EquipmentReleasing",
    "equipment ID {equipment} is being released by another CommServer",
    patience=Patience.PROGRESS,
    shown=_FAILED,
)
SYSTEM_NOT_OURS = Reason(
    "SystemNotOurs",
    "the provider has a system {equipment} that this CommServer did not declare",
    "delete it there, or name another box",
    Patience.GRACE,
    shown=_FAILED,
)
CREDENTIALS_MISSING = Reason(
    "CredentialsMissing",
    "there is no Secret {secret} with the entries {entries}",
    "create it",
    Patience.GRACE,
    shown=_FAILED_OR_UNKNOWN,
)
MEDIA_PILLAR_LINKED = Reason(
    "MediaPillarLinked",
    "the provider refuses to delete a server with a WebRTC gateway",
    "remove the gateway at the provider, or set spec.deletionPolicy to Orphan; the deletion is tried again",
    Patience.GRACE,
    shown=_FAILED,
)

# --- a person must act ------------------------------------------------------------------------------------------
CREDENTIALS_REJECTED = Reason(
    "CredentialsRejected",
    "the provider refused the login of Secret {secret}",
    "correct it; it is not tried again before, so that the login is not locked",
    Patience.PERSON,
    shown=_FAILED_OR_UNKNOWN,
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
NOT_DECLARED = Reason("NotDeclared", "the provider does not know the server yet", shown=(_UNHEARD,))
STOCK_CODE = Reason(
    "StockCode",
    "whoever knows the references of the box can connect in its place until it has connected",
    "raise spec.activation.revision for a generated code, which must then be entered on the box",
    shown=(_WEAK,),
)

REASONS = tuple(value for value in globals().values() if isinstance(value, Reason))
"""Every row, in the order of this page."""
