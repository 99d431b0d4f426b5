"""Impact: who is woken by a change, and that nobody sleeps whose plan it alters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW, SUFFIX, account, interlink, number, record
from federated_builders import FAR_REDEEMER, authority, heard, replica
from link_builders import NOTHING_TRIED, SIDES, closing, end, gather, looked, ready_account, showing, with_spec
from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.api.v1alpha1 import CommServer, DialPlanSlice, Interlink, InternalNumber, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer, IssueKey
from pbx_operator.api.v1alpha1.internalnumber import Destination, ServerDestination
from pbx_operator.api.v1alpha1.linkrecord import Policy
from pbx_operator.domain.accounts.domains import domain_claim
from pbx_operator.domain.claims import Claim
from pbx_operator.domain.customers.facts import claimed_customers
from pbx_operator.domain.dialplan.numbers import server_of
from pbx_operator.domain.impact import WorkKey, affected
from pbx_operator.domain.links.plan import plan_link
from pbx_operator.domain.plan import Plan
from pbx_operator.domain.records.facts import Party, account_of, interlink_of, pair_of
from pbx_operator.domain.unreadable import OpaqueStatus, Unreadable
from server_builders import commserver


@dataclass
class Index:
    """The lookups, on plain lists."""

    interlinks: Sequence[Interlink] = ()
    records: Sequence[LinkRecord] = ()
    accounts: Sequence[PBXAccount] = ()
    offers: Sequence[DialPlanSlice] = ()
    numbers: Sequence[InternalNumber] = ()

    def accounts_of_customer(self, customer: str) -> Iterable[PBXAccount]:
        return [a for a in self.accounts if customer in claimed_customers(a)]

    def servers_of_account(self, account: ObjectKey) -> Iterable[CommServer]:
        return ()

    def servers_of_equipment(self, equipment: str) -> Iterable[CommServer]:
        return ()

    def links_of_account(self, account: ObjectKey) -> Iterable[Interlink]:
        return [i for i in self.interlinks if ObjectKey(i.key.namespace, i.spec.account_ref.name) == account]

    def links_waiting_for_key(self, key_id: str) -> Iterable[Interlink]:
        return [i for i in self.interlinks if i.status.key_id == key_id]

    def records_of_link(self, interlink: ObjectKey) -> Iterable[LinkRecord]:
        return [r for r in self.records if any((i := interlink_of(r.spec, s)) and i.key == interlink for s in SIDES)]

    def records_of_account(self, account: ObjectKey) -> Iterable[LinkRecord]:
        return [r for r in self.records if any((a := account_of(r.spec, s)) and a.key == account for s in SIDES)]

    def links_of_pair(self, pair: frozenset[Party]) -> Iterable[LinkRecord]:
        return [r for r in self.records if r.spec.state == "Established" and pair_of(r.spec) == pair]

    def accounts_of_domain(self, domain: str) -> Iterable[PBXAccount]:
        return [a for a in self.accounts if domain in self.domain_claim(a).things]

    def domain_claim(self, account: PBXAccount | Unreadable) -> Claim:
        return domain_claim(account, SUFFIX)

    def interlink(self, key: ObjectKey) -> Interlink | None:
        return next((i for i in self.interlinks if i.key == key), None)

    def numbers_of_server(self, server: ObjectKey) -> Iterable[InternalNumber]:
        return [n for n in self.numbers if (n.key.namespace, server_of(n)) == server]

    def offers_any(self, account: ObjectKey, numbers: Set[str]) -> bool:
        return any(row.number in numbers for offer in self.offers for row in offer.spec.rows)


I = interlink("i", "a", uid="u1")  # noqa: E741 - the issuer of every story
R = interlink("r", "b", redeem="s", uid="v1")
LINK = record(I, R)
KEY = LINK.spec.key_id
A, B = ready_account("a"), ready_account("b")
LINKED = Index([I, R], [LINK], [A, B])


def woken(old: Any, new: Any, index: Index = LINKED) -> set[str]:
    """Return who is woken, as `i` or `Account a`."""
    work = affected(old, new, index)
    return {key.key.name if key.kind == "Link" else f"Account {key.key.name}" for key in work}


class TestInterlink:
    def test_it_works_on_itself(self) -> None:
        assert woken(I, with_spec(I, display_name="Tim")) == {"i"}

    @pytest.mark.parametrize(
        "new",
        [
            with_spec(I, gate="Closed"),
            with_spec(I, issue_key=IssueKey(allowed_redeemers=(AllowedRedeemer(account="x"),))),
        ],
    )
    def test_what_closes_the_gate_reaches_the_peer(self, new: Interlink) -> None:
        assert woken(I, new) == {"i", "r"}

    def test_its_end_reaches_the_peer_and_the_account(self) -> None:
        assert woken(I, showing(I, state="Ended")) == {"i", "r", "Account a"}

    def test_so_does_another_object_in_its_place(self) -> None:
        assert woken(I, interlink("i", "a", uid="u2")) == {"i", "r", "Account a"}
        assert woken(I, None) == {"i", "r", "Account a"}

    def test_what_its_account_publishes_for_it(self) -> None:
        for new in (with_spec(I, priority=1), with_spec(I, dial_prefix="8")):
            assert woken(I, new) == {"i", "Account a"}

    def test_a_status_that_people_read_reaches_nobody_else(self) -> None:
        for new in (showing(I, key_id=KEY), showing(I, state="Established", gate="Open")):
            assert woken(I, new) == {"i"}

    def test_a_prefix_that_becomes_free_is_news_for_those_who_want_it(self) -> None:
        older, younger = (interlink(n, "a", dial_prefix="8") for n in ("older", "younger"))
        index = Index([older, younger])
        up = showing(older, state="Established", link_id="l" * 26)
        assert "younger" in woken(older, up, index)
        assert "younger" in woken(up, showing(older, state="Ended", link_id="l" * 26), index)
        assert "younger" in woken(up, None, index)
        assert "younger" not in woken(up, up.model_copy(update={"metadata": older.metadata}), index)


class TestAccount:
    @pytest.mark.parametrize("new", [ready_account("a", ready=False), ready_account("a", country="BE"), None])
    def test_what_it_accepts_reaches_its_own_links(self, new: PBXAccount | None) -> None:
        assert {"i", "Account a"} <= woken(A, new)

    def test_what_peers_see_of_it_reaches_them(self) -> None:
        assert woken(A, ready_account("a", display_name="Head office")) == {"i", "r", "Account a"}
        assert {"r", "Account b"} <= woken(A, None)

    def test_what_nobody_reads_reaches_nobody(self) -> None:
        assert woken(A, A.model_copy(update={"metadata": A.metadata.model_copy(update={"generation": 9})})) == {
            "Account a"
        }

    def test_its_deletion_reaches_links_whose_interlink_is_gone(self) -> None:
        """They may be within their window, and the account must not wait for that."""
        index = Index([R], [record(I, R, closing=closing("u1"))], [A, B])
        assert woken(A, ready_account("a", deleting=True), index) == {"i", "Account a"}

    def test_a_domain_that_becomes_free_is_news_for_the_other_account(self) -> None:
        rival = ready_account("rival", sip_domain="shared.example")
        old, new = (ready_account("a", sip_domain=d) for d in ("shared.example", "own.example"))
        assert "Account rival" in woken(old, new, Index([], [], [rival, new]))

    @pytest.mark.parametrize("held_too", [None, "shared.example"])
    def test_a_domain_that_is_shown_from_now_on_is_news_for_whoever_was_awarded_it_meanwhile(
        self, held_too: str | None
    ) -> None:
        old, new = (account("a", domain=shown, sip_domain="shared.example") for shown in (None, "shared.example"))
        rival = account("rival", domain=held_too, sip_domain="shared.example")
        assert woken(old, new, Index([], [], [rival, new])) == {"Account a", "Account rival"}
        assert woken(old, new, Index([], [], [new])) == {"Account a"}, "without a rival it wakes nobody else"
        assert woken(new, new, Index([], [], [rival, new])) == {"Account a"}, "nor with one while nothing changes"


class TestRecord:
    def test_it_reaches_both_ends(self) -> None:
        assert woken(LINK, record(I, R, closing=closing("u1"))) == {"i", "r"}

    def test_it_reaches_those_who_wait_for_the_key(self) -> None:
        waiting = showing(R, key_id=KEY)
        assert woken(None, record(I), Index([I, waiting])) == {"i", "r"}
        tired = record(I, policy=Policy(account_ready="False"))
        assert woken(record(I), tired, Index([I, waiting])) == {"i", "r"}

    def test_a_link_reaches_the_accounts(self) -> None:
        everybody = {"i", "r", "Account a", "Account b"}
        assert woken(record(I), LINK, Index([I])) == everybody
        assert woken(LINK, record(I, R, end=end("Deleted")), Index()) == everybody

    def test_so_does_its_adoption(self) -> None:
        """The account publishes the link of the object that is there."""
        assert woken(LINK, record(interlink("i", "a", uid="u2"), R), Index()) >= {"Account a", "Account b"}

    def test_an_account_that_goes_learns_of_the_last_key(self) -> None:
        assert "Account a" in woken(record(I), record(I, end=end("Revoked")), Index([I]))

    def test_a_link_that_somebody_removed_by_hand_reaches_everybody(self) -> None:
        assert woken(LINK, None, Index()) == {"i", "r", "Account a", "Account b"}

    def test_a_second_link_of_the_pair_reaches_the_issuer_of_the_first(self) -> None:
        """One of them must end, and that is for its issuer."""
        second = record(interlink("j", "b"), interlink("q", "a", redeem="s"))
        assert "i" in woken(None, second, Index([I, R], [LINK, second]))

    def test_its_end_reaches_those_who_were_refused_because_of_it(self) -> None:
        crosswise = showing(interlink("j", "b"), key_id="o" * 16)
        refused = showing(interlink("q", "a", redeem="s"), key_id="o" * 16)
        work = woken(LINK, record(I, R, end=end("Deleted")), Index([I, R, crosswise, refused], [LINK]))
        assert {"j", "q"} <= work

    def test_a_purge_reaches_its_places(self) -> None:
        assert woken(record(I, R, end=end("Deleted")), None) == {"i", "r"}


def part(
    source: str, *numbers: str, offered: str = "All", link: str | None = None, name: str | None = None
) -> DialPlanSlice:
    """Return a slice of account a with these numbers."""
    own = {"offered": offered, "displayName": name} if source == "Own" else {}
    rows = [{"number": n, **own} for n in numbers]
    head = {"accountRef": {"name": "a"}, "source": {"type": source, "interlink": link}, "rank": "0", "rev": "r" * 26}
    metadata = {"name": source.lower(), "namespace": "default"}
    return DialPlanSlice.model_validate({"metadata": metadata, "spec": {**head, "rows": rows}})


class TestSlice:
    """A number reaches the peers through what their account publishes, and only if that lets them dial it."""

    OWN = part("Own", "200")

    @pytest.mark.parametrize("new", [part("Own", "200", "201"), part("Own"), None])
    def test_what_is_offered_reaches_the_linked_accounts(self, new: DialPlanSlice | None) -> None:
        assert woken(self.OWN, new) == {"Account a", "Account b"}

    def test_what_is_kept_private_does_not(self) -> None:
        assert woken(self.OWN, self.OWN) == {"Account a"}
        private = part("Own", "300", offered="None")
        assert woken(None, private) == {"Account a"}

    def test_unless_an_offer_lists_it_whose_rows_have_no_names(self) -> None:
        old, new = (part("Own", "300", offered="None", name=name) for name in ("Old", "New"))
        for numbers, reached in ((["300"], {"Account a", "Account b"}), (["301"], {"Account a"})):
            index = Index([I, R], [LINK], [A, B], [part("Offer", *numbers, link="i")])
            assert woken(old, new, index) == reached
            assert woken(new, new, index) == {"Account a"}

    def test_a_narrower_offer_does_and_what_peers_offer_does_not(self) -> None:
        assert woken(None, part("Offer", link="i")) == {"Account a", "Account b", "i"}
        assert woken(None, part("Peer", "400", link="i")) == {"Account a"}

    def test_a_new_domain_reaches_the_linked_accounts(self) -> None:
        moved = A.model_copy(update={"status": A.status.model_copy(update={"sip_domain": "new.example"})})
        assert {"Account a", "Account b"} <= woken(A, moved)


class TestAnotherCluster:
    """Of a link to an account elsewhere there is one side here, whoever has the other side's names."""

    FAR = authority(I, FAR_REDEEMER)
    INDEX = Index([I, R], [FAR], [A, B])

    def test_a_record_reaches_our_side_alone(self) -> None:
        assert woken(None, self.FAR, self.INDEX) == {"i", "Account a"}
        ours = replica(redeemer=R)
        assert woken(None, ours, Index([I, R], [ours], [A, B])) == {"r", "Account b"}

    @pytest.mark.parametrize("facts", [{"numbers": ()}, {"sip_domain": "moved.example"}])
    def test_what_the_peer_offers_reaches_the_account(self, facts: dict[str, Any]) -> None:
        before, after = authority(I, status=heard()), authority(I, status=heard(**facts))
        assert woken(before, after, self.INDEX) == {"i", "Account a"}
        assert woken(None, before, self.INDEX) == {"i", "Account a"}

    @pytest.mark.parametrize("facts", [{"rev": 9}, {"gate": "Closed"}, {"closing": "Announced"}, {"display_name": "X"}])
    def test_what_else_it_says_reaches_the_link(self, facts: dict[str, Any]) -> None:
        assert woken(authority(I, status=heard()), authority(I, status=heard(**facts)), self.INDEX) == {"i"}

    def test_what_the_peer_is_told_reaches_its_link(self) -> None:
        assert woken(part("Own", "200"), part("Own"), self.INDEX) == {"Account a", "i"}
        assert woken(A, ready_account("a", display_name="Head office"), self.INDEX) == {"Account a", "i"}

    def test_namesakes_reach_nobody(self) -> None:
        assert woken(B, ready_account("b", display_name="Head office"), self.INDEX) == {"Account b"}
        assert woken(R, with_spec(R, gate="Closed"), self.INDEX) == {"r"}
        assert woken(I, with_spec(I, gate="Closed"), self.INDEX) == {"i"}


