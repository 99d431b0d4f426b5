"""The API server as users reach it: past the fault proxy, with the rights of an administrator."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import aiohttp
from prometheus_client import CollectorRegistry

from pbx_operator.api.meta import ObjectKey, Resource, ResourceType
from pbx_operator.cluster import Cluster, Gone, request_counter
from pbx_operator.cluster.credentials import Credentials
from pbx_operator.cluster.paths import collection_path, object_path

Raw = dict[str, Any]
USER_AGENT = "tests"


def manifest(source: Resource | Raw) -> Raw:
    """Return what a user would apply to get this object; a manifest stays as it is."""
    if isinstance(source, dict):
        return source
    metadata = {"name": source.metadata.name, "namespace": source.metadata.namespace}
    spec = source.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]
    return {
        "apiVersion": source.resource.api_version,
        "kind": source.resource.kind,
        "metadata": {name: value for name, value in metadata.items() if value},
        "spec": spec,
    }


class Api:
    """One user's connection; `cluster` makes the plain calls, `apply` and `watch` are what it does not have."""

    def __init__(self, kubeconfig: Path) -> None:
        self._credentials = Credentials(str(kubeconfig))
        self.cluster = Cluster.connect(
            str(kubeconfig), user_agent=USER_AGENT, requests=request_counter(CollectorRegistry())
        )
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._credentials.load()
            await stack.enter_async_context(self.cluster)
            connector = aiohttp.TCPConnector(ssl=self._credentials.ssl_context, limit=0)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
            session = aiohttp.ClientSession(self._credentials.host, connector=connector, timeout=timeout)
            self._session = await stack.enter_async_context(session)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def find(self, resource: ResourceType, key: ObjectKey) -> Raw | None:
        """Return an object, or None if there is none."""
        try:
            return await self.cluster.get(resource, key)
        except Gone:
            return None

    async def apply(self, resource: ResourceType, body: Raw, *, manager: str = "tests") -> Raw:
        """Apply a manifest on the server's side, as `kubectl apply --server-side --force-conflicts` does."""
        metadata = body["metadata"]
        path = object_path(resource, ObjectKey(metadata.get("namespace", ""), metadata["name"]))
        headers = {"Content-Type": "application/apply-patch+yaml", "User-Agent": USER_AGENT}
        query = {"fieldManager": manager, "force": "true"}
        async with self._session.patch(path, params=query, data=json.dumps(body), headers=headers) as answer:
            text = await answer.text()
        assert answer.status < 300, f"apply {path}: {text}"
        applied: Raw = json.loads(text)
        return applied

    async def everything(self) -> list[Raw]:
        """Return every object of the cluster, of every kind that can be listed."""
        found: list[Raw] = []
        for root in ["/api/v1", *[f"/apis/{version}" for version in await self._group_versions()]]:
            for resource in (await self._get(root))["resources"]:
                if "list" in resource["verbs"] and "/" not in resource["name"]:
                    items = (await self._get(f"{root}/{resource['name']}"))["items"]
                    found += [{"kind": resource["kind"], **item} for item in items]
        return found

    async def _group_versions(self) -> list[str]:
        groups = (await self._get("/apis"))["groups"]
        return [version["groupVersion"] for group in groups for version in group["versions"]]

    async def _get(self, path: str) -> Raw:
        async with self._session.get(path, headers={"User-Agent": USER_AGENT}) as answer:
            assert answer.status == 200, f"{path}: {await answer.text()}"
            found: Raw = await answer.json()
            return found

    async def watch(self, resource: ResourceType, version: str) -> AsyncIterator[Raw]:
        """Yield the watch events of a kind after a resourceVersion, until the connection ends."""
        query = {"watch": "1", "resourceVersion": version}
        async with self._session.get(collection_path(resource), params=query, raise_for_status=True) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)
