"""What becomes of one number, step by step, for whoever asks why.

`rules` decides, as it does for the table of typical numbers; this module says in words how it came to that, and adds
what `guard` takes for granted: what the PBX calls then, and whether an emergency number is meant or called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from pbx_operator.domain.numbering.guard import emergency_meant, number_called
from pbx_operator.domain.numbering.rules import Analysis, Dialing, NumberingRule, Outcome, translate

Effect = Literal["NoMatch", "Rewrite", "Block", "OutsideLine", "AsItIs", "Called", "NotCalled"] | Analysis
"""What a step does: of a rule, of the default analysis, of the PBX, and to an emergency number."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step; `by` is `numberingRules[3]`, `DefaultAnalysis`, `PBX` or, for what it means, `EmergencyNumber`."""

    by: str
    effect: Effect
    explanation: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What becomes of a number, and how."""

    outcome: Outcome
    called: str | None
    """What the PBX calls, perhaps on an outside line; None if nothing is dialled, or nothing is left."""
    emergency: str | None
    """The emergency number that is dialled, also behind the outbound prefix, whether it is called or not."""
    steps: tuple[Step, ...]


def explain(
    number: str, rules: Sequence[NumberingRule], dialing: Dialing, emergency_numbers: AbstractSet[str]
) -> Explanation:
    """Return what a number that is dialled in Rainbow becomes, and how. Raises as `translate`."""
    outcome = translate(number, rules, dialing)
    called = number_called(outcome, dialing.outbound_prefix)
    meant = emergency_meant(number, dialing.outbound_prefix, emergency_numbers)
    steps = [*_rule_steps(outcome, rules)]
    if outcome.analysis is not None:
        steps.append(Step(outcome.by, outcome.analysis, _analysis(outcome, outcome.analysis, dialing)))
    if outcome.dialled is not None:
        steps.append(_pbx(outcome.dialled, called, dialing.outbound_prefix))
    steps += _emergency(meant, called, emergency_numbers)
    return Explanation(outcome, called or None, meant, tuple(steps))


def _rule_steps(outcome: Outcome, rules: Sequence[NumberingRule]) -> Iterator[Step]:
    """Yield the rules that are tried: up to the one that decides, or all."""
    for index, rule in enumerate(rules):
        by, match = f"numberingRules[{index}]", f'match "{rule.match}"'
        if index == outcome.rule:
            described = f" ({rule.description})" if rule.description else ""
            yield Step(by, rule.action, f"{match} is found, and {_decision(rule, outcome.dialled)}{described}")
            return
        yield Step(by, "NoMatch", f"{match} is not found in {outcome.number}")


def _decision(rule: NumberingRule, dialled: str | None) -> str:
    if rule.action == "Block":
        return "nothing is dialled"
    if dialled is None:
        return f'replace "{rule.replace}" leaves nothing, so nothing is dialled'
    return f'replace "{rule.replace}" makes it {dialled}'


def _analysis(outcome: Outcome, analysis: Analysis, dialing: Dialing) -> str:
    abroad = ("internationalPrefix", dialing.international_prefix)
    national = ("nationalPrefix", dialing.national_prefix)
    match analysis:
        case "International":
            return f"a number of another country than {dialing.country}: {_prefixed(outcome, dialing, abroad)}"
        case "National":
            return f"a number of {dialing.country}: {_prefixed(outcome, dialing, national)}"
        case "AsTyped":
            return f"neither a number of {dialing.country} nor one of another country, so it stays as it was typed"


def _prefixed(outcome: Outcome, dialing: Dialing, second: tuple[str, str]) -> str:
    """Say of which parts the default analysis made what is dialled."""
    parts = [(name, prefix) for name, prefix in (("outboundPrefix", dialing.outbound_prefix), second) if prefix]
    rest = (outcome.dialled or "").removeprefix("".join(prefix for _, prefix in parts))
    named = [f'{name} "{prefix}"' for name, prefix in parts]
    return f"{', '.join([*named, rest])} make {outcome.dialled}" if named else f"{rest}, with no prefix"


def _pbx(dialled: str, called: str, outbound_prefix: str) -> Step:
    if not outbound_prefix or not dialled.startswith(outbound_prefix):
        return Step("PBX", "AsItIs", f"gets {dialled}, and calls it")
    begins = f'gets {dialled}, which begins with outboundPrefix "{outbound_prefix}"'
    return Step("PBX", "OutsideLine", f"{begins}: takes an outside line and calls {called or 'nothing'}")


def _emergency(meant: str | None, called: str, emergency_numbers: AbstractSet[str]) -> Iterator[Step]:
    if called in emergency_numbers:
        other = f", although {meant} was dialled" if meant not in (None, called) else ""
        yield Step("EmergencyNumber", "Called", f"{called} is an emergency number{other}")
    elif meant is not None:
        yield Step("EmergencyNumber", "NotCalled", f"{meant} is an emergency number, and is not called")
