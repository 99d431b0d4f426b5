"""A CommServer as its provider knows it, in words that no provider owns.

A provider translates between these and its own API and decides nothing: it says what there is (`SystemFacts`), and
`domain/servers/plan` says what to do.  So whatever holds for one provider holds for all, and can be tried without any.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import Channel, NumberingRule, ServerState, ServerType
from pbx_operator.domain.differences import Difference, every_difference

CodeState = Literal["Current", "Changed", "Spent"]


class SystemOwner(NamedTuple):
    """The CommServer that a system stands for, in one of its lives."""

    key: ObjectKey
    uid: str


@dataclass(frozen=True, slots=True)
class SystemSettings:
    """What may change on a system during its life; an empty text is none.

    What a provider has no word for is None in its facts, and no difference.
    """

    display_name: str
    country: str
    """ISO 3166-1 alpha-2."""
    national_prefix: str = ""
    international_prefix: str = ""
    outbound_prefix: str = ""
    numbering_rules: tuple[NumberingRule, ...] = ()
    web_rtc_gateway: Literal["Disabled", "Enabled"] | None = None


@dataclass(frozen=True, slots=True)
class SystemWish:
    """The system that a CommServer asks for.

    `system_id` is the provider's name of it, as far as it is known: a system of this name is ours.
    """

    owner: SystemOwner
    equipment_id: str
    type: ServerType
    settings: SystemSettings
    system_id: str | None = None
    rejected_credentials: str | None = None
    """The version of the credentials that were refused the last time; they must not be tried again."""


@dataclass(frozen=True, slots=True)
class SystemFacts:
    """The system with the wished equipment ID, as its provider just showed it."""

    system_id: str
    ours: bool
    """Whether it is known to be the one that this CommServer declared, and not somebody else's of the same name."""
    state: ServerState
    settings: SystemSettings
    code: CodeState
    """The activation code: the box may still use the one that we have, only another one, or none any more."""
    connection: tuple[Channel, ...] = ()
    last_seen: datetime | None = None
    silent: bool = False
    """The box has not been heard for so long that its channels are not known any more."""
    good_until: datetime | None = None
    """When time alone will change these facts, if it will."""
    inherited: bool = False
    """It is an earlier CommServer's of the same place and equipment ID: ours once `create` has taken it up."""


def settings_of(server: CommServer) -> SystemSettings:
    """Return the settings that a CommServer asks for."""
    dialing = server.spec.dialing
    return SystemSettings(
        display_name=server.spec.display_name or server.metadata.name,
        country=dialing.country,
        national_prefix=dialing.national_prefix or "",
        international_prefix=dialing.international_prefix or "",
        outbound_prefix=dialing.outbound_prefix or "",
        numbering_rules=server.spec.numbering_rules,
        web_rtc_gateway=server.spec.web_rtc_gateway.mode,
    )


def differences(actual: SystemSettings, wanted: SystemSettings) -> tuple[Difference, ...]:
    """Return the settings that are not as wanted, in the order of their declaration."""
    return tuple(change for change in every_difference(actual, wanted) if change.actual is not None)


def given(settings: SystemSettings, changes: Iterable[Difference]) -> SystemSettings:
    """Return the settings with what is wanted in place of what differs."""
    wanted: dict[str, Any] = {change.field: change.wanted for change in changes}
    return replace(settings, **wanted)
