"""What accounts and their numbers show: counters that add up, hidden numbers, patience that ends in time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from builders import NOW, account, account_status_of, at, linked, meta, number, planned, settled, shown, snapshot
from pbx_operator.api.meta import Condition
from pbx_operator.api.reasons import ACCEPTED, GRACE, REASONS, Patience, Verdict, verdict
from pbx_operator.api.v1alpha1 import InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.internalnumber import InternalNumberStatus
from pbx_operator.api.v1alpha1.pbxaccount import InterlinkCounts, NumberCounts, PBXAccountStatus, ShadowedNumbers
from pbx_operator.domain.accounts.plan import AccountSnapshot
from pbx_operator.domain.accounts.status import (
    AccountState,
    Shadows,
    find_shadows,
    number_counts,
    number_status,
    only_counters_differ,
    shadow_counts,
    shadow_verdicts,
)
from pbx_operator.domain.conditions import Since, check, find, status_with
from pbx_operator.domain.dialplan.numbers import protected_numbers, resolve
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.dialplan.reader import DialPlan
from strategies import DIGITS, dialing_accounts, established_links

HOLDS: st.SearchStrategy[str | bool] = st.sampled_from([False, True, "200"])
FEW, ONE_PREFIX = st.sampled_from(["2", "3", "113"]), st.just("11")
"""With the prefix these numbers are an emergency number, an own one, and neither."""
SAMPLE = 20
"""How many hidden numbers an account names, by the schema."""


@st.composite
def numbers(draw: st.DrawFn, digits: st.SearchStrategy[str] = DIGITS) -> tuple[InternalNumber, ...]:
    """InternalNumbers of account a, some of which want the same, and may show what they do not want any more."""
    return tuple(
        number(
            draw(digits),
            name=f"n{i}",
            holds=draw(HOLDS),
            visibility=draw(st.sampled_from(["Shared", "Private"])),
            created=at(-draw(st.integers(0, 2))),
            deleting=draw(st.sampled_from([False, False, False, True])),
        )
        for i in range(draw(st.integers(0, 6)))
    )


@dataclass(frozen=True)
class Book:
    """An account with its numbers and links."""

    account: PBXAccount
    numbers: tuple[InternalNumber, ...]
    links: tuple[EstablishedLink, ...]

    def snapshot(self) -> AccountSnapshot:
        return snapshot(self.account, *self.numbers, links=self.links)

    def shadows(self) -> Shadows:
        resolution = resolve(self.account, self.numbers)
        return find_shadows(self.account, resolution, self.links, protected_numbers(self.account))


def crowd(own: int, offered: int, first: int) -> Book:
    """Return an account with so many numbers in a row, and a peer with so many from a `first` one on."""
    links = (linked("x", *(str(first + n) for n in range(offered))),)
    return Book(account(), tuple(number(str(200 + n)) for n in range(own)), links)


overlap = st.builds(
    Book,
    st.just(account()),
    numbers(st.sampled_from(["200", "8200", "3"])),
    established_links(peers=st.sampled_from(["200", "00", "0"]), prefixes=st.sampled_from(["8", "82", "820"])),
)
"""Several dialPrefixes complete a number to 8200."""
narrow = st.builds(Book, st.just(account()), numbers(FEW), established_links(peers=FEW, prefixes=ONE_PREFIX))
books = st.builds(Book, dialing_accounts(), numbers(), established_links()) | narrow
crowds = st.builds(crowd, st.integers(0, 45), st.integers(0, 45), st.integers(195, 220))


class TestCounters:
    @given(books)
    def test_they_add_up_to_what_is_published_and_told(self, book: Book) -> None:
        """Design 3, PBXAccount: internalNumbers {shared, private, conflicted}; a held number is a row of the slices."""
        now = settled(book.snapshot())
        counts = account_status_of(planned(now)).internal_numbers
        assert counts is not None
        rows = [row for part in now.slices if part.spec.source.type == "Own" for row in part.spec.rows]
        assert counts.shared + counts.private == len({row.number for row in rows}) == len(rows)
        reasons = [shown(n.status)[1] for n in now.numbers]
        assert counts.conflicted == reasons.count("NumberConflict")

    @given(books)
    def test_a_number_is_counted_once_or_not_at_all(self, book: Book) -> None:
        counts = number_counts(resolve(book.account, book.numbers))
        assert counts.shared + counts.private + counts.conflicted <= len(book.numbers)
        private = {n.spec.number for n in book.numbers if n.spec.visibility == "Private"}
        assert counts.private <= len(private)


class TestShadows:
    @given(books | crowds)
    def test_the_sample_is_the_lowest_and_bounded(self, book: Book) -> None:
        """Design 3, PBXAccount: shadowedNumbers {count, sample ≤ 20}."""
        hidden = book.shadows().hidden
        counts = shadow_counts(book.shadows())
        assert counts.count == len(set(hidden))
        assert len(counts.sample) == min(counts.count, SAMPLE)
        assert all(low < high for low, high in pairwise(counts.sample))
        assert set(counts.sample) <= set(hidden)
        assert all(n >= max(counts.sample) for n in set(hidden) - set(counts.sample))
        assert ShadowedNumbers.model_validate(counts.to_json()) == counts

    @given(books | crowds)
    def test_what_is_told_names_no_more_than_the_sample(self, book: Book) -> None:
        for told in shadow_verdicts(book.shadows()):
            assert len(told.message.split(": ", 1)[1].split(";")[0].split(", ")) <= SAMPLE

    @given(books)
    def test_only_own_numbers_hide_and_only_what_is_hidden_can_be_unreachable(self, book: Book) -> None:
        shadows = book.shadows()
        assert set(shadows.unreachable) <= set(shadows.hidden)
        assert set(shadows.hidden) <= {n.spec.number for n in book.numbers}

    @given(books, st.sets(DIGITS, max_size=3))
    def test_another_peer_hides_nothing_less(self, book: Book, offered: set[str]) -> None:
        more = replace(book, links=(*book.links, linked("another", *sorted(offered), established=at(9))))
        assert set(book.shadows().hidden) <= set(more.shadows().hidden)
        assert set(book.shadows().unreachable) <= set(more.shadows().unreachable)

    @given(books, st.sets(DIGITS, max_size=3), st.sampled_from(["7", "77", "*"]))
    def test_a_prefix_of_its_own_makes_no_number_harder_to_reach(
        self, book: Book, offered: set[str], prefix: str
    ) -> None:
        """The advice of the condition Conflicted: set a dialPrefix on the link to reach them."""
        links = tuple(link for link in book.links if link.interlink.spec.dial_prefix != prefix)
        plain, prefixed = (linked("another", *sorted(offered), dial_prefix=p) for p in (None, prefix))
        before, after = (replace(book, links=(*links, link)).shadows() for link in (plain, prefixed))
        assert before.hidden == after.hidden
        assert set(after.unreachable) <= set(before.unreachable)

    @settings(max_examples=200)
    @given(narrow | overlap)
    def test_a_reader_of_the_slices_finds_the_same_numbers_out_of_reach(self, book: Book) -> None:
        """Design 5: the order of what is dialled, as a SIP server reads it."""
        out_of_reach, shadows = self.read(book), book.shadows()
        assert set(shadows.unreachable) == out_of_reach & set(shadows.hidden)

    def read(self, book: Book) -> set[str]:
        """Return the offered numbers to which no digits lead, with their link's dialPrefix or without."""
        now = settled(book.snapshot())
        assert now.account is not None
        plan = DialPlan(now.account, now.slices, [link.interlink for link in book.links])
        out_of_reach = set()
        for link in book.links:
            beginnings = {"", link.interlink.spec.dial_prefix or ""}
            for offered in (n.number for n in link.offer.numbers):
                answers = [plan.answer(beginning + offered) for beginning in beginnings]
                if not any((a.interlink, a.number) == (link.interlink.metadata.name, offered) for a in answers):
                    out_of_reach.add(offered)
        return out_of_reach


