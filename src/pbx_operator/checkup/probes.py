"""The parts of an installation, asked one by one; each answer is a Finding, and none of them raises."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from yarl import URL

from pbx_operator.api.meta import ResourceType, format_time
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice, DialPlanSliceSpec, Source
from pbx_operator.api.v1alpha1.shared import AccountReference
from pbx_operator.checkup.permissions import Permission
from pbx_operator.cluster import ApiError, Cluster, Forbidden, Gone
from pbx_operator.cluster.errors import explained
from pbx_operator.domain.protocol.endpoints import HostPort, parse_endpoint
from pbx_operator.engine.identity import usable_identity
from pbx_operator.engine.sync import require_definitions
from pbx_operator.exchange.certificates import CertificateError, Mounted
from pbx_operator.exchange.pinning import pin_of, pinned_context
from pbx_operator.exchange.secret_pairs import CERTIFICATE_SECRET, SecretPairs
from pbx_operator.network.dialling import TooLongError, failure, read_body

TIMEOUT = 10.0
"""Seconds for each question."""
MAX_METRICS = 4 * 1024 * 1024
"""Bytes of the longest answer."""
EVERY_PROCESS_HAS = "rest_client_requests_total"
"""A metric of both, the operator at work and one that stands by."""

_ACCESS_REVIEW = ResourceType(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", namespaced=False
)


class ProbeError(Exception):
    """A part is not as it should be; the text says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a question has shown; without a problem all is well."""

    subject: str
    problem: str = ""
    fact: str = ""

    def __str__(self) -> str:
        if self.problem:
            return f"FAILED  {self.subject}: {self.problem}"
        return f"ok      {self.subject}{f': {self.fact}' if self.fact else ''}"


async def finding(subject: str, probe: Callable[[], Awaitable[str]]) -> Finding:
    """Return what a probe finds: the fact that it returns, or why it fails."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return Finding(subject, fact=await probe())
    except (ProbeError, ApiError, CertificateError, TooLongError) as error:
        return Finding(subject, str(error))
    except (aiohttp.ClientError, OSError) as error:
        return Finding(subject, f"{failure(error).text}; see that the address is right and no NetworkPolicy forbids it")


async def readiness(base: str) -> str:
    """Ask the operator whether it works, or stands by. Raises ProbeError, aiohttp.ClientError and OSError."""
    status, text = await _get(URL(base) / "readyz")
    if status != HTTPStatus.OK:
        raise ProbeError(f"it answers {status}, {text.strip() or 'without a reason'}; see the log of the operator")
    return str(URL(base) / "readyz")


async def metrics(base: str) -> str:
    """Read the metrics. Raises ProbeError, aiohttp.ClientError and OSError."""
    status, text = await _get(URL(base) / "metrics")
    if status != HTTPStatus.OK or EVERY_PROCESS_HAS not in text:
        raise ProbeError(f"it answers {status}, without {EVERY_PROCESS_HAS}; is this the operator's --metrics-port?")
    return str(URL(base) / "metrics")


async def definitions(cluster: Cluster) -> str:
    """See whether every kind is served with all of its fields. Raises ProbeError and ApiError."""
    try:
        await require_definitions(cluster)
    except ValueError as error:
        raise ProbeError(str(error)) from error
    return "all are served"


async def identity(cluster: Cluster, namespace: str, watched: frozenset[str]) -> str:
    """See whether the installation has its identity, and may use it in this cluster. Raises ProbeError and ApiError."""
    try:
        return f"it is installation {(await usable_identity(cluster, namespace, watched)).instance}"
    except ValueError as error:
        raise ProbeError(str(error)) from error


async def writable(cluster: Cluster, namespace: str) -> str:
    """Write a slice, in a dry run: what roles grant, policies may refuse. Raises ProbeError and ApiError."""
    try:
        await cluster.try_to_create(DialPlanSlice.resource, _slice(namespace))
    except Gone:
        step = f"kubectl create namespace {namespace}, or name another one"
        raise ProbeError(f"namespace {namespace} does not exist: {step}") from None
    except Forbidden as error:
        raise ProbeError(explained(error)) from error
    return "a dry run was accepted"


