"""Mistakes in numbering rules as they are written."""

from __future__ import annotations

import pytest

from pbx_operator.domain.numbering.checks import Problem, check_rules
from pbx_operator.domain.numbering.rules import NumberingRule


def rewrite(match: str, replace: str) -> NumberingRule:
    return NumberingRule(match, "Rewrite", replace)


def block(match: str) -> NumberingRule:
    return NumberingRule(match, "Block")


class TestCheckRules:
    def test_good_rules_have_no_problem(self) -> None:
        rules = [rewrite("^3699$", "03699"), rewrite("^([0-9]{1,5})$", "$1"), rewrite("^0321", "00$&"), block("^0800")]
        assert check_rules(rules) == ()

    @pytest.mark.parametrize(
        ("rule", "severity", "message"),
        [
            (
                block("^(12"),
                "Refused",
                'numberingRules[1].match "^(12": character 2: this group is not closed: add ")"',
            ),
            (
                rewrite("^([0-9])", "$2"),
                "Refused",
                'numberingRules[1].replace "$2": there is no group $2, since the match has 1: '
                "put ( ) around what it shall stand for, or write $&",
            ),
            (
                rewrite("^1", "0$0"),
                "Refused",
                'numberingRules[1].replace "0$0": there is no group $0, since the match has 0: '
                "put ( ) around what it shall stand for, or write $&",
            ),
            (
                rewrite("^(1)", "\\1"),
                "Refused",
                'numberingRules[1].replace "\\1": "\\" cannot be dialled: '
                "use 0-9, *, #, +, and $1 for the first group of the match",
            ),
            (
                rewrite("^1", "zero"),
                "Refused",
                'numberingRules[1].replace "zero": "e" cannot be dialled: '
                "use 0-9, *, #, +, and $1 for the first group of the match",
            ),
            (
                rewrite("^1", "$`"),
                "Refused",
                'numberingRules[1].replace "$`": "$" cannot be dialled: '
                "use 0-9, *, #, +, and $1 for the first group of the match",
            ),
            (
                rewrite(r"^(1\d{1,5})$", "$1"),
                "Warned",
                r'numberingRules[1].match "^(1\d{1,5})$": write [0-9] in place of \d, which means the same here, '
                "but which the API of Rainbow does not support",
            ),
            (
                block("1*"),
                "Warned",
                'numberingRules[1].match "1*": matches every number, since it needs no digit: '
                "write + instead of *, or say how the number starts",
            ),
            (
                block("^0"),
                "Warned",
                'numberingRules[1].match "^0": never reached, since numberingRules[0] "^0" matches the same numbers '
                "before: put the rule before that one, or remove it",
            ),
            (
                block("1^0"),
                "Warned",
                'numberingRules[1].match "1^0": matches no number at all: correct it, or remove the rule',
            ),
        ],
    )
    def test_message_names_field_value_and_next_step(self, rule: NumberingRule, severity: str, message: str) -> None:
        (problem,) = check_rules([rewrite("^0", "0"), rule])
        assert (problem.severity, problem.rules, problem.message) == (severity, (1,), message)

    @pytest.mark.parametrize("match", ["", "^", "$", ".*", "^1?", "(?!1)", "1|", "^(?:1*|2)", "^.*$"])
    def test_match_that_needs_no_digit_is_warned_about(self, match: str) -> None:
        assert [problem.severity for problem in check_rules([block(match)])] == ["Warned"]

    @pytest.mark.parametrize("match", ["^1+", "(?=1)", "^[0-9]*$", "1|2", "[^1]", "."])
    def test_match_that_needs_something_is_not(self, match: str) -> None:
        assert check_rules([block(match)]) == ()

    def test_rules_that_are_too_large_together_are_refused_once(self) -> None:
        rules = [block("^[0-9]{250}#" + str(number)) for number in range(10, 20)]
        (problem,) = check_rules(rules)
        message = "all rules up to here have more than 2048 steps: use lower counts in {}"
        assert problem == Problem("Refused", (8,), f'numberingRules[8].match "^[0-9]{{250}}#18": {message}')

    def test_hundred_ordinary_rules_are_not_too_large(self) -> None:
        assert check_rules([rewrite(f"^0{number:03}([0-9]*)$", "00$1") for number in range(100)]) == ()

    def test_every_mistake_is_told_in_the_order_of_the_rules(self) -> None:
        problems = check_rules([block("("), rewrite("^1", "$1"), block("^1")])
        assert [(problem.rules, problem.severity) for problem in problems] == [
            ((0,), "Refused"),
            ((1,), "Refused"),
            ((2,), "Warned"),
        ]

    def test_same_mistake_of_several_rules_is_told_once(self) -> None:
        rules = [block(r"^1\d$"), block("^0$"), block(r"^2\d$"), *[block(rf"^3{n}\d$") for n in range(5)]]
        (problem,) = check_rules(rules)
        assert problem.rules == (0, 2, 3, 4, 5, 6, 7)
        assert problem.message == (
            r'numberingRules[0].match "^1\d$", numberingRules[2].match "^2\d$", numberingRules[3].match "^30\d$", '
            r'numberingRules[4].match "^31\d$", numberingRules[5].match "^32\d$" and 2 more: '
            r"write [0-9] in place of \d, which means the same here, but which the API of Rainbow does not support"
        )
