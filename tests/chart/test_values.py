"""Which values the chart refuses, and how it says so; and that no value is left without a word."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from helm_chart.groups import Group
from helm_chart.rendering import Manifest, objects, rendered
from helm_chart.schema import values_schema
from helm_chart.values import Values
from helm_python.errors import HelmRenderError, HelmValuesError

from pbx_operator.logs import LEVELS

OF_KUBERNETES = {"description", "default", "type", "additionalProperties", "propertyNames"}
"""What a schema has that hands objects on to the API server, or that maps texts to texts."""
EXCHANGE = {"enabled": True, "endpoints": ["https://pbx.example.com"]}


def service(**chosen: object) -> Manifest:
    """Return values of an exchange with this Service."""
    return {"exchange": {**EXCHANGE, "service": chosen}}


REFUSED: list[tuple[Manifest, str]] = [
    ({"replica": 2}, "additional properties 'replica' not allowed"),
    ({"exchange": {"hosts": []}}, "at '/exchange': additional properties 'hosts' not allowed"),
    ({"replicas": 11}, "at '/replicas': maximum: got 11, want 10"),
    ({"replicas": "1"}, "at '/replicas': got string, want integer"),
    ({"workers": 0}, "at '/workers': minimum: got 0, want 1"),
    ({"logLevel": "trace"}, "at '/logLevel': value must be one of 'debug', 'info', 'warning', 'error'"),
    ({"domainSuffix": "Example.com"}, "at '/domainSuffix': 'Example.com' does not match pattern"),
    ({"domainSuffix": "a." * 65 + "aa"}, "at '/domainSuffix': maxLength: got 132, want 131"),
    ({"fullnameOverride": "x" * 41}, "at '/fullnameOverride': maxLength: got 41, want 40"),
    ({"syncIntervalSeconds": 0}, "at '/syncIntervalSeconds': minimum"),
    ({"syncIntervalSeconds": 61}, "at '/syncIntervalSeconds': maximum: got 61, want 60"),
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
    ({"watchNamespaces": ["a", "b", "a"]}, "at '/watchNamespaces': items at 0 and 2 are equal"),
    ({"network": {"allow": ["10.0.0.0/8"] * 2}}, "at '/network/allow': items at 0 and 1 are equal"),
    ({"network": {"forbid": ["10.0.0.0/33"]}}, "at '/network/forbid/0': '10.0.0.0/33' does not match pattern"),
    ({"network": {"forbid": ["2001:db8::/129"]}}, "at '/network/forbid/0': '2001:db8::/129' does not match pattern"),
    ({"image": {"repository": "foo:1.2"}}, "at '/image/repository': 'foo:1.2' does not match pattern"),
    ({"image": {"repository": "foo@sha256:0"}}, "at '/image/repository': 'foo@sha256:0' does not match pattern"),
    ({"resources": {"limits": {"memory": "lots"}}}, "at '/resources/limits/memory': 'lots' does not match pattern"),
    ({"resources": {"limits": {"memory": "1e"}}}, "at '/resources/limits/memory': '1e' does not match pattern"),
    ({"resources": {"limits": {"cpu": -1}}}, "at '/resources/limits/cpu': minimum: got -1, want 0"),
    ({"policies": {"writers": [""]}}, "at '/policies/writers/0': minLength: got 0, want 1"),
    ({"exchange": {"service": {"nodePort": 65535}}}, "at '/exchange/service/nodePort': maximum"),
    (service(ipFamilies=["IPv4", "IPv5"]), "at '/exchange/service/ipFamilies/1': value must be one of 'IPv4', 'IPv6'"),
    (
        {"metrics": {"podMonitor": {"scrapeTimeout": "10"}}},
        "at '/metrics/podMonitor/scrapeTimeout': '10' does not match",
    ),
    ({"exchange": {"service": {"type": "External"}}}, "at '/exchange/service/type': value must be one of"),
    ({"podLabels": {"tier": 1}}, "at '/podLabels/tier': got number, want string"),
    ({"commonLabels": {"bad key!": "x"}}, "invalid propertyName 'bad key!'"),
    ({"commonLabels": {"x": "bad value!"}}, "at '/commonLabels/x': 'bad value!' does not match pattern"),
    ({"podLabels": {"x": "v" * 64}}, "at '/podLabels/x': "),
    ({"crds": {"keep": "yes"}}, "at '/crds/keep': got string, want boolean"),
]

MISFITS: list[tuple[Manifest, str]] = [
    ({"replicas": 2, "leaderElection": {"enabled": False}}, "replicas: 2 does not work without the Lease"),
    ({"serviceAccount": {"create": False}}, 'serviceAccount.name: "" grants these Pods\' rights to'),
    ({"exchange": {**EXCHANGE, "serviceAccount": {"create": False}}}, 'exchange.serviceAccount.name: "" grants'),
    ({"crds": {"keep": False}, "policies": {"enabled": True}}, "crds.keep: false cannot be obeyed beside policies"),
    ({"crds": {"keep": False}, "watchNamespaces": ["a"]}, "crds.keep: false deletes the objects of all namespaces"),
    ({"exchange": {"endpoints": ["https://x.example.com"]}}, "exchange.endpoints: [https://x.example.com] lead to"),
    (
        {"exchange": {**EXCHANGE, "port": 9090}},
        "exchange.port: 9090 is where the exchange has its metrics; take another",
    ),
    ({"exchange": {"certificateSecretName": "x"}}, "exchange.certificateSecretName: x is of an exchange that does not"),
    (service(loadBalancerClass="x"), "exchange.service.loadBalancerClass: x is for no load balancer"),
    (service(loadBalancerSourceRanges=["::/0"]), "exchange.service.loadBalancerSourceRanges: [::/0] is for no load"),
    (
        service(type="LoadBalancer", loadBalancerSourceRanges=["10.0.0.1/8"]),
        "exchange.service.loadBalancerSourceRanges: 10.0.0.1/8 has bits set behind its prefix; write it like",
    ),
    (
        service(ipFamilyPolicy="SingleStack", ipFamilies=["IPv4", "IPv6"]),
        "exchange.service.ipFamilies: [IPv4 IPv6] are more than",
    ),
    ({"commonLabels": {"helm.sh/chart": "x"}}, "commonLabels: helm.sh/chart is what the chart gives itself; take"),
    ({"podLabels": {"app.kubernetes.io/component": "x"}}, "podLabels: app.kubernetes.io/component is what the chart"),
    ({"hooks": {"podLabels": {"app.kubernetes.io/name": "x"}}}, "hooks.podLabels: app.kubernetes.io/name is what"),
    (service(nodePort=30443), "exchange.service.nodePort: 30443 is for no port"),
    (service(type="NodePort", nodePort=80), "exchange.service.nodePort: 80 is not a port that nodes give"),
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


def told(network: str) -> str:
    """Return what is said of a network that the operator shall not dial; nothing if it is taken."""
    try:
        rendered({"network": {"forbid": [network]}})
    except HelmRenderError as refusal:
        return str(refusal).splitlines()[1].removeprefix(f"network.forbid: {network} ").partition(";")[0]
    return ""


@pytest.mark.parametrize(
    "network",
    [
        *("0.0.0.0/0", "10.0.0.0/8", "172.16.0.0/12", "192.0.2.7/32", "198.18.0.0/15", "10.20.30.0/24"),
        *("::/0", "::1/128", "fe80::/10", "2001:db8::/32", "2001:db8:0:0:1::/80", "1:2:3:4:5:6:7:8/128", "fc00::/7"),
    ],
)
def test_networks_are_taken(network: str) -> None:
    assert ip_network(network)
    assert told(network) == ""


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        *((each, "has bits set behind its prefix") for each in ("10.0.0.1/8", "172.24.0.0/12", "192.0.2.7/31")),
        *((each, "has bits set behind its prefix") for each in ("::1/0", "2001:db8::1/127", "fe80:8000::/16")),
        *((each, "has no IPv4 or IPv6 address before the /") for each in ("256.0.0.0/8", "10.0.0/8", "010.0.0.0/8")),
        *((each, "has no IPv4 or IPv6 address before the /") for each in ("1:2:3:4/64", "::1::/64", ":::/0", "1:/8")),
    ],
)
def test_networks_that_the_operator_would_not_take_are_refused(network: str, problem: str) -> None:
    with pytest.raises(ValueError, match=r"does not appear to be|has host bits set"):
        ip_network(network)
    assert told(network) == problem


@pytest.mark.parametrize("amount", ["100m", "1.5", "512Mi", "1Gi", "1e3", 2, 0.5])
def test_quantities_are_texts_or_numbers(amount: str | float) -> None:
    made = objects(rendered({"resources": {"limits": {"cpu": amount}}}))
    (operator,) = (each for each in made if each["kind"] == "Deployment")
    assert operator["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] == amount


@pytest.mark.parametrize("repository", ["x", "a/b", "localhost:5000/pbx-operator", "ghcr.io/x_y/pbx--operator.v2"])
def test_repositories_are_taken(repository: str) -> None:
    assert f"image: {repository}:" in rendered({"image": {"repository": repository}})["operator.yaml"]


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


def test_the_programs_have_these_log_levels() -> None:
    assert VALUES[".logLevel"]["enum"] == list(LEVELS)


def test_descriptions_are_sentences() -> None:
    texts = [schema["description"] for path, schema in VALUES.items() if "description" in schema]
    assert [text for text in texts if not text.endswith((".", ")"))] == []


def test_the_chart_itself_is_closed() -> None:
    assert values_schema()["additionalProperties"] is False


def test_the_defaults_are_what_the_chart_has_without_values() -> None:
    assert rendered({}) == rendered(dumped(Values()))


def dumped(group: Group) -> Manifest:
    return group.model_dump(mode="json", by_alias=True)
