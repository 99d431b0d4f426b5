"""Whether what a CommServer asks for may be given to a provider: its country, its account, its numbering rules.

The API server has checked the form.  What is left needs data: emergency numbers, and what patterns really match; and
for a box that is to connect to this operator, whether it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pbx_operator.api import provider_reasons, reasons
from pbx_operator.api.reasons import Reason, Verdict, verdict
from pbx_operator.api.v1alpha1 import CommServer, PBXAccount
from pbx_operator.api.v1alpha1.commserver import CommServerSpec, ServerDialing, TranslatedNumber
from pbx_operator.domain.dialplan import emergency
from pbx_operator.domain.numbering.acknowledged import acknowledgement_warnings
from pbx_operator.domain.numbering.checks import check_rules
from pbx_operator.domain.numbering.explanation import Explanation, explain
from pbx_operator.domain.numbering.guard import RuleFinding, judge_rules, remedy
from pbx_operator.domain.numbering.rules import Dialing, NumberingRule, dry_run
from pbx_operator.domain.numbering.usual import prefix_warning
from pbx_operator.domain.numbering.wording import SHOWN
from pbx_operator.domain.servers.facts import ServerSnapshot

JUDGEMENTS = 128
"""How many judgements are remembered; one about a hundred rules can take 60 KiB."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about a spec."""

    accepted: Verdict
    refusal: Verdict | None = None
    """The verdict about Ready, if nothing may be given to the provider."""
    references: tuple[Verdict, ...] = ()
    translations: tuple[TranslatedNumber, ...] = ()
    """What typical numbers become."""


def judge_server(s: ServerSnapshot, server: CommServer) -> Judgement:
    """Judge a CommServer: its spec, and whether a box that has yet to connect can."""
    judgement = judge_spec(server, s.account)
    if judgement.refusal is not None or not lacks_exchange(s, server):
        return judgement
    return replace(judgement, refusal=verdict("Ready", "False", provider_reasons.EXCHANGE_MISSING))


def lacks_exchange(s: ServerSnapshot, server: CommServer) -> bool:
    """Whether a server waits for its box, which has no exchange to connect to.

    One whose box is in keeps it: the exchange may come back.
    """
    if server.spec.provider.type != "Builtin" or s.reachable:
        return False
    look = s.attempts.look
    if look is None:
        return server.status.state in (None, "Pending")
    return look.system is None or look.system.code != "Spent"


def judge_spec(server: CommServer, account: PBXAccount | None) -> Judgement:
    """Judge the spec of a CommServer; `account` is the one that it names, if that exists."""
    country, reference = server.spec.dialing.country, server.spec.account_ref
    if not emergency.known_country(country):
        return _refused(reasons.UNKNOWN_COUNTRY, field="spec.dialing.country", country=country)
    higher = _higher_revision(server)
    if reference is None:
        return _judge_rules(server.spec, (), higher)
    if account is None:
        absent = {"name": reference.name, "next_step": "name another account"}
        missing = verdict("ResolvedRefs", "False", reasons.REF_NOT_FOUND, **absent)
        refusal = verdict("Ready", "False", reasons.REF_NOT_FOUND, **absent)
        return replace(_judge_rules(server.spec, (), higher), refusal=refusal, references=(missing,))
    found = verdict("ResolvedRefs", "True", reasons.RESOLVED)
    return replace(_judge_rules(server.spec, account.spec.emergency.additional_numbers, higher), references=(found,))


def _higher_revision(server: CommServer) -> int | None:
    """Return the revision of the activation code that is in force, if it is higher than the wanted one."""
    shown = server.status.activation_revision
    return shown if shown is not None and shown > server.spec.activation.revision else None


def explain_number(server: CommServer, account: PBXAccount | None, number: str) -> Explanation:
    """Return what the spec of a CommServer makes of a number, step by step; `account` as in `judge_spec`.

    Raises ValueError if its rules cannot be applied, for which `judge_spec` has the words.
    """
    spec, additional = server.spec, account.spec.emergency.additional_numbers if account is not None else ()
    dialing = _dialing(spec.dialing)
    return explain(number, _rules(spec), dialing, emergency.emergency_numbers(dialing.country, additional))


@lru_cache(maxsize=JUDGEMENTS)
def _judge_rules(spec: CommServerSpec, additional: tuple[str, ...], higher_revision: int | None) -> Judgement:
    """Judge the rules of a spec; a hundred take longer than the rest of the plan, and seldom change."""
    rules = _rules(spec)
    problems = check_rules(rules)
    refused = [problem.message for problem in problems if problem.severity == "Refused"]
    if refused:
        return _refused(provider_reasons.INVALID_NUMBERING_RULE, problems=_few(refused))
    dialing = _dialing(spec.dialing)
    numbers = emergency.emergency_numbers(dialing.country, additional)
    acknowledged = frozenset(spec.acknowledged_emergency_numbers)
    findings = judge_rules(rules, dialing, acknowledged, numbers)
    dangers = [finding for finding in findings if finding.severity == "Refused"]
    if dangers:
        return _refused(provider_reasons.EMERGENCY_CALL, problems=_told(dangers, dialing, numbers - acknowledged))
    rows = dry_run(rules, dialing, numbers)
    shown = tuple(TranslatedNumber(number=r.number, kind=r.kind, result=r.result or "", by=r.by) for r in rows)
    warnings = [] if higher_revision is None else [_ignored(spec.activation.revision, higher_revision)]
    warnings += acknowledgement_warnings(rules, dialing, spec.acknowledged_emergency_numbers, numbers)
    warnings += [problem.message for problem in problems]
    warnings += [_told(findings, dialing, numbers - acknowledged)] if findings else []
    warnings += filter(None, [prefix_warning(dialing)])
    return Judgement(_accepted(warnings), translations=shown)


def _ignored(revision: int, higher: int) -> str:
    """Return why a revision that was lowered does nothing."""
    return (
        f"spec.activation.revision {revision} is below {higher}, which is in force;"
        f" write {higher + 1} for a new activation code"
    )


def _told(findings: Sequence[RuleFinding], dialing: Dialing, guarded: frozenset[str]) -> str:
    """Return findings of one severity, and what to do about them."""
    return f"{_few([finding.problem for finding in findings])}: {remedy(findings, dialing, guarded)}"


def _rules(spec: CommServerSpec) -> tuple[NumberingRule, ...]:
    return tuple(NumberingRule(r.match, r.action, r.replace, r.description) for r in spec.numbering_rules)


def _dialing(dialing: ServerDialing) -> Dialing:
    prefixes = (dialing.national_prefix, dialing.international_prefix, dialing.outbound_prefix)
    return Dialing(dialing.country, *(prefix or "" for prefix in prefixes))


def _accepted(warnings: list[str]) -> Verdict:
    if warnings:
        return verdict("Accepted", "True", provider_reasons.ACCEPTED_WITH_WARNINGS, problems=_few(warnings))
    return verdict("Accepted", "True", reasons.ACCEPTED)


def _refused(reason: Reason, **facts: object) -> Judgement:
    return Judgement(verdict("Accepted", "False", reason, **facts), verdict("Ready", "False", reason, **facts))


def _few(messages: list[str]) -> str:
    """Return the first messages as one text."""
    left = len(messages) - SHOWN
    return "; ".join([*messages[:SHOWN], *([f"and {left} more"] if left > 0 else [])])
