"""The reader's side of the dial plan: what happens to dialled digits, and why.

`DialPlan` knows nothing but what a SIP server can know: the published slices and the Interlinks with their gates.
So it is the reader's contract as a program, the tests' oracle, and what `pbx dial` asks.  Every answer explains
itself; a number that a peer does not offer is indistinguishable from one that does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.reasons import ACCEPTED
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice, Row
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.internalnumber import Destination
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.domain.conditions import find
from pbx_operator.domain.dialplan.changes import is_ours

Outcome = Literal["Emergency", "Own", "Peer", "NoMatch"]


class Why(StrEnum):
    """Why a number that fits the digits does not get the call."""

    HIDDEN = "HiddenByOwnNumber"
    OUTRANKED = "Outranked"
    """Another link comes first: by the longer dialPrefix, else the lower priority, else its age."""
    CLOSED = "GateClosed"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A peer's number that fits the digits and does not get the call."""

    interlink: str
    target: str
    why: Why
    detail: str
    """For people: what is in the way, and how to reach the number nevertheless."""


@dataclass(frozen=True, slots=True)
class PrefixProblem:
    """A dialPrefix with which the digits begin, and which is refused, or else does not work for all numbers."""

    interlink: str
    prefix: str
    detail: str
    """For people: why, and the next step; the message of the condition Accepted."""


