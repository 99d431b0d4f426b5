"""Groups of values that occur more than once in the chart, and the types of their fields."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

KubernetesObject = dict[str, Any]
"""A part of a Kubernetes object that the chart hands on: the API server knows its fields, the chart does not."""
StringMap = dict[str, str]
_LABEL = "([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"
Labels = Annotated[
    dict[str, Annotated[str, Field(pattern=f"^({_LABEL})?$")]],
    Field(json_schema_extra={"propertyNames": {"pattern": f"^([a-z0-9]([-a-z0-9.]{{0,251}}[a-z0-9])?/)?{_LABEL}$"}}),
]
"""Labels as Kubernetes takes them: it would refuse others only when the release is half there."""
Unique = Field(json_schema_extra={"uniqueItems": True})
"""Of a list: nothing is in it twice."""
Quantity = Annotated[
    str | float,
    WithJsonSchema(
        {
            "type": ["string", "number"],
            "pattern": r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|e[0-9]+)?$",
            "minimum": 0,
        }
    ),
]
"""An amount as Kubernetes writes it, `250m` or `1.5Gi`; in YAML, a number without a unit is no text."""
Quantities = dict[str, Quantity]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h))?$")]
Port = Annotated[int, Field(ge=1, le=65535)]


class Group(BaseModel):
    """Values that belong together; unknown ones are refused, and the docstrings are what users read."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, use_attribute_docstrings=True
    )


class Enabled(Group):
    """Something that is on or off."""

    enabled: bool = False
    """Whether it is on."""


class LocalObjectReference(Group):
    """An object of the installation's namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """Its name."""


class ResourceValues(Group):
    """CPU and memory of the container."""

    requests: Quantities = Field({})
    """What the scheduler reserves."""
    limits: Quantities = Field({})
    """What the container may use at most."""


class ServiceAccountValues(Group):
    """The service account of the Pods."""

    create: bool = True
    """Whether to make it."""
    name: Annotated[str, Field(max_length=253)] = ""
    """Its name; empty means one that follows from the release, and is refused where the chart does not make it."""
    annotations: StringMap = Field({})
    """Its annotations."""


class PodDisruptionBudgetValues(Group):
    """A PodDisruptionBudget, made if there is more than one replica: with one it could only block drains."""

    enabled: bool = True
    """Whether to make one."""
    max_unavailable: Annotated[int, Field(ge=1, le=100)] = 1
    """How many Pods a drain may take at the same time."""


class MonitorValues(Group):
    """A ServiceMonitor or PodMonitor (prometheus-operator); one of them is enough."""

    enabled: bool = False
    """Whether to make it."""
    labels: Labels = Field({})
    """Labels by which your Prometheus selects it."""
    interval: Duration = ""
    """Time between two scrapes, for example `30s`; empty means that of Prometheus."""
    scrape_timeout: Duration = ""
    """Time that a scrape may take, at most the interval; empty means that of Prometheus."""
    relabelings: list[KubernetesObject] = Field([])
    """Changes of labels before a scrape (RelabelConfig)."""
    metric_relabelings: list[KubernetesObject] = Field([])
    """Changes of what was scraped (RelabelConfig)."""


class PodValues(Group):
    """What administrators may say about Pods: where they run, and what is added to them."""

    pod_labels: Labels = Field({})
    """Labels of the Pods, besides those of the chart."""
    pod_annotations: StringMap = Field({})
    """Annotations of the Pods."""
    deployment_annotations: StringMap = Field({})
    """Annotations of the Deployment."""
    node_selector: Labels = Field({})
    """Labels of the nodes on which the Pods may run."""
    affinity: KubernetesObject = Field({})
    """Affinity of the Pods (Affinity). Without `podAntiAffinity` they avoid nodes and zones that have one already."""
    tolerations: list[KubernetesObject] = Field([])
    """Taints that the Pods tolerate (Toleration)."""
    topology_spread_constraints: list[KubernetesObject] = Field([])
    """How else the Pods spread (TopologySpreadConstraint)."""
    priority_class_name: Annotated[str, Field(max_length=253)] = ""
    """PriorityClass of the Pods."""
    runtime_class_name: Annotated[str, Field(max_length=253)] = ""
    """RuntimeClass of the Pods."""
    host_aliases: list[KubernetesObject] = Field([])
    """Names that the Pods know without DNS (HostAlias)."""
    dns_config: KubernetesObject = Field({})
    """Name servers, search domains and options of the Pods (PodDNSConfig)."""
    extra_env: list[KubernetesObject] = Field([])
    """Further environment variables of the container (EnvVar). Those that name a proxy are not used: neither the API
    server nor peers are reached by one."""
    extra_volumes: list[KubernetesObject] = Field([])
    """Further volumes of the Pods (Volume)."""
    extra_volume_mounts: list[KubernetesObject] = Field([])
    """Where the container mounts them (VolumeMount)."""
