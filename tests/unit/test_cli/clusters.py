"""A cluster of objects in memory, in the place of the one that a command asks."""

from __future__ import annotations

from typing import Any, Self

from pbx_operator.api.meta import NAMESPACES, ObjectKey, ResourceType
from pbx_operator.cluster import ApiError, Gone, Listing
from pbx_operator.cluster.credentials import Credentials


class FakeCluster:
    """Objects in memory; `failure` is raised by every call, `credentials` is what the command chose."""

    def __init__(self) -> None:
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.failure: Exception | None = None
        self.namespaces_failure: ApiError | None = None
        self.credentials = Credentials(None)

    def connect(self, credentials: Credentials, **_: object) -> Self:
        self.credentials = credentials
        return self

    async def __aenter__(self) -> Self:
        await self.credentials.load()
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get(self, resource: ResourceType, key: ObjectKey) -> dict[str, Any]:
        if resource == NAMESPACES and self.namespaces_failure is not None:
            raise self.namespaces_failure
        for item in (await self.list(resource, key.namespace)).items:
            if item["metadata"]["name"] == key.name:
                return item
        raise Gone(f"GET {key}: not found", status=404)

    async def list(self, resource: ResourceType, namespace: str) -> Listing:
        if self.failure is not None:
            raise self.failure
        items = self.objects.get(resource.plural, [])
        return Listing([i for i in items if i["metadata"].get("namespace", "") == namespace], "1")


KUBECONFIG = """
clusters: [{name: c, cluster: {server: "https://api.example"}}, {name: d, cluster: {server: "https://other.example"}}]
users: [{name: u, user: {token: t}}]
contexts:
  - {name: plain, context: {cluster: c, user: u}}
  - {name: elsewhere, context: {cluster: d, user: u, namespace: other}}
current-context: plain
"""
