"""How verdicts become metav1.Conditions, and what must hold for every set of them.

`merge` is the only place that knows about transition times; `check` is run by the tests on every status that
they ever see, so that kubectl, kstatus and Argo CD always agree about an object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from pbx_operator.api.meta import Condition, ObjectMeta
from pbx_operator.api.reasons import GRACE, ConditionType, Patience, Reason, Verdict
from pbx_operator.api.v1alpha1.shared import Status

_ORDER = ("Ready", "Reconciling", "Stalled")
_NEGATIVE = {"Reconciling", "Stalled", "Conflicted", "WeakActivationCode"}
"""Conditions that are present only while they are True."""


S = TypeVar("S", bound=Status)
Since = tuple[str, datetime]
"""The Ready reason that this process saw last on an object, and since when."""


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """Return the condition of a type, if there is one."""
    return next((c for c in conditions if c.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether the condition of a type is present and True."""
    condition = find(conditions, type_)
    return condition is not None and condition.status == "True"


def stalled(reason: Reason, previous: Iterable[Condition], since: datetime, now: datetime) -> bool:
    """Tell whether a person must act on this reason by now.

    `since` is when the reason was first seen by this process.  What is already shown as Stalled for the same
    reason stays so, or every restart of the operator would make the object look busy again.
    """
    if reason.patience is not Patience.GRACE:
        return reason.patience is Patience.PERSON
    shown = find(previous, "Stalled")
    return now - since >= GRACE or (shown is not None and shown.reason == reason.name)


def summarize(ready: Verdict, *, is_stalled: bool) -> list[Verdict]:
    """Return Ready with the companion that kstatus wants: Reconciling or Stalled, unless Ready is True."""
    if ready.status == "True":
        return [ready]
    companion: ConditionType = "Stalled" if is_stalled else "Reconciling"
    return [ready, Verdict(companion, "True", ready.reason, ready.message)]


def merge(
    previous: Iterable[Condition], verdicts: Iterable[Verdict], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions to write: a time moves only when the status of its condition does."""
    old = {c.type: c for c in previous}
    merged = [_condition(old.get(v.type), v, generation, now) for v in verdicts]
    return tuple(sorted(merged, key=lambda c: (_rank(c.type), c.type)))


def _condition(old: Condition | None, new: Verdict, generation: int, now: datetime) -> Condition:
    unchanged = old is not None and old.status == new.status
    return Condition(
        type=new.type,
        status=new.status,
        observed_generation=generation,
        last_transition_time=old.last_transition_time if old and unchanged else now.replace(microsecond=0),
        reason=new.reason.name,
        message=new.message,
    )


def _rank(type_: str) -> int:
    return _ORDER.index(type_) if type_ in _ORDER else len(_ORDER)


def status_with(
    status: S, metadata: ObjectMeta, verdicts: Sequence[Verdict], since: Since | None, now: datetime, **facts: object
) -> tuple[S, datetime | None]:
    """Return the next status, and when patience with its Ready reason runs out.

    The first verdict is the one about Ready; `facts` are the fields beside the conditions.
    """
    ready, *details = verdicts
    first_seen = since[1] if since is not None and since[0] == ready.reason.name else now
    is_stalled = stalled(ready.reason, status.conditions, first_seen, now)
    summary = summarize(ready, is_stalled=is_stalled)
    facts |= {
        "observed_generation": metadata.generation,
        "last_handled_reconcile_at": metadata.reconcile_requested_at,
        "conditions": merge(status.conditions, [*summary, *details], metadata.generation, now),
    }
    impatient = ready.reason.patience is Patience.GRACE and not is_stalled
    return status.model_copy(update=facts), first_seen + GRACE if impatient else None


def check(status: Status, generation: int, *, deleting: bool = False) -> list[str]:
    """Return every rule of the conditions contract that a status breaks; empty when it is sound.

    The rules are those of the API conventions and of kstatus: unless deleting, exactly one of Ready=True,
    Ready=False or Unknown with Reconciling=True, Ready=False with Stalled=True.
    """
    if status.observed_generation == -1 and not status.conditions:
        return []
    by_type = {c.type: c for c in status.conditions}
    problems = []
    if len(by_type) != len(status.conditions):
        problems.append("a condition type occurs twice")
    if status.observed_generation > generation:
        problems.append("status.observedGeneration is ahead of metadata.generation")
    for c in status.conditions:
        if c.type in _NEGATIVE and c.status != "True":
            problems.append(f"{c.type} is present though it is not True")
        if c.observed_generation != status.observed_generation:
            problems.append(f"{c.type} has another observedGeneration than the status")
    if not deleting:
        problems.extend(_check_ready(by_type))
    return problems


def _check_ready(by_type: dict[str, Condition]) -> list[str]:
    ready = by_type.get("Ready")
    if ready is None:
        return ["Ready is absent"]
    companions = {t for t in ("Reconciling", "Stalled") if t in by_type}
    allowed: dict[str, list[set[str]]] = {
        "True": [set()],
        "False": [{"Reconciling"}, {"Stalled"}],
        "Unknown": [{"Reconciling"}],
    }
    if companions not in allowed[ready.status]:
        return [f"Ready={ready.status} stands with {sorted(companions) or 'neither Reconciling nor Stalled'}"]
    return []
