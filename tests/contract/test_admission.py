"""What the API server accepts and refuses, in which words: the tables, and that they leave no rule out."""

from __future__ import annotations

import re
from typing import Any

import pytest

from contract import (
    rows_commserver,
    rows_dialplanslice,
    rows_equipmentrecord,
    rows_interlink,
    rows_internalnumber,
    rows_linkrecord,
    rows_pbxaccount,
)
from contract.admission import Admission, Row
from schemas import PlacedRule, every_rule

ROWS: tuple[Row, ...] = (
    *rows_pbxaccount.ROWS,
    *rows_interlink.ROWS,
    *rows_internalnumber.ROWS,
    *rows_commserver.ROWS,
    *rows_linkrecord.ROWS,
    *rows_equipmentrecord.ROWS,
    *rows_dialplanslice.ROWS,
)
SENTENCE = re.compile(r'"([^"]*)"')


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row, admission: Admission) -> None:
    assert set(admission.judge(row)) == set(row.refusals)


def sentences(rule: PlacedRule) -> list[re.Pattern[str]]:
    """Return what the rule may answer: every text of its messageExpression, values left open."""
    texts = SENTENCE.findall(rule.rule["messageExpression"])
    return [re.compile(".*".join(map(re.escape, text.split("%s"))) + "$") for text in texts]


def answers(rule: PlacedRule) -> list[str]:
    """Return the answers that the tables expect at the place of this rule, indexes ignored."""
    return [
        refusal.answer.partition(": ")[2]
        for row in ROWS
        if row.kind == rule.kind
        for refusal in row.refusals
        if re.sub(r"\[\d+\]", "[]", refusal.field) == rule.path
    ]


@pytest.mark.parametrize("rule", every_rule(), ids=str)
def test_every_sentence_of_every_rule_is_in_a_table(rule: PlacedRule) -> None:
    missing = [s.pattern for s in sentences(rule) if not any(s.match(answer) for answer in answers(rule))]
    assert sentences(rule)
    assert not missing


@pytest.mark.parametrize("rule", every_rule(), ids=str)
def test_every_rule_accepts_something_in_a_table(rule: PlacedRule) -> None:
    """Some accepted row has the field that carries the rule: before and after, if the rule compares."""
    accepted = [row for row in ROWS if row.kind == rule.kind and not row.refusals]
    assert any(
        has(row.manifest, rule.carrier) and (not rule.transition or has(row.before, rule.carrier)) for row in accepted
    )


def has(value: Any, path: str) -> bool:
    """Return whether a manifest has something at a path of the schema."""
    name, _, rest = path.partition(".")
    if not name:
        return value is not None
    members = value.get(name.removesuffix("[]")) if value else None
    if name.endswith("[]"):
        return any(has(member, rest) for member in members or [])
    return members is not None and has(members, rest)
