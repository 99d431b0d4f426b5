"""Emergency numbers: the data, the judgement of numbers and dial prefixes, and all of it exhaustively."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import get_args

import phonenumbers
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbx_operator.domain.dialplan.emergency import (
    Dialing,
    Finding,
    Protection,
    Relation,
    Severity,
    emergency_numbers,
    judge,
    judge_dial_prefix,
    known_country,
    never_routed,
)

ISO_3166 = """
AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ
CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO
FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE
JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO
MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM
TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES = sorted({*ISO_3166.split(), "AC", "TA", "XK"})
NUMBERS = ["".join(digits) for length in range(1, 5) for digits in product("0123456789", repeat=length)]
"""Every internal number there can be: 1 to 4 digits, leading zeros count."""
EXACT_IN_PUBLIC_NETWORK = {"BR", "CL", "NI"}
"""Where, says libphonenumber, an emergency number followed by more digits no longer reaches the service."""

FR = emergency_numbers("FR")

digit_strings = st.text("0123456789", min_size=1, max_size=4)
dial_prefixes = st.text("0123456789*#", min_size=1, max_size=4)
emergency_sets = st.one_of(
    st.sampled_from(COUNTRIES).map(emergency_numbers),
    st.frozensets(st.text("0123456789", min_size=1, max_size=6), max_size=8),
)
protections: st.SearchStrategy[Protection] = st.sampled_from(get_args(Protection))
dialings: st.SearchStrategy[Dialing] = st.sampled_from(get_args(Dialing))


# The data


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("FR", "112 15 17 18 911"),
        ("GB", "112 911 999"),
        ("IE", "112 911 999"),
        ("US", "112 911"),
        ("DE", "110 112 911"),
        ("LT", "01 011 02 022 03 033 101 102 103 112 911"),
        ("AU", "000 106 112 911"),
        ("JP", "110 112 119 911"),
        ("CZ", "112 150 151 152 153 154 155 156 157 158 159 911"),
        ("PK", "112 1122 115 15 16 911"),
        ("ZA", "10111 10177 112 911"),
        ("SE", "112 90000 911"),
        ("NE", "112 118 15 17 18 723141 911"),
    ],
)
def test_numbers_of_a_country(country: str, expected: str) -> None:
    assert sorted(emergency_numbers(country)) == expected.split()


@pytest.mark.parametrize("country", ["AQ", "BV", "GN", "GQ", "GS", "HM", "IO", "PN", "TA", "TF", "TK", "UM"])
def test_countries_without_data_keep_the_numbers_known_everywhere(country: str) -> None:
    assert emergency_numbers(country) == {"112", "911"}
    assert emergency_numbers(country, ["117", "442020"]) == {"112", "911", "117", "442020"}


def test_additional_numbers_count_like_those_of_the_data() -> None:
    with_local_service = emergency_numbers("FR", ["114", "15"])
    assert with_local_service == FR | {"114"}
    assert judge("114", with_local_service, protection="Enforce", dialing="EnBloc") is not None
    assert emergency_numbers("FR") == FR, "the numbers of one account must not reach another"


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_country_has_usable_numbers(country: str) -> None:
    assert known_country(country)
    numbers = emergency_numbers(country)
    assert numbers >= {"112", "911"}
    for number in numbers:
        assert number.isascii()
        assert number.isdecimal()
        assert 2 <= len(number) <= 6
    metadata = phonenumbers.PhoneMetadata.short_metadata_for_region(country)
    if metadata is not None and metadata.emergency is not None and metadata.emergency.example_number:
        assert metadata.emergency.example_number in numbers


def test_countries_of_the_data_are_all_tested() -> None:
    assert set(COUNTRIES) >= phonenumbers.SUPPORTED_REGIONS


@pytest.mark.parametrize("country", ["UK", "EL", "ZZ", "EU", "fr", "FRA", "F", "", "001", " FR"])
def test_unknown_country_is_told(country: str) -> None:
    assert not known_country(country)
    with pytest.raises(ValueError, match=r'^country ".*" is not an ISO 3166-1 alpha-2 code: use two') as error:
        emergency_numbers(country)
    assert f'"{country}"' in str(error.value)


# The judgement of numbers


