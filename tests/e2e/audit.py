"""What pods asked of the API server, as it noted that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from chart.rights import Right
from e2e.cluster import Cluster
from e2e.release import OPERATOR


class Request(NamedTuple):
    """A request of a pod, as the API server noted it."""

    home: str
    """The namespace of its service account."""
    account: str
    pod: str
    verb: str
    uri: str
    asked: dict[str, str]
    allowed: bool
    """Whether it was authorized; that a namespace is being deleted, for example, is asked after that."""

    def needs(self, right: Right) -> bool:
        """Tell whether this right, which the chart grants a release in NAMESPACE, was needed for it."""
        resource = "/".join(filter(None, (self.asked.get("resource"), self.asked.get("subresource"))))
        return (
            (self.verb, self.asked.get("apiGroup", ""), resource) == (right.verb, right.group, right.resource)
            and (right.namespace == "" or self.asked.get("namespace") == self.home)
            and right.name in ("", self.asked.get("name"))
        )


def requests_of(cluster: Cluster) -> list[Request]:
    """Return all requests of pods, the oldest first; of a cluster whose audit log is known."""
    assert cluster.audit is not None
    return list(map(_request, cluster.audit.read_text(encoding="utf-8").splitlines()))


def until_the_end(home: str, noted: list[Request]) -> Iterator[Request]:
    """Return the requests of a release until the guard's pod let its uninstallation begin.

    That takes the rights while the operator still gives its Lease back.
    """
    own = [each for each in noted if each.home == home]
    while own and not own[-1].pod.startswith(f"{OPERATOR}-pre-delete"):
        own.pop()
    return iter(own)


def _request(line: str) -> Request:
    event = json.loads(line)
    _, _, home, account = event["user"]["username"].split(":")
    (pod,) = event["user"]["extra"]["authentication.kubernetes.io/pod-name"]
    decision = event["annotations"]["authorization.k8s.io/decision"]
    asked: dict[str, Any] = event.get("objectRef", {})
    return Request(home, account, pod, event["verb"], event["requestURI"], asked, decision == "allow")