# --- statuses that differ in counters alone ---------------------------------------------------------------------


def condition(type_: str, reason: str, message: str) -> Condition:
    return Condition(type=type_, status="True", reason=reason, message=message, last_transition_time=NOW)


counts = st.integers(0, 2)
account_statuses = st.builds(
    PBXAccountStatus,
    sip_domain=st.sampled_from(["a.example", "b.example"]),
    observed_generation=st.integers(1, 2),
    interlinks=st.builds(InterlinkCounts, pending=counts, established=counts),
    internal_numbers=st.builds(NumberCounts, shared=counts, private=counts, conflicted=counts),
    shadowed_numbers=st.none() | st.builds(ShadowedNumbers, count=counts),
    conditions=st.lists(
        st.builds(
            condition,
            st.sampled_from(["Ready", "Conflicted"]),
            st.sampled_from(["Serving", "NumbersShadowed"]),
            st.sampled_from(["1 number", "2 numbers"]),
        ),
        max_size=2,
        unique_by=lambda c: c.type,
    ).map(tuple),
)


class TestCountersAlone:
    """Design 3, rules for all: counters are refreshed at most every 30 s; everything else at once."""

    @given(account_statuses, account_statuses)
    def test_it_does_not_matter_which_is_the_old_one(self, one: PBXAccountStatus, other: PBXAccountStatus) -> None:
        assert only_counters_differ(one, other) == only_counters_differ(other, one)
        assert not only_counters_differ(one, one)

    @given(account_statuses, account_statuses)
    def test_other_counters_on_the_same_status_may_wait(self, one: PBXAccountStatus, other: PBXAccountStatus) -> None:
        counters = {name: getattr(other, name) for name in ("interlinks", "internal_numbers", "shadowed_numbers")}
        recounted = one.model_copy(update=counters)
        assert only_counters_differ(one, recounted) == (one != recounted)

    @given(account_statuses, account_statuses)
    def test_nothing_else_waits(self, one: PBXAccountStatus, other: PBXAccountStatus) -> None:
        for name in ("sip_domain", "observed_generation"):
            if getattr(one, name) != getattr(other, name):
                assert not only_counters_differ(one, other)
        for type_ in ("Ready", "Conflicted"):
            was, is_ = find(one.conditions, type_), find(other.conditions, type_)
            if (was is None) != (is_ is None) or (was and is_ and was.reason != is_.reason):
                assert not only_counters_differ(one, other)