@dataclass(frozen=True, slots=True)
class UnknownOffer:
    """A link over which no call passes, and of whose peer nothing is published: nobody can tell what it shares."""

    interlink: ObjectKey
    detail: str
    """For people: why, and the next step; the message of the condition CallsAllowed, if there is one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What happens when a phone of the account dials the digits."""

    digits: str
    outcome: Outcome
    number: str | None = None
    """The number that is reached, as its owner knows it."""
    display_name: str | None = None
    destination: Destination | None = None
    """Where an own number rings; an own number without one is free, and nothing rings."""
    interlink: str | None = None
    target: str | None = None
    """Where a call over an Interlink goes: `number@domain`."""
    passed_over: tuple[PassedOver, ...] = ()
    prefix_problems: tuple[PrefixProblem, ...] = ()
    linked: tuple[str, ...] = ()
    """The established Interlinks of the account whose peers might have shared the number, and do not."""
    unknown: tuple[UnknownOffer, ...] = ()
    """Those whose peers may share it."""

    @property
    def ambiguous(self) -> bool:
        """Whether another link could have had the call as well."""
        return any(p.why is Why.OUTRANKED for p in self.passed_over)

    @property
    def explanation(self) -> str:
        """One sentence for people."""
        match self.outcome:
            case "Emergency":
                return f"{self.digits} is an emergency number: it comes before every other rule"
            case "Own":
                name = f" ({self.display_name})" if self.display_name else ""
                rings = "is this account's own number" if self.destination else "is free: held, but nothing rings"
                return f"{self.number}{name} {rings}"
            case "Peer":
                name = f" ({self.display_name})" if self.display_name else ""
                return f"{self.number}{name} of the peer behind Interlink {self.interlink}"
            case "NoMatch":
                return f"no own number, and {self.passed_over[0].detail if self.passed_over else self._miss()}"

    def _miss(self) -> str:
        """Say which peers do not share the number: one of them may reach it, but over a link of its own."""
        if self.unknown:
            return self._unknown()
        match self.linked:
            case ():
                return "no link is established"
            case (interlink,):
                return f"the peer behind Interlink {interlink} does not share it; links are not transitive"
            case _:
                return f"none of the {len(self.linked)} linked peers shares it; links are not transitive"

    def _unknown(self) -> str:
        """Say of whom it is not known whether they share the number, and why."""
        (namespace, name), detail = self.unknown[0].interlink, self.unknown[0].detail
        more = f" and {len(self.unknown) - 1} more" if len(self.unknown) > 1 else ""
        others = "; no other linked peer shares it" if self.linked else ""
        return (
            f"it is not known what the peer behind Interlink {name}{more} shares{others}: {detail} "
            f"(`kubectl describe interlink {name} -n {namespace}`)"
        )


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row with what its slice says about it."""

    rank: str
    row: Row
    interlink: str | None

    @property
    def dialed(self) -> str:
        """What is dialled to reach the row."""
        return self.row.dialed or self.row.number


class DialPlan:
    """An account's published dial plan."""

    def __init__(self, account: PBXAccount, slices: Iterable[DialPlanSlice], interlinks: Iterable[Interlink]) -> None:
        """Read the slices that count: those in the account's namespace that its UID owns."""
        self._account = account
        self._interlinks = {i.metadata.name: i for i in interlinks if i.metadata.namespace == account.key.namespace}
        self._own_links = [i for i in self._interlinks.values() if i.spec.account_ref.name == account.metadata.name]
        self._emergency: set[str] = set()
        self._published: set[str | None] = set()
        self._by_digits: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._by_number: defaultdict[tuple[str | None, str], list[_Entry]] = defaultdict(list)
        for part in slices:
            if part.metadata.namespace == account.key.namespace and is_ours(part, account):
                self._read(part)

    def _read(self, part: DialPlanSlice) -> None:
        self._emergency.update(part.spec.emergency_numbers)
        if part.spec.source.type == "Offer":
            return
        for row in part.spec.rows:
            entry = _Entry(part.spec.rank, row, part.spec.source.interlink)
            self._published.add(entry.interlink)
            self._by_digits[entry.dialed].append(entry)
            self._by_number[entry.interlink, row.number].append(entry)

    def answer(self, digits: str) -> Answer:
        """Return who gets the call: emergency, own number, then the usable rows by rank."""
        if digits in self._emergency:
            return Answer(digits, "Emergency")
        winner = self._winner(digits)
        passed_over = tuple(self._pass_over(e, winner) for e in self._entries(digits) if e is not winner)
        if winner is None:
            return self._no_match(digits, passed_over)
        row = winner.row
        return Answer(
            digits=digits,
            outcome="Own" if winner.interlink is None else "Peer",
            number=row.number,
            display_name=row.display_name,
            destination=row.destination,
            interlink=winner.interlink,
            target=row.target,
            passed_over=passed_over,
            prefix_problems=() if winner.interlink is None else self._prefix_problems(digits, warnings=False),
        )

    def _no_match(self, digits: str, passed_over: tuple[PassedOver, ...]) -> Answer:
        unknown = self._unknown_offers()
        unheard = {offer.interlink for offer in unknown}
        linked = (i for i in self._own_links if i.status.state == "Established" and i.key not in unheard)
        return Answer(
            digits,
            "NoMatch",
            passed_over=passed_over,
            prefix_problems=self._prefix_problems(digits, warnings=True),
            linked=tuple(i.metadata.name for i in linked),
            unknown=unknown,
        )

    def _unknown_offers(self) -> tuple[UnknownOffer, ...]:
        return tuple(
            UnknownOffer(link.key, _closed_because(link) or obstacle)
            for link in self._own_links
            if link.status.state == "Established" and link.metadata.name not in self._published
            if (obstacle := self._obstacle(link.metadata.name)) is not None
        )

    def _entries(self, digits: str) -> list[_Entry]:
        return sorted(self._by_digits.get(digits, ()), key=lambda e: e.rank)

    def _winner(self, digits: str) -> _Entry | None:
        return next((e for e in self._entries(digits) if self._obstacle(e.interlink) is None), None)

    def _obstacle(self, name: str | None) -> str | None:
        """Return why rows with this Interlink cannot be used now: those of a peer need an open gate."""
        if name is None:
            return None
        interlink = self._interlinks.get(name)
        if interlink is None or interlink.spec.account_ref.name != self._account.metadata.name:
            return f"Interlink {name} of this account does not exist"
        if interlink.metadata.deleting:
            return f"Interlink {name} is being deleted"
        if interlink.status.gate == "Open":
            return None
        because = _closed_because(interlink)
        return f"the gate of Interlink {name} is closed{f': {because}' if because else ''}"

    def _prefix_problems(self, digits: str, *, warnings: bool) -> tuple[PrefixProblem, ...]:
        """Return the prefixes that may be why the digits do not reach what they were meant to reach.

        Those that are accepted with a warning, and so work for most numbers, only if asked for.
        """
        return tuple(
            PrefixProblem(link.metadata.name, prefix, judged.message)
            for link in self._own_links
            if (prefix := link.spec.dial_prefix) and digits.startswith(prefix)
            if (judged := find(link.status.conditions, "Accepted"))
            if judged.status != "True" or (warnings and judged.reason != ACCEPTED.name)
        )

    def _pass_over(self, entry: _Entry, winner: _Entry | None) -> PassedOver:
        interlink, target = entry.interlink or "", entry.row.target or ""
        obstacle = self._obstacle(entry.interlink)
        if obstacle is not None or winner is None:
            return PassedOver(interlink, target, Why.CLOSED, obstacle or "")
        if winner.interlink is None:
            return PassedOver(interlink, target, Why.HIDDEN, f"an own number hides it{self._way_around(entry)}")
        first = f"Interlink {winner.interlink} comes first by dialPrefix, priority or age"
        return PassedOver(interlink, target, Why.OUTRANKED, f"{first}{self._way_around(entry)}")

    def _way_around(self, entry: _Entry) -> str:
        """Return how to reach a number that is passed over: by the other form in which it can be dialled."""
        others = [e for e in self._by_number[entry.interlink, entry.row.number] if e is not entry]
        if not others:
            return "; a dialPrefix on its Interlink would reach it"
        reachable = [e.dialed for e in others if self._winner(e.dialed) is e]
        return f"; dial {reachable[0]} to reach it" if reachable else ""


def _closed_because(interlink: Interlink) -> str:
    """Return what an Interlink says of its closed gate; nothing if it has not said it yet."""
    calls = find(interlink.status.conditions, "CallsAllowed")
    return calls.message if calls is not None and calls.status != "True" else ""
