"""What all kinds have in common: the base model, object metadata, conditions and resource types.

The pydantic models of this package are the only source of the API: the CRDs, the reference pages and the
parsing at the operator's door all come from them.  Models are frozen, so that a parsed object can be shared
between workers and compared by value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from pbx_operator.api.schema import Definition

GROUP = "pbx-operator.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
TEARDOWN_FINALIZER = f"{GROUP}/teardown"
"""Keeps an object until its teardown on both sides is recorded."""
ALLOW_DELETION_ANNOTATION = f"{GROUP}/allow-deletion"
"""What the policies want to see on an EquipmentRecord before they let it be deleted; see docs/policies.md."""
RECONCILE_ANNOTATION = f"{GROUP}/reconcile-requested-at"
"""A user sets it to any new token to ask for a fresh look; `status.lastHandledReconcileAt` echoes it."""
TOKEN_LENGTH = 256
"""Characters of that token that count; an annotation may be far longer than a field."""

MAX_EXACT_INTEGER = 2**53 - 1
"""The largest integer that every reader of JSON keeps exactly; bounds generations, which grow by one per edit."""

_INITIALISMS = {"id": "ID", "uid": "UID", "uri": "URI"}


def camel_case(name: str) -> str:
    """Turn a Python field name into the Kubernetes one: `key_id` becomes `keyID`."""
    first, *rest = name.split("_")
    return first + "".join(_INITIALISMS.get(word, word.capitalize()) for word in rest)


def in_utc(time: datetime) -> datetime:
    """Return the same moment in UTC. Raises ValueError if UTC has no year for it, as at the end of the year 9999."""
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is not in the years 1 to 9999 of UTC") from error


def format_time(time: datetime) -> str:
    """Render a time as metav1.Time does: RFC 3339, UTC, whole seconds, four digits for the year."""
    return in_utc(time).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


_NOT_RECORDED: set[str] = set()

Time = Annotated[datetime, AfterValidator(in_utc), PlainSerializer(format_time, return_type=str)]
"""A metav1.Time: UTC with a resolution of one second."""


class Model(BaseModel):
    """Base of everything that is part of an object; unknown fields are dropped, as the API server does."""

    model_config = ConfigDict(
        alias_generator=camel_case,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    def model_post_init(self, _: Any) -> None:
        """Drop pydantic's record of which fields were given: it takes more than half of the memory of an object."""
        object.__setattr__(self, "__pydantic_fields_set__", _NOT_RECORDED)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form that the API server stores: camel case, absent fields left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class OwnerReference(Model):
    """The part of a metav1.OwnerReference that decides whether a child is ours."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


def _own_annotations(annotations: Any) -> Any:
    """Keep the one annotation that the operator reads; tools write many, and large ones."""
    if not isinstance(annotations, dict):
        return annotations
    return {k: v for k, v in annotations.items() if k == RECONCILE_ANNOTATION}


class ObjectMeta(Model):
    """The part of metav1.ObjectMeta that the operator uses."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    finalizers: tuple[str, ...] = ()
    owner_references: tuple[OwnerReference, ...] = ()
    annotations: Annotated[dict[str, str], BeforeValidator(_own_annotations)] = Field(default_factory=dict)

    @property
    def deleting(self) -> bool:
        """Whether somebody asked for the deletion of this object."""
        return self.deletion_timestamp is not None

    @property
    def reconcile_requested_at(self) -> str | None:
        """The token of the reconcile-requested annotation, if any: as much of it as the status can echo."""
        token = self.annotations.get(RECONCILE_ANNOTATION)
        return None if token is None else token[:TOKEN_LENGTH]


ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(Model):
    """A metav1.Condition."""

    type: Annotated[str, Field(max_length=316, pattern=r"^[A-Za-z]([A-Za-z0-9._/-]*[A-Za-z0-9])?$")]
    """type is the name of the condition in CamelCase, for example `Ready`."""
    status: ConditionStatus
    """status is `True`, `False`, or `Unknown` when the operator could not look."""
    observed_generation: Annotated[int, Field(ge=0, le=MAX_EXACT_INTEGER)] | None = None
    """observedGeneration is the metadata.generation for which the condition was found."""
    last_transition_time: Time
    """lastTransitionTime is when `status` last changed from one value to another."""
    reason: Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    """reason is one word out of the closed table in the reference, for programs."""
    message: Annotated[str, Field(max_length=32768)]
    """message is the explanation for people, with the next step where there is one."""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How the API server names one kind."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The `apiVersion` of objects of this kind."""
        return f"{self.group}/{self.version}" if self.group else self.version


class ObjectKey(NamedTuple):
    """Namespace (empty for cluster-scoped kinds) and name of an object; a tuple, since it is looked up all the time."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Resource(Model):
    """An object of one of our kinds."""

    resource: ClassVar[ResourceType]
    definition: ClassVar[Definition]
    metadata: ObjectMeta

    @property
    def key(self) -> ObjectKey:
        """Where the object is."""
        return ObjectKey(self.metadata.namespace, self.metadata.name)


SECRETS = ResourceType("", "v1", "Secret", "secrets")
NAMESPACES = ResourceType("", "v1", "Namespace", "namespaces", namespaced=False)
LEASES = ResourceType("coordination.k8s.io", "v1", "Lease", "leases")
EVENTS = ResourceType("events.k8s.io", "v1", "Event", "events")
