"""Between the words of CommServer and those of Rainbow.

Rainbow knows countries by ISO 3166-1 alpha-3 and blocks a number by an empty replacement.  A prefix that is switched
off counts as none.  The WebRTC gateway has no word here: the admin API tells only whether one is linked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from iso3166 import countries_by_alpha2, countries_by_alpha3

from pbx_operator.api import rainbow_reasons
from pbx_operator.api.v1alpha1.commserver import Channel, NumberingRule, ServerState, ServerType
from pbx_operator.domain.faults import fault
from pbx_operator.domain.servers.systems import SystemSettings, SystemWish
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.rainbow.documents import Rule, State, System

_TYPES: Mapping[ServerType, str] = {
    "OXOConnect": "oxo",
    "OXOConnectEvolution": "oxo",
    "OXE": "oxe",
    "ThirdParty": "third_party",
}
_UP = frozenset({"true", "up", "connected"})
"""The words for a channel that is up; anything else is down."""
_CHANNELS = ("conf", "csta", "http", "xmpp")
_LATEST = 4102444800.0
"""1 January 2100: a timestamp beyond it is in milliseconds."""


def creation(wish: SystemWish, site_id: str, code: str) -> dict[str, Any]:
    """Return the body that declares a system. Raises ProviderError if Rainbow cannot know its country."""
    return {
        "siteId": site_id,
        "type": _TYPES[wish.type],
        "pbxId": wish.equipment_id,
        "activationCode": code,
        **changes(wish.settings, (field.name for field in fields(SystemSettings))),
    }


def changes(settings: SystemSettings, names: Iterable[str]) -> dict[str, Any]:
    """Return Rainbow's fields for settings, by the names that SystemSettings gives them; some have none.

    Raises ProviderError if Rainbow cannot know the country.
    """
    found: dict[str, Any] = {}
    for name in names:
        found |= _field(settings, name)
    return found


def _field(settings: SystemSettings, name: str) -> dict[str, Any]:
    match name:
        case "display_name":
            return {"name": settings.display_name}
        case "country":
            return {"country": _alpha3(settings.country)}
        case "national_prefix":
            return {"pbxNationalPrefix": settings.national_prefix}
        case "international_prefix":
            return {"pbxInternationalPrefix": settings.international_prefix}
        case "outbound_prefix":
            prefix = settings.outbound_prefix
            return {"pbxMainBundlePrefix": [prefix] if prefix else [], "usePbxMainBundlePrefix": bool(prefix)}
        case "numbering_rules":
            return {"pbxNumberingTranslator": [_sent(rule) for rule in settings.numbering_rules]}
        case _:
            return {}


def settings_of(system: System) -> SystemSettings:
    """Return the settings of a system; what no CommServer could ask for stays as it is, and differs."""
    used = () if system.uses_outbound_prefix is False else system.outbound_prefixes
    country = countries_by_alpha3.get(system.country)
    return SystemSettings(
        display_name=system.name,
        country=country.alpha2 if country is not None else system.country,
        national_prefix=system.national_prefix,
        international_prefix=system.international_prefix,
        outbound_prefix=",".join(used),
        numbering_rules=tuple(_read(rule) for rule in system.rules),
    )


def connection(state: State) -> tuple[Channel, ...]:
    """Return the channels that a system has."""
    found = ((name, getattr(state, name)) for name in _CHANNELS)
    return tuple(
        Channel(name=name, state="Up" if str(word).lower() in _UP else "Down")
        for name, word in found
        if word is not None
    )


def state_of(channels: tuple[Channel, ...]) -> ServerState:
    """Return the state of a system that was connected once."""
    up = [channel.state == "Up" for channel in channels]
    if not any(up):
        return "Activated"
    return "Running" if all(up) else "Degraded"


def time_of(state: State) -> datetime | None:
    """Return when the state was so: Unix time, in seconds or milliseconds."""
    try:
        stamp = float(state.timestamp or 0)
    except ValueError:
        return None
    seconds = stamp if stamp < _LATEST else stamp / 1000
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < _LATEST else None


def _alpha3(country: str) -> str:
    found = countries_by_alpha2.get(country)
    if found is None:
        raise ProviderError(fault("Final", rainbow_reasons.COUNTRY_UNSUPPORTED, country=country))
    return found.alpha3


def _sent(rule: NumberingRule) -> dict[str, str]:
    sent = {"regexpMatch": rule.match, "regexpReplace": rule.replace or ""}
    return sent | ({"description": rule.description} if rule.description else {})


def _read(rule: Rule) -> NumberingRule:
    """Return a rule, unchecked: somebody else may have written it."""
    return NumberingRule.model_construct(
        match=rule.match,
        action="Rewrite" if rule.replace else "Block",
        replace=rule.replace or None,
        description=rule.description or None,
    )