@pytest.mark.parametrize(
    ("country", "number", "dialing", "expected"),
    [
        ("FR", "112", "EnBloc", ("Refused", "Equal", "112")),
        ("FR", "15", "EnBloc", ("Refused", "Equal", "15")),
        ("FR", "1123", "EnBloc", ("Refused", "StartsWith", "112")),
        ("FR", "1501", "EnBloc", ("Warned", "StartsWith", "15")),
        ("FR", "1501", "DigitByDigit", ("Refused", "StartsWith", "15")),
        ("FR", "11", "EnBloc", ("Warned", "Begins", "112")),
        ("FR", "11", "DigitByDigit", ("Warned", "Begins", "112")),
        ("FR", "1", "EnBloc", ("Warned", "Begins", "112")),
        ("FR", "101", "EnBloc", None),
        ("FR", "0112", "EnBloc", None),
        ("GB", "999", "EnBloc", ("Refused", "Equal", "999")),
        ("GB", "9990", "EnBloc", ("Refused", "StartsWith", "999")),
        ("US", "9111", "EnBloc", ("Refused", "StartsWith", "911")),
        ("US", "988", "EnBloc", None),
        ("DE", "911", "EnBloc", ("Refused", "Equal", "911")),
        ("IE", "9", "EnBloc", ("Warned", "Begins", "911")),
        ("AU", "000", "EnBloc", ("Refused", "Equal", "000")),
        ("AU", "0001", "EnBloc", ("Refused", "StartsWith", "000")),
        ("ZA", "1011", "EnBloc", ("Warned", "Begins", "10111")),
        # An emergency number that starts with another is Equal.
        ("LT", "011", "EnBloc", ("Refused", "Equal", "011")),
        ("PK", "1122", "EnBloc", ("Refused", "Equal", "1122")),
        # The worst collision is told: 011 refuses, 01 would only warn.
        ("LT", "0112", "EnBloc", ("Refused", "StartsWith", "011")),
        ("LT", "012", "EnBloc", ("Warned", "StartsWith", "01")),
        ("LT", "012", "DigitByDigit", ("Refused", "StartsWith", "01")),
    ],
)
def test_judgement_of_numbers(
    country: str, number: str, dialing: Dialing, expected: tuple[Severity, Relation, str] | None
) -> None:
    finding = judge(number, emergency_numbers(country), protection="Enforce", dialing=dialing)
    assert expected == (finding and (finding.severity, finding.relation, finding.emergency))
    assert finding is None or finding.digits == number


@pytest.mark.parametrize(
    ("number", "dialing", "message"),
    [
        (
            "112",
            "EnBloc",
            'number "112" is the emergency number 112, so it is never routed: choose another number',
        ),
        (
            "1123",
            "EnBloc",
            'number "1123" starts with the emergency number 112, so dialing it may call the emergency service: '
            "choose another number",
        ),
        (
            "1501",
            "EnBloc",
            'number "1501" starts with the emergency number 15: '
            "choose another number, or make sure that every phone sends whole numbers",
        ),
        (
            "1501",
            "DigitByDigit",
            'number "1501" starts with the emergency number 15, which digit-by-digit dialing reaches first: '
            "choose another number, or set dialing to EnBloc if every phone sends whole numbers",
        ),
        (
            "11",
            "EnBloc",
            'number "11" is the beginning of the emergency number 112, so a caller who dials 112 may reach it '
            "instead: choose another number if you can",
        ),
    ],
)
def test_message_names_the_numbers_and_the_next_step(number: str, dialing: Dialing, message: str) -> None:
    finding = judge(number, FR, protection="Enforce", dialing=dialing)
    assert finding is not None
    assert finding.message == message


@pytest.mark.parametrize("number", ["112", "15", "1123", "1501"])
@pytest.mark.parametrize(("protection", "serving"), [("Warn", False), ("Enforce", True), ("Warn", True)])
def test_lenient_account_is_warned_and_still_never_routes_an_emergency_number(
    number: str, protection: Protection, serving: bool
) -> None:
    finding = judge(number, FR, protection=protection, dialing="DigitByDigit", serving=serving)
    assert finding is not None
    assert finding.severity == "Warned"
    assert never_routed(number, FR, digit_by_digit=False) == (number in {"112", "15"})


@given(digit_strings, emergency_sets, protections, dialings, st.booleans())
def test_leniency_changes_only_the_severity(
    number: str, emergency: frozenset[str], protection: Protection, dialing: Dialing, serving: bool
) -> None:
    strict = judge(number, emergency, protection="Enforce", dialing=dialing)
    finding = judge(number, emergency, protection=protection, dialing=dialing, serving=serving)
    if strict is None or (protection == "Enforce" and not serving):
        assert finding == strict
    else:
        assert finding == Finding("Warned", strict.relation, number, strict.emergency, strict.message)


