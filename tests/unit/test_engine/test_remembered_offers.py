"""Remembered offers are what would be worked out anew, whatever changed in between."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import INSTANCE, NAMESPACE, SUFFIX, account, interlink, number, sharing
from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.dialplan.numbers import resolve
from pbx_operator.domain.dialplan.offers import NO_OFFER, Offer, offer
from pbx_operator.domain.records.scope import Scope
from pbx_operator.engine.offers import Offers
from pbx_operator.engine.store import Store

OWNER = ObjectKey(NAMESPACE, "south")
LINK = ObjectKey(NAMESPACE, "to-north")
Visibility = Literal["Shared", "Private"]
DIGITS = st.sampled_from(["200", "201", "300"])


class World:
    """A Store whose objects change, and the offers remembered beside it."""

    def __init__(self) -> None:
        self.store = Store(SUFFIX, Scope(INSTANCE))
        self.offers = Offers(self.store)
        self._versions = iter(range(1, 10_000))

    def show(self, shown: Resource) -> None:
        raw: dict[str, Any] = shown.to_json()
        raw["metadata"]["resourceVersion"] = str(next(self._versions))
        self.store.tables[shown.resource.plural].put(raw)

    def number(self, digits: str, visibility: Visibility = "Shared") -> None:
        self.show(number(digits, account=OWNER.name, visibility=visibility))

    def link(self, shared: Sharing | None = None) -> None:
        self.show(interlink(LINK.name, account=OWNER.name, sharing=shared))

    def remembered(self) -> Offer:
        return self.offers.over(LINK, OWNER)

    def fresh(self) -> Offer:
        owner = self.store.accounts.get(OWNER)
        held = resolve(owner, self.store.numbers.select("account", OWNER)).held
        return offer(owner, self.store.interlinks.get(LINK), held)


@pytest.fixture
def world() -> World:
    world = World()
    world.show(account(OWNER.name))
    world.link()
    world.number("200")
    return world


def test_what_did_not_change_is_not_worked_out_again(world: World) -> None:
    first = world.remembered()
    world.show(number("300", account="another"))
    world.link()
    assert world.remembered() is first
    assert [n.number for n in first.numbers] == ["200"]


def test_a_number_that_becomes_private_is_not_offered_any_more(world: World) -> None:
    world.remembered()
    world.number("200", "Private")
    assert world.remembered().numbers == ()


def test_an_account_or_interlink_that_is_gone_offers_nothing(world: World) -> None:
    world.remembered()
    owner = world.store.accounts.get(OWNER)
    assert owner is not None
    world.store.accounts.remove(OWNER, owner.metadata.uid)
    assert world.remembered() == NO_OFFER
    assert world.offers.over(ObjectKey(NAMESPACE, "unknown"), OWNER) == NO_OFFER


@given(
    st.lists(
        st.one_of(
            st.tuples(
                st.just("number"), st.sampled_from(["200", "201", "300"]), st.sampled_from(["Shared", "Private"])
            ),
            st.tuples(st.just("link"), st.sampled_from([None, sharing("200-250"), sharing(mode="None")])),
            st.tuples(st.just("account"), st.sampled_from([sharing(mode="All"), sharing("300-399")])),
            st.tuples(st.just("deleted"), DIGITS),
        )
    )
)
def test_remembered_equals_fresh_after_any_changes(changes: list[tuple[Any, ...]]) -> None:
    world = World()
    world.show(account(OWNER.name))
    world.link()
    for change in changes:
        match change:
            case ("number", digits, visibility):
                world.number(digits, visibility)
            case ("link", shared):
                world.link(shared)
            case ("account", shared):
                world.show(account(OWNER.name, sharing=shared))
            case ("deleted", digits):
                gone = number(digits, account=OWNER.name)
                world.store.numbers.forget(gone.key, gone.metadata.uid)
        assert world.remembered() == world.fresh()
        assert world.remembered().numbers == world.fresh().numbers
