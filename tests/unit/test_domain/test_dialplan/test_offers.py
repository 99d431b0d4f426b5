"""Offers: what crosses from one account to another, and that nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from builders import account, interlink, number, sharing
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.dialplan.numbers import resolve
from pbx_operator.domain.dialplan.offers import NO_OFFER, Offer, OfferedNumber, offer, permits

NUMBERS = [
    number("200", display_name="Reception"),
    number("201", visibility="Private", display_name="Night watch"),
    number("300"),
    number("42", destination=None),
]


def offered(link_sharing: Sharing | None = None, **options: Any) -> Offer:
    owner = account(**options)
    return offer(owner, interlink(sharing=link_sharing), resolve(owner, NUMBERS).held)


def digits(made: Offer) -> list[str]:
    return [n.number for n in made.numbers]


def test_all_shared_numbers_are_offered_lowest_first() -> None:
    assert offered().numbers == (
        OfferedNumber("200", "Reception"),
        OfferedNumber("300", None),
        OfferedNumber("42", None),
    )


def test_calls_go_to_the_domain_that_the_owner_holds() -> None:
    assert offered(domain="sip.a.example").sip_domain == "sip.a.example"


@pytest.mark.parametrize(
    ("of_account", "of_link", "expected"),
    [
        (Sharing(), None, ["200", "300", "42"]),
        (Sharing(mode="None"), None, []),
        (sharing("200-299"), None, ["200"]),
        (sharing("200-299"), sharing("300-399"), ["300"]),
        (Sharing(mode="None"), Sharing(), ["200", "300", "42"]),
        (Sharing(), Sharing(mode="None"), []),
        (Sharing(), sharing("20-49", "201"), ["42"]),
    ],
)
def test_the_link_overrides_the_account(of_account: Sharing, of_link: Sharing | None, expected: list[str]) -> None:
    assert digits(offered(of_link, sharing=of_account)) == expected


def test_no_sharing_admits_a_private_number() -> None:
    secret = number("201", visibility="Private")
    assert not any(permits(s, secret) for s in (Sharing(), sharing("201"), sharing("000-999")))


def test_an_offer_has_no_trace_of_a_private_number() -> None:
    made = offered()
    assert "201" not in repr(made)
    assert "Night watch" not in repr(made)
    without = [n for n in NUMBERS if n.spec.visibility == "Shared"]
    assert offer(account(), interlink(), resolve(account(), without).held) == made


def test_an_offer_has_no_destination() -> None:
    elsewhere = [n.model_copy(update={"spec": n.spec.model_copy(update={"destination": None})}) for n in NUMBERS]
    assert offer(account(), interlink(), resolve(account(), elsewhere).held) == offered()
    assert "n200" not in repr(offered())


def test_the_digest_changes_with_what_the_peer_sees() -> None:
    base = offered()
    renamed = [number("200", display_name="Front desk"), *NUMBERS[1:]]
    assert offer(account(), interlink(), resolve(account(), renamed).held) != base
    assert offered(domain="elsewhere.example") != base
    assert offered(sharing("200")) != base


def test_the_digest_does_not_change_with_anything_else() -> None:
    base = offered()
    private = [n if n.spec.number != "201" else number("201", visibility="Private") for n in NUMBERS]
    assert offer(account(), interlink(), resolve(account(), private).held) == base
    assert offered(sharing=Sharing(), display_name="Amsterdam") == base
    assert (
        offer(account(), interlink(priority=7, display_name="to Rotterdam"), resolve(account(), NUMBERS).held) == base
    )


def test_nothing_is_offered_without_account_domain_or_interlink() -> None:
    held = resolve(account(), NUMBERS).held
    assert offer(None, interlink(), held) == NO_OFFER
    assert offer(account(deleting=True), interlink(), held) == NO_OFFER
    assert offer(account(domain=None), interlink(), held) == NO_OFFER
    assert offer(account(), None, held) == NO_OFFER
