"""How differences between what is there and what is wanted are told."""

from __future__ import annotations

from dataclasses import replace

from pbx_operator.api.v1alpha1.commserver import NumberingRule
from pbx_operator.domain.differences import described, every_difference
from pbx_operator.domain.servers.systems import SystemSettings

RULES = tuple(NumberingRule(match=f"^{n}$", action="Rewrite", replace="$1") for n in range(100))
WANTED = SystemSettings("Reception", "FR", numbering_rules=RULES)


def told(actual: SystemSettings) -> str:
    return described(every_difference(actual, WANTED))


def test_each_field_is_told_by_the_name_that_the_spec_has() -> None:
    actual = replace(WANTED, display_name="theirs", outbound_prefix="0")
    assert told(actual) == "displayName is 'theirs', wanted is 'Reception'; outboundPrefix is '0', wanted is ''"


def test_of_a_list_the_first_item_that_differs_is_shown() -> None:
    changed = NumberingRule(match="^97$", action="Block")
    actual = replace(WANTED, numbering_rules=(*RULES[:97], changed))
    assert told(actual) == (
        'numberingRules[97] is {"match":"^97$","action":"Block"},'
        ' wanted is {"match":"^97$","action":"Rewrite","replace":"$1"} (and 2 more)'
    )
    assert told(replace(WANTED, numbering_rules=RULES[:99])).startswith("numberingRules[99] is none, wanted is {")


def test_a_long_value_is_cut() -> None:
    assert told(replace(WANTED, display_name="x" * 255)) == f"displayName is '{'x' * 98}…, wanted is 'Reception'"
