"""What a CommServer shows: its state in the provider's words, and whether a person has anything to do.

Ready sums up whether the provider has the server as wanted; a line that is down later does not change that, since a
Git sync must not fail for it (alerts tell of it).  While a provider does not answer, what was known stays.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from pbx_operator.api import provider_reasons
from pbx_operator.api.conditions import ConditionType
from pbx_operator.api.meta import ConditionStatus
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.domain.claims import Award, rival_name, secret_name_taken
from pbx_operator.domain.conditions import status_with
from pbx_operator.domain.deleting import deleting, waiting_for_creation, waiting_for_provider
from pbx_operator.domain.differences import Difference, described
from pbx_operator.domain.drift import drifted, reported_gone, to_apply
from pbx_operator.domain.faults import mention_outage
from pbx_operator.domain.plan import StatusUpdate, target_of
from pbx_operator.domain.servers.checks import Judgement
from pbx_operator.domain.servers.equipment import deletion_of_record, record_name
from pbx_operator.domain.servers.facts import (
    ServerLook,
    ServerSnapshot,
    activation_secret_name,
    equipment_id,
    known_revision,
    may_show_up,
)
from pbx_operator.domain.servers.systems import SystemFacts, differences, settings_of
from pbx_operator.domain.steps import FailedStep, rejected_credentials

LAST_SEEN_PERIOD = timedelta(minutes=10)
"""How old `lastSeenTime` may be while nothing else changes."""

_NAMED = 4
"""Channels that are named as down; a box may have 16."""
_SEE_WARNINGS = "the condition Accepted has warnings about the spec"
_NO_EXCHANGE = (
    "the server was connected, but this operator has no exchange that boxes can reach: start it with"
    " --exchange-endpoint https://HOST:8443, the address by which they do"
)


def behind_revision(server: CommServer, look: ServerLook) -> bool:
    """Whether the activation code that the provider has is older than the wanted one."""
    return known_revision(server, look) < server.spec.activation.revision


def drift(server: CommServer, system: SystemFacts) -> tuple[Difference, ...]:
    """Return the settings that somebody changed at the provider."""
    return drifted(server, differences(system.settings, settings_of(server)))


def unapplied(server: CommServer, system: SystemFacts) -> tuple[Difference, ...]:
    """Return the settings to give to the provider."""
    return to_apply(server, differences(system.settings, settings_of(server)))


def server_status(
    s: ServerSnapshot,
    server: CommServer,
    judgement: Judgement,
    award: Award,
    failure: FailedStep | None,
    now: datetime,
) -> tuple[StatusUpdate, datetime | None]:
    """Return the status of a CommServer, and when patience with its Ready reason runs out."""
    shown = _facts(s, server, award, failure, now)
    ready = _ready(s, server, judgement, award, failure, shown)
    provisioned = _provisioned(s, server, award, failure, shown, ready)
    verdicts = [
        mention_outage(ready, provisioned),
        judgement.accepted,
        *judgement.references,
        provisioned,
        _connected(s, server, shown),
        *_weakness(server, shown),
    ]
    status, again = status_with(
        shown.model_copy(update={"translations": judgement.translations}), server.metadata, verdicts, s.since, now
    )
    return StatusUpdate(target_of(server), status), again


def deleting_status(
    s: ServerSnapshot, server: CommServer, failure: FailedStep | None, now: datetime
) -> tuple[StatusUpdate, datetime | None]:
    """Return the status of a CommServer that waits for its system to be deleted."""
    if failure is None and may_show_up(server, s.attempts, now):
        wait = waiting_for_creation("system")
    else:
        wait = waiting_for_provider("system", failure, CommServer.resource, server.key)
    ready = deleting(wait)
    rejected = rejected_credentials(server.status.rejected_credentials, s.attempts.look, failure, now)
    known = server.status.model_copy(update={"rejected_credentials": rejected})
    status, again = status_with(known, server.metadata, [ready], s.since, now)
    return StatusUpdate(target_of(server), status), again


def _facts(
    s: ServerSnapshot, server: CommServer, award: Award, failure: FailedStep | None, now: datetime
) -> CommServerStatus:
    """Return the status with what is known now, the conditions still as they were."""
    before, look = server.status, s.attempts.look
    facts: dict[str, object] = {
        "equipment_id": equipment_id(server) if award.holds else None,
        "rejected_credentials": rejected_credentials(before.rejected_credentials, look, failure, now),
    }
    if look is not None:
        facts["activation_secret_name"] = activation_secret_name(server) if look.secret == "Ours" else None
    if look is not None and (look.system is None or look.system.ours):
        facts |= _system_facts(server, look, look.system)
    return before.model_copy(update=facts)


def _system_facts(server: CommServer, look: ServerLook, system: SystemFacts | None) -> dict[str, object]:
    if system is None:  # its id stays: if it shows up again, it is known to be ours
        applied = server.status.applied_generation if reported_gone(server, look.system) else None
        unseen: dict[str, object] = {"state": None, "connection": (), "channels_up": None, "last_seen_time": None}
        return unseen | {"applied_generation": applied}
    done = not (unapplied(server, system) or behind_revision(server, look) or system.code == "Changed")
    return {
        "system_id": system.system_id,
        "state": system.state,
        "connection": system.connection,
        "channels_up": _channels_up(system),
        "last_seen_time": _last_seen(server.status, system),
        "activation_revision": known_revision(server, look),
        "applied_generation": server.metadata.generation if done else server.status.applied_generation,
    }


def _channels_up(system: SystemFacts) -> str | None:
    """Return how many channels are up, in one column of a table; None while nobody knows."""
    if system.silent or system.state == "Activated":
        return None
    up = sum(channel.state == "Up" for channel in system.connection)
    return f"{up}/{len(system.connection)}" if system.connection else None


def _last_seen(before: CommServerStatus, system: SystemFacts) -> datetime | None:
    """Return when the box was last heard; the time that is shown already, while it is recent enough."""
    old, new = before.last_seen_time, system.last_seen
    same = (before.state, before.connection) == (system.state, system.connection)
    if old is None or new is None or not same or new - old >= LAST_SEEN_PERIOD:
        return new.replace(microsecond=0) if new is not None else None
    return old


# --- conditions -------------------------------------------------------------------------------------------------


def _ready(
    s: ServerSnapshot,
    server: CommServer,
    judgement: Judgement,
    award: Award,
    failure: FailedStep | None,
    shown: CommServerStatus,
) -> Verdict:
    if judgement.refusal is not None:
        return _refused(server, judgement, judgement.refusal, shown)
    if not award.holds:
        return _in_use("Ready", server, award)
    hindrance = _hindrance(s, server)
    if hindrance is not None:
        return hindrance
    applied = shown.applied_generation == server.metadata.generation
    if failure is not None and (not applied or failure.fault.kind != "Retry"):
        return Verdict("Ready", "False", failure.fault.reason, _told(s, failure, shown))
    if not applied:
        return verdict("Ready", "False", provider_reasons.PROVISIONING)
    if shown.state == "Pending" and server.spec.ready_when == "Running":
        return verdict("Ready", "False", provider_reasons.AWAITING_CONNECTION, step=_connecting(server, shown))
    ready = _state_verdict("Ready", "True", s, server, shown)
    warned = judgement.accepted.reason is provider_reasons.ACCEPTED_WITH_WARNINGS
    return replace(ready, message=f"{ready.message}; {_SEE_WARNINGS}") if warned else ready


def _told(s: ServerSnapshot, failure: FailedStep, shown: CommServerStatus) -> str:
    return failure.fault.told(answered=shown.system_id is not None or s.attempts.look is not None)


def _refused(server: CommServer, judgement: Judgement, refusal: Verdict, shown: CommServerStatus) -> Verdict:
    """Return why nothing is given to the provider; if the spec is the reason, also what is in force there."""
    if judgement.accepted.status == "True":
        return refusal
    return replace(refusal, message=f"{refusal.message}; {in_force(server, shown)}")


def in_force(server: CommServer, shown: CommServerStatus) -> str:
    """Return which settings a provider has while the spec is refused."""
    if shown.applied_generation == server.metadata.generation:
        return "the provider was given these settings before they were refused, and they stay in force there"
    if shown.applied_generation is not None:
        return f"the settings of generation {shown.applied_generation} stay in force at the provider"
    if shown.state is not None:
        return "earlier settings, of a generation that is not known, stay in force at the provider"
    return "no settings are known to be in force at the provider"


def _hindrance(s: ServerSnapshot, server: CommServer) -> Verdict | None:
    """Return what stands in the way of the next step, if that is somebody else's."""
    look = s.attempts.look
    if look is not None and look.secret == "Foreign":
        return secret_name_taken(activation_secret_name(server), look.holder, "spec.activation.secretName")
    if look is not None and look.system is not None and not look.system.ours:
        return _not_ours("Ready", server)
    if look is not None and reported_gone(server, look.system):
        return verdict("Ready", "False", provider_reasons.SYSTEM_DELETED)
    return None