def gravity(finding: Finding | None) -> int:
    return 0 if finding is None else {"Warned": 1, "Refused": 2}[finding.severity]


@given(digit_strings, emergency_sets, digit_strings, dialings)
def test_more_emergency_numbers_are_never_more_permissive(
    number: str, emergency: frozenset[str], added: str, dialing: Dialing
) -> None:
    before = judge(number, emergency, protection="Enforce", dialing=dialing)
    after = judge(number, emergency | {added}, protection="Enforce", dialing=dialing)
    assert gravity(after) >= gravity(before)


@given(digit_strings, emergency_sets)
def test_digit_by_digit_is_never_more_permissive(number: str, emergency: frozenset[str]) -> None:
    en_bloc = judge(number, emergency, protection="Enforce", dialing="EnBloc")
    digit_by_digit = judge(number, emergency, protection="Enforce", dialing="DigitByDigit")
    assert gravity(digit_by_digit) >= gravity(en_bloc)


# The judgement of dial prefixes


@pytest.mark.parametrize(
    ("country", "prefix", "dialing", "expected"),
    [
        ("FR", "112", "EnBloc", ("Refused", "StartsWith", "112")),
        ("FR", "112*", "EnBloc", ("Refused", "StartsWith", "112")),
        ("FR", "15", "EnBloc", ("Warned", "StartsWith", "15")),
        ("FR", "15", "DigitByDigit", ("Refused", "StartsWith", "15")),
        ("FR", "1", "EnBloc", ("Warned", "Begins", "112")),
        ("FR", "1", "DigitByDigit", ("Warned", "Begins", "112")),
        ("US", "9", "EnBloc", ("Warned", "Begins", "911")),
        ("US", "8", "EnBloc", None),
        ("US", "*9", "EnBloc", None),
        ("US", "9*", "EnBloc", None),
        ("NE", "72", "EnBloc", ("Warned", "Begins", "723141")),
        # No number of up to four digits turns 7 into 723141.
        ("NE", "7", "EnBloc", None),
    ],
)
def test_judgement_of_dial_prefixes(
    country: str, prefix: str, dialing: Dialing, expected: tuple[Severity, Relation, str] | None
) -> None:
    finding = judge_dial_prefix(prefix, emergency_numbers(country), protection="Enforce", dialing=dialing)
    assert expected == (finding and (finding.severity, finding.relation, finding.emergency))
    assert finding is None or finding.digits == prefix


def test_message_about_a_dial_prefix_names_the_number_that_completes_it() -> None:
    finding = judge_dial_prefix("9", emergency_numbers("US"), protection="Enforce", dialing="EnBloc")
    assert finding is not None
    assert finding.message == (
        'dialPrefix "9" followed by 11 is the emergency number 911, so it never reaches a peer\'s number 11: '
        "choose another dialPrefix if you can"
    )


@given(dial_prefixes, emergency_sets, protections, dialings, st.booleans())
def test_leniency_changes_only_the_severity_of_a_dial_prefix(
    prefix: str, emergency: frozenset[str], protection: Protection, dialing: Dialing, serving: bool
) -> None:
    strict = judge_dial_prefix(prefix, emergency, protection="Enforce", dialing=dialing)
    finding = judge_dial_prefix(prefix, emergency, protection=protection, dialing=dialing, serving=serving)
    if strict is None or (protection == "Enforce" and not serving):
        assert finding == strict
    else:
        assert finding == Finding("Warned", strict.relation, prefix, strict.emergency, strict.message)


@given(dial_prefixes, digit_strings, emergency_sets, dialings)
def test_silent_dial_prefix_neither_spells_nor_starts_an_emergency_number(
    prefix: str, number: str, emergency: frozenset[str], dialing: Dialing
) -> None:
    assume(judge_dial_prefix(prefix, emergency, protection="Enforce", dialing=dialing) is None)
    dialed = prefix + number
    assert not never_routed(dialed, emergency, digit_by_digit=False)
    finding = judge(dialed, emergency, protection="Enforce", dialing=dialing)
    assert finding is None or finding.relation == "Begins"


