"""Which rules are never reached: what is found is true, and what is not found has a number that shows it."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings

from javascript_patterns import Node, nodes
from pbx_operator.domain.numbering.patterns import compile_pattern
from pbx_operator.domain.numbering.search import Search
from pbx_operator.domain.numbering.shadows import MAX_PLACES, Comparison, Reader, find_shadowed

NUMBERS = ["".join(digits) for length in (1, 2, 3, 4) for digits in product("12*", repeat=length)]


def shadowed(*patterns: str) -> dict[int, int | None]:
    return find_shadowed({index: compile_pattern(pattern) for index, pattern in enumerate(patterns)})


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("^0", "^0"),
        ("^0", "^08"),
        ("^0", "^0800[0-9]+$"),
        ("^([0-9]{1,5})$", "^3699$"),
        ("^[0-9]+$", "^00"),
        ("^[0-9]*$", "^[0-9]+$"),
        (r"^\d{4}$", "^36[0-9][0-9]$"),
        ("0", "^1230"),
        ("", "^112$"),
        ("^(1|2)", "^[12]5$"),
        ("^[^1]", "^0"),
        (r"^\*", r"^\*21\*"),
        ("^(0|00)44", "^0044"),
        ("^1?1?2", "^112$"),
        ("^1(1)*2$", "^1{2,5}2$"),
        ("^0", "^0(?=8)"),
        ("^[+]", "^[+]33"),
        ("2$", "^11?2$"),
    ],
)
def test_rule_whose_numbers_an_earlier_one_takes_is_found(earlier: str, later: str) -> None:
    assert shadowed("^555$", earlier, later) == {2: 1}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("^08", "^0"),
        ("^0[0-9]{3}$", "^0"),
        ("^[0-9]{1,5}$", "^36"),
        ("^00", "^0[1-9]"),
        ("^[0-9]+$", r"^00\*?"),
        ("^0[0-8]", "^0[0-9]"),
        ("^0(?=8)", "^08"),
        ("^0(?!9)", "^08"),
        ("^112$", "112"),
        ("1$", "^1"),
        ("^[0-9]", "^[+]"),
    ],
)
def test_rule_with_numbers_of_its_own_is_not(earlier: str, later: str) -> None:
    assert shadowed("^555$", earlier, later) == {}


def test_the_first_reason_is_named_and_shadowed_rules_are_no_reason() -> None:
    assert shadowed("^0", "^08", "^088", "^1", "^0888") == {1: 0, 2: 0, 4: 0}


@pytest.mark.parametrize("pattern", ["0^1", "1$2", "^$", "^(?:1$)2", "^[0-9]$^"])
def test_rule_that_matches_no_number_is_found(pattern: str) -> None:
    assert shadowed(pattern) == {0: None}


def test_the_search_ends_and_keeps_what_it_found() -> None:
    hard = [f"[12].{{{length}}}1" for length in range(12, 20)]
    found = shadowed("^0", "^08", *hard, *hard)
    assert found[1] == 0
    assert len(found) < 1 + len(hard), "there are far more sets of places than are looked at"


def test_a_hundred_ordinary_rules_are_all_compared() -> None:
    distinct = [f"^0{number:03}([0-9]*)$" for number in range(99)]
    assert shadowed(*distinct, "^00423$") == {99: 42}


@settings(deadline=None)
@given(nodes(), nodes())
def test_what_is_found_is_true(first: Node, second: Node) -> None:
    found = shadowed(first.pattern, second.pattern)
    programs = [compile_pattern(node.pattern) for node in (first, second)]
    for number in NUMBERS:
        matches = [Search(program, number).run() is not None for program in programs]
        assert not (found.get(0, 1) is None and matches[0])
        assert not (1 in found and found[1] is None and matches[1])
        if found.get(1) == 0 and not ("*" in number and "*" not in Reader(programs[1], look_ahead=True).alphabet):
            assert matches[0] or not matches[1]


@settings(deadline=None)
@given(nodes(), nodes())
def test_what_is_not_found_has_a_number_that_shows_it(first: Node, second: Node) -> None:
    if "(?=" in first.pattern + second.pattern or "(?!" in first.pattern + second.pattern:
        return
    earlier, later = (compile_pattern(node.pattern) for node in (first, second))
    number = Comparison(MAX_PLACES).only_in(Reader(later, look_ahead=True), Reader(earlier, look_ahead=False))
    if number is not None:
        assert Search(later, number).run() is not None
        assert Search(earlier, number).run() is None
