"""The only speaker to the Kubernetes API (watches apart, which kopf holds).

Plain aiohttp and plain JSON: a call through the generated client costs two to three times the CPU.  Nothing is
retried in here, neither by this code nor by aiohttp: a write without an answer may have happened, and only the
caller can look and decide.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import aiohttp
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from yarl import URL

from pbx_operator.api.meta import SECRETS, ObjectKey, ResourceType
from pbx_operator.cluster.credentials import Credentials, find_kubeconfig
from pbx_operator.cluster.errors import Answer, Unavailable, api_error
from pbx_operator.cluster.paths import collection_path, creation_path, object_path
from pbx_operator.network.dialling import never_resend

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

FIELD_MANAGER = "pbx-operator"
"""The manager that metadata.managedFields shows for our writes."""
PAGE_SIZE = 500
"""Objects per page of a list, as in client-go's pager."""
LIST_ATTEMPTS = 3
"""How often a list is begun when its pages expire (410) before the last one is read."""
TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
"""Seconds for one call, and for its connection including TLS."""

_WRITE = f"?fieldManager={FIELD_MANAGER}"
_JSON = "application/json"
_MERGE_PATCH = "application/merge-patch+json"
_KINDS_OF_SCHEMA = "x-kubernetes-group-version-kind"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def request_counter(registry: CollectorRegistry) -> Counter:
    """Return the counter of calls, under the name and labels that controller-runtime uses."""
    return Counter(
        "rest_client_requests_total",
        "Number of requests to the API server, by status code (`<error>` without an answer), method and host.",
        ("code", "method", "host"),
        registry=registry,
    )


REQUESTS = request_counter(REGISTRY)
"""The counter in the process-wide registry."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of one kind at one resourceVersion."""

    items: list[dict[str, Any]]
    resource_version: str


