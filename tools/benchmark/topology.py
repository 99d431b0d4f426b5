"""Who is linked with whom, and the manifests of it.

Every Interlink of a topology lies in one namespace, so that the redeemer's `secretRef` can name the very Secret in
which the operator put the key: the key is carried by nobody, and the benchmark's own client stays out of the way.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from pbx_operator.api.meta import API_VERSION

NAMESPACE = "bench"
PEERS = 20
"""Peers of an account in a ring that is large enough."""
FEWEST_ACCOUNTS = 25
"""Accounts of the smallest ring: enough for a hub with 20 peers."""
NUMBERS = 10
FIRST_NUMBER, LAST_NUMBER = 2000, 8999
"""The block that numbers come from: clear of every emergency number of the country used here."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two accounts to be linked: the first generates the key, the second enters it."""

    issuer: str
    redeemer: str

    @property
    def issuing(self) -> str:
        """The name of the issuer's Interlink."""
        return f"{self.issuer}-to-{self.redeemer}"

    @property
    def redeeming(self) -> str:
        """The name of the redeemer's Interlink."""
        return f"{self.redeemer}-to-{self.issuer}"


@dataclass(frozen=True, slots=True)
class Topology:
    """Accounts with some numbers each, and the pairs to be linked."""

    title: str
    accounts: tuple[str, ...]
    numbers: int
    """Numbers per account."""
    pairs: tuple[Pair, ...]

    @property
    def peers(self) -> int:
        """The most peers that an account has."""
        ends = Counter(account for pair in self.pairs for account in (pair.issuer, pair.redeemer))
        return max(ends.values(), default=0)


@dataclass(frozen=True, slots=True)
class Hub:
    """An account with a chosen number of peers, added to a topology to see what a change of it costs."""

    account: str
    pairs: tuple[Pair, ...]


def ring(links: int) -> Topology:
    """Return a ring in which every account is linked with its next neighbours: `links` / 10 accounts, 20 peers each.

    Raises ValueError if there would be more numbers than digits for them.
    """
    accounts = _names(max(links * 2 // PEERS, FEWEST_ACCOUNTS))
    if len(accounts) * NUMBERS > LAST_NUMBER - FIRST_NUMBER:
        raise ValueError(f"{links} links need {len(accounts)} accounts, more than there are numbers for")
    pairs = tuple(
        Pair(account, accounts[(index + step) % len(accounts)])
        for step in range(1, (len(accounts) + 1) // 2)
        for index, account in enumerate(accounts)
    )
    if len(pairs) < links:
        raise ValueError(f"{len(accounts)} accounts have no {links} pairs")
    return Topology(f"{links:,} links", accounts, NUMBERS, pairs[:links])


def mesh(accounts: int, numbers: int) -> Topology:
    """Return a topology in which every account is linked with every other."""
    names = _names(accounts)
    pairs = tuple(Pair(a, b) for a, b in combinations(names, 2))
    return Topology(f"mesh of {accounts} × {numbers} numbers", names, numbers, pairs)


def hub(topology: Topology, fan_out: int) -> Hub | None:
    """Return an account of its own with so many peers, or None if the topology has fewer accounts."""
    if fan_out > len(topology.accounts):
        return None
    name = f"hub-{fan_out}"
    return Hub(name, tuple(Pair(name, peer) for peer in topology.accounts[:fan_out]))


def free_pairs(topology: Topology, hubs: list[Hub], count: int) -> tuple[Pair, ...]:
    """Return pairs of accounts that are not linked yet: the same random choice in every run."""
    taken = {frozenset((p.issuer, p.redeemer)) for p in (*topology.pairs, *(p for h in hubs for p in h.pairs))}
    accounts = [*topology.accounts, *(h.account for h in hubs)]
    free = [Pair(a, b) for a, b in combinations(accounts, 2) if frozenset((a, b)) not in taken]
    return tuple(random.Random(0).sample(free, min(count, len(free))))


def account_manifest(name: str) -> dict[str, Any]:
    """Return a PBXAccount."""
    return _manifest("PBXAccount", name, {"country": "FR"})


def number_manifests(index: int, account: str, count: int) -> Iterator[dict[str, Any]]:
    """Yield the InternalNumbers of the account with this index: no other account has one of them."""
    for k in range(count):
        digits = FIRST_NUMBER + (index * count + k) % (LAST_NUMBER - FIRST_NUMBER + 1)
        spec = {
            "accountRef": {"name": account},
            "number": str(digits),
            "displayName": f"Desk {k} of {account}",
            "destination": {"type": "Phone", "phone": {"username": f"{account}-{k}"}},
        }
        yield _manifest("InternalNumber", number_name(account, k), spec)


def number_name(account: str, k: int) -> str:
    """Return the name of the account's number with this index."""
    return f"{account}-{k}"


def issuer_manifest(pair: Pair) -> dict[str, Any]:
    """Return the Interlink that generates the key."""
    return _manifest("Interlink", pair.issuing, {"accountRef": {"name": pair.issuer}, "issueKey": {}})


def redeemer_manifest(pair: Pair) -> dict[str, Any]:
    """Return the Interlink that enters the key."""
    redeem = {"secretRef": {"name": f"{pair.issuing}-key"}}
    return _manifest("Interlink", pair.redeeming, {"accountRef": {"name": pair.redeemer}, "redeemKey": redeem})


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"office-{index:04}" for index in range(count))


def _manifest(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"namespace": NAMESPACE, "name": name}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