# --- internal numbers -------------------------------------------------------------------------------------------

states: st.SearchStrategy[AccountState] = st.sampled_from(["Serving", "NotServing", "Absent", "Unreadable"])


class TestNumbers:
    @given(books, states)
    def test_their_statuses_are_sound_and_fixed_points(self, book: Book, state: AccountState) -> None:
        """Design 9: condition rules on every status; a status is a fixed point."""
        known = None if state in ("Absent", "Unreadable") else book.account
        for outcome in resolve(known, book.numbers).outcomes:
            metadata = outcome.number.metadata
            first, again = number_status(outcome, state, None, NOW)
            assert check(first, metadata.generation, deleting=metadata.deleting) == []
            seen = replace(outcome, number=outcome.number.model_copy(update={"status": first}))
            assert number_status(seen, state, (shown(first)[1], NOW), NOW) == (first, again)

    @given(books)
    def test_no_two_show_the_same_number_and_each_shows_what_it_wants(self, book: Book) -> None:
        """Design 3, InternalNumber: never two holders, whatever the statuses said before."""
        outcomes = resolve(book.account, book.numbers).outcomes
        held = [(o.number.spec.number, number_status(o, "Serving", None, NOW)[0].number) for o in outcomes]
        showing = [now for _, now in held if now is not None]
        assert len(showing) == len(set(showing))
        assert all(now in (None, wanted) for wanted, now in held)

    @given(books)
    def test_while_nobody_can_tell_a_status_keeps_what_it_shows(self, book: Book) -> None:
        """An account that cannot be read takes no number away from its holder."""
        for outcome in resolve(None, book.numbers).outcomes:
            status, _ = number_status(outcome, "Unreadable", None, NOW)
            assert status.number == outcome.number.status.number


# --- patience ---------------------------------------------------------------------------------------------------

READY = [
    Verdict("Ready", status, reason, "why")
    for reason in REASONS
    for type_, status in [*reason.places]
    if type_ == "Ready"
]
readies = st.sampled_from(READY)
ACCOUNT = meta("account", "a", generation=3)


def told(
    status: InternalNumberStatus, ready: Verdict, since: Since | None, seconds: int
) -> tuple[InternalNumberStatus, float | None]:
    """Return the next status, and after how many seconds patience runs out."""
    new, again = status_with(status, ACCOUNT, [ready, verdict("Accepted", "True", ACCEPTED)], since, at(seconds))
    return new, (again - NOW).total_seconds() if again is not None else None


class TestPatience:
    """Design 3: Reconciling 2 min, then Stalled; Stalled at once where a person must act; never while it progresses."""

    @given(st.lists(st.tuples(readies, st.integers(0, 200)), min_size=1, max_size=5))
    def test_every_story_is_sound_all_the_way(self, story: list[tuple[Verdict, int]]) -> None:
        status, since, now = InternalNumberStatus(), None, 0
        for ready, wait in story:
            since = since if since is not None and since[0] == ready.reason.name else (ready.reason.name, at(now))
            status, _ = told(status, ready, since, now)
            assert check(status, ACCOUNT.generation) == []
            now += wait
            status, _ = told(status, ready, since, now)
            assert check(status, ACCOUNT.generation) == []

    @given(readies, st.sampled_from([0, 1, 119, 120, 121, 400]))
    def test_it_ends_when_it_was_said_to_end(self, ready: Verdict, seconds: int) -> None:
        since = (ready.reason.name, NOW)
        first, patience_ends = told(InternalNumberStatus(), ready, since, 0)
        later, _ = told(first, ready, since, seconds)
        stalled = find(later.conditions, "Stalled") is not None
        if ready.status == "True":
            assert not stalled
        elif ready.reason.patience is Patience.GRACE:
            assert patience_ends == GRACE.total_seconds()
            assert stalled == (timedelta(seconds=seconds) >= GRACE)
        else:
            assert patience_ends is None
            assert stalled == (ready.reason.patience is Patience.PERSON)

    @given(readies, st.sampled_from([0, 1, 119, 120, 121, 400]))
    def test_a_process_that_starts_shows_nothing_as_less_than_it_was(self, ready: Verdict, seconds: int) -> None:
        """What is shown as Stalled stays so, or each restart would make the object look busy again."""
        before, _ = told(InternalNumberStatus(), ready, (ready.reason.name, NOW), seconds)
        after, _ = told(before, ready, None, seconds)
        if find(before.conditions, "Stalled") is not None:
            assert after == before