def _not_ours(type_: ConditionType, server: CommServer) -> Verdict:
    equipment, fix = equipment_id(server), "delete it there"
    if server.spec.provider.type == "Builtin":
        fix = f"have an administrator delete it ({deletion_of_record(record_name(equipment))})"
    return verdict(type_, "False", provider_reasons.SYSTEM_NOT_OURS, equipment=equipment, next_step=fix)


def _provisioned(
    s: ServerSnapshot,
    server: CommServer,
    award: Award,
    failure: FailedStep | None,
    shown: CommServerStatus,
    ready: Verdict,
) -> Verdict:
    look = s.attempts.look
    if not award.holds:
        return _in_use("Provisioned", server, award)
    if failure is not None:
        known: ConditionStatus = "False" if shown.system_id is None else "Unknown"
        return Verdict("Provisioned", known, failure.fault.reason, _told(s, failure, shown))
    if look is not None and look.system is not None and not look.system.ours:
        return _not_ours("Provisioned", server)
    if look is not None and reported_gone(server, look.system):
        return verdict("Provisioned", "False", provider_reasons.SYSTEM_DELETED)
    if shown.applied_generation != server.metadata.generation:
        under_way = ready.reason is provider_reasons.PROVISIONING
        reason = provider_reasons.PROVISIONING if under_way else provider_reasons.NOT_PROVISIONED
        return verdict("Provisioned", "False", reason)
    if look is not None and look.system is not None and (changed := drift(server, look.system)):
        return verdict("Provisioned", "True", provider_reasons.DRIFTED, drift=described(changed))
    return verdict("Provisioned", "True", provider_reasons.PROVISIONED)


