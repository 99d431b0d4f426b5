"""What acknowledgements of emergency numbers let happen, told so that nobody forgets it.

An acknowledged number is not guarded: `guard` refuses nothing on its account.  So whoever reads the status must see
what becomes of it, and an acknowledgement that nothing needs must not stay until a later rule makes use of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pbx_operator.domain.numbering.guard import RuleFinding, judge_rules
from pbx_operator.domain.numbering.rules import Dialing, NumberingRule
from pbx_operator.domain.numbering.wording import numbers_listed, quoted


def acknowledgement_warnings(
    rules: Sequence[NumberingRule], dialing: Dialing, acknowledged: Sequence[str], emergency_numbers: frozenset[str]
) -> Iterator[str]:
    """Yield warnings about acknowledged numbers: what cannot be dialled first, then what acknowledges nothing.

    That an emergency number stays as it is, and begins with the outbound prefix, is no warning: a PBX may know the
    number itself, which is what acknowledging is for.  Raises PatternError if a rule cannot be compiled.
    """
    known = emergency_numbers.intersection(acknowledged)
    findings = judge_rules(rules, dialing, emergency_numbers - known, emergency_numbers) if known else ()
    for finding in findings:
        if finding.harm == "Blocks":
            yield _undialable(finding, dialing.outbound_prefix)
        elif finding.harm == "Turns":
            yield f"{finding.problem}, and {_are_acknowledged(finding.emergency)}"
    harmed = {number for finding in findings for number in finding.emergency}
    unneeded = sorted(known - harmed)
    if unneeded:
        it = "it" if len(unneeded) == 1 else "them"
        field = f"acknowledgedEmergencyNumbers {quoted(unneeded)}"
        yield f"{field}: acknowledged, but no rule touches {it}: remove {it}, or later rules pass unguarded"
    yield from _vain(acknowledged, dialing, emergency_numbers)


def _undialable(finding: RuleFinding, prefix: str) -> str:
    """Return which numbers a rule blocks; one that is blocked behind the prefix too is named once."""
    direct = set(finding.emergency).intersection(finding.dialled)
    lost = [number for number in finding.dialled if number in direct or number.removeprefix(prefix) not in direct]
    it = "it" if len(lost) == 1 else "them"
    same = lost == [*finding.emergency]
    pronoun = "it is acknowledged" if len(lost) == 1 else "they are acknowledged"
    acknowledged = pronoun if same else _are_acknowledged(finding.emergency)
    return f"{numbers_listed(lost)} cannot be dialled: numberingRules[{finding.rule}] blocks {it}, and {acknowledged}"


def _are_acknowledged(numbers: Sequence[str]) -> str:
    return f"{numbers_listed(numbers)} {'is' if len(numbers) == 1 else 'are'} acknowledged"


def _vain(acknowledged: Sequence[str], dialing: Dialing, numbers: frozenset[str]) -> Iterator[str]:
    """Yield warnings about values that acknowledge nothing."""
    vain = [value for value in acknowledged if value not in numbers]
    behind = [value for value in vain if value.removeprefix(dialing.outbound_prefix) in numbers]
    unknown = [value for value in vain if value not in behind]
    for value in behind:
        number = value.removeprefix(dialing.outbound_prefix)
        yield f'acknowledgedEmergencyNumbers "{value}": write "{number}", which also stands for {value}'
    if unknown:
        known = f"{dialing.country} has {numbers_listed(sorted(numbers))}"
        none, them = ("number", "it") if len(unknown) == 1 else ("numbers", "them")
        field = f"acknowledgedEmergencyNumbers {quoted(unknown)}"
        yield f"{field}: no emergency {none}, since {known}: correct or remove {them}"
