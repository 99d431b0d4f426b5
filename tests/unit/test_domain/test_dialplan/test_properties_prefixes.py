"""Dial prefixes of any account with any links: who holds which, which are used, and what they can never do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from builders import at, linked, number, settled, snapshot
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.domain.dialplan.numbers import protected_numbers
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.dialplan.prefixes import prefix_holders, prefix_verdict, usable_prefixes
from pbx_operator.domain.dialplan.reader import DialPlan
from strategies import DIGITS, PREFIXES, dialing_accounts, established_links

Links = tuple[EstablishedLink, ...]


def prefix_of(link: EstablishedLink) -> str | None:
    return link.interlink.spec.dial_prefix


class TestHolders:
    """Design, Interlink: equal prefixes: the older link keeps it, the other stays up."""

    @given(established_links())
    def test_each_wanted_prefix_has_one_holder_and_none_is_older(self, links: Links) -> None:
        holders = prefix_holders(links)
        assert set(holders) == {prefix_of(link) for link in links} - {None}
        for prefix, name in holders.items():
            wanting = [link for link in links if prefix_of(link) == prefix]
            (holder,) = (link for link in wanting if link.interlink.metadata.name == name)
            assert all(holder.established <= link.established for link in wanting)

    @given(established_links(), st.data())
    def test_the_order_in_which_links_are_known_does_not_matter(self, links: Links, data: st.DataObject) -> None:
        assert prefix_holders(data.draw(st.permutations(links))) == prefix_holders(links)

    @given(established_links(), PREFIXES)
    def test_a_younger_link_takes_nothing_away(self, links: Links, prefix: str) -> None:
        younger = linked("younger", dial_prefix=prefix, established=at(3))
        before, after = prefix_holders(links), prefix_holders((younger, *links))
        assert after.items() >= before.items()

    @given(established_links(), PREFIXES)
    def test_an_older_link_takes_its_own_prefix_alone(self, links: Links, prefix: str) -> None:
        older = linked("older", dial_prefix=prefix, established=at(-1))
        assert prefix_holders((*links, older)) == prefix_holders(links) | {prefix: "older"}


class TestUse:
    """Design 5: a dial prefix may not collide with a reserved one, nor spell or start with an emergency number."""

    @given(dialing_accounts(), established_links())
    def test_only_the_holder_uses_a_prefix(self, account: PBXAccount, links: Links) -> None:
        holders = prefix_holders(links)
        for name, prefix in usable_prefixes(account, links).items():
            assert holders[prefix] == name

    @given(dialing_accounts(), established_links())
    def test_of_those_held_the_accepted_ones_are_used(self, account: PBXAccount, links: Links) -> None:
        """The condition Accepted tells what becomes of a prefix, and the slices go by the same rule."""
        used = usable_prefixes(account, links)
        for prefix, holder in prefix_holders(links).items():
            assert (holder in used) == (prefix_verdict(account, prefix).status == "True")

    @given(dialing_accounts(), established_links())
    def test_none_in_use_meets_a_reserved_one(self, account: PBXAccount, links: Links) -> None:
        """Whichever of the two is longer, its digits could not be told from the shorter one and what follows it."""
        for prefix in usable_prefixes(account, links).values():
            for reserved in account.spec.numbering.reserved_prefixes:
                shorter = min(len(prefix), len(reserved))
                assert prefix[:shorter] != reserved[:shorter]

    @given(dialing_accounts(), established_links())
    def test_none_in_use_calls_the_emergency_service_under_enforce(self, account: PBXAccount, links: Links) -> None:
        if account.spec.emergency.protection == "Warn":
            return
        dangerous = {e for e in protected_numbers(account) if len(e) >= 3 or account.spec.numbering.dialing != "EnBloc"}
        for prefix in usable_prefixes(account, links).values():
            assert not prefix.startswith(tuple(dangerous))

    @given(dialing_accounts(), established_links(), PREFIXES)
    def test_a_stricter_account_uses_no_more(self, account: PBXAccount, links: Links, reserved: str) -> None:
        numbering = account.spec.numbering
        more = numbering.model_copy(update={"reserved_prefixes": (*numbering.reserved_prefixes, reserved)})
        enforced = account.spec.emergency.model_copy(update={"protection": "Enforce"})
        stricter = [
            account.model_copy(update={"spec": account.spec.model_copy(update=change)})
            for change in ({"numbering": more}, {"emergency": enforced})
        ]
        for other in stricter:
            assert usable_prefixes(other, links).items() <= usable_prefixes(account, links).items()


@given(dialing_accounts(), established_links(), st.sets(DIGITS, max_size=3))
def test_whatever_is_dialled_emergency_numbers_come_first(account: PBXAccount, links: Links, own: set[str]) -> None:
    """Design 5: the order begins with emergency; peers' numbers equal to one are never routed, with a prefix or not.

    Where each digit counts and the account is protected, nothing that begins with one leads to a peer either.
    """
    now = settled(snapshot(account, *(number(n) for n in own), links=links))
    assert now.account is not None
    plan = DialPlan(now.account, now.slices, [link.interlink for link in links])
    emergency = protected_numbers(account)
    assert {plan.answer(digits).outcome for digits in emergency} == {"Emergency"}
    rows = [row for part in now.slices if part.spec.source.type == "Peer" for row in part.spec.rows]
    reached = {row.dialed for row in rows if row.dialed is not None}
    assert not reached & emergency
    if account.spec.numbering.dialing == "DigitByDigit" and account.spec.emergency.protection == "Enforce":
        assert not [digits for digits in reached if digits.startswith(tuple(emergency))]


@given(dialing_accounts(), established_links())
def test_which_prefixes_are_used_does_not_depend_on_what_peers_offer(account: PBXAccount, links: Links) -> None:
    """What a peer shares must not decide whether a local prefix is used."""
    silent = tuple(
        linked(link.interlink.metadata.name, dial_prefix=prefix_of(link), established=link.established)
        for link in links
    )
    assert usable_prefixes(account, silent) == usable_prefixes(account, links)