def _in_use(type_: ConditionType, server: CommServer, award: Award) -> Verdict:
    rival, equipment = rival_name(CommServer.resource.kind, server.key, award), equipment_id(server)
    return verdict(type_, "False", provider_reasons.EQUIPMENT_IN_USE, equipment=equipment, rival=rival)


def _connected(s: ServerSnapshot, server: CommServer, shown: CommServerStatus) -> Verdict:
    if shown.state is None:
        return verdict("Connected", "Unknown", provider_reasons.NOT_DECLARED)
    connected = shown.state in ("Running", "Degraded")
    return _state_verdict("Connected", "True" if connected else "False", s, server, shown)


def _state_verdict(
    type_: ConditionType, status: ConditionStatus, s: ServerSnapshot, server: CommServer, shown: CommServerStatus
) -> Verdict:
    """Return what the state means to people."""
    match shown.state:
        case "Running":
            return verdict(type_, status, provider_reasons.RUNNING, contact=_contact(s, server, shown))
        case "Degraded":
            return verdict(type_, status, provider_reasons.DEGRADED, contact=_contact(s, server, shown))
        case "Activated":
            return verdict(type_, status, provider_reasons.ACTIVATED, contact=_contact(s, server, shown))
        case _:
            return verdict(type_, status, provider_reasons.DECLARED, step=_connecting(server, shown))


def _connecting(server: CommServer, shown: CommServerStatus) -> str:
    """Return how the box is connected: with what its Secret says, or from stock with what it knows already."""
    if server.spec.stock is not None and shown.activation_revision == 1:
        return f"connect the box: from stock it knows {equipment_id(server)}, both equipment ID and activation code"
    return f"enter equipment ID and activation code of Secret {activation_secret_name(server)} on the box"


def _contact(s: ServerSnapshot, server: CommServer, shown: CommServerStatus) -> str:
    """Return what is known of a box that was connected; channels have the box's words, whose letters the API restricts.

    Without an exchange that it could report to, what it said last may not be true any more.
    """
    if server.spec.provider.type == "Builtin" and not s.reachable:
        return _NO_EXCHANGE
    if shown.state == "Running":
        return "the server is connected" + ("" if shown.connection else ", and reports no channels")
    if shown.state == "Activated":
        return f"the server was connected once, and is not now; {_to_check(server, shown)}"
    look = s.attempts.look
    silent = look is not None and look.system is not None and look.system.silent
    down = sorted(channel.name for channel in shown.connection if channel.state == "Down")
    if silent or not down:
        return f"the box was connected, and has been silent for minutes; {_to_check(server, shown)}"
    more = f" and {len(down) - _NAMED} more" if len(down) > _NAMED else ""
    return f"the server is connected, but channels are down: {', '.join(down[:_NAMED])}{more}; check these lines"


def _to_check(server: CommServer, shown: CommServerStatus) -> str:
    """Return what may keep a box from its provider."""
    secret, check = shown.activation_secret_name, "check its power and its network"
    if server.spec.provider.type != "Builtin" or secret is None:
        return check
    return f"{check}, and whether the exchange's address has changed: compare with Secret {secret}"


def _weakness(server: CommServer, shown: CommServerStatus) -> list[Verdict]:
    """Return WeakActivationCode while a code that can be guessed still opens the way in."""
    guessable = shown.state == "Pending" and server.spec.stock is not None and shown.activation_revision == 1
    return [verdict("WeakActivationCode", "True", provider_reasons.STOCK_CODE)] if guessable else []
