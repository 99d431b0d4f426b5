"""Slices: how an account's dial plan is cut into DialPlanSlices, and which of them to write.

Each link has slices of its own, and a rank made of nothing but its own facts, so that a new link rewrites no
other slice.  Rows beyond what one object holds are split by leading digits, a rule without memory: the same
numbers always give the same slices.  Slices are compared by `rev`; models are built only for those to write,
since an account with many links has tens of thousands of rows.

Names are `<account>.own`, `<interlink>.plain`, `.prefixed` and `.offer`, followed by the leading digits where
rows are split.  Names of accounts and Interlinks have no dots, hence no two slices of a namespace collide.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pbx_operator.api.meta import ObjectMeta, OwnerReference, format_time
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice, DialPlanSliceSpec, Row, Source
from pbx_operator.api.v1alpha1.internalnumber import Destination, InternalNumber
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.api.v1alpha1.shared import AccountReference
from pbx_operator.domain.dialplan.emergency import never_routed
from pbx_operator.domain.dialplan.numbers import sends_digit_by_digit
from pbx_operator.domain.dialplan.offers import EstablishedLink, Offer, OfferedNumber, has_own_offer, permits
from pbx_operator.domain.dialplan.prefixes import usable_prefixes
from pbx_operator.domain.protocol.keys import base32

MAX_ROWS = 100
OWN_RANK = "0"
OFFER_RANK = "9"
"""Offer slices are not searched when a number is dialled; their rank means nothing."""

_REV_LENGTH = 26
_REV_BYTES = 17
"""As many as 26 characters of base32 can show."""
_JSON = json.JSONEncoder(check_circular=False, default=Destination.to_json)


class NameOwner(NamedTuple):
    """Whose slices have such a name."""

    kind: Literal["PBXAccount", "Interlink"]
    name: str


def owner_of(name: str) -> NameOwner:
    """Return whom the name of a slice belongs to, whoever made the slice."""
    owner, _, rest = name.partition(".")
    return NameOwner("PBXAccount" if rest.partition(".")[0] == "own" else "Interlink", owner)


class OwnLine(NamedTuple):
    """A row about a number of the account itself, before it becomes part of an object."""

    number: str
    display_name: str | None = None
    destination: Destination | None = None
    offered: str | None = None


Line = OwnLine | OfferedNumber
"""A row before it becomes part of an object; a peer's number stays as it is offered."""


@dataclass(frozen=True, slots=True)
class Head:
    """What the slices of one source have in common."""

    account: str
    name: str
    source: Source
    rank: str
    prefix: str = ""
    """Dialled before each number of the peer."""
    domain: str = ""
    """The peer's SIP domain, to which its numbers lead."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A wanted slice before it becomes an object."""

    name: str
    head: Head
    rev: str
    lines: Sequence[Line]
    emergency: tuple[str, ...] = ()

    def build(self, account: PBXAccount, existing: DialPlanSlice | None) -> DialPlanSlice:
        """Return the object to write: a new one, or the successor of an existing one."""
        metadata = ObjectMeta(
            name=self.name,
            namespace=account.metadata.namespace,
            uid=existing.metadata.uid if existing else "",
            resource_version=existing.metadata.resource_version if existing else "",
            owner_references=(_owner(account),),
        )
        spec = DialPlanSliceSpec(
            account_ref=AccountReference(name=account.metadata.name),
            source=self.head.source,
            rank=self.head.rank,
            rev=self.rev,
            emergency_numbers=self.emergency,
            rows=tuple(_row(self.head, line) for line in self.lines),
        )
        return DialPlanSlice(metadata=metadata, spec=spec)


class PeerFacts(NamedTuple):
    """All that the slices of one peer follow from, for one way to dial its numbers."""

    account: str
    interlink: str
    rank: str
    prefix: str
    offer: Offer
    protected: frozenset[str]
    digit_by_digit: bool


def draft_peer(facts: PeerFacts) -> tuple[Draft, ...]:
    """Draft the numbers of one peer, without those that would spell or call an emergency number."""
    prefix, protected, digit_by_digit = facts.prefix, facts.protected, facts.digit_by_digit
    numbers = tuple(
        n for n in facts.offer.numbers if not never_routed(prefix + n.number, protected, digit_by_digit=digit_by_digit)
    )
    kind: Literal["Plain", "Prefixed"] = "Prefixed" if prefix else "Plain"
    source = Source(type="Peer", interlink=facts.interlink, peer_class=kind)
    name = f"{facts.interlink}.{kind.lower()}"
    head = Head(facts.account, name, source, facts.rank, prefix, facts.offer.sip_domain)
    return tuple(_draft(head, group, part) for group, part in split(numbers))