class Cluster:
    """One API server, reached through one pool of connections; use it as `async with Cluster.connect() as c`.

    Objects go in and come out as the JSON that the API server speaks.  Every method raises a subclass of
    ApiError when the call fails, and ValueError when the call makes no sense (no name, no namespace).
    """

    def __init__(self, credentials: Credentials, *, user_agent: str, requests: Counter) -> None:
        self._credentials = credentials
        self._user_agent = user_agent
        self._requests = requests
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def connect(
        cls, kubeconfig: str | None = None, *, user_agent: str = "pbx-operator", requests: Counter = REQUESTS
    ) -> Cluster:
        """Choose the cluster: the given kubeconfig, $KUBECONFIG, the Pod's service account, ~/.kube/config.

        Nothing is sent before the first call.  `async with` raises CredentialsError if the choice is unusable.
        """
        return cls(Credentials(find_kubeconfig(kubeconfig)), user_agent=user_agent, requests=requests)

    async def __aenter__(self) -> Self:
        await self._credentials.load()
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "Accept": _JSON},
            middlewares=(never_resend,),
            proxy=self._credentials.proxy,
            # The API server is near: compressing costs both sides more than it saves.
            skip_auto_headers=("Accept-Encoding",),
            timeout=TIMEOUT,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, resource: ResourceType, key: ObjectKey) -> dict[str, Any]:
        """Return an object; raise Gone if it is not there."""
        return await self._call("GET", resource, object_path(resource, key))

    async def create(self, resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object in the namespace that its metadata names; raise AlreadyExists if it is there."""
        return await self._call("POST", resource, creation_path(resource, body) + _WRITE, body)

    async def try_to_create(self, resource: ResourceType, body: Mapping[str, Any]) -> None:
        """Let the API server do all that comes before it stores an object, admission included, and nothing more."""
        await self._call("POST", resource, f"{creation_path(resource, body)}{_WRITE}&dryRun=All", body)

    async def put(self, resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace an object, except its status; raise Conflict unless its resourceVersion is the latest."""
        return await self._call("PUT", resource, object_path(resource, _versioned(body)) + _WRITE, body)

    async def put_status(self, resource: ResourceType, body: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the status of an object; raise Conflict unless its resourceVersion is the latest."""
        path = f"{object_path(resource, _versioned(body))}/status{_WRITE}"
        return await self._call("PUT", resource, path, body)

    async def patch(self, resource: ResourceType, key: ObjectKey, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Apply a JSON merge patch (RFC 7386); raise Conflict if it names an outdated resourceVersion.

        A merge patch replaces whole lists, so one that sets finalizers without a resourceVersion could remove
        those that others add meanwhile: it is refused with ValueError.
        """
        metadata = patch.get("metadata", {})
        if "finalizers" in metadata and not metadata.get("resourceVersion"):
            raise ValueError(f"{resource.kind} {key}: a patch of finalizers needs metadata.resourceVersion")
        path = object_path(resource, key) + _WRITE
        return await self._call("PATCH", resource, path, patch, content_type=_MERGE_PATCH)

    async def delete(
        self,
        resource: ResourceType,
        key: ObjectKey,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> dict[str, Any] | None:
        """Delete an object; raise Conflict if it has not this UID or resourceVersion.

        Return the object if a finalizer holds it still, and None if it is gone: the API server answers with a Status.
        """
        demanded = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {name: value for name, value in demanded.items() if value is not None}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        answer = await self._call("DELETE", resource, object_path(resource, key), body)
        return answer if answer["kind"] != "Status" else None

    async def list(self, resource: ResourceType, namespace: str = "", *, metadata_only: bool = False) -> Listing:
        """Return all objects of a kind, of one namespace or of all.

        With `metadata_only` the items are PartialObjectMetadata.  The list is read in pages of one and the same
        resourceVersion; it begins anew if that expires before the last page.
        """
        path = collection_path(resource, namespace)
        accept = _METADATA_LIST if metadata_only else _JSON
        for _ in range(LIST_ATTEMPTS - 1):
            try:
                return await self._list(resource, path, accept)
            except Unavailable as error:
                if error.status != HTTPStatus.GONE:
                    raise
        return await self._list(resource, path, accept)

    async def served(self, api_version: str) -> frozenset[str]:
        """Return the plurals of the kinds that the API server serves of one group and version; every login may ask."""
        document = await self._describe(f"/apis/{api_version}")
        return frozenset(resource["name"] for resource in document.get("resources", ()))

    async def schemas(self, api_version: str) -> dict[str, dict[str, Any]]:
        """Return the OpenAPI schema of each kind that is served of one group and version; every login may ask."""
        document = await self._describe(f"/openapi/v3/apis/{api_version}")
        schemas = document.get("components", {}).get("schemas", {}).values()
        return {kind["kind"]: schema for schema in schemas for kind in schema.get(_KINDS_OF_SCHEMA, ())}

    async def _describe(self, path: str) -> dict[str, Any]:
        """Return what the API server tells of itself; nothing where it has nothing to tell of."""
        try:
            return await self._call("GET", None, path)
        except Unavailable as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise

    async def _list(self, resource: ResourceType, path: str, accept: str) -> Listing:
        items: list[dict[str, Any]] = []
        query = {"limit": str(PAGE_SIZE)}
        while True:
            page = await self._call("GET", resource, f"{path}?{urlencode(query)}", accept=accept)
            items += page["items"] or []  # a metadata-only list of nothing has null
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return Listing(items, metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    async def _call(
        self,
        method: str,
        resource: ResourceType | None,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        accept: str = _JSON,
        content_type: str = _JSON,
    ) -> dict[str, Any]:
        """Make one call; return the object in the answer or raise what the answer means."""
        headers = {"Accept": accept}
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        call = f"{method} {path.partition('?')[0]}"
        try:
            answer = await self._send(method, path, headers, data)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = type(error).__name__
            raise Unavailable(f"{call}: {reason}: {error}", reason=reason) from error
        if answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return _document(call, answer)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._credentials.distrust()
        raise api_error(call, answer, confidential=resource == SECRETS)

    async def _send(self, method: str, path: str, headers: dict[str, str], data: bytes | None) -> Answer:
        """Send one request, read the whole answer and count the call."""
        if self._session is None:
            raise RuntimeError("the Cluster is not open: use it as `async with Cluster.connect() as cluster`")
        if authorization := await self._credentials.authorization():
            headers["Authorization"] = authorization
        url = URL(self._credentials.host + path, encoded=True)
        code = "<error>"
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,
                ssl=self._credentials.ssl_context,
                server_hostname=self._credentials.tls_server_name,
            ) as response:
                answer = Answer(response.status, response.headers, await response.read())
                code = str(answer.status)
                return answer
        finally:
            self._requests.labels(code, method, url.authority).inc()


def _versioned(body: Mapping[str, Any]) -> ObjectKey:
    """Return where an object to be replaced is; refuse one that would overwrite what it has not seen."""
    metadata = body["metadata"]
    key = ObjectKey(metadata.get("namespace", ""), metadata["name"])
    if not metadata.get("resourceVersion"):
        raise ValueError(f"{key}: replacing an object needs metadata.resourceVersion")
    return key


def _document(call: str, answer: Answer) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(answer.body)
    except ValueError as error:
        raise Unavailable(f"{call}: {answer.status}: not JSON", status=answer.status, reason="NotJSON") from error
    return document
