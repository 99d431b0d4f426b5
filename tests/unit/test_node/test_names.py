"""The name server of a node answers as resolvers of pods need it."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from node.names import addresses_of, answer

A, AAAA = 1, 28
SERVICES = "/api/v1/namespaces/home/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/home/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D"
ENDPOINTS = [
    {"addresses": ["198.18.1.7"], "conditions": {"ready": True}},
    {"addresses": ["198.18.1.8"], "conditions": {"ready": False}},
]
SERVED: dict[str, Any] = {
    f"{SERVICES}/web": {"spec": {"clusterIP": "198.18.2.9"}},
    f"{SERVICES}/pods": {"spec": {"clusterIP": "None"}},
    f"{SLICES}pods": {"items": [{"endpoints": ENDPOINTS}, {"endpoints": None}]},
    f"{SERVICES}/elsewhere": {"spec": {"type": "ExternalName"}},
}


def query(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", 0xBEEF, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", kind, 1)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("web.home.svc.cluster.local", ["198.18.2.9"]),
        ("pods.home.svc.cluster.local", ["198.18.1.7"]),
        ("elsewhere.home.svc.cluster.local", []),
        ("absent.home.svc.cluster.local", None),
        ("web.home.svc", None),
        ("example.com", None),
    ],
)
def test_a_service_has_its_address_or_those_of_its_ready_pods(name: str, found: list[str] | None) -> None:
    assert addresses_of(name, SERVED.get) == found


@pytest.mark.parametrize(
    ("kind", "found", "code", "records"),
    [(A, ["198.18.1.7", "198.18.1.8"], 0, 2), (AAAA, ["198.18.1.7"], 0, 0), (A, None, 3, 0)],
)
def test_a_query_is_answered(kind: int, found: list[str] | None, code: int, records: int) -> None:
    asked = query("Web.home", kind)
    names: list[str] = []

    def lookup(name: str) -> list[str] | None:
        names.append(name)
        return found

    answered = answer(asked, lookup)
    assert names == ["web.home"]
    assert struct.unpack(">6H", answered[:12]) == (0xBEEF, 0x8580 | code, 1, records, 0, 0)
    assert answered[12:].startswith(asked[12:])
    assert answered.endswith(bytes([198, 18, 1, 8]) if records else asked[12:])
