"""What tests of providers have in common: the Secrets with the logins, and the network where the simulators are."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from builders import NAMESPACE
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.cluster import Cluster, Gone
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.providers.http import Account, Accounts, Dialler

LOOPBACK = NetworkRules(allowed=(ip_network("127.0.0.0/8"),))


def accounts(rules: NetworkRules, monotonic: Callable[[], float]) -> Accounts:
    """Return the ways to providers in a network, on a test's clock."""
    return Accounts(lambda endpoint: Account(Dialler(rules), endpoint, monotonic))


class Secrets(Cluster):
    """The Secrets of a namespace."""

    def __init__(self) -> None:
        self._versions = itertools.count(1)
        self._raw: dict[ObjectKey, dict[str, Any]] = {}

    def write(self, name: str, **entries: str) -> None:
        data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
        self._raw[ObjectKey(NAMESPACE, name)] = {
            "metadata": {"resourceVersion": str(next(self._versions))},
            "data": data,
        }

    async def get(self, resource: ResourceType, key: ObjectKey) -> dict[str, Any]:
        if key not in self._raw:
            raise Gone(f"{key} is not there")
        return self._raw[key]