PeerDrafter = Callable[[PeerFacts], tuple[Draft, ...]]
"""`draft_peer`, or whoever remembers what it returned."""


def draft_slices(
    account: PBXAccount,
    held: Sequence[InternalNumber],
    links: Sequence[EstablishedLink],
    protected: frozenset[str],
    drafter: PeerDrafter = draft_peer,
) -> list[Draft]:
    """Return all slices that the account should have.

    `held` and `protected` are its numbers and emergency numbers, `links` its established links.  `drafter` drafts their
    numbers: most are the same whenever an account with many links is planned.
    """
    drafts = list(_own(account, held, protected))
    owner = account.metadata.name
    prefixes, digit_by_digit = usable_prefixes(account, links), sends_digit_by_digit(account)
    for link in links:
        name, priority = link.interlink.metadata.name, link.interlink.spec.priority
        plain_rank = f"2-{priority:04}-{_age_rank(link)}"
        drafts += drafter(PeerFacts(owner, name, plain_rank, "", link.offer, protected, digit_by_digit))
        if name in prefixes:
            prefix = prefixes[name]
            rank = f"1-{9 - len(prefix)}-{_age_rank(link)}"
            drafts += drafter(PeerFacts(owner, name, rank, prefix, link.offer, protected, digit_by_digit))
        drafts += _offer(account, link, held)
    return drafts


def _age_rank(link: EstablishedLink) -> str:
    established, key_id = link.seniority
    return f"{format_time(established)}-{key_id}"


def _own(account: PBXAccount, held: Sequence[InternalNumber], protected: frozenset[str]) -> Iterator[Draft]:
    """Draft the account's own numbers; the first slice exists always, since it holds the emergency numbers."""
    sharing = account.spec.sharing
    lines = [
        OwnLine(n.spec.number, n.spec.display_name, n.spec.destination, "All" if permits(sharing, n) else "None")
        for n in held
    ]
    name = account.metadata.name
    head = Head(name, f"{name}.own", Source(type="Own"), OWN_RANK)
    for group, part in {"": (), **dict(split(lines))}.items():
        yield _draft(head, group, part, () if group else tuple(sorted(protected)))


def _offer(account: PBXAccount, link: EstablishedLink, held: Sequence[InternalNumber]) -> Iterator[Draft]:
    """Draft what this link may reach where it has a sharing of its own.

    The first slice exists always, as its absence means the default.
    """
    sharing = link.interlink.spec.sharing
    if sharing is None or not has_own_offer(account, link.interlink):
        return
    name = link.interlink.metadata.name
    lines = [OwnLine(n.spec.number) for n in held if permits(sharing, n)]
    head = Head(account.metadata.name, f"{name}.offer", Source(type="Offer", interlink=name), OFFER_RANK)
    for group, part in {"": (), **dict(split(lines))}.items():
        yield _draft(head, group, part)


def split(lines: Sequence[Line], prefix: str = "") -> Iterator[tuple[str, Sequence[Line]]]:
    """Cut rows into groups that fit one slice, each named by the leading digits that its numbers share.

    A number that is itself the leading digits of a group is named with an `x` after it.
    """
    if not lines:
        return
    if len(lines) <= MAX_ROWS:
        yield prefix, lines
        return
    groups: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.number[len(prefix) : len(prefix) + 1] or "x"].append(line)
    for digit in sorted(groups):
        yield from split(groups[digit], prefix + digit)


def _owner(account: PBXAccount) -> OwnerReference:
    resource = PBXAccount.resource
    return OwnerReference(
        api_version=resource.api_version, kind=resource.kind, name=account.metadata.name, uid=account.metadata.uid
    )


def _row(head: Head, line: Line) -> Row:
    facts = line._asdict()
    if head.source.type == "Peer":
        facts |= {"dialed": head.prefix + line.number, "target": f"{line.number}@{head.domain}"}
    return Row.model_validate(facts)


def _draft(head: Head, group: str, lines: Sequence[Line], emergency: tuple[str, ...] = ()) -> Draft:
    name = f"{head.name}.{group}" if group else head.name
    return Draft(name, head, _rev(head, emergency, lines), lines, emergency)


def _rev(head: Head, emergency: tuple[str, ...], lines: Sequence[Line]) -> str:
    """Return a hash of all that the slice's content is made of."""
    source = head.source
    facts = (head.account, source.type, source.interlink, source.peer_class, head.rank, head.prefix, head.domain)
    content = _JSON.encode((facts, emergency, lines))
    return base32(hashlib.sha256(content.encode()).digest()[:_REV_BYTES])[:_REV_LENGTH]
