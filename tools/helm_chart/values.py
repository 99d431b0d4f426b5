"""The values of the chart: names, bounds, defaults and meaning.

They are the only source of `values.yaml`, `values.schema.json` and the reference in the chart's README, which
`documents` writes.  What the values do is said by the templates.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from helm_chart.groups import (
    Enabled,
    Group,
    KubernetesObject,
    Labels,
    LocalObjectReference,
    MonitorValues,
    PodDisruptionBudgetValues,
    PodValues,
    Port,
    ResourceValues,
    ServiceAccountValues,
    StringMap,
    Unique,
)
from pbx_operator.api.v1alpha1.shared import DomainSuffix, Endpoint, NamespaceName

NAME = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"
Name = Annotated[str, Field(max_length=53, pattern=NAME)]
Network = Annotated[
    str,
    Field(max_length=43, pattern=r"^([0-9.]+/(3[0-2]|[12]?[0-9])|[0-9a-f:]+/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$"),
]
"""The template `_networks.tpl` has the rest of the rule."""
Repository = Annotated[
    str,
    Field(max_length=255, pattern=r"^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*$"),
]
"""As in OCI: a tag or a digest is not part of it."""


class ImageValues(Group):
    """The image of all Pods of this chart."""

    repository: Repository = "ghcr.io/pbx-operator/pbx-operator"
    """Registry and name, without tag and digest."""
    tag: Annotated[str, Field(max_length=128, pattern=r"^([A-Za-z0-9_][A-Za-z0-9._-]*)?$")] = ""
    """Tag; empty means the chart's appVersion."""
    digest: Annotated[str, Field(max_length=71, pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    """Digest, for example `sha256:…` with 64 hexadecimal digits. It decides if it is set, and the tag does not."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When nodes pull the image."""


class LeaderElectionValues(Group):
    """The Lease that says which operator works; the others stand by."""

    enabled: bool = True
    """Whether an operator works only while it holds the Lease. Then an upgrade starts the new one beside the old one,
    and takes over within 2 s; one that does not start stops nothing. The cost: after a crash, also of a container that
    restarts at once, nobody works for up to 14 s. Without the Lease there is one operator, and it ends before the
    next one starts."""


class NetworkValues(Group):
    """Which addresses the operator dials for peers and providers. Local ones are forbidden anyway."""

    forbid: Annotated[list[Network], Unique] = Field([])
    """Networks that are never dialled, for example the cluster's Pods and Services: `[10.0.0.0/8]`. Bits behind the
    prefix are 0: `10.0.0.1/8` is refused."""
    allow: Annotated[list[Network], Unique] = Field([])
    """Networks that are dialled although they are local or forbidden."""


class ExchangeServiceValues(Group):
    """The Service by which other clusters and boxes reach the exchange."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = "ClusterIP"
    """Type of the Service. TLS ends in the exchange: a load balancer must pass TCP through."""
    port: Port = 443
    """Port of the Service."""
    node_port: Annotated[int, Field(ge=0, le=32767)] = 0
    """Port on the nodes, of NodePort and LoadBalancer, from 30000 to 32767; 0 lets Kubernetes choose."""
    external_traffic_policy: Literal["Local", "Cluster"] = "Local"
    """Of NodePort and LoadBalancer. With Local the exchange sees who asks, and its limits count each address alone."""
    load_balancer_class: Annotated[str, Field(max_length=317)] = ""
    """Which implementation makes the load balancer; empty means the cluster's default. It cannot be changed later."""
    load_balancer_source_ranges: Annotated[list[Network], Unique] = Field([])
    """Who may come in through a LoadBalancer, where its implementation knows that; empty means everybody."""
    ip_family_policy: Literal["", "SingleStack", "PreferDualStack", "RequireDualStack"] = ""
    """Whether the Service has an IPv4 and an IPv6 address; empty means what Kubernetes decides."""
    ip_families: Annotated[list[Literal["IPv4", "IPv6"]], Field(max_length=2), Unique] = Field([])
    """Of which families, the first one first."""
    annotations: StringMap = Field({})
    """Annotations, for example for a cloud's load balancer."""


class IngressValues(Group):
    """An Ingress for the host names of `exchange.endpoints`.

    Its controller must pass TLS through: peers know the exchange by its own certificate.
    """

    enabled: bool = False
    """Whether to make an Ingress."""
    class_name: Annotated[str, Field(max_length=253)] = ""
    """IngressClass; empty means the cluster's default."""
    annotations: StringMap = Field({})
    """Annotations, among them the one by which your controller passes TLS through."""


class RouteValues(Group):
    """A Gateway API TLSRoute for the host names of `exchange.endpoints`.

    The Gateway's listener must have `tls.mode: Passthrough`.
    """

    enabled: bool = False
    """Whether to make a TLSRoute."""
    api_version: Annotated[str, Field(pattern=r"^gateway\.networking\.k8s\.io/v1[a-z0-9]*$")] = (
        "gateway.networking.k8s.io/v1"
    )
    """API version of TLSRoute that the cluster serves."""
    parent_refs: list[KubernetesObject] = Field([])
    """Gateways to attach to (ParentReference), for example `[{name: public, sectionName: tls}]`."""
    annotations: StringMap = Field({})
    """Annotations of the TLSRoute."""


class ExchangeValues(PodValues):
    """Servers that answer operators of other clusters, and boxes. Without them this installation only dials."""

    enabled: bool = False
    """Whether to run exchange servers."""
    endpoints: Annotated[list[Endpoint], Field(max_length=4), Unique] = Field([])
    """Where others reach the exchange, for example `[https://pbx.example.com]`, with the port unless it is 443; keys
    carry these addresses. With a LoadBalancer that port is `exchange.service.port`."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 2
    """How many servers; they keep nothing, so any number may run."""
    port: Annotated[int, Field(ge=1024, le=65535)] = 8443
    """Port on which the containers listen."""
    certificate_secret_name: Annotated[str, Field(max_length=253)] = ""
    """Secret with `tls.crt` and `tls.key` to show. Whoever renews it keeps the key, by which peers know the exchange.
    Empty: the operator makes and renews a certificate."""
    service: ExchangeServiceValues = ExchangeServiceValues()
    ingress: IngressValues = IngressValues()
    route: RouteValues = RouteValues()
    pod_disruption_budget: PodDisruptionBudgetValues = PodDisruptionBudgetValues()
    service_account: ServiceAccountValues = ServiceAccountValues()
    resources: ResourceValues = ResourceValues(requests={"cpu": "50m", "memory": "96Mi"}, limits={"memory": "256Mi"})


class CrdValues(Group):
    """The CustomResourceDefinitions of this operator."""

    enabled: bool = True
    """Whether this release installs and upgrades the CustomResourceDefinitions. One release per cluster does."""
    keep: bool = True
    """Whether they stay when the release is uninstalled. Their deletion deletes every object of these kinds, also those
    of other releases; not with `policies.enabled` or `watchNamespaces`."""


class RbacValues(Group):
    """Roles and who has them."""

    create: bool = True
    """Whether to make roles and bindings for the service accounts."""
    aggregate_roles: bool = True
    """Whether the cluster's roles view, edit and admin include the kinds of this operator. CommServers are written by
    admin alone: with one, a box from stock can be claimed in any namespace."""


class NetworkPolicyValues(Group):
    """NetworkPolicies for the operator, the exchange and the Pods of Helm's hooks."""

    enabled: bool = False
    """Whether to make NetworkPolicies."""
    api_server_ports: Annotated[list[Port], Unique] = Field([443, 6443])
    """TCP ports of the API server."""
    peer_ports: Annotated[list[Port], Unique] = Field([443, 8443])
    """TCP ports of peers and providers that the operator dials."""
    metrics_from: list[KubernetesObject] = Field([])
    """Who may read metrics (NetworkPolicyPeer), for example the namespace of Prometheus; empty means everybody."""


class MetricsServiceValues(Group):
    """Services for metrics, without a cluster IP; that of the operator also has its health port."""

    enabled: bool = True
    """Whether to make Services for metrics."""
    annotations: StringMap = Field({})
    """Annotations of these Services."""


class RuleValues(Group):
    """A PrometheusRule with the alerts (prometheus-operator)."""

    enabled: bool = False
    """Whether to make a PrometheusRule."""
    labels: Labels = Field({})
    """Labels by which your Prometheus selects it."""


class DashboardValues(Group):
    """A ConfigMap with the dashboard, for Grafana's sidecar."""

    enabled: bool = False
    """Whether to make the ConfigMap."""
    labels: Labels = Field({"grafana_dashboard": "1"})
    """Labels by which the sidecar finds it."""
    annotations: StringMap = Field({})
    """Annotations, for example the folder in Grafana."""


class MetricsValues(Group):
    """What watches the operator and the exchange."""

    service: MetricsServiceValues = MetricsServiceValues()
    service_monitor: MonitorValues = MonitorValues()
    pod_monitor: MonitorValues = MonitorValues()
    prometheus_rule: RuleValues = RuleValues()
    dashboard: DashboardValues = DashboardValues()


class PolicyValues(Group):
    """ValidatingAdmissionPolicies: what the API server refuses whatever rights somebody has.

    Protected objects and CustomResourceDefinitions in use are not deleted, and only this operator writes records and
    slices.
    """

    enabled: bool = False
    """Whether to make them. One release per cluster does."""
    writers: Annotated[list[Annotated[str, Field(min_length=1)]], Unique] = Field([])
    """Users besides this release's service accounts that may write records and slices, for example those of another
    release: `[system:serviceaccount:pbx-other:pbx-operator]`."""


class HookValues(Group):
    """The Pods of Helm's hooks, which run `pbx-operator check`: the guard before an uninstallation, and `helm test`.

    They have what the values say of the operator's Pods, and this.
    """

    pod_labels: Labels = Field({})
    """Labels besides `podLabels`, and before them."""
    pod_annotations: StringMap = Field({})
    """Annotations besides `podAnnotations`, and before them: for example `{sidecar.istio.io/inject: "false"}`, where a
    sidecar would keep the Pods from ending."""
    resources: ResourceValues = ResourceValues(requests={"cpu": "50m", "memory": "96Mi"}, limits={"memory": "256Mi"})


class UninstallValues(Group):
    """The guard before an uninstallation."""

    force: bool = False
    """Whether to uninstall although objects are left that only this operator can let go. They, and their namespaces,
    then stay in deletion for ever."""


class Values(PodValues):
    """Values of the pbx-operator chart."""

    image: ImageValues = ImageValues()
    image_pull_secrets: Annotated[list[LocalObjectReference], Unique] = Field([])
    """Secrets for the registry, for example `[{name: registry-login}]`."""
    name_override: Name = ""
    """Replaces the chart's name in names and labels."""
    fullname_override: Annotated[str, Field(max_length=40, pattern=NAME)] = ""
    """Replaces release and chart name in the names of objects; what is put behind it has room then."""
    namespace_override: Annotated[str, Field(max_length=63, pattern=NAME)] = ""
    """Namespace of the installation; empty means that of the release."""
    common_labels: Labels = Field({})
    """Labels of everything that the release makes, besides those of the chart."""
    replicas: Annotated[int, Field(ge=0, le=10)] = 1
    """How many operators run. One works, and the others stand by."""
    leader_election: LeaderElectionValues = LeaderElectionValues()
    watch_namespaces: Annotated[list[NamespaceName], Unique] = Field([])
    """Look after these namespaces only, with rights in no other; they must exist. Empty means all namespaces."""
    domain_suffix: DomainSuffix = "pbx.local"
    """Domain below which accounts without spec.sipDomain get theirs."""
    workers: Annotated[int, Field(ge=1, le=256)] = 16
    """How many accounts and Interlinks are worked on at the same time."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log lines that are written."""
    sync_interval_seconds: Annotated[int, Field(ge=1, le=60)] = 60
    """Seconds between two syncs with another installation where nothing changes. Those that cannot dial
    this one know by these syncs that it lives, so at most 60."""
    after_restore: bool = False
    """A backup is being restored: for 10 minutes after each start, records are left alone. Set it back afterwards."""
    network: NetworkValues = NetworkValues()
    exchange: ExchangeValues = ExchangeValues()
    crds: CrdValues = CrdValues()
    rbac: RbacValues = RbacValues()
    service_account: ServiceAccountValues = ServiceAccountValues()
    resources: ResourceValues = ResourceValues(requests={"cpu": "100m", "memory": "192Mi"}, limits={"memory": "512Mi"})
    pod_disruption_budget: PodDisruptionBudgetValues = PodDisruptionBudgetValues()
    network_policy: NetworkPolicyValues = NetworkPolicyValues()
    metrics: MetricsValues = MetricsValues()
    policies: PolicyValues = PolicyValues()
    hooks: HookValues = HookValues()
    uninstall: UninstallValues = UninstallValues()
    tests: Annotated[Enabled, Field(description="The Pod of `helm test`.")] = Enabled(enabled=True)
    extra_objects: list[KubernetesObject] = Field([])
    """Further objects of this release; strings in them may be templates."""
