"""The chain of an installation's identity keys: who made it may speak, and nobody can bend it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pbx_operator.domain.protocol.envelope import seal
from pbx_operator.domain.protocol.keys import SigningKey, base64url, instance_id
from pbx_operator.domain.protocol.succession import (
    MAX_SUCCESSIONS,
    Succession,
    SuccessionList,
    Successions,
    SuccessionsFullError,
    extends,
    instance_of,
    position,
    speaks_for,
    succeed,
)
from rotated import chain, keys

LINE = keys("we", MAX_SUCCESSIONS + 1)
THIEF, OTHER = keys("thief", 2), keys("another installation", 3)
INSTANCE = instance_id(LINE[0].public)
FIRST, SECOND, THIRD, FOURTH = LINE[:4]
LONGEST = chain(LINE)
THREE = LONGEST[:3]
LISTS = TypeAdapter(SuccessionList)


class TestChain:
    @pytest.mark.parametrize("rotations", range(MAX_SUCCESSIONS + 1))
    def test_the_last_key_speaks_and_the_former_ones_did(self, rotations: int) -> None:
        successions = LONGEST[:rotations]
        assert [speaks_for(k.public, INSTANCE, successions) for k in LINE].index(True) == rotations
        found = [position(k.public, INSTANCE, successions) for k in LINE]
        assert found == [*range(rotations + 1), *[None] * (MAX_SUCCESSIONS - rotations)]

    def test_the_name_stays_that_of_the_first_key(self) -> None:
        assert {instance_of(k.public, LONGEST[:n]) for n, k in enumerate(LINE)} == {INSTANCE}

    def test_the_seventeenth_rotation_is_refused(self) -> None:
        with pytest.raises(SuccessionsFullError, match="rotated 16 times already"):
            succeed(LINE[-1], THIEF[0], LONGEST)

    def test_it_survives_being_sent(self) -> None:
        sent = json.dumps([one.to_json() for one in LONGEST])
        assert LISTS.validate_json(sent) == LONGEST
        assert len(sent) < 6 * 1024

    def test_what_was_given_up_does_not_come_back(self) -> None:
        back = chain([FIRST, SECOND, FIRST])
        assert position(FIRST.public, INSTANCE, back) is None
        assert position(SECOND.public, INSTANCE, back) is None


def forged(number: int, previous: SigningKey, following: SigningKey, **changes: Any) -> Succession:
    """Return a statement like the real one, with changes."""
    (real,) = succeed(previous, following)
    return real.model_copy(update={"number": number, **changes})


BROKEN: dict[str, Successions] = {
    "a gap": (THREE[0], THREE[2]),
    "the first is missing": THREE[1:],
    "another order": (THREE[1], THREE[0], THREE[2]),
    "twice the same": (THREE[0], THREE[0], THREE[1]),
    "of another installation": chain(OTHER),
    "goes on with another installation's": (THREE[0], *chain(OTHER)[1:]),
    "signed by the former key alone": (forged(1, FIRST, SECOND, countersignature=THREE[0].signature),),
    "signed by the new key alone": (forged(1, FIRST, SECOND, signature=THREE[0].countersignature),),
    "signed by a thief": (THREE[0].model_copy(update={"next": THIEF[0].public}),),
    "for another installation": (THREE[0], succeed(SECOND, THIRD)[0].model_copy(update={"number": 2})),
}


@pytest.mark.parametrize("successions", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_chain_lets_nobody_speak(successions: Successions) -> None:
    everybody = [*LINE, *THIEF, *OTHER]
    assert [position(k.public, INSTANCE, successions) for k in everybody] == [None] * len(everybody)


def test_a_signature_under_another_type_is_none() -> None:
    """What a key signs elsewhere, for example an envelope, cannot be taken for a statement."""
    facts = {"instance": INSTANCE, "number": 1, "previous": FIRST.public, "next": SECOND.public}
    for kind, speaks in (("receipt", False), ("succession", True)):
        signature, countersignature = (seal(kind, facts, key).sig for key in (FIRST, SECOND))
        made = forged(1, FIRST, SECOND, signature=signature, countersignature=countersignature)
        assert speaks_for(SECOND.public, INSTANCE, (made,)) == speaks


class TestDamage:
    """Whatever is changed in a chain, it leads nowhere, or is not read at all."""

    texts = st.sampled_from(["previous", "next", "signature", "countersignature"])

    @given(st.integers(0, 2), texts, st.integers(0, 85), st.sampled_from("AQgw_-09"))
    def test_of_a_character(self, which: int, name: str, at: int, letter: str) -> None:
        sent: list[Any] = [one.to_json() for one in THREE]
        text = sent[which][name]
        at %= len(text)
        damaged = text[:at] + letter + text[at + 1 :]
        sent[which][name] = damaged
        assert speaks_for(FOURTH.public, INSTANCE, LISTS.validate_python(sent)) == (damaged == text)

    @given(st.integers(0, 2), st.integers(-1, MAX_SUCCESSIONS + 1))
    def test_of_a_number(self, which: int, number: int) -> None:
        sent: list[Any] = [one.to_json() for one in THREE]
        right = number == sent[which]["number"]
        sent[which]["number"] = number
        try:
            assert speaks_for(FOURTH.public, INSTANCE, LISTS.validate_python(sent)) == right
        except ValidationError:
            assert not 1 <= number <= MAX_SUCCESSIONS

    @given(st.lists(st.integers(0, 5), max_size=MAX_SUCCESSIONS))
    def test_of_the_order(self, order: list[int]) -> None:
        successions = tuple(LONGEST[n] for n in order)
        speaks = speaks_for(LINE[len(order)].public, INSTANCE, successions)
        assert speaks == (order == list(range(len(order))))

    def test_of_the_length(self) -> None:
        with pytest.raises(ValidationError):
            LISTS.validate_python([*LONGEST, LONGEST[-1]])
        assert position(LINE[-1].public, INSTANCE, (*LONGEST, LONGEST[-1])) is None

    @given(st.binary(min_size=32, max_size=32))
    def test_nobody_else_speaks(self, seed: bytes) -> None:
        public = SigningKey(seed).public
        assert position(public, INSTANCE, THREE) is None
        assert position(base64url(seed), INSTANCE, THREE) is None


class TestExtends:
    """Of two chains that part, the one that was heard first counts."""

    @pytest.mark.parametrize("known", range(5))
    @pytest.mark.parametrize("rotations", range(5))
    def test_a_chain_goes_on_from_each_of_its_keys(self, known: int, rotations: int) -> None:
        assert extends(LONGEST[:rotations], INSTANCE, LINE[known].public) == (known <= rotations)

    def test_with_nothing_known_each_does(self) -> None:
        assert extends((), INSTANCE, None)
        assert extends(THREE, INSTANCE, None)

    @pytest.mark.parametrize("length", range(1, MAX_SUCCESSIONS + 1))
    def test_the_fork_of_a_former_key_does_not_however_long_it_is(self, length: int) -> None:
        fork = chain([FIRST, *keys("thief", length)])
        (*_, last) = fork
        assert speaks_for(last.next, INSTANCE, fork), "by itself it is as good as the other"
        assert not extends(fork, INSTANCE, SECOND.public)
        assert not extends(fork, INSTANCE, FOURTH.public)
        assert extends(fork, INSTANCE, FIRST.public), "who has not heard of the other one believes it"
        assert not extends(THREE, INSTANCE, last.next), "and then not the other any more"