@given(dial_prefixes, digit_strings, emergency_sets, dialings)
def test_refused_dial_prefix_makes_every_dialed_string_dangerous(
    prefix: str, number: str, emergency: frozenset[str], dialing: Dialing
) -> None:
    on_prefix = judge_dial_prefix(prefix, emergency, protection="Enforce", dialing=dialing)
    on_dialed = judge(prefix + number, emergency, protection="Enforce", dialing=dialing)
    if on_prefix is not None and on_prefix.relation == "StartsWith":
        assert gravity(on_dialed) >= gravity(on_prefix)


@pytest.mark.parametrize("country", ["FR", "LT", "GA", "ER", "NA", "PK"])
def test_all_dial_prefixes_of_digits(country: str) -> None:
    emergency = emergency_numbers(country)
    completed_by_a_number = {e[:-digits] for e in emergency for digits in range(1, 5)}
    told = {}
    for prefix in NUMBERS:
        if finding := judge_dial_prefix(prefix, emergency, protection="Enforce", dialing="DigitByDigit"):
            told[prefix] = (finding.severity, finding.relation)
    expected: dict[str, tuple[Severity, Relation]] = {}
    for prefix in NUMBERS:
        if prefix.startswith(tuple(emergency)):
            expected[prefix] = ("Refused", "StartsWith")
        elif prefix in completed_by_a_number:
            expected[prefix] = ("Warned", "Begins")
    assert told == expected


# Every number in every country


def countries_by_numbers() -> dict[frozenset[str], list[str]]:
    """Group the countries that share their emergency numbers: to `judge` they are the same."""
    groups = defaultdict(list)
    for country in COUNTRIES:
        groups[emergency_numbers(country)].append(country)
    return groups


def extensions(digits: str) -> set[str]:
    """All numbers of up to 4 digits that start with these digits and are longer."""
    rests = range(1, 5 - len(digits))
    return {digits + "".join(rest) for length in rests for rest in product("0123456789", repeat=length)}


def expected_findings(emergency: frozenset[str], dialing: Dialing) -> dict[str, tuple[Severity, Relation]]:
    """Build the told numbers out of the emergency numbers, from harmless to dangerous."""
    told: dict[str, tuple[Severity, Relation]] = {}
    for number in emergency:
        told |= {number[:length]: ("Warned", "Begins") for length in range(1, min(len(number), 5))}
    for number in sorted(emergency, key=len):
        severity: Severity = "Refused" if len(number) >= 3 or dialing == "DigitByDigit" else "Warned"
        told |= dict.fromkeys(extensions(number), (severity, "StartsWith"))
    return told | {number: ("Refused", "Equal") for number in emergency if len(number) <= 4}


@pytest.mark.parametrize("dialing", get_args(Dialing))
def test_every_number_in_every_country(dialing: Dialing) -> None:
    for emergency, countries in countries_by_numbers().items():
        told = {}
        for number in NUMBERS:
            if finding := judge(number, emergency, protection="Enforce", dialing=dialing):
                told[number] = (finding.severity, finding.relation)
        assert told == expected_findings(emergency, dialing), countries


def test_agreement_with_libphonenumber() -> None:
    """Compare with the library's own answers, which come from its patterns and not from a list of numbers.

    `connects_to_emergency_number` means: starts with an emergency number of the data.  The differences are
    wanted: 112 and 911 count everywhere; and where extra digits make the public network ignore an emergency
    number, a private phone system may still stop at the last digit of it, so these numbers stay refused.
    """
    for (_, exact), country in countries_by_pattern().items():
        own = emergency_numbers(country)
        equal = {number for number in NUMBERS if never_routed(number, own, digit_by_digit=False)}
        starting = {number for number in NUMBERS if number.startswith(tuple(own))}
        connects = {n for n in NUMBERS if phonenumbers.connects_to_emergency_number(n, country)}
        is_one = {n for n in connects if phonenumbers.is_emergency_number(n, country)}
        everywhere = {"112", "911"}
        assert is_one <= equal <= is_one | everywhere, country
        if exact:
            assert connects == is_one, country
        else:
            assert connects <= starting, country
            assert starting - connects <= everywhere | extensions("112") | extensions("911"), country


def countries_by_pattern() -> dict[tuple[str | None, bool], str]:
    """Name one country for each pattern of the data, which is all that the library's answers depend on."""
    examples = {}
    for country in COUNTRIES:
        metadata = phonenumbers.PhoneMetadata.short_metadata_for_region(country)
        emergency = metadata.emergency if metadata else None
        pattern = emergency.national_number_pattern if emergency else None
        examples[pattern, country in EXACT_IN_PUBLIC_NETWORK] = country
    return examples
