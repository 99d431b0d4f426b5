"""Clusters of one machine share no address, and no name of what lies outside of their namespaces."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

from node.layout import HOST_ADDRESS, NODE_NETWORK, ClusterLayout

CLUSTERS = [ClusterLayout(number, size=15) for number in (1, 2, 14)]
NODES = [node for cluster in CLUSTERS for node in cluster.nodes]


def test_nothing_overlaps() -> None:
    networks = [network for each in CLUSTERS for network in (each.pod_network, each.service_network)]
    for one, other in combinations(map(IPv4Network, [NODE_NETWORK, *networks]), 2):
        assert not one.overlaps(other)


def test_each_node_has_its_part_of_the_pods() -> None:
    for cluster in CLUSTERS:
        own = [IPv4Network(node.pod_network) for node in cluster.nodes]
        assert len(set(own)) == cluster.size
        assert all(network.subnet_of(IPv4Network(cluster.pod_network)) for network in own)


def test_each_node_has_an_address_a_name_and_a_folder_of_its_own() -> None:
    addresses = {node.address for node in NODES}
    assert len(addresses) == len({node.name for node in NODES}) == len({node.folder for node in NODES}) == len(NODES)
    assert addresses < {str(address) for address in IPv4Network(NODE_NETWORK).hosts()} - {HOST_ADDRESS}


def test_a_name_is_short_enough_for_a_network_interface() -> None:
    assert max(len(node.name) for node in NODES) <= 15