class TestOthers:
    def test_a_number_reaches_its_account(self) -> None:
        assert woken(None, number("200", "a")) == {"Account a"}
        assert woken(number("200", "a"), number("201", "a")) == {"Account a"}

    def test_an_unreadable_number_reaches_its_account(self) -> None:
        broken = Unreadable(InternalNumber.resource, number("200").metadata, "spec: no", "a", OpaqueStatus())
        assert woken(number("200", "a"), broken) == {"Account a"}

    def test_an_unreadable_interlink_is_absent_for_its_peer(self) -> None:
        broken = Unreadable(Interlink.resource, I.metadata, "spec: no")
        assert woken(I, broken) == {"i", "r", "Account a"}

    def test_an_unreadable_account_reaches_its_links(self) -> None:
        """They must not count it as absent, and must end if it is being deleted."""
        broken = Unreadable(PBXAccount.resource, A.metadata, "spec: no")
        assert {"i", "Account a"} <= woken(A, broken)
        assert {"i", "Account a"} <= woken(broken, broken)

    def test_a_server_that_comes_or_goes_reaches_the_accounts_whose_numbers_ring_there(self) -> None:
        server = commserver()
        at_server = Destination(type="CommServer", comm_server=ServerDestination(name=server.metadata.name))
        index = Index(numbers=[number("200", "a", destination=at_server), number("201", "b")])
        me = f"Server {server.metadata.name}"
        assert {f"{k.kind} {k.key.name}" for k in affected(None, server, index)} == {me, "Account a"}
        assert {f"{k.kind} {k.key.name}" for k in affected(server, None, index)} == {me, "Account a"}
        renamed = server.model_copy(update={"spec": server.spec.model_copy(update={"display_name": "other"})})
        assert {f"{k.kind} {k.key.name}" for k in affected(server, renamed, index)} == {me}

    def test_nothing_is_nothing(self) -> None:
        assert affected(None, None, LINKED) == set()


