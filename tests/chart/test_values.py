"""Which values the chart refuses, and how it says so; and that no value is left without a word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helm_chart.groups import Group
from helm_chart.rendering import Manifest, rendered
from helm_chart.schema import values_schema
from helm_chart.values import Values
from helm_python.errors import HelmRenderError, HelmValuesError

OF_KUBERNETES = {"description", "default", "type", "additionalProperties"}
"""What a schema has that hands objects on to the API server, or that maps texts to texts."""
EXCHANGE = {"enabled": True, "endpoints": ["https://pbx.example.com"]}

REFUSED: list[tuple[Manifest, str]] = [
    ({"replica": 2}, "additional properties 'replica' not allowed"),
    ({"exchange": {"hosts": []}}, "at '/exchange': additional properties 'hosts' not allowed"),
    ({"replicas": 11}, "at '/replicas': maximum: got 11, want 10"),
    ({"replicas": "1"}, "at '/replicas': got string, want integer"),
    ({"workers": 0}, "at '/workers': minimum: got 0, want 1"),
    ({"logLevel": "trace"}, "at '/logLevel': value must be one of 'debug', 'info', 'warning'"),
    ({"domainSuffix": "Example.com"}, "at '/domainSuffix': 'Example.com' does not match pattern"),
    ({"syncIntervalSeconds": 0}, "at '/syncIntervalSeconds': minimum"),
    ({"watchNamespaces": ["a", "B"]}, "at '/watchNamespaces/1': 'B' does not match pattern"),
    ({"network": {"forbid": ["10.0.0.0"]}}, "at '/network/forbid/0': '10.0.0.0' does not match pattern"),
    ({"image": {"digest": "sha256:0"}}, "at '/image/digest': 'sha256:0' does not match pattern"),
    ({"image": {"pullPolicy": "always"}}, "at '/image/pullPolicy': value must be one of"),
    ({"imagePullSecrets": ["login"]}, "at '/imagePullSecrets/0': got string, want object"),
    ({"exchange": {"endpoints": ["http://pbx.example.com"]}}, "at '/exchange/endpoints/0': 'http://pbx.example.com'"),
    ({"exchange": {"endpoints": ["https://pbx.example.com/x"]}}, "does not match pattern '^https://"),
    ({"exchange": {"endpoints": ["https://x.example.com"] * 5}}, "at '/exchange/endpoints': maxItems: got 5, want 4"),
    ({"exchange": {**EXCHANGE, "port": 443}}, "at '/exchange/port': minimum: got 443, want 1,024"),
    ({"exchange": {**EXCHANGE, "replicas": 0}}, "at '/exchange/replicas': minimum"),
    ({"exchange": {"service": {"type": "External"}}}, "at '/exchange/service/type': value must be one of"),
    ({"podLabels": {"tier": 1}}, "at '/podLabels/tier': got number, want string"),
    ({"crds": {"keep": "yes"}}, "at '/crds/keep': got string, want boolean"),
]

MISFITS: list[tuple[Manifest, str]] = [
    ({"replicas": 2}, "replicas: 2 does not work without the Lease"),
    ({"serviceAccount": {"create": False}}, 'serviceAccount.name: "" grants these Pods\' rights to'),
    ({"exchange": {**EXCHANGE, "serviceAccount": {"create": False}}}, 'exchange.serviceAccount.name: "" grants'),
    ({"crds": {"keep": False}, "policies": {"enabled": True}}, "crds.keep: false cannot be obeyed beside policies"),
    ({"crds": {"keep": False}, "watchNamespaces": ["a"]}, "crds.keep: false deletes the objects of all namespaces"),
    ({"exchange": {"enabled": True}}, "exchange.endpoints: [] leaves others without an address"),
    ({"exchange": {"ingress": {"enabled": True}}}, "exchange.ingress.enabled: true leads to an exchange that does not"),
    ({"exchange": {"route": {"enabled": True}}}, "exchange.route.enabled: true leads to an exchange that does not run"),
    ({"exchange": {**EXCHANGE, "route": {"enabled": True}}}, "exchange.route.parentRefs: [] attaches"),
    (
        {"exchange": {"enabled": True, "endpoints": ["https://192.0.2.7"], "ingress": {"enabled": True}}},
        "exchange.ingress.enabled: true needs a host name",
    ),
    (
        {"metrics": {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": True}}},
        "metrics.podMonitor.enabled: true makes Prometheus read everything twice",
    ),
    (
        {"metrics": {"serviceMonitor": {"enabled": True}, "service": {"enabled": False}}},
        "metrics.serviceMonitor.enabled: true finds no Service",
    ),
]
"""Values that fit no other, and how the refusal begins."""


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=lambda part: part if isinstance(part, str) else "")
def test_what_cannot_work_is_refused_with_the_place(values: Manifest, message: str) -> None:
    with pytest.raises(HelmValuesError) as refusal:
        rendered(values)
    assert message in str(refusal.value)


@pytest.mark.parametrize(("values", "message"), MISFITS, ids=lambda part: part if isinstance(part, str) else "")
def test_what_does_not_work_together_is_refused_with_the_next_step(values: Manifest, message: str) -> None:
    with pytest.raises(HelmRenderError) as refusal:
        rendered(values)
    assert f"these values do not work together:\n{message}" in str(refusal.value)


def test_all_refusals_are_told_at_once() -> None:
    with pytest.raises(HelmRenderError) as refusal:
        rendered({"replicas": 3, "leaderElection": {"enabled": False}, "exchange": {"enabled": True}})
    assert [line.partition(": ")[0] for line in str(refusal.value).splitlines()[1:]] == [
        "replicas",
        "exchange.endpoints",
    ]


def test_a_parent_chart_may_hand_its_global_values_on() -> None:
    assert rendered({"global": {"anything": True}})


def schemas(schema: Manifest, path: str = "") -> Iterator[tuple[str, Manifest]]:
    """Yield every value's schema with its path."""
    for name, part in schema.get("properties", {}).items():
        yield f"{path}.{name}", part
        yield from schemas(part, f"{path}.{name}")
    if "items" in schema:
        yield f"{path}[]", schema["items"]
        yield from schemas(schema["items"], f"{path}[]")


VALUES = dict(schemas(values_schema()))


@pytest.mark.parametrize("path", sorted(VALUES))
def test_every_value_is_described_and_closed(path: str) -> None:
    schema = VALUES[path]
    assert path.endswith("[]") or schema["description"]
    if schema.get("type") == "object":
        assert schema["additionalProperties"] is False or set(schema) <= OF_KUBERNETES


def test_descriptions_are_sentences() -> None:
    texts = [schema["description"] for path, schema in VALUES.items() if "description" in schema]
    assert [text for text in texts if not text.endswith((".", ")"))] == []


def test_the_chart_itself_is_closed() -> None:
    assert values_schema()["additionalProperties"] is False


def test_the_defaults_are_what_the_chart_has_without_values() -> None:
    assert rendered({}) == rendered(dumped(Values()))


def dumped(group: Group) -> Manifest:
    return group.model_dump(mode="json", by_alias=True)
