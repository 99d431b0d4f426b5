"""What the operator must be allowed to do, as rules of RBAC: `examples/install/rbac.yaml` and the chart grant it.

It never lists or watches Secrets.  With `--watch-namespace`, WATCHED is needed in these namespaces only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pbx_operator.api.meta import EVENTS, GROUP, LEASES, SECRETS
from pbx_operator.engine.identity import IDENTITY_SECRET
from pbx_operator.exchange.secret_pairs import CERTIFICATE_SECRET

_READ = ("get", "list", "watch")
_WRITE = ("create", "update", "delete")


@dataclass(frozen=True, slots=True)
class Rule:
    """A PolicyRule: every verb on every resource; with names, on the objects of these names only."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one resource; `namespace` is empty for all of them, `name` for objects of any name."""

    namespace: str
    group: str
    resource: str
    """The plural, with `/` and the subresource if it is about one."""
    verb: str
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {what}{f' {self.name}' if self.name else ''}"


WATCHED = (
    Rule(GROUP, ("pbxaccounts", "commservers"), (*_READ, "patch")),
    Rule(GROUP, ("internalnumbers",), _READ),
    Rule(GROUP, ("interlinks",), (*_READ, "patch", "delete")),
    Rule(
        GROUP, ("pbxaccounts/status", "interlinks/status", "internalnumbers/status", "commservers/status"), ("update",)
    ),
    Rule(GROUP, ("dialplanslices",), (*_READ, *_WRITE)),
    Rule(SECRETS.group, (SECRETS.plural,), ("get", "create", "delete")),
    Rule(EVENTS.group, (EVENTS.plural,), ("create",)),
)
"""In each namespace that is looked after, or in all."""
EVERYWHERE = (
    Rule(GROUP, ("linkrecords", "equipmentrecords"), (*_READ, *_WRITE)),
    Rule(GROUP, ("linkrecords/status", "equipmentrecords/status"), ("update",)),
    Rule("", ("namespaces",), ("get",), names=("kube-system",)),
)
"""On kinds without a namespace."""
HOME = (
    Rule(SECRETS.group, (SECRETS.plural,), ("get", "update"), names=(IDENTITY_SECRET, CERTIFICATE_SECRET)),
    Rule(SECRETS.group, (SECRETS.plural,), ("create",)),
    Rule(LEASES.group, (LEASES.plural,), ("get", "create", "update")),
)
"""In the operator's own namespace."""


def permissions(rules: Collection[Rule], namespace: str = "") -> Iterator[Permission]:
    """Return each thing that rules allow in a namespace, or in all."""
    for rule in rules:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.names or ("",):
                    yield Permission(namespace, rule.group, resource, verb, name)


def needed(home: str, watched: Collection[str]) -> dict[str, list[Permission]]:
    """Return what an operator of this namespace needs, by where, in words; no watched namespace means all."""
    places = {f"in namespace {namespace}": list(permissions(WATCHED, namespace)) for namespace in sorted(watched)}
    places = places or {"in all namespaces": list(permissions(WATCHED))}
    own = f"in its own namespace {home}"
    return {"in the cluster": list(permissions(EVERYWHERE)), **places, own: list(permissions(HOME, home))}
