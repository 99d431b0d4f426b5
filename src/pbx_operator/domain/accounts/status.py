"""What an account and its InternalNumbers show: their statuses, made of nothing but their own account's facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pbx_operator.api import reasons
from pbx_operator.api.reasons import Verdict, verdict
from pbx_operator.api.v1alpha1.internalnumber import InternalNumberStatus
from pbx_operator.api.v1alpha1.pbxaccount import NumberCounts, PBXAccount, PBXAccountStatus, ShadowedNumbers
from pbx_operator.domain.conditions import Since, status_with
from pbx_operator.domain.deleting import Wait, deleting
from pbx_operator.domain.dialplan.emergency import never_routed
from pbx_operator.domain.dialplan.numbers import Outcome, Resolution, sends_digit_by_digit
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.dialplan.prefixes import usable_prefixes

COUNTER_PERIOD = timedelta(seconds=30)
"""Counters alone are a reason to write only so often."""
SAMPLE = 20

AccountState = Literal["Serving", "NotServing", "Absent", "Unreadable"]
"""What an account is to its numbers; one that is being deleted is Absent."""


# --- internal numbers -------------------------------------------------------------------------------------------


def number_status(
    outcome: Outcome, state: AccountState, since: Since | None, now: datetime
) -> tuple[InternalNumberStatus, datetime | None]:
    """Return the status of an InternalNumber whose account is in this state."""
    status, metadata = outcome.number.status, outcome.number.metadata
    held = status.number if state == "Unreadable" else outcome.shows
    return status_with(status, metadata, _number_verdicts(outcome, state), since, now, number=held)


def _number_verdicts(outcome: Outcome, state: AccountState) -> list[Verdict]:
    """Return Ready, Accepted and ResolvedRefs of an InternalNumber."""
    name = outcome.number.spec.account_ref.name
    if state == "Absent":
        missing = verdict("Ready", "False", reasons.REF_NOT_FOUND, name=name, next_step=reasons.OTHER_ACCOUNT)
        resolved = Verdict("ResolvedRefs", "False", missing.reason, missing.message)
        return [missing, verdict("Accepted", "Unknown", reasons.NOT_CHECKED), resolved]
    resolved = verdict("ResolvedRefs", "True", reasons.RESOLVED)
    if state == "Unreadable":
        unknown = verdict("Ready", "Unknown", reasons.ACCOUNT_NOT_READY, name=name)
        return [unknown, verdict("Accepted", "Unknown", reasons.NOT_CHECKED), resolved]
    return [_number_ready(outcome, state), _number_accepted(outcome), resolved]


def _number_accepted(outcome: Outcome) -> Verdict:
    if outcome.judgement is None:
        return verdict("Accepted", "Unknown", reasons.NOT_CHECKED)
    return outcome.judgement.refusal or verdict("Accepted", "True", reasons.ACCEPTED)


def _number_ready(outcome: Outcome, state: AccountState) -> Verdict:
    spec, judgement, award = outcome.number.spec, outcome.judgement, outcome.award
    if outcome.number.metadata.deleting:
        return deleting(Wait("its finalizers", "whoever set metadata.finalizers takes them away"))
    if judgement is not None and judgement.refusal is not None:
        return Verdict("Ready", "False", judgement.refusal.reason, judgement.refusal.message)
    if judgement is None or award is None:
        return verdict("Ready", "False", reasons.ACCOUNT_NOT_READY, name=spec.account_ref.name)
    if award.rival is not None:
        reason = reasons.NUMBER_RELEASING if award.won else reasons.NUMBER_CONFLICT
        return verdict("Ready", "False", reason, number=spec.number, holder=award.rival.name)
    if state == "NotServing":
        return verdict("Ready", "False", reasons.ACCOUNT_NOT_READY, name=spec.account_ref.name)
    if judgement.warnings:
        return verdict("Ready", "True", reasons.SERVING_WITH_WARNINGS, warnings="; ".join(judgement.warnings))
    return verdict("Ready", "True", reasons.SERVING, kind="number")


# --- accounts ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shadows:
    """Numbers of peers that own numbers hide."""

    hidden: tuple[str, ...]
    """All of them, lowest first."""
    unreachable: tuple[str, ...]
    """Those that no dialPrefix reaches either."""


def find_shadows(
    account: PBXAccount, resolution: Resolution, links: Sequence[EstablishedLink], protected: frozenset[str]
) -> Shadows:
    """Return which numbers of peers the account's own numbers hide."""
    own = {n.spec.number for n in resolution.held}
    prefixes, digit_by_digit = usable_prefixes(account, links), sends_digit_by_digit(account)
    longest = _longest_prefixes(prefixes, links)
    hidden: set[str] = set()
    unreachable: set[str] = set()
    for link in links:
        prefix = prefixes.get(link.interlink.metadata.name, "")
        for number in (n.number for n in link.offer.numbers if n.number in own):
            hidden.add(number)
            dialed = prefix + number
            elsewhere = dialed in own or longest.get(dialed, 0) > len(prefix)
            if elsewhere or never_routed(dialed, protected, digit_by_digit=digit_by_digit):
                unreachable.add(number)
    return Shadows(tuple(sorted(hidden)), tuple(sorted(unreachable)))


def _longest_prefixes(prefixes: Mapping[str, str], links: Iterable[EstablishedLink]) -> dict[str, int]:
    """Return the length of the longest dialPrefix by which digits lead to a peer; empty if none begins like another."""
    used = set(prefixes.values())
    overlap = any(prefix[:length] in used for prefix in used for length in range(1, len(prefix)))
    longest: dict[str, int] = {}
    for link in links if overlap else ():
        prefix = prefixes.get(link.interlink.metadata.name, "")
        for number in link.offer.numbers if prefix else ():
            dialed = prefix + number.number
            longest[dialed] = max(len(prefix), longest.get(dialed, 0))
    return longest


def number_counts(resolution: Resolution) -> NumberCounts:
    """Count the account's numbers by visibility, and those that another one holds."""
    shared = sum(n.spec.visibility == "Shared" for n in resolution.held)
    lost = sum(o.award is not None and not o.award.won for o in resolution.outcomes)
    return NumberCounts(shared=shared, private=len(resolution.held) - shared, conflicted=lost)


def shadow_counts(shadows: Shadows) -> ShadowedNumbers:
    """Count the hidden numbers and name the first of them."""
    return ShadowedNumbers(count=len(shadows.hidden), sample=shadows.hidden[:SAMPLE])


def shadow_verdicts(shadows: Shadows) -> list[Verdict]:
    """Return the condition Conflicted while some number of a peer cannot be reached."""
    if not shadows.unreachable:
        return []
    sample = ", ".join(shadows.unreachable[:SAMPLE])
    return [verdict("Conflicted", "True", reasons.SHADOWED, count=len(shadows.unreachable), sample=sample)]


def only_counters_differ(old: PBXAccountStatus, new: PBXAccountStatus) -> bool:
    """Whether a status differs from what is shown in counters alone, including those in a message."""
    return old != new and _without_counters(old) == _without_counters(new)


def _without_counters(status: PBXAccountStatus) -> PBXAccountStatus:
    conditions = tuple(c.model_copy(update={"message": ""}) if c.type == "Conflicted" else c for c in status.conditions)
    nothing = {"interlinks": None, "internal_numbers": None, "shadowed_numbers": None}
    return status.model_copy(update={"conditions": conditions, **nothing})
