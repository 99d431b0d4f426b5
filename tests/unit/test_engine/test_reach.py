"""Whether an installation in another cluster counts as reachable: one lost answer says nothing."""

from __future__ import annotations

import pytest

from pbx_operator.engine.memory import GOOD, MISSED, Memory, Reach


@pytest.mark.parametrize(
    ("answers", "reachable"),
    [
        ("", None),
        ("+", True),
        ("-" * (MISSED - 1), None),
        ("-" * MISSED, False),
        ("+" + "-" * (MISSED - 1), True),
        ("+" + "-" * MISSED, False),
        ("-" * MISSED + "+" * (GOOD - 1), False),
        ("-" * MISSED + "+" * GOOD, True),
        ("+" + "-" * (MISSED - 1) + "+" + "-" * (MISSED - 1), True),
    ],
)
def test_what_is_said_after_these_answers(answers: str, reachable: bool | None) -> None:
    reach = Reach()
    for answer in answers:
        reach = reach.after(answered=answer == "+")
    assert reach.reachable is reachable


def test_only_a_change_is_news() -> None:
    memory = Memory()
    assert [memory.note_reach("peer", answered=True) for _ in range(3)] == [True, False, False]
    assert [memory.note_reach("peer", answered=False) for _ in range(MISSED)] == [False] * (MISSED - 1) + [True]
    assert memory.reachable("peer") is False
    assert memory.reachable(None) is None