# --- nobody sleeps whose plan has changed -----------------------------------------------------------------------

I2, R2 = interlink("i", "a", uid="u2"), interlink("r", "b", redeem="s", uid="v2")
STATUSES = [
    {},
    {"state": "Pending", "key_id": KEY},
    {"state": "Established", "gate": "Open", "key_id": KEY, "link_id": "l" * 26},
    {"state": "Ended", "gate": "Closed", "key_id": KEY},
]


def lives(*objects: Interlink) -> st.SearchStrategy[Interlink | None]:
    variants = [with_spec(o, gate=gate) for o in objects for gate in ("Open", "Closed")]
    shown = st.tuples(st.sampled_from(variants), st.sampled_from(STATUSES))
    return st.none() | shown.map(lambda pair: showing(pair[0], **pair[1]))


def accounts(name: str) -> st.SearchStrategy[PBXAccount | None]:
    return st.sampled_from(
        [None, ready_account(name), ready_account(name, ready=False), ready_account(name, display_name="Office")]
    )


RECORDS = [
    None,
    record(I),
    record(I, fences=("l" * 26,)),
    record(I, policy=Policy(account_ready="False")),
    *(record(i, r) for i in (I, I2) for r in (R, R2)),
    record(I, R, closing=closing("u1")),
    record(I, R, closing=closing("v1", side="redeemer", reason="Orphaned")),
    record(I, R, end=end("Deleted", "Issuer")),
    record(I, R, end=end("Deleted", "Redeemer")),
    record(I, end=end("Revoked")),
]
VERSIONS = [
    made and made.model_copy(update={"metadata": made.metadata.model_copy(update={"resource_version": str(version)})})
    for version, made in enumerate(RECORDS)
]
World = dict[str, Any]
worlds = st.fixed_dictionaries(
    {"i": lives(I, I2), "r": lives(R, R2), "a": accounts("a"), "b": accounts("b"), "k": st.sampled_from(VERSIONS)}
)


def present(world: World, model: type[Resource]) -> list[Any]:
    return [o for o in world.values() if isinstance(o, model)]


def planned(world: World, place: ObjectKey) -> Plan:
    """Plan a place; the process has looked at the key that the status tells of."""
    link = world[place.name]
    attempts = looked(link.status.key_id) if link is not None and link.status.key_id else NOTHING_TRIED
    s = gather(place, present(world, Interlink), present(world, PBXAccount), present(world, LinkRecord), attempts)
    plan = plan_link(s, NOW)
    return Plan(plan.actions, plan.statuses)


@given(worlds, worlds, st.sampled_from("irabk"))
def test_whoever_plans_otherwise_is_woken(before: World, other: World, changed: str) -> None:
    after = {**before, changed: other[changed]}
    index = Index(present(after, Interlink), present(after, LinkRecord), present(after, PBXAccount))
    work = affected(before[changed], after[changed], index)
    for place in (I.key, R.key):
        if planned(before, place) != planned(after, place):
            assert WorkKey("Link", place) in work