async def allowed(cluster: Cluster, wanted: list[Permission]) -> str:
    """Ask the API server whether we may do all this. Raises ProbeError and ApiError."""
    answers = await asyncio.gather(*(_may(cluster, permission) for permission in wanted))
    denied = [str(permission) for permission, may in zip(wanted, answers, strict=True) if not may]
    if denied:
        raise ProbeError(f"not allowed: {', '.join(denied)}; grant it as examples/install/rbac.yaml or the chart does")
    return f"all {len(wanted)} are granted"


async def certificate(cluster: Cluster, namespace: str, endpoint: str, mounted: Path | None, now: datetime) -> str:
    """See whether the exchange shows its own certificate, which is valid, and answers.

    `mounted` is where its files are if an administrator provides them; otherwise they are in a Secret. Raises
    ProbeError, ApiError, CertificateError, aiohttp.ClientError and OSError.
    """
    target = parse_endpoint(endpoint)
    shown = await _shown(target)
    if not shown.not_valid_before_utc <= now <= shown.not_valid_after_utc:
        period = f"{format_time(shown.not_valid_before_utc)} to {format_time(shown.not_valid_after_utc)}"
        raise ProbeError(f"its certificate is valid from {period} only; see the log of the exchange")
    pin, own = pin_of(shown), await _own_pin(cluster, namespace, mounted)
    if pin != own:
        raise ProbeError(
            f"it shows the key {pin}, and not its own, {own}, by which peers know it: what lies between must pass TLS"
            " through and not end it"
        )
    status, _ = await _get(URL.build(scheme="https", host=target.host, port=target.port, path="/healthz"), pin)
    if status != HTTPStatus.OK:
        raise ProbeError(f"its /healthz answers {status}; see the log of the exchange")
    return f"its certificate has the pin {pin} and is valid until {format_time(shown.not_valid_after_utc)}"


async def _get(url: URL, pin: str = "") -> tuple[int, str]:
    """Return status and text of an answer; with a pin, of the server that has this key."""
    connector = aiohttp.TCPConnector(ssl=pinned_context((pin,)) if pin else True, force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, trust_env=False) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        return response.status, (await read_body(response.content, MAX_METRICS)).decode(errors="replace")


async def _may(cluster: Cluster, wanted: Permission) -> bool:
    resource, _, subresource = wanted.resource.partition("/")
    attributes = {"group": wanted.group, "resource": resource, "subresource": subresource, "verb": wanted.verb}
    attributes |= {"namespace": wanted.namespace, "name": wanted.name}
    body = {
        "apiVersion": _ACCESS_REVIEW.api_version,
        "kind": _ACCESS_REVIEW.kind,
        "metadata": {},
        "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
    }
    review = await cluster.create(_ACCESS_REVIEW, body)
    return bool(review["status"]["allowed"])


def _slice(namespace: str) -> dict[str, Any]:
    """Return the smallest slice that the API server takes."""
    account, source = AccountReference(name="check"), Source(type="Own")
    spec = DialPlanSliceSpec(account_ref=account, source=source, rank="0", rev="a" * 26)
    resource = DialPlanSlice.resource
    metadata = {"namespace": namespace, "generateName": "check-"}
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, "spec": spec.to_json()}


async def _shown(target: HostPort) -> x509.Certificate:
    """Return the certificate that a server shows, whoever vouches for it. Raises ProbeError and OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection(target.host, target.port, ssl=context)
    try:
        return x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ProbeError("its certificate is of a kind that cannot be read") from error
    finally:
        writer.close()


async def _own_pin(cluster: Cluster, namespace: str, mounted: Path | None) -> str:
    """Return the pin of the key that the exchange has. Raises ProbeError, ApiError and CertificateError."""
    if mounted is not None:
        return (await Mounted(mounted).current()).pin
    pair = await SecretPairs(cluster, namespace).load()
    if pair is None:
        raise ProbeError(f"Secret {namespace}/{CERTIFICATE_SECRET} does not exist; see the log of the exchange")
    return pair.pin
