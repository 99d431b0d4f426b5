"""Links as a person makes them, and what can be seen of them."""

from __future__ import annotations

import base64
import json

from e2e.cluster import Cluster

WAIT = "--timeout=120s"


def carry_key(issuer: Cluster, redeemer: Cluster, office: str) -> None:
    """Bring the key that Paris made for an office into the office's namespace, as the examples expect it."""
    secret = json.loads(issuer.kubectl("get", "secret", f"to-{office}-key", "-n", "paris", "-o", "json"))
    literal = f"--from-literal=key={base64.b64decode(secret['data']['key']).decode()}"
    redeemer.kubectl("create", "secret", "generic", "from-paris", "-n", office, literal)


def await_established(cluster: Cluster) -> None:
    """Wait until every Interlink is linked."""
    cluster.kubectl("wait", "--for=condition=Established", "interlinks", "--all", "--all-namespaces", WAIT)


def transitions(cluster: Cluster) -> list[str]:
    """Return when each Interlink's conditions changed last: a link that broke and came back shows another time."""
    path = "{.items[*].status.conditions[*].lastTransitionTime}"
    return cluster.kubectl("get", "interlinks", "--all-namespaces", "-o", f"jsonpath={path}").split()
