"""The fields of a system: what may be sent at creation and update, and how a system is read back.

From PostSystems, PutSystems and GetSystemsIdSuccess of OPENAPI; pbxLdapId and isOxoManaged from createSystem of SDK.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from simulators.rainbow.errors import coded
from simulators.rainbow.fields import Check, array_of, boolean, identifier, one_of, problems, text
from simulators.rainbow.state import Channels, State, System, iso

MAX_RULES: Final = 100
DOMAIN: Final = "openrainbow.com"
REQUIRED: Final = ("name", "siteId", "type", "country")
DEFAULTS: Final[dict[str, Any]] = {
    "version": "",
    "serverPingTimeout": 120,
    "pbxMainBundlePrefix": [],
    "usePbxMainBundlePrefix": True,
    "pbxNumberingTranslator": [],
    "pbxNationalPrefix": "",
    "pbxInternationalPrefix": "",
    "searchResultOrder": [],
    "isShared": False,
    "bpId": None,
}
"""What a system is created with unless told, as in the example of PostSystems; the prefixes' "" is inferred.  [I]"""
FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "small": ("id", "pbxId", "version"),
    "medium": ("id", "name", "pbxId", "serialNumber", "version", "status"),
    "full": (),
}
"""Of GetSystems and GetSiteSystems.  [F]"""
SORT_FIELDS: Final = ("pbxId", "name", "type", "status", "country", "version", "creationDate", "id")
"""pbxId is the default [F: SDK]; name is in an example of OPENAPI [F], the others are inferred [I]."""

_NOT_SETTINGS: Final = frozenset({"siteId", "pbxId", "activationCode", "isCentrex", "isOxoManaged"})
_PREFIXES: Final = array_of(text(0))
_RULE: Final[dict[str, Check]] = {
    "regexpMatch": text(1, 64),
    "regexpReplace": text(0, 64),
    "description": text(0, 255),
}


def create_schema(state: State) -> dict[str, Check]:
    """Return the fields of PostSystems.

    `type` may be "third party", as the enum of OPENAPI 1.82 spells it, or third_party, as SDK does.  activationCode
    of 1 to 256 characters is taken at creation only, isCentrex and isOxoManaged too.  [F]  That a pbxId is not empty
    is inferred.  [I]
    """
    return _common(state) | {
        "pbxId": text(),
        "type": one_of("oxo", "oxe", "third_party", "third party", "undefined"),
        "activationCode": text(1, 256),
        "isCentrex": boolean,
        "isOxoManaged": boolean,
    }


def update_schema(state: State) -> dict[str, Check]:
    """Return the fields of PutSystems.

    Its schema says string for pbxMainBundlePrefix, but every answer holds an array: both are taken here.  [?]
    """
    return _common(state) | {"pbxMainBundlePrefix": lambda value: None if isinstance(value, str) else _PREFIXES(value)}


def settings(body: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a checked body that a system keeps and an update may change, in the form of answers."""
    kept = {name: value for name, value in body.items() if name not in _NOT_SETTINGS}
    if kept.get("type") == "third party":
        kept["type"] = "third_party"
    if isinstance(kept.get("pbxMainBundlePrefix"), str):
        kept["pbxMainBundlePrefix"] = [kept["pbxMainBundlePrefix"]]
    if "serverPingTimeout" in kept:
        kept["serverPingTimeout"] = int(kept["serverPingTimeout"])
    return kept


def document(system: System, *, with_history: bool = False) -> dict[str, Any]:
    """Return all fields of a system.

    jid_pbxagent_password is the activation code while created or activating, and the last eight digits of a hash of
    the private code once activated; the proposed private code shows while activating.  [F: GetSystemsIdSuccess]
    """
    activating = system.status == "activating"
    found = {
        "id": system.id,
        "pbxId": system.pbx_id,
        **system.settings,
        "siteId": list(system.site_ids),
        "jid_pbxagent": f"{system.pbx_id}@{DOMAIN}",
        "jid_pbxagent_password": _hash(system.private_code) if system.status == "activated" else system.activation_code,
        "jid_pbxagent_password_activating": system.private_code if activating else "",
        "activatingTransactionId": system.transaction_id if activating else "",
        "jid_pbxpcg": f"{system.pcg_jid}@{DOMAIN}",
        "jid_pbxpcg_password": system.pcg_password,
        "status": system.status,
        "statusUpdatedDate": iso(system.status_updated),
        "creationDate": iso(system.created),
        "isCentrex": system.is_centrex,
        "isOxoManaged": system.is_oxo_managed,
        "hasMediaPillar": system.has_media_pillar,
    }
    return found | ({"connectionHistory": list(system.history)} if with_history else {})


def state_document(system: System, wanted: str, *, with_history: bool) -> dict[str, Any]:
    """Return the live state in a format.

    small: timestamp, connection; medium: timestamp, conf, csta, http; full: also xmpp; http is optional and the
    timestamp is Unix time.  [F: SDK, getSystemConnectionState]  All are strings [F], "true" and "false" here [?];
    `connection` follows the authentication channel xmpp [?].
    """
    channels: Channels = system.channels
    found: dict[str, Any] = {"timestamp": str(int(system.channels_updated))}
    if wanted == "small":
        found["connection"] = _word(channels.xmpp)
    else:
        found |= {"conf": _word(channels.conf), "csta": _word(channels.csta)}
        if channels.http is not None:
            found["http"] = _word(channels.http)
    if wanted == "full":
        found["xmpp"] = _word(channels.xmpp)
    return found | ({"connectionHistory": list(system.history)} if with_history else {})


def _common(state: State) -> dict[str, Check]:
    """Return the fields that creation and update share.

    Prefixes have 0 to 32 characters, and country is ISO 3166-1 alpha-3.  [F]  It must be in the served list.  [I]
    serverPingTimeout is a string in the schema and a number in the examples: both are taken.  [I]
    """
    return {
        "name": text(),
        "siteId": identifier,
        "pbxLdapId": text(0),
        "type": one_of("oxo", "oxe", "third_party", "undefined"),
        "country": one_of(*state.countries),
        "version": text(0),
        "serverPingTimeout": _seconds,
        "pbxMainBundlePrefix": _PREFIXES,
        "usePbxMainBundlePrefix": boolean,
        "pbxNumberingTranslator": _rules,
        "pbxNationalPrefix": text(0, 32),
        "pbxInternationalPrefix": text(0, 32),
        "searchResultOrder": array_of(one_of("RAINBOW", "LDAP", "PBX")),
        "isShared": boolean,
        "bpId": identifier,
    }


def _rules(value: object) -> str | None:
    """Allow up to 100 numbering rules; more are a 400000 of their own, whose details are a string.  [F: PostSystems]"""
    if isinstance(value, list) and len(value) > MAX_RULES:
        raise coded(400000, "Invalid format 'System' 'pbxNumberingTranslator'. Array size is longer than 100")
    return _EACH_RULE(value)


def _rule(value: object) -> str | None:
    """Allow a numbering rule: regexpMatch 1-64 is mandatory, regexpReplace 0-64, description 0-255.  [F]

    Whether the platform compiles the expression, or refuses the unsupported \\d, is not documented: nothing is.  [?]
    """
    if not isinstance(value, dict):
        return "Expected an array of objects."
    found = problems(value, _RULE, ("regexpMatch",))
    return "; ".join(str(entry["msg"]) for entry in found) or None


_EACH_RULE: Final = array_of(_rule)


def _seconds(value: object) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return None if good or (isinstance(value, str) and value.isdecimal()) else "Expected a number."


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()[-8:]


def _word(up: bool) -> str:
    return "true" if up else "false"
