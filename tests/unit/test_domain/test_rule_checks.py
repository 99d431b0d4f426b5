"""Mistakes in numbering rules, and what rules and prefixes do to emergency numbers."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pbx_operator.domain.emergency import emergency_numbers
from pbx_operator.domain.numbering.checks import Problem, RuleFinding, check_rules, judge_rules
from pbx_operator.domain.numbering.rules import Dialing, NumberingRule, translate

FRANCE = Dialing("FR", "0", "00", "0")
NONE = frozenset[str]()


def rewrite(match: str, replace: str) -> NumberingRule:
    return NumberingRule(match, "Rewrite", replace)


def block(match: str) -> NumberingRule:
    return NumberingRule(match, "Block")


def judge(dialing: Dialing, *rules: NumberingRule, acknowledged: frozenset[str] = NONE) -> tuple[RuleFinding, ...]:
    return judge_rules(rules, dialing, acknowledged, emergency_numbers(dialing.country))


def told(findings: tuple[RuleFinding, ...]) -> set[tuple[str, int | None, str]]:
    return {(finding.severity, finding.rule, finding.emergency) for finding in findings}


class TestCheckRules:
    def test_good_rules_have_no_problem(self) -> None:
        rules = [rewrite("^([0-9]{1,5})$", "$1"), rewrite("^0321", "00$&"), block("^0800"), rewrite("^3699$", "03699")]
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
                "Warned",
                'numberingRules[1].replace "\\1": "\\" cannot be dialled: '
                "use 0-9, *, #, +, and $1 for the first group of the match",
            ),
            (
                rewrite(r"^(\d{1,5})$", "$1"),
                "Warned",
                r'numberingRules[1].match "^(\d{1,5})$" uses \d, which the API of Rainbow does not support: '
                "write [0-9]",
            ),
            (
                block("1*"),
                "Warned",
                'numberingRules[1].match "1*" matches every number, since it needs no digit: '
                "write + instead of *, or say how the number starts",
            ),
            (
                block("^0"),
                "Warned",
                'numberingRules[1].match "^0" is never reached, since numberingRules[0] has the same match: '
                "remove one of them",
            ),
        ],
    )
    def test_message_names_field_value_and_next_step(self, rule: NumberingRule, severity: str, message: str) -> None:
        (problem,) = check_rules([rewrite("^0", "0"), rule])
        assert (problem.severity, problem.rule, problem.message) == (severity, 1, message)

    @pytest.mark.parametrize("match", ["", "^", "$", ".*", "^1?", "(?!1)", "1|", "^(?:1*|2)", "^.*$"])
    def test_match_that_needs_no_digit_is_warned_about(self, match: str) -> None:
        assert [problem.severity for problem in check_rules([block(match)])] == ["Warned"]

    @pytest.mark.parametrize("match", ["^$", "^1+", "(?=1)", "^[0-9]*$", "1|2", "[^1]", "."])
    def test_match_that_needs_something_is_not(self, match: str) -> None:
        assert check_rules([block(match)]) == ()

    def test_rules_that_are_too_large_together_are_refused_once(self) -> None:
        rules = [block("^[0-9]{250}#" + str(number)) for number in range(10, 20)]
        (problem,) = check_rules(rules)
        message = "all rules up to here have more than 2048 steps: use lower counts in {}"
        assert problem == Problem("Refused", 8, f'numberingRules[8].match "^[0-9]{{250}}#18": {message}')

    def test_hundred_ordinary_rules_are_not_too_large(self) -> None:
        assert check_rules([rewrite(f"^0{number:03}([0-9]*)$", "00$1") for number in range(100)]) == ()

    def test_every_mistake_is_told_in_the_order_of_the_rules(self) -> None:
        problems = check_rules([block("("), rewrite("^1", "$1"), block("^1")])
        assert [(problem.rule, problem.severity) for problem in problems] == [
            (0, "Refused"),
            (1, "Refused"),
            (2, "Warned"),
        ]


class TestEmergencyNumbers:
    @pytest.mark.parametrize(
        "rules",
        [
            (),
            (rewrite(r"^(\d{1,5})$", "$1"),),
            (rewrite("^(112|15|17|18)$", "0$1"),),
            (rewrite("^0321", "00"), block("^0800"), rewrite("^3699$", "03699")),
            (rewrite("^18$", "18"), block("^18$")),
            (block("^18[0-9]"),),
        ],
    )
    def test_rules_that_let_them_through_are_fine(self, rules: tuple[NumberingRule, ...]) -> None:
        assert judge(FRANCE, *rules) == ()

    def test_blocked_number_is_refused_where_it_is_one(self) -> None:
        assert judge(FRANCE, block("^18$")) == (
            RuleFinding(
                "Refused",
                0,
                "^18$",
                "18",
                'numberingRules[0] "^18$" blocks the emergency number 18: change the rule, '
                'or add "18" to spec.acknowledgedEmergencyNumbers if this is what you want',
            ),
        )
        assert judge(Dialing("NL", "0", "00", "0"), block("^18$")) == ()
        assert judge(FRANCE, block("^18$"), acknowledged=frozenset({"18"})) == ()

    def test_rewritten_number_is_refused(self) -> None:
        (finding,) = judge(FRANCE, rewrite("^17$", "0117"))
        assert (finding.severity, finding.rule, finding.match, finding.emergency) == ("Refused", 0, "^17$", "17")
        assert finding.message == (
            'numberingRules[0] "^17$" turns the emergency number 17 into 0117, and the PBX calls "117": '
            'change the rule, put a rule from "^17$" to "017" before all others, '
            'or add "17" to spec.acknowledgedEmergencyNumbers if this is what you want'
        )

    def test_one_emergency_number_instead_of_another_is_refused(self) -> None:
        assert told(judge(FRANCE, rewrite("^15$", "112"))) == {("Refused", 0, "15")}

    def test_rule_for_other_numbers_that_catches_them_is_refused(self) -> None:
        assert told(judge(FRANCE, block("1"))) == {("Refused", 0, n) for n in emergency_numbers("FR")}
        assert told(judge(FRANCE, rewrite("^1([0-9])$", "2$1"))) == {("Refused", 0, n) for n in ("15", "17", "18")}

    @pytest.mark.parametrize(
        ("country", "prefix", "swallowed"),
        [
            ("FR", "1", {"112", "15", "17", "18"}),
            ("US", "9", {"911"}),
            ("GB", "9", {"911", "999"}),
            ("AU", "0", {"000"}),
            ("LT", "0", {"01", "011", "02", "022", "03", "033"}),
            ("FR", "112", {"112"}),
            ("FR", "0", set()),
            ("US", "8", set()),
            ("US", "", set()),
        ],
    )
    def test_outbound_prefix_must_not_swallow_them(self, country: str, prefix: str, swallowed: set[str]) -> None:
        dialing = Dialing(country, "", "00", prefix)
        assert told(judge(dialing)) == {("Refused", None, number) for number in swallowed}
        assert judge(dialing, acknowledged=frozenset(swallowed)) == ()

    def test_message_about_a_swallowing_prefix_says_what_helps_and_it_does(self) -> None:
        dialing = Dialing("US", "1", "011", "9")
        (finding,) = judge(dialing)
        assert finding.message == (
            "the default analysis leaves the emergency number 911 as it is, and the PBX takes its beginning for the "
            'outboundPrefix "9" and calls "11": put a rule from "^911$" to "9911" before all others, '
            'choose another outboundPrefix, or add "911" to spec.acknowledgedEmergencyNumbers if this is what you want'
        )
        assert judge(dialing, rewrite("^911$", "9911")) == ()

    def test_rule_does_not_excuse_the_prefix(self) -> None:
        findings = judge(Dialing("US", "1", "011", "9"), rewrite("^([0-9]{1,4})$", "$1"))
        assert told(findings) == {("Refused", 0, "911")}

    @pytest.mark.parametrize(
        ("rule", "number", "emergency"),
        [
            (rewrite("^9([0-9]+)$", "$1"), "9112", "112"),
            (rewrite("^77", "0"), "77112", "112"),
            (rewrite("^77$", "0112"), "77", "112"),
            (rewrite(r"^9\*", "9"), "9*11", "911"),
            (rewrite("^77", "11"), "772", "112"),
            (rewrite("^([0-9]{2})$", "1$1"), "12", "112"),
            (rewrite(r"^[*#]([0-9]+)$", "$1"), "*112", "112"),
        ],
    )
    def test_accidental_call_is_warned_about(self, rule: NumberingRule, number: str, emergency: str) -> None:
        first, second = rewrite("^5$", "5"), rule
        warnings = [finding for finding in judge(FRANCE, first, second) if finding.severity == "Warned"]
        messages = {finding.emergency: finding.message for finding in warnings}
        assert f"turns {number} into " in messages[emergency]
        assert f", which calls the emergency number {emergency}: change the rule, or add" in messages[emergency]
        acknowledged = judge(FRANCE, first, second, acknowledged=frozenset({emergency}))
        assert all(finding.emergency != emergency for finding in acknowledged)

    def test_rule_that_an_earlier_one_keeps_from_accidents_is_fine(self) -> None:
        assert judge(FRANCE, block("^77"), rewrite("^77", "0")) == ()

    def test_dialling_with_the_outbound_prefix_is_no_accident(self) -> None:
        assert judge(FRANCE, rewrite("^0(112|1[578]|911)$", "$1")) == ()


MATCHES = st.sampled_from(
    ["^1", "^0", "^9", "1", "^([0-9]{2})$", "^([0-9]{3})$", "^([0-9]+)$", "^1(.*)$", "^(?!112)1", "^18$", "[*#]", "^"]
)
RULES = st.lists(
    st.one_of(
        st.builds(rewrite, MATCHES, st.sampled_from(["0", "1", "9", "$&", "0$&", "00", "112", "9$&"])),
        st.builds(block, MATCHES),
    ),
    max_size=4,
)
DIALINGS = st.builds(
    Dialing,
    st.sampled_from(["FR", "US", "AU", "LT", "CZ", "NL", "AQ"]),
    st.sampled_from(["", "0", "1"]),
    st.sampled_from(["00", "011"]),
    st.sampled_from(["", "0", "1", "9", "*9"]),
)


class TestAnyRules:
    @settings(deadline=None)
    @given(RULES, DIALINGS)
    def test_refused_is_exactly_what_does_not_call_the_emergency_number(
        self, rules: list[NumberingRule], dialing: Dialing
    ) -> None:
        protected = emergency_numbers(dialing.country)
        refused = {f.emergency for f in judge_rules(rules, dialing, NONE, protected) if f.severity == "Refused"}
        for number in protected:
            dialled = translate(number, rules, dialing).dialled
            behind_prefix = dialled == dialing.outbound_prefix + number
            swallowed = dialing.outbound_prefix != "" and number.startswith(dialing.outbound_prefix)
            assert (number in refused) != (behind_prefix or (dialled == number and not swallowed))

    @settings(deadline=None)
    @given(RULES, DIALINGS)
    def test_warned_is_only_what_happens(self, rules: list[NumberingRule], dialing: Dialing) -> None:
        for finding in judge_rules(rules, dialing, NONE, emergency_numbers(dialing.country)):
            if finding.severity == "Warned":
                number = finding.message.partition(" turns ")[2].split()[0]
                outcome = translate(number, rules, dialing)
                assert outcome.rule == finding.rule
                assert outcome.dialled in (finding.emergency, dialing.outbound_prefix + finding.emergency)

    @settings(deadline=None)
    @given(RULES, DIALINGS, st.frozensets(st.sampled_from(["112", "15", "18", "911", "000", "01"])))
    def test_acknowledging_takes_away_the_findings_about_these_numbers_and_no_other(
        self, rules: list[NumberingRule], dialing: Dialing, acknowledged: frozenset[str]
    ) -> None:
        protected = emergency_numbers(dialing.country)
        everything = judge_rules(rules, dialing, NONE, protected)
        rest = judge_rules(rules, dialing, acknowledged, protected)
        assert [f for f in everything if f.emergency not in acknowledged and f.severity == "Refused"] == [
            f for f in rest if f.severity == "Refused"
        ]
        assert all(f.emergency not in acknowledged for f in rest)

    @settings(deadline=None)
    @given(RULES, DIALINGS)
    def test_rule_that_the_message_proposes_helps(self, rules: list[NumberingRule], dialing: Dialing) -> None:
        protected = emergency_numbers(dialing.country)
        refused = [f for f in judge_rules(rules, dialing, NONE, protected) if f.severity == "Refused"]
        assume(refused)
        proposed = [rewrite(f"^{f.emergency}$", dialing.outbound_prefix + f.emergency) for f in refused]
        after = judge_rules([*proposed, *rules], dialing, NONE, protected)
        assert [f for f in after if f.severity == "Refused"] == []
