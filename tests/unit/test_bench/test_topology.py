"""Rings, meshes and hubs: as many links as asked for, no pair twice, every manifest acceptable."""

from __future__ import annotations

from typing import Any

import pytest
from benchmark.topology import (
    Topology,
    account_manifest,
    free_pairs,
    hub,
    issuer_manifest,
    mesh,
    number_manifests,
    redeemer_manifest,
    ring,
)

from pbx_operator.api.v1alpha1 import Interlink, InternalNumber, PBXAccount
from pbx_operator.domain.dialplan.emergency import emergency_numbers
from pbx_operator.domain.links.facts import key_secret_name


@pytest.mark.parametrize(
    ("links", "accounts", "peers"), [(1, 25, 1), (100, 25, 8), (300, 30, 20), (1000, 100, 20), (5000, 500, 20)]
)
def test_a_ring_has_so_many_links_and_peers(links: int, accounts: int, peers: int) -> None:
    topology = ring(links)
    assert (len(topology.pairs), len(topology.accounts), topology.peers) == (links, accounts, peers)
    assert_no_pair_twice(topology)


def test_a_ring_that_has_no_numbers_left_is_refused() -> None:
    with pytest.raises(ValueError, match="7500 links need 750 accounts"):
        ring(7500)


def test_in_a_mesh_everybody_is_linked_with_everybody() -> None:
    topology = mesh(30, 100)
    assert (len(topology.pairs), topology.peers, topology.numbers) == (435, 29, 100)
    assert_no_pair_twice(topology)


def test_a_hub_has_so_many_peers_or_does_not_exist() -> None:
    found = hub(ring(100), 20)
    assert found is not None
    assert len({pair.redeemer for pair in found.pairs}) == 20
    assert hub(ring(100), 26) is None


def test_free_pairs_are_not_linked_and_the_same_every_time() -> None:
    topology = ring(100)
    hubs = [found for fan_out in (1, 20) if (found := hub(topology, fan_out))]
    free = free_pairs(topology, hubs, 50)
    taken = {frozenset((p.issuer, p.redeemer)) for p in (*topology.pairs, *(p for h in hubs for p in h.pairs))}
    assert len({frozenset((p.issuer, p.redeemer)) for p in free} - taken) == 50
    assert free == free_pairs(topology, hubs, 50)


def test_a_full_mesh_has_only_its_hubs_left_to_link() -> None:
    topology = mesh(4, 1)
    found = hub(topology, 1)
    assert found is not None
    assert {p.redeemer for p in free_pairs(topology, [found], 100)} == {"hub-1"}


def test_no_number_is_an_emergency_number_or_given_twice() -> None:
    topology = ring(5000)
    manifests = [m for i, name in enumerate(topology.accounts) for m in number_manifests(i, name, topology.numbers)]
    numbers = [InternalNumber.model_validate(m).spec.number for m in manifests]
    assert len(set(numbers)) == 5000
    assert not [n for n in numbers for e in emergency_numbers("FR") if n.startswith(e)]


def test_the_redeemer_names_the_secret_that_the_operator_makes() -> None:
    pair = ring(100).pairs[0]
    issuer = Interlink.model_validate(identified(issuer_manifest(pair)))
    redeemer = Interlink.model_validate(identified(redeemer_manifest(pair)))
    assert (issuer.role, redeemer.role) == ("Issuer", "Redeemer")
    assert key_secret_name(issuer) == key_secret_name(redeemer)
    account = PBXAccount.model_validate(identified(account_manifest(pair.issuer)))
    assert account.metadata.name == issuer.spec.account_ref.name


def identified(manifest: dict[str, Any]) -> dict[str, Any]:
    manifest["metadata"] |= {"uid": "1", "resourceVersion": "1"}
    return manifest


def assert_no_pair_twice(topology: Topology) -> None:
    ends = [frozenset((pair.issuer, pair.redeemer)) for pair in topology.pairs]
    assert len(set(ends)) == len(ends)
    assert all(len(end) == 2 for end in ends)
