"""What dialled numbers become: by rules, by the default analysis, and as a table."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx_operator.domain.dialplan.emergency import emergency_numbers
from pbx_operator.domain.numbering.patterns import PatternError
from pbx_operator.domain.numbering.replacements import parse_replacement
from pbx_operator.domain.numbering.rules import (
    MAX_NUMBER,
    Analysis,
    Dialing,
    NumberingRule,
    Outcome,
    Row,
    dry_run,
    translate,
)

FRANCE = Dialing("FR", "0", "00", "0")
USA = Dialing("US", "1", "011", "9")
ITALY = Dialing("IT", "", "00", "0")
HUNGARY = Dialing("HU", "06", "00", "0")
NOWHERE = Dialing("AQ", "", "00", "0")

NONE = frozenset[str]()

VENDOR = (
    NumberingRule(r"^(\d{1,5})$", "Rewrite", "$1", "internal numbers"),
    NumberingRule("^((?=(258))[0-9]{8})$", "Rewrite", "$1"),
    NumberingRule("^0321", "Rewrite", "00"),
    NumberingRule("^0800", "Block"),
)


def rewrite(match: str, replace: str) -> NumberingRule:
    return NumberingRule(match, "Rewrite", replace)


class TestRules:
    @pytest.mark.parametrize(
        ("number", "dialled", "rule"),
        [
            ("12345", "12345", 0),
            ("25812345", "25812345", 1),
            ("0321555", "00555", 2),
            ("0800123456", None, 3),
        ],
    )
    def test_examples_of_the_vendor(self, number: str, dialled: str | None, rule: int) -> None:
        assert translate(number, VENDOR, FRANCE) == Outcome(number, dialled, rule=rule)

    @pytest.mark.parametrize(
        ("match", "replace", "number", "dialled"),
        [
            ("^3699$", "03699", "3699", "03699"),
            ("^218", "039067", "2185555", "0390675555"),
            ("21", "9", "212121", "92121"),
            ("2", "$&$&", "123", "1223"),
            ("^([0-9])([0-9])", "$2$1", "123", "213"),
            ("^([0-9])", "$10", "123", "1023"),
            ("^([0-9])", "$01", "123", "123"),
            ("^[0-9]", "$1", "123", "$123"),
            ("^[0-9]", "$0", "123", "$023"),
            ("^[0-9]", "$$", "123", "$23"),
            ("^[0-9]", "$", "123", "$23"),
            ("^(2)?1", "7$1", "123", "723"),
            ("^(?:(1)|(2))+", "[$1$2]", "123", "[2]3"),
            ("(.)" * 10, "$10$1", "123456789*", "*1"),
        ],
    )
    def test_only_the_first_match_is_replaced_as_in_javascript(
        self, match: str, replace: str, number: str, dialled: str
    ) -> None:
        assert translate(number, [rewrite(match, replace)], FRANCE).dialled == dialled

    def test_number_of_which_nothing_remains_is_not_dialled(self) -> None:
        assert translate("1", [rewrite("^1(2?)$", "$1")], FRANCE) == Outcome("1", None, rule=0)

    def test_first_match_wins_and_skips_the_default_analysis(self) -> None:
        rules = [rewrite("^7", "8"), rewrite("^0", "0"), NumberingRule("^0", "Block")]
        assert translate("0123456789", rules, FRANCE) == Outcome("0123456789", "0123456789", rule=1)

    def test_rule_that_cannot_be_compiled_is_told(self) -> None:
        with pytest.raises(PatternError, match="not closed"):
            translate("1", [rewrite("(", "1")], FRANCE)

    @pytest.mark.parametrize("rules", [(), VENDOR])
    def test_overlong_number_is_told(self, rules: tuple[NumberingRule, ...]) -> None:
        assert translate("1" * MAX_NUMBER, rules, FRANCE).dialled == "1" * MAX_NUMBER
        with pytest.raises(ValueError, match=r'^number "1{64}…" is too long: dial at most 64 characters$'):
            translate("1" * (MAX_NUMBER + 1), rules, FRANCE)

    @given(st.text("0129*#+", min_size=1, max_size=MAX_NUMBER))
    def test_identity_rule_leaves_every_number_alone(self, number: str) -> None:
        assert translate(number, [rewrite("^(.+)$", "$1")], FRANCE).dialled == number

    @given(st.text("0129*#+", min_size=1, max_size=12), st.text("0129", min_size=1, max_size=6))
    def test_literal_rule_does_what_replacing_a_text_does(self, number: str, digits: str) -> None:
        outcome = translate(number, [rewrite(digits, "7")], NOWHERE)
        if digits in number:
            assert outcome == Outcome(number, number.replace(digits, "7", 1), rule=0)
        else:
            assert outcome.rule is None


class TestReplacements:
    @given(st.text("$&129`'<a", max_size=10), st.integers(0, 12))
    def test_what_is_put_in_has_only_groups_that_exist(self, text: str, groups: int) -> None:
        replacement = parse_replacement(text, groups)
        assert all(part in range(groups + 1) for part in replacement.parts if isinstance(part, int))
        assert all(int(reference[1:]) > 0 or reference[1] == "0" for reference in replacement.missing)
        assert replacement.expand("", ("",) * groups) == replacement.text

    @given(st.text("$&129", max_size=6), st.text("129", max_size=3), st.text("129", max_size=3))
    def test_what_cannot_be_given_never_comes_out(self, text: str, matched: str, wanted: str) -> None:
        replacement = parse_replacement(text, 1)
        if not replacement.may_give(wanted):
            assert replacement.expand(matched, (matched,)) != wanted


class TestDefaultAnalysis:
    @pytest.mark.parametrize(
        ("dialing", "number", "dialled", "analysis"),
        [
            (FRANCE, "0123456789", "00123456789", "National"),
            (FRANCE, "+33123456789", "00123456789", "National"),
            (FRANCE, "0033123456789", "00123456789", "National"),
            (FRANCE, "+442079460123", "000442079460123", "International"),
            (FRANCE, "00442079460123", "000442079460123", "International"),
            (FRANCE, "101", "101", "AsTyped"),
            (FRANCE, "2001", "2001", "AsTyped"),
            (FRANCE, "3699", "3699", "AsTyped"),
            (FRANCE, "0012", "0012", "AsTyped"),
            (FRANCE, "00", "00", "AsTyped"),
            (FRANCE, "+4412", "+4412", "AsTyped"),
            (FRANCE, "004412", "004412", "AsTyped"),
            (FRANCE, "+", "+", "AsTyped"),
            (FRANCE, "++33123456789", "++33123456789", "AsTyped"),
            (FRANCE, "*21#", "*21#", "AsTyped"),
            (FRANCE, "1800FLOWERS", "1800FLOWERS", "AsTyped"),
            (FRANCE, "0123456789;ext=4", "0123456789;ext=4", "AsTyped"),
            (FRANCE, "٠١٢٣٤٥٦٧٨٩", "٠١٢٣٤٥٦٧٨٩", "AsTyped"),
            (USA, "2015550123", "912015550123", "National"),
            (USA, "12015550123", "912015550123", "National"),
            # Canada has the same calling code, so it is dialled as a number of the country.
            (USA, "+15062345678", "915062345678", "National"),
            (USA, "011442079460123", "9011442079460123", "International"),
            # A zero that belongs to the number stays.
            (ITALY, "0212345678", "00212345678", "National"),
            (ITALY, "+390212345678", "00212345678", "National"),
            (HUNGARY, "0612345678", "00612345678", "National"),
            # A national prefix of one's own, which the library does not know.
            (Dialing("FR", "7", "00", ""), "7123456789", "7123456789", "National"),
            # An international prefix of one's own.
            (Dialing("FR", "0", "19", "0"), "19442079460123", "019442079460123", "International"),
            (Dialing("FR", "0", "", "0"), "+442079460123", "0442079460123", "International"),
            (NOWHERE, "+442079460123", "000442079460123", "International"),
            (NOWHERE, "0123456789", "0123456789", "AsTyped"),
        ],
    )
    def test_table(self, dialing: Dialing, number: str, dialled: str, analysis: Analysis) -> None:
        assert translate(number, (), dialing) == Outcome(number, dialled, analysis=analysis)

    def test_nothing_typed_is_nothing_dialled(self) -> None:
        assert translate("", (), FRANCE) == Outcome("", None, analysis="AsTyped")

    @pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
    def test_emergency_numbers_are_dialled_as_typed_everywhere(self, country: str) -> None:
        prefix = phonenumbers.ndd_prefix_for_region(country, True) or ""
        for number in emergency_numbers(country):
            outcome = translate(number, (), Dialing(country, prefix, "00", "0"))
            assert outcome == Outcome(number, number, analysis="AsTyped")

    @pytest.mark.parametrize("country", sorted(phonenumbers.SUPPORTED_REGIONS))
    def test_examples_of_all_countries_become_the_same_from_contacts_and_by_hand(self, country: str) -> None:
        prefix = phonenumbers.ndd_prefix_for_region(country, True) or ""
        rows = dry_run((), Dialing(country, prefix, "00", "8"), NONE)
        for kind in ("National", "Mobile"):
            results = {row.result for row in rows if row.kind == kind}
            assert results == {"8" + row.number for row in rows if row.kind == kind and row.number[0] != "+"}

    @given(st.text("0123456789+*#", max_size=MAX_NUMBER), st.sampled_from([FRANCE, USA, ITALY, HUNGARY, NOWHERE]))
    def test_recognised_numbers_get_the_outbound_prefix_and_others_stay(self, number: str, dialing: Dialing) -> None:
        outcome = translate(number, (), dialing)
        assert outcome.rule is None
        if outcome.analysis == "AsTyped":
            assert outcome.dialled == (number or None)
        else:
            assert outcome.dialled is not None
            assert outcome.dialled.startswith(dialing.outbound_prefix)
            assert outcome.dialled.isdecimal()


class TestDryRun:
    def test_table_of_france(self) -> None:
        rules = [NumberingRule("^18$", "Block"), rewrite("^2([0-9]{2})$", "4$1")]
        assert dry_run(rules, FRANCE, emergency_numbers("FR")) == (
            Row("201", "Internal", "401", "numberingRules[1]"),
            Row("2001", "Internal", "2001", "DefaultAnalysis"),
            Row("0123456789", "National", "00123456789", "DefaultAnalysis"),
            Row("+33123456789", "National", "00123456789", "DefaultAnalysis"),
            Row("0612345678", "Mobile", "00612345678", "DefaultAnalysis"),
            Row("+33612345678", "Mobile", "00612345678", "DefaultAnalysis"),
            Row("+442079460123", "International", "000442079460123", "DefaultAnalysis"),
            Row("112", "Emergency", "112", "DefaultAnalysis"),
            Row("15", "Emergency", "15", "DefaultAnalysis"),
            Row("17", "Emergency", "17", "DefaultAnalysis"),
            Row("18", "Emergency", None, "numberingRules[0]"),
            Row("911", "Emergency", "911", "DefaultAnalysis"),
        )

    def test_number_from_abroad_is_from_abroad(self) -> None:
        rows = dry_run((), Dialing("GG", "0", "00", "0"), NONE)
        assert Row("+33199001234", "International", "00033199001234", "DefaultAnalysis") in rows

    @pytest.mark.parametrize("country", [*sorted(phonenumbers.SUPPORTED_REGIONS), "AQ"])
    def test_table_is_small_and_shows_112_everywhere(self, country: str) -> None:
        rows = dry_run((), Dialing(country, "0", "00", "0"), emergency_numbers(country))
        assert len(rows) <= 12
        assert [row.kind for row in rows][:2] == ["Internal", "Internal"]
        assert [row.kind for row in rows].count("International") == 1
        assert Row("112", "Emergency", "112", "DefaultAnalysis") in rows
