"""The record machine of a box: who gets in, what is written down, and what silence means."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, at
from equipment_builders import (
    CODE,
    DOWN,
    EQUIPMENT,
    OTHER_INSTANCE,
    UP,
    associated,
    box,
    declared,
    derived,
    record,
    reported,
    wish,
)
from pbx_operator.api.v1alpha1 import EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import Channel
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecordSpec, EquipmentRecordStatus
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.servers.equipment import (
    CHANGE_PERIOD,
    GONE,
    REPORT_PERIOD,
    SILENT,
    Association,
    Decision,
    Report,
    code_key,
    decide,
    good_until,
    hear,
    is_device,
    is_news,
    is_silent,
    record_name,
    renewed,
    state_of,
)

SECOND = timedelta(seconds=1)
GENERATED, SPELLED = "PBXABCD-EFGH-IJKL-2345", "pbxabcdefghijkl2345"


def test_a_code_makes_one_key_for_each_box() -> None:
    assert code_key(EQUIPMENT, CODE) == derived()
    assert len({derived().seed, code_key(EQUIPMENT, "other").seed, code_key("other", CODE).seed}) == 3


def test_a_generated_code_makes_one_key_in_every_spelling() -> None:
    key = code_key(GENERATED, CODE)
    assert code_key(SPELLED, CODE.replace("-", " ").lower()) == key
    assert code_key(GENERATED, CODE) != code_key(GENERATED, EQUIPMENT)
    assert code_key(EQUIPMENT, EQUIPMENT) != code_key(EQUIPMENT, EQUIPMENT.lower())


def test_a_name_of_a_record_is_made_of_the_equipment_id_and_nothing_else() -> None:
    assert re.fullmatch(r"e-[a-z2-7]{26}", record_name(EQUIPMENT))
    assert record_name(EQUIPMENT) == record_name(declared().equipment_id)
    assert record_name(EQUIPMENT) != record_name(EQUIPMENT.lower())
    assert record_name(GENERATED) == record_name(SPELLED)


class TestAssociation:
    def test_the_code_lets_a_box_in(self) -> None:
        decision = decide(declared(), wish(), NOW)
        assert (decision.result, decision.time) == ("Associated", NOW)
        assert decision.spec == associated()

    @pytest.mark.parametrize("asked", [GENERATED, SPELLED])
    def test_a_generated_equipment_id_is_known_in_every_spelling(self, asked: str) -> None:
        assert decide(declared(GENERATED), wish(equipment=asked), NOW).result == "Associated"

    def test_the_same_box_again_gets_the_same_answer_and_changes_nothing(self) -> None:
        assert decide(associated(), wish(), at(3600)) == Decision("Associated", NOW)

    def test_another_box_with_the_code_learns_that_it_is_used(self) -> None:
        assert decide(associated(), wish("thief"), at(3600)) == Decision("Used", NOW)

    @pytest.mark.parametrize("spec", [None, declared(), associated(), associated("thief")])
    @pytest.mark.parametrize(
        "unproven",
        [
            wish("thief", code="wrong"),
            replace(wish("thief"), proof=wish("box").proof),
            replace(wish("thief"), proof=base64url(b"\0" * 64)),
            replace(wish("thief"), proof=""),
            wish("thief", equipment="other"),
            wish("thief", instance=OTHER_INSTANCE),
        ],
        ids=["wrong code", "proof of another box", "zeros", "nothing", "other equipment", "other installation"],
    )
    def test_whoever_proves_nothing_learns_nothing(
        self, spec: EquipmentRecordSpec | None, unproven: Association
    ) -> None:
        assert decide(spec, unproven, NOW) == Decision("Unknown")

    def test_another_code_begins_anew(self) -> None:
        again = renewed(associated(), derived("new").public)
        assert (again.revision, again.state, again.device) == (2, "Declared", None)
        assert decide(again, wish(), NOW) == Decision("Unknown")
        assert decide(again, wish("thief", code="new"), NOW).result == "Associated"

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([CODE, "new", "wrong"]) | st.none()), max_size=12)
    )
    def test_a_code_never_lets_two_boxes_in(self, steps: list[tuple[str, str | None]]) -> None:
        """Boxes a, b and c come with any code; None stands for a reset to the other code."""
        spec, codes = declared(), [CODE, "new"]
        inside: dict[int, set[str]] = {}
        for name, code in steps:
            if code is None:
                codes.reverse()
                spec = renewed(spec, derived(codes[0]).public)
                continue
            decision = decide(spec, wish(name, code), NOW)
            assert (decision.result == "Unknown") == (code != codes[0])
            if decision.result == "Associated":
                inside.setdefault(spec.revision, set()).add(name)
            spec = decision.spec or spec
        assert all(len(names) == 1 for names in inside.values())


def heard(rev: int, *channels: Channel, name: str = "box") -> Report:
    return Report(box(name).public, rev, channels)


class TestReports:
    def test_only_the_device_is_the_device(self) -> None:
        assert is_device(record(associated()), box("box").public)
        assert not is_device(record(associated()), box("thief").public)
        assert not is_device(record(declared()), box("box").public)

    def test_the_first_is_written_down_in_order_of_names(self) -> None:
        other = UP.model_copy(update={"name": "h323"})
        status = hear(record(associated()), heard(7, UP, other), at(0.5))
        assert status == EquipmentRecordStatus(report=reported(other, UP, rev=7))

    @pytest.mark.parametrize(
        ("channel", "age", "written"),
        [
            (UP, REPORT_PERIOD - SECOND, False),
            (UP, REPORT_PERIOD, True),
            (DOWN, CHANGE_PERIOD - SECOND, False),
            (DOWN, CHANGE_PERIOD, True),
            (UP, -REPORT_PERIOD + SECOND, False),
            (UP, -REPORT_PERIOD, True),
            (DOWN, -CHANGE_PERIOD, True),
        ],
    )
    def test_news_are_written_at_once_and_others_once_a_minute(
        self, channel: Channel, age: timedelta, written: bool
    ) -> None:
        now = NOW + timedelta(days=1)
        before = record(associated(), reported(UP, time=now - age))
        assert (hear(before, heard(2, channel), now) is not None) == written

    def test_of_a_channel_that_is_named_twice_the_last_word_counts(self) -> None:
        status = hear(record(associated()), heard(1, UP, DOWN), NOW)
        assert status == EquipmentRecordStatus(report=reported(DOWN))

    @pytest.mark.parametrize("rev", [0, 4, 5])
    def test_a_recorded_report_is_worth_nothing(self, rev: int) -> None:
        assert hear(record(associated(), reported(UP, rev=5)), heard(rev, DOWN), at(3600)) is None

    def test_what_a_box_before_this_one_said_does_not_count(self) -> None:
        left = record(associated(time=NOW), reported(DOWN, time=NOW - SECOND, rev=900))
        assert state_of(left, NOW) == "Pending"
        assert hear(left, heard(1, DOWN), NOW) is not None


def shown(one: EquipmentRecord, now: datetime) -> tuple[str, bool]:
    return state_of(one, now), is_silent(one, now)


class TestState:
    @pytest.mark.parametrize(
        ("age", "channel", "state"),
        [
            (timedelta(), UP, "Running"),
            (timedelta(), DOWN, "Degraded"),
            (SILENT - SECOND, UP, "Running"),
            (SILENT, UP, "Degraded"),
            (GONE - SECOND, DOWN, "Degraded"),
            (GONE, UP, "Activated"),
            (GONE, DOWN, "Activated"),
            (-SECOND, UP, "Running"),
        ],
    )
    def test_silence_and_channels_decide(self, age: timedelta, channel: Channel, state: str) -> None:
        assert state_of(record(associated(), reported(channel)), NOW + age) == state

    def test_pending_until_a_box_is_in_whatever_is_left_of_an_earlier_one(self) -> None:
        assert state_of(record(declared(), reported(UP)), at(3600)) == "Pending"
        assert good_until(record(declared(), reported(UP)), NOW) is None

    def test_using_the_code_is_a_sign_of_life(self) -> None:
        states = [state_of(record(associated()), NOW + age) for age in (timedelta(), SILENT, GONE)]
        assert states == ["Pending", "Degraded", "Activated"]

    @given(st.integers(-100, 2000), st.sampled_from([UP, DOWN]))
    def test_the_state_stays_until_it_is_said_to_change(self, age: int, channel: Channel) -> None:
        one = record(associated(), reported(channel))
        now, until = at(age), good_until(one, at(age))
        if until is None:
            assert state_of(one, now) == state_of(one, now + timedelta(days=365)) == "Activated"
        else:
            assert until > now
            assert shown(one, until - SECOND / 10) == shown(one, now) != shown(one, until)


class TestNews:
    def test_the_next_report_of_the_same_lines_is_none(self) -> None:
        ages = (timedelta(), REPORT_PERIOD, REPORT_PERIOD * 2)
        records = [record(associated(), reported(UP, time=NOW + age)) for age in ages]
        assert not any(is_news(old, new) for old, new in pairwise(records))

    @pytest.mark.parametrize(
        "new",
        [
            None,
            record(declared()),
            record(associated()),
            record(associated(), reported()),
            record(associated(), reported(DOWN)),
            record(associated(), reported(UP, time=NOW + SILENT)),
            record(associated(revision=2), reported(UP)),
        ],
        ids=["deleted", "reset", "no report", "no lines", "line down", "back from silence", "another spec"],
    )
    def test_what_changes_the_state_is(self, new: EquipmentRecord | None) -> None:
        old = record(associated(), reported(UP))
        assert is_news(old, new)

    def test_the_first_report_is_even_of_a_box_without_lines(self) -> None:
        assert is_news(record(associated()), record(associated(), reported()))
