"""Generated codes and equipment IDs are taken in every spelling; those of others as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx_operator.domain.servers.typed import canonical_code, canonical_equipment_id, code_of, equipment_id_of

CODE, EQUIPMENT = "ABCD-EFGH-IJKL-MNOP-QR23", "PBXABCD-EFGH-IJKL-2345"
STOCK = "ALE12-1234.5678.90"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
letters = st.text(BASE32, min_size=26, max_size=26)


@pytest.mark.parametrize(
    "typed",
    [
        CODE,
        CODE.lower(),
        "abcdefghijklmnopqr23",
        "ABCD EFGH IJKL MNOP QR23",
        " abcd - efgh-ijkl  mnop\tqr23\n",
        "ABCDE-FGHIJ-KLMNO-PQR23",
    ],
)
def test_a_generated_code_is_the_same_in_every_spelling(typed: str) -> None:
    assert canonical_code(typed) == CODE


@pytest.mark.parametrize("typed", [EQUIPMENT, EQUIPMENT.lower(), "pbxabcdefghijkl2345", "PBX ABCD EFGH IJKL 2345 "])
def test_a_generated_equipment_id_is_the_same_in_every_spelling(typed: str) -> None:
    assert canonical_equipment_id(typed) == EQUIPMENT


@pytest.mark.parametrize(
    "other",
    [
        STOCK,
        STOCK.lower(),
        "ALE1-21234.5678.90",
        "ALE121234.5678.90",
        "",
        CODE[:-1],
        f"{CODE}A",
        CODE.replace("2", "0"),
        f"{EQUIPMENT}AA",
        EQUIPMENT[:-1],
        EQUIPMENT.replace("2", "0"),
    ],
)
def test_what_is_not_generated_stays_as_it_is_written(other: str) -> None:
    assert canonical_code(f" {other}\n") == other
    assert canonical_equipment_id(f" {other}\n") == other


@given(first=letters, second=letters)
def test_no_two_that_are_generated_become_equal(first: str, second: str) -> None:
    assert (canonical_code(code_of(first)) == canonical_code(code_of(second))) == (first[:20] == second[:20])
    ids = [canonical_equipment_id(equipment_id_of(one)) for one in (first, second)]
    assert (ids[0] == ids[1]) == (first[:16] == second[:16])


@given(letters)
def test_what_is_generated_has_its_one_form_already(letters: str) -> None:
    assert canonical_code(code_of(letters.lower())) == code_of(letters)
    assert canonical_equipment_id(equipment_id_of(letters.lower())) == equipment_id_of(letters)


@given(st.text())
def test_one_form_is_its_own(text: str) -> None:
    assert canonical_code(canonical_code(text)) == canonical_code(text)
    assert canonical_equipment_id(canonical_equipment_id(text)) == canonical_equipment_id(text)
