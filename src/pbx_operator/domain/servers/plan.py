"""What to do about one CommServer: one step after the other, until its provider has it as wanted.

There is one order of steps, and each is planned from what the last look found: look, deliver the activation code,
declare, make the code current, tell where the exchange is now, apply settings.  `steps` has the rules of patience,
which hold for all providers.

A CommServer has the finalizer before anything but a look is begun, and not sooner: one whose provider never answered
has nothing there, and goes at once when it is deleted.
"""

from __future__ import annotations

from datetime import datetime

from pbx_operator.api.meta import TEARDOWN_FINALIZER
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.domain.claims import Award, settle
from pbx_operator.domain.drift import reported_gone
from pbx_operator.domain.plan import (
    AddFinalizer,
    Plan,
    RemoveFinalizer,
    ServerStep,
    Target,
    TellOrphan,
    earliest,
    target_of,
)
from pbx_operator.domain.servers.checks import judge_server
from pbx_operator.domain.servers.equipment import deletion_of_record
from pbx_operator.domain.servers.facts import (
    ServerLook,
    ServerSnapshot,
    StepName,
    claim_of,
    equipment_id,
    may_show_up,
    system_to_delete,
)
from pbx_operator.domain.servers.status import behind_revision, deleting_status, server_status, unapplied
from pbx_operator.domain.steps import current_failure, look_due, may_try, next_due
from pbx_operator.domain.unreadable import Unreadable, show_unreadable, waiting_to_be_readable


def plan_server(s: ServerSnapshot, now: datetime) -> Plan:
    """Return what to do about a CommServer now, what it should show, and when to look again."""
    server = s.server
    if server is None:
        return Plan()
    if server.metadata.deleting:
        return _teardown(s, server, now)
    judgement, award = judge_server(s, server), settle_equipment(s, server)
    may_ask = award.holds and server.status.equipment_id == equipment_id(server)
    needed = _needed_step(server, s.attempts.look, now) if may_ask else None
    if judgement.refusal is not None and needed != "look":
        needed = None  # a box that is there is followed nevertheless
    if TEARDOWN_FINALIZER not in server.metadata.finalizers and _may_have_system(server, s.attempts.look, needed):
        return Plan((AddFinalizer(target_of(server)),))
    if needed is not None and may_try(s.attempts, needed, now):
        return Plan((ServerStep(server.key, needed),))
    if s.attempts.busy and server.status.observed_generation == server.metadata.generation:
        return Plan()  # there is news soon
    failure = current_failure(s.attempts, needed)
    update, again = server_status(s, server, judgement, award, failure, now)
    return Plan((), (update,), earliest(again, next_due(s.attempts, needed, now)))


def settle_equipment(s: ServerSnapshot, server: CommServer) -> Award:
    """Decide who may have the equipment ID; nobody asks a provider about it before the status shows it."""
    return settle([claim_of(server), *s.rivals])[s.key]


def _needed_step(server: CommServer, look: ServerLook | None, now: datetime) -> StepName | None:
    """Return the next step towards what is wanted, whether it may be tried now or not."""
    if look is None or look_due(look, now):
        return "look"
    system = look.system
    if look.secret == "Foreign" or (system is not None and not system.ours):
        return None
    if reported_gone(server, look.system):
        return None
    if system is None or system.inherited:
        return "deliver" if look.secret == "Missing" else "create"
    if system.code == "Changed" or (system.code == "Current" and look.secret == "Missing"):
        return "recover"
    if behind_revision(server, look):
        return "reset"
    if look.address_outdated:
        return "readdress"
    return "update" if unapplied(server, system) else None


def _may_have_system(server: CommServer, look: ServerLook | None, needed: StepName | None) -> bool:
    """Whether the provider has something of this CommServer, or will have after the next step."""
    found = look is not None and look.system is not None and look.system.ours
    return found or server.status.system_id is not None or needed not in (None, "look")


# --- a CommServer that goes -------------------------------------------------------------------------------------


def _teardown(s: ServerSnapshot, server: CommServer, now: datetime) -> Plan:
    if TEARDOWN_FINALIZER not in server.metadata.finalizers:
        return Plan()
    needed = _last_step(server, s.attempts.look, now)
    undecided = s.attempts.busy or may_show_up(server, s.attempts, now)  # there might be a system yet
    if needed is None and not undecided:
        return Plan((RemoveFinalizer(target_of(server)), *_orphan(server, s.attempts.look)))
    if needed is not None and may_try(s.attempts, needed, now):
        return Plan((ServerStep(server.key, needed),))
    failure = current_failure(s.attempts, needed)
    update, again = deleting_status(s, server, failure, now)
    return Plan((), (update,), earliest(again, next_due(s.attempts, needed, now)))


def plan_unreadable(unreadable: Unreadable, now: datetime) -> Plan:
    """Return what to do about a CommServer that cannot be read.

    One that is being deleted may go if its status shows no equipment ID: no provider was ever asked about it.
    """
    metadata, equipment = unreadable.metadata, unreadable.to_delete("equipmentID")
    if not metadata.deleting:
        return Plan((), (show_unreadable(unreadable, now),))
    if TEARDOWN_FINALIZER not in metadata.finalizers:
        return Plan()
    if equipment is None:
        return Plan((RemoveFinalizer(Target(CommServer.resource, unreadable.key, metadata.uid)),))
    wait = waiting_to_be_readable(unreadable, f"system {equipment}")
    return Plan((), (show_unreadable(unreadable, now, wait=wait),))


def _last_step(server: CommServer, look: ServerLook | None, now: datetime) -> StepName | None:
    """Return the next step before a CommServer may go; one that never held its equipment ID has no system."""
    if server.status.equipment_id is None or server.spec.deletion_policy == "Orphan":
        return None
    if look is None or look_due(look, now):
        return "look"
    return "delete" if system_to_delete(server, look) is not None else None


def _orphan(server: CommServer, look: ServerLook | None) -> tuple[TellOrphan, ...]:
    """Return what to tell of a system that its CommServer leaves behind."""
    system, rainbow = system_to_delete(server, look), server.spec.provider.rainbow
    if system is None or server.spec.deletion_policy != "Orphan":
        return ()
    left, fix = f"EquipmentRecord {system}", f"an administrator can delete it ({deletion_of_record(system)})"
    if rainbow is not None:
        left, fix = f"system {system} in company '{rainbow.company}' at {rainbow.url}", "it can be deleted there"
    return (TellOrphan(target_of(server), f"{left}, with equipment ID {equipment_id(server)},", fix),)
