"""A client of the API server with nothing in it but aiohttp: what the operator's own client is compared with.

It also drives the benchmark, and counts its writes, so that the operator's are what is left of all.
"""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmark.figures import Call, Calls
from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.cluster.paths import collection_path, creation_path, object_path

LONGEST_LINE = 2**22
"""Bytes of the largest watch event."""


class Client:
    """One user's connections to the API server."""

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self.writes: Calls = Counter()
        """The writes that were answered without an error."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path) -> AsyncIterator[Client]:
        """Open the connections of the only user in a kubeconfig of the sandbox."""
        server, context = _credentials(kubeconfig)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
            read_bufsize=LONGEST_LINE,
        ) as session:
            yield cls(server, session)

    async def create(self, resource: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return await self._write("POST", resource, creation_path(resource, body), body)

    async def put(self, resource: ResourceType, body: dict[str, Any]) -> dict[str, Any]:
        """Replace an object."""
        key = ObjectKey(body["metadata"].get("namespace", ""), body["metadata"]["name"])
        return await self._write("PUT", resource, object_path(resource, key), body)

    async def patch(self, resource: ResourceType, key: ObjectKey, body: dict[str, Any]) -> dict[str, Any]:
        """Apply a JSON merge patch."""
        return await self._write(
            "PATCH", resource, object_path(resource, key), body, content_type="application/merge-patch+json"
        )

    async def delete(self, resource: ResourceType, key: ObjectKey) -> None:
        """Ask for the deletion of an object."""
        await self._write("DELETE", resource, object_path(resource, key))

    async def list(self, resource: ResourceType) -> dict[str, Any]:
        """Return all objects of a kind."""
        listing: dict[str, Any] = json.loads(await self.text(collection_path(resource)))
        return listing

    async def text(self, path: str) -> str:
        """Return what the API server serves at a path."""
        async with self._session.get(self._server + path) as response:
            response.raise_for_status()
            return await response.text()

    async def watch(self, resource: ResourceType, version: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield the type and object of every event after a resourceVersion, until cancelled."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "86400"}
        async with self._session.get(self._server + collection_path(resource), params=query) as response:
            response.raise_for_status()
            async for line in response.content:
                event = json.loads(line)
                yield event["type"], event["object"]

    async def _write(
        self,
        method: str,
        resource: ResourceType,
        path: str,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": content_type}
        async with self._session.request(method, self._server + path, data=data, headers=headers) as response:
            text = await response.text()
            if not response.ok:
                raise RuntimeError(f"{method} {path}: {response.status}: {text}")
        self.writes[Call(method, resource.plural)] += 1
        answer: dict[str, Any] = json.loads(text)
        return answer


def _credentials(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """Return the server and the TLS settings that a kubeconfig of the sandbox names."""
    config = json.loads(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    return cluster["server"], context
