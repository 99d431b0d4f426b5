"""Patterns of numbering rules: what is accepted, what they find, and that no pattern makes the search hang."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from javascript_patterns import Node, nodes, reference
from pbx_operator.domain.numbering.patterns import MAX_PATTERN, MAX_STEPS, PatternError, compile_pattern
from pbx_operator.domain.numbering.search import Match, Search

VENDOR_EXAMPLES = [r"^(\d{1,5})$", "^((?=(258))[0-9]{8})$", "^0321", "^0800", "^3699$", "^218", "^18$"]
ARABIC_ONE = "\N{ARABIC-INDIC DIGIT ONE}"
texts = st.text("12*", max_size=6)


def find(pattern: str, text: str) -> Match | None:
    return Search(compile_pattern(pattern), text).run()


# What is found


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"^(\d{1,5})$", "12345", Match(0, 5, ("12345",))),
        (r"^(\d{1,5})$", "123456", None),
        ("^((?=(258))[0-9]{8})$", "25812345", Match(0, 8, ("25812345", "258"))),
        ("^((?=(258))[0-9]{8})$", "25912345", None),
        ("^((?=(258))[0-9]{8})$", "2581234", None),
        ("^0321", "0321555", Match(0, 4, ())),
        ("^0321", "10321", None),
        ("^3699$", "3699", Match(0, 4, ())),
        ("^3699$", "36990", None),
        ("^218", "2180", Match(0, 3, ())),
        ("21", "32121", Match(1, 3, ())),
        (r"^\+33([1-9])", "+331", Match(0, 4, ("1",))),
        (r"\*#\#\+", "*##+", Match(0, 4, ())),
        ("[*#+]+", "12*#+3", Match(2, 5, ())),
        ("[^0-9]", "12*", Match(2, 3, ())),
        (r"[\d*]{2,}", "+1*2+", Match(1, 4, ())),
        ("^(?:1|12)(2?)$", "12", Match(0, 2, ("2",))),
        ("(1|12)(2?)", "12", Match(0, 2, ("1", "2"))),
        ("1{2}", "111", Match(0, 2, ())),
        ("1{2,}?", "1111", Match(0, 2, ())),
        ("^(1*?)(1*)$", "11", Match(0, 2, ("", "11"))),
        ("^(1{0,2}?)(1*)$", "11", Match(0, 2, ("", "11"))),
        ("1??2", "12", Match(0, 2, ())),
        ("^(?!112|911)[0-9]{3}$", "112", None),
        ("^(?!112|911)[0-9]{3}$", "113", Match(0, 3, ())),
        # A look-ahead takes its first way only, and keeps what it captured.
        ("(?=(1+))1*2", "112", Match(0, 3, ("11",))),
        ("(?=(1+))1?1?1?1?2", "2", None),
        # Each turn of a quantifier starts without the groups of the turn before.
        ("^(?:(1)|(2))*$", "12", Match(0, 2, ("", "2"))),
        # An optional turn that consumes nothing does not count.
        ("^(1?)*$", "1", Match(0, 1, ("1",))),
        ("(?:(1)|){0,2}", "1", Match(0, 1, ("1",))),
        ("(2*)*", "1", Match(0, 0, ("",))),
        (".*", "", Match(0, 0, ())),
        ("", "1", Match(0, 0, ())),
        ("|1", "1", Match(0, 0, ())),
        ("1{0}2", "2", Match(0, 1, ())),
    ],
)
def test_first_match_is_that_of_javascript(pattern: str, text: str, expected: Match | None) -> None:
    assert find(pattern, text) == expected


def test_end_is_the_end_of_the_text_only_and_digits_are_ascii_only() -> None:
    assert find("^1$", "1\n") is None
    assert find(r"^\d$", ARABIC_ONE) is None
    assert find("^.$", ARABIC_ONE) is not None


@settings(deadline=None, max_examples=500)
@given(nodes(), texts)
def test_search_agrees_with_the_definition_of_javascript(node: Node, text: str) -> None:
    try:
        program = compile_pattern(node.pattern)
    except PatternError:
        assert len(node.pattern) > MAX_PATTERN, "the test writes nothing that is refused for another reason"
        return
    assert Search(program, text).run() == reference(node, text)


@settings(deadline=None)
@given(st.from_regex(r"\A[12*(){0,3}|?:=!^$+\[\]\\d-]{0,24}\Z"), texts)
def test_what_is_accepted_is_valid_elsewhere_and_matches_there(pattern: str, text: str) -> None:
    try:
        program = compile_pattern(pattern)
    except PatternError:
        return
    found = Search(program, text).run()
    assert (found is not None) == (re.search(pattern.replace("$", r"\Z"), text) is not None)


@given(nodes(), texts)
def test_beginning_is_where_every_match_starts(node: Node, text: str) -> None:
    if len(node.pattern) > MAX_PATTERN:
        return
    program = compile_pattern(node.pattern)
    found = reference(node, text)
    if found is not None:
        assert text[found.start : found.end].startswith(program.beginning)
        assert not program.anchored or found.start == 0
        assert program.may_match(text)


# What is refused


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("0 1", 'character 2: " " is in no number: numbers consist of 0-9, *, # and +'),
        ("/^0/", 'character 1: "/" is in no number: numbers consist of 0-9, *, # and +'),
        ("^0]", 'character 3: "]" is in no number: numbers consist of 0-9, *, # and +'),
        ("(12", 'character 1: this group is not closed: add ")"'),
        ("(?=12", 'character 1: this group is not closed: add ")"'),
        ("1(?:2", 'character 2: this group is not closed: add ")"'),
        ("12)3", 'character 3: ")" closes no group: remove it, or open a group before it'),
        ("[12", 'character 1: this class is not closed: add "]"'),
        ("1[]", "character 2: this class is empty: list characters in it, or write . for any"),
        ("1[^]", "character 2: this class is empty: list characters in it, or write . for any"),
        ("[9-0]", 'character 2: "9-0" is not a range of digits such as 0-9'),
        ("[#-9]", 'character 2: "#-9" is not a range of digits such as 0-9'),
        ("[0-]", 'character 2: "0-]" is not a range of digits such as 0-9'),
        ("[0-9", 'character 1: this class is not closed: add "]"'),
        ("[0-", 'character 2: "0-" is not a range of digits such as 0-9'),
        ("+33", 'character 1: "+" repeats nothing: put it after a character or group, or write [*] or [+]'),
        ("^*21", 'character 2: "*" repeats nothing: put it after a character or group, or write [*] or [+]'),
        ("1**", 'character 3: "*" repeats nothing: put it after a character or group, or write [*] or [+]'),
        ("1*+", 'character 3: "+" repeats nothing: put it after a character or group, or write [*] or [+]'),
        ("(?=1)*", 'character 6: "*" repeats nothing: put it after a character or group, or write [*] or [+]'),
        ("{2}", 'character 1: "{" repeats nothing: put it after a character or group, or write [*] or [+]'),
        ("1{,2}", "character 2: write a count as {3}, {3,} or {3,5}"),
        ("1{2", "character 2: write a count as {3}, {3,} or {3,5}"),
        ("1{2 }", "character 2: write a count as {3}, {3,} or {3,5}"),
        ("1{3,2}", "character 2: the counts are in the wrong order: write {2,3}"),
        (r"(1)\1", 'character 4: "\\1" is not supported: write [0-9] for a digit, [*] for * and [+] for +'),
        (r"\w", 'character 1: "\\w" is not supported: write [0-9] for a digit, [*] for * and [+] for +'),
        ("1\\", 'character 2: "\\" is not supported: write [0-9] for a digit, [*] for * and [+] for +'),
        ("(?<=1)2", "character 1: only (?: ), (?= ) and (?! ) are supported of the groups that start with (?"),
        ("(?i)1", "character 1: only (?: ), (?= ) and (?! ) are supported of the groups that start with (?"),
        ("1{513}", "character 6: the pattern has more than 512 steps: use lower counts in {}"),
        ("((1{30}){30}){30}", "character 12: the pattern has more than 512 steps: use lower counts in {}"),
        ("1{300}2{300}", "character 12: the pattern has more than 512 steps: use lower counts in {}"),
        ("1{300}|2{300}", "character 13: the pattern has more than 512 steps: use lower counts in {}"),
        (f"1{{{'9' * 40}}}", "character 43: the pattern has more than 512 steps: use lower counts in {}"),
        ("1" * 65, "character 65: use at most 64 characters"),
    ],
)
def test_refusal_names_the_character_and_the_next_step(pattern: str, message: str) -> None:
    with pytest.raises(PatternError) as error:
        compile_pattern(pattern)
    assert str(error.value) == message


@settings(deadline=None)
@given(st.text("019*#+.^$|?(){}[],:=!\\d-<a", max_size=MAX_PATTERN))
def test_any_text_is_compiled_to_a_small_program_or_refused(pattern: str) -> None:
    try:
        program = compile_pattern(pattern)
    except PatternError:
        return
    # Beyond the limit are at most the marks of groups and the jumps of alternatives around what was limited.
    assert len(program.code) <= MAX_STEPS + MAX_PATTERN


@pytest.mark.parametrize("pattern", ["(" * 32 + ")" * 32, "|" * 64, "(?=" * 16 + ")" * 16, "(1?" * 12 + ")?" * 12])
def test_deepest_nesting_is_compiled_and_searched(pattern: str) -> None:
    assert find(pattern, "1" * 32) is not None


# The search ends soon


@pytest.mark.parametrize(
    ("pattern", "nesting"),
    [
        (r"((\d+)+)+$", 3),
        ("((1+)+)+2", 3),
        ("(1|1|11)*(1|11)*2", 1),
        ("1?" * 31 + "2", 1),
        ("1*" * 31 + "2", 1),
        ("(1*)*" * 12 + "2", 2),
        ("(1?){15}(1?){15}2", 1),
        ("((((((1?)?)?)?)?)?)*2", 7),
        ("((((1{0,9}){0,9})*)*)*2", 5),
        ("(?:(?:(?:(?:1?){3})?){4}){4}2", 4),
        ("^(?:1|1)*(?:1|1)*(?:1|1)*(?:1|1)*$", 1),
        ("(?:(?:1|11|111)*?(?:1|11)+?)*?2", 2),
    ],
)
@pytest.mark.parametrize("ones", [8, 32, 64])
def test_hostile_patterns_end_within_the_bound(pattern: str, nesting: int, ones: int) -> None:
    program = compile_pattern(pattern)
    search = Search(program, "1" * ones + "*")
    assert search.run() is None
    assert search.steps <= len(program.code) * (ones + 2) * (nesting + 1)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?=" * 9 + "(1*)*2" + ")" * 9,
        ".*".join(["(?="] * 6) + "2" + ")" * 6,
        "(?:(?=.*2)1|(?!(1*)*2)1)*2",
        "(?:(?=(?:(?=(1*)*2)1|1)*2)1|1)*2",
    ],
)
def test_hostile_look_aheads_end_within_the_bound(pattern: str) -> None:
    program = compile_pattern(pattern)
    search = Search(program, "1" * 32)
    assert search.run() is None
    assert search.steps <= len(program.code) * 33 * 4 * 34


@settings(deadline=None)
@given(nodes(max_leaves=12), st.text("12", max_size=20))
def test_any_pattern_ends_within_the_bound(node: Node, text: str) -> None:
    if len(node.pattern) > MAX_PATTERN:
        return
    program = compile_pattern(node.pattern)
    search = Search(program, text)
    search.run()
    positions = len(text) + 1
    look_aheads = positions if "(?=" in node.pattern or "(?!" in node.pattern else 0
    assert search.steps <= len(program.code) * positions * (node.nesting + 1) * (1 + look_aheads)


@pytest.mark.parametrize("pattern", VENDOR_EXAMPLES)
def test_examples_of_the_vendor_are_small(pattern: str) -> None:
    assert len(compile_pattern(pattern).code) <= 24
