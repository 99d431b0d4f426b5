"""What an object that is being deleted waits for, and who ends that: the operator by itself, or a person.

Whoever is told that an object goes by itself waits, and whoever is sent to its finalizers strips them, which leaves
systems and customers behind that nobody knows of.  So what only a person can end says so, and how to let the object go
without it.
"""

from __future__ import annotations

from typing import NamedTuple

from pbx_operator.api import provider_reasons, reasons
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.domain.steps import FailedStep


class Wait(NamedTuple):
    """What a deletion waits for, and what comes of it or what to do."""

    for_what: str
    next_step: str = "it goes by itself; if it lasts, see the operator's log"


def deleting(wait: Wait) -> Verdict:
    """Return Ready of an object that is being deleted."""
    return verdict("Ready", "False", reasons.DELETING, waiting=wait.for_what, next_step=wait.next_step)


def waiting_for_provider(thing: str, failure: FailedStep | None, resource: ResourceType, key: ObjectKey) -> Wait:
    """Return what an object waits for until the `thing` behind it is deleted at the provider."""
    waiting = f"the provider to delete the {thing}"
    if failure is None:
        return Wait(waiting)
    found, leave = failure.fault, leaving(resource, key)
    told = f"{waiting} ({found.message})"
    if found.reason is provider_reasons.CREDENTIALS_MISSING:
        return Wait(told, f"if it cannot come back, as in a namespace that is being deleted, {leave}")
    to_leave = f"to leave the {thing} there, {leave}"
    return Wait(told, f"it goes by itself once that has passed; {to_leave}" if found.kind == "Retry" else to_leave)


def waiting_for_creation(thing: str) -> Wait:
    """Return what an object waits for while the `thing` behind it may have been created without an answer."""
    return Wait(f"the provider to show whether the {thing} was created, which takes some minutes")


def leaving(resource: ResourceType, key: ObjectKey) -> str:
    """Return how an object is let go while what is behind it stays at the provider."""
    command = f"kubectl patch {resource.kind.lower()} {key.name} -n {key.namespace} --type=merge"
    return f"""set spec.deletionPolicy to Orphan: {command} -p '{{"spec":{{"deletionPolicy":"Orphan"}}}}'"""
