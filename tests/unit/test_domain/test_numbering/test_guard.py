"""What rules and prefixes do to emergency numbers."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pbx_operator.domain.dialplan.emergency import emergency_numbers
from pbx_operator.domain.numbering.guard import RuleFinding, judge_rules, remedy
from pbx_operator.domain.numbering.rules import Dialing, NumberingRule, translate

FRANCE = Dialing("FR", "0", "00", "0")
USA = Dialing("US", "1", "011", "9")
NONE = frozenset[str]()
GABON = ["112", *(f"13{end:02}" for end in range(19))]
"""The first emergency numbers of Gabon, which has a hundred."""
GABON_CALLED = [number.removeprefix("1") for number in GABON]
GABON_QUOTED = [f'"{number}"' for number in GABON]
GUARDING_RULE = re.compile(r'put \{match: "(.*?)", action: Rewrite, replace: "(.*?)"\} before all other rules')


def rewrite(match: str, replace: str) -> NumberingRule:
    return NumberingRule(match, "Rewrite", replace)


def block(match: str) -> NumberingRule:
    return NumberingRule(match, "Block")


def judge(dialing: Dialing, *rules: NumberingRule, acknowledged: frozenset[str] = NONE) -> tuple[RuleFinding, ...]:
    return judge_rules(rules, dialing, acknowledged, emergency_numbers(dialing.country))


def told(findings: tuple[RuleFinding, ...]) -> set[tuple[str, int | None, str]]:
    return {(finding.severity, finding.rule, number) for finding in findings for number in finding.emergency}


def refused(dialing: Dialing, *rules: NumberingRule) -> set[str]:
    """Return what, when it is dialled, does not call the emergency number that it should."""
    return {n for finding in judge(dialing, *rules) if finding.severity == "Refused" for n in finding.dialled}


def message(dialing: Dialing, *rules: NumberingRule) -> str:
    findings = judge(dialing, *rules)
    assert {finding.severity for finding in findings} == {"Refused"}
    problems = "; ".join(finding.problem for finding in findings)
    return f"{problems}: {remedy(findings, dialing, emergency_numbers(dialing.country))}"


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

    @pytest.mark.parametrize(
        "rules",
        [
            (rewrite("^112$", "112"),),
            (rewrite("^0112$", "0112"),),
            (rewrite("^0?(112)$", "$1"),),
            (rewrite("^0?(112)$", "0$1"),),
            (rewrite("^([0-9]{1,5})$", "$1"),),
            (rewrite("^0([0-9]{2,3})$", "$1"),),
            (rewrite("^[0-9]+$", "$&"),),
        ],
    )
    def test_rules_that_change_how_they_are_called_and_not_what_is_called_are_fine(
        self, rules: tuple[NumberingRule, ...]
    ) -> None:
        assert refused(FRANCE, rewrite("^00", "000"), *rules) == set()

    @pytest.mark.parametrize(
        ("rule", "dialled"),
        [
            (block("^112$"), {"112"}),
            (block("^0112$"), {"0112"}),
            (block("^0?112$"), {"112", "0112"}),
            (block("112"), {"112", "0112"}),
            (rewrite("^112$", "15"), {"112"}),
            (rewrite("^0112$", "015"), {"0112"}),
            (rewrite("^0112$", "00112"), {"0112"}),
            (rewrite("^0?112$", "18"), {"112", "0112"}),
            (rewrite("^0?1[578]$", "112"), {"15", "17", "18", "015", "017", "018"}),
            (rewrite("^[0-9]+$", "0$&"), {"0112", "015", "017", "018", "0911"}),
            (rewrite("^0", ""), set()),
        ],
    )
    def test_each_is_guarded_by_itself_and_behind_the_outbound_prefix(
        self, rule: NumberingRule, dialled: set[str]
    ) -> None:
        assert refused(FRANCE, rule) == dialled

    def test_prefix_of_the_usa_is_guarded_too(self) -> None:
        pass_on = rewrite("^9?(112|911)$", "9$1")
        assert refused(USA, block("^9911$"), pass_on) == {"9911"}
        assert refused(USA, pass_on, block("^9911$")) == set()

    def test_what_is_an_emergency_number_itself_means_that_one(self) -> None:
        """In Uzbekistan 01 behind the prefix 0 is 001, which is another one."""
        uzbekistan = Dialing("UZ", "", "00", "0")
        assert refused(uzbekistan, rewrite("^0??(050|112|911|0?0[123])$", "0$1")) == set()

    def test_acknowledged_number_is_not_guarded_in_either_way(self) -> None:
        assert judge(Dialing("NL", "0", "00", "0"), block("^0?18$")) == ()
        assert judge(FRANCE, block("^0?18$"), acknowledged=frozenset({"18"})) == ()
        assert told(judge(FRANCE, block("^0?1[78]$"), acknowledged=frozenset({"18"}))) == {("Refused", 0, "17")}

    @pytest.mark.parametrize(
        ("dialing", "rules", "text"),
        [
            (
                FRANCE,
                [block("^18$")],
                'numberingRules[0] "^18$" blocks the emergency number 18: change the rule, '
                'or add "18" to spec.acknowledgedEmergencyNumbers if this is what you want',
            ),
            (
                FRANCE,
                [block("^0112$")],
                'numberingRules[0] "^0112$" blocks the emergency number 112 behind the outboundPrefix "0": '
                'change the rule, or add "112" to spec.acknowledgedEmergencyNumbers if this is what you want',
            ),
            (
                FRANCE,
                [block("^(112|0112|017)$")],
                'numberingRules[0] "^(112|0112|017)$" blocks the emergency number 112, and the emergency numbers 112 '
                'and 17 behind the outboundPrefix "0": change the rule, '
                'put {match: "^0?(112|15|17|18|911)$", action: Rewrite, replace: "0$1"} before all other rules, '
                'or add "112" and "17" to spec.acknowledgedEmergencyNumbers if this is what you want',
            ),
            (
                FRANCE,
                [block("1")],
                'numberingRules[0] "1" blocks the emergency numbers 112, 15, 17, 18 and 911, also behind the '
                'outboundPrefix "0": change the rule, '
                'put {match: "^0?(112|15|17|18|911)$", action: Rewrite, replace: "0$1"} before all other rules, '
                'or add "112", "15", "17", "18" and "911" to spec.acknowledgedEmergencyNumbers '
                "if this is what you want",
            ),
            (
                FRANCE,
                [rewrite("^17$", "0117")],
                'numberingRules[0] "^17$" turns the emergency number 17 into 0117 (the PBX calls 117): '
                'change the rule, put {match: "^0?(112|15|17|18|911)$", action: Rewrite, replace: "0$1"} before all '
                'other rules, or add "17" to spec.acknowledgedEmergencyNumbers if this is what you want',
            ),
            (
                FRANCE,
                [rewrite("^0?17$", "15"), rewrite("^018$", "15")],
                'numberingRules[0] "^0?17$" turns emergency numbers into others: 17 into 15 and 017 into 15; '
                'numberingRules[1] "^018$" turns the emergency number 18 behind the outboundPrefix "0" into 15: '
                'change these rules, put {match: "^0?(112|15|17|18|911)$", action: Rewrite, replace: "0$1"} before '
                'all other rules, or add "17" and "18" to spec.acknowledgedEmergencyNumbers if this is what you want',
            ),
            (
                USA,
                [],
                "the default analysis leaves the emergency number 911 as it is, and the PBX takes its beginning for "
                'the outboundPrefix "9" and calls 11: put {match: "^9?(112|911)$", action: Rewrite, replace: "9$1"} '
                'before all other rules, choose another outboundPrefix, or add "911" to '
                "spec.acknowledgedEmergencyNumbers if this is what you want",
            ),
            (
                Dialing("GA", "0", "00", "1"),
                [],
                f"the default analysis leaves the emergency numbers {', '.join(GABON)} and 83 more as they are, and "
                f'the PBX takes their beginning for the outboundPrefix "1" and calls {", ".join(GABON_CALLED)} and 83 '
                'more: put before all other rules one such as {match: "^1?(112)$", action: Rewrite, replace: "1$1"} '
                f"for each of these numbers, choose another outboundPrefix, or add {', '.join(GABON_QUOTED)} and 83 "
                "more to spec.acknowledgedEmergencyNumbers if this is what you want",
            ),
            (
                Dialing("LT", "0", "00", "0"),
                [],
                "the default analysis leaves the emergency numbers 01, 011, 02, 022, 03 and 033 as they are, and "
                'the PBX takes their beginning for the outboundPrefix "0" and calls 1, 11, 2, 22, 3 and 33: put '
                '{match: "^0?(01|011|02|022|03|033|101|102|103|112|911)$", action: Rewrite, replace: "0$1"} before '
                'all other rules, choose another outboundPrefix, or add "01", "011", "02", "022", "03" and "033" to'
                " spec.acknowledgedEmergencyNumbers if this is what you want",
            ),
            (
                Dialing("LU", "", "00", "8"),
                [rewrite("^8?(112|911)$", "8$1")],
                'the default analysis turns the emergency number 113 behind the outboundPrefix "8" into 88113 (the '
                'PBX calls 8113): put {match: "^8?(112|113|911)$", action: Rewrite, replace: "8$1"} before all other '
                'rules, choose another outboundPrefix, or add "113" to spec.acknowledgedEmergencyNumbers if this is '
                "what you want",
            ),
        ],
    )
    def test_message_names_rules_numbers_and_next_steps(
        self, dialing: Dialing, rules: list[NumberingRule], text: str
    ) -> None:
        assert message(dialing, *rules) == text

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
        (warning,) = [finding for finding in judge(FRANCE, first, second) if finding.severity == "Warned"]
        assert (number, emergency) in zip(warning.dialled, warning.emergency, strict=True)
        assert f"{number} into " in warning.problem
        acknowledged = judge(FRANCE, first, second, acknowledged=frozenset({emergency}))
        assert all(emergency not in finding.emergency for finding in acknowledged)

    def test_accidental_calls_by_a_rule_are_told_together(self) -> None:
        findings = judge(FRANCE, rewrite("^7([0-9]+)$", "$1"))
        assert [finding.problem for finding in findings] == [
            'numberingRules[0] "^7([0-9]+)$" turns 715 into 15, 717 into 17, 718 into 18, 7112 into 112 and 7911 into '
            "911, which calls the emergency numbers 15, 17, 18, 112 and 911"
        ]
        assert remedy(findings, FRANCE, emergency_numbers("FR")) == "change this unless you want it"

    def test_rule_that_an_earlier_one_keeps_from_accidents_is_fine(self) -> None:
        assert judge(FRANCE, block("^77"), rewrite("^77", "0")) == ()

    @pytest.mark.parametrize("match", ["^0(112|1[578]|911)$", "^0([0-9]+)$"])
    def test_dialling_with_the_outbound_prefix_is_no_accident_even_twice(self, match: str) -> None:
        assert judge(FRANCE, rewrite(match, "$1")) == ()


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
    st.sampled_from(["FR", "US", "AU", "LT", "CZ", "NL", "AQ", "UZ"]),
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
        protected, prefix = emergency_numbers(dialing.country), dialing.outbound_prefix
        harmful = refused(dialing, *rules)
        for emergency in protected:
            for number in {emergency, prefix + emergency}:
                dialled = translate(number, rules, dialing).dialled
                behind_prefix = dialled == prefix + emergency
                swallowed = prefix != "" and emergency.startswith(prefix)
                if number == emergency or number not in protected:
                    assert (number in harmful) != (behind_prefix or (dialled == emergency and not swallowed))

    @settings(deadline=None)
    @given(RULES, DIALINGS)
    def test_warned_is_only_what_happens(self, rules: list[NumberingRule], dialing: Dialing) -> None:
        for finding in judge(dialing, *rules):
            if finding.severity == "Warned":
                for number, emergency in zip(finding.dialled, finding.emergency, strict=True):
                    outcome = translate(number, rules, dialing)
                    assert outcome.rule == finding.rule
                    assert outcome.dialled in (emergency, dialing.outbound_prefix + emergency)

    @settings(deadline=None)
    @given(RULES, DIALINGS, st.frozensets(st.sampled_from(["112", "15", "18", "911", "000", "01"])))
    def test_acknowledging_takes_away_the_findings_about_these_numbers_and_no_other(
        self, rules: list[NumberingRule], dialing: Dialing, acknowledged: frozenset[str]
    ) -> None:
        everything = told(judge(dialing, *rules))
        rest = told(judge(dialing, *rules, acknowledged=acknowledged))
        assert {f for f in everything if f[2] not in acknowledged and f[0] == "Refused"} == {
            f for f in rest if f[0] == "Refused"
        }
        assert all(number not in acknowledged for _, _, number in rest)

    @settings(deadline=None)
    @given(RULES, DIALINGS)
    def test_rule_that_the_message_proposes_helps(self, rules: list[NumberingRule], dialing: Dialing) -> None:
        findings = [f for f in judge(dialing, *rules) if f.severity == "Refused"]
        assume(findings)
        proposed = GUARDING_RULE.search(remedy(findings, dialing, emergency_numbers(dialing.country)))
        assume(proposed)
        assert proposed is not None
        assert refused(dialing, rewrite(proposed[1], proposed[2]), *rules) == set()
