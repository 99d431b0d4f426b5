"""The exchange as a running server: inside the operator's process, or in one of its own beside others like it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pbx_operator.api.meta import ObjectKey, ResourceType
from pbx_operator.api.v1alpha1.linkrecord import Contact, LinkRecordSpec
from pbx_operator.cluster import Cluster
from pbx_operator.domain.protocol.endpoints import parse_endpoint
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.records.redemption import Redemption
from pbx_operator.exchange.certificates import Mounted, SelfMade
from pbx_operator.exchange.secret_pairs import SecretPairs
from pbx_operator.exchange.server import Boxes, make_app
from pbx_operator.exchange.serving import everywhere, serve
from pbx_operator.exchange.tls import ServedCertificate
from pbx_operator.links.desk import Desk
from pbx_operator.links.peer import Voice
from pbx_operator.network.addresses import NetworkRules

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """What an administrator decides about speaking with other installations."""

    endpoints: tuple[str, ...] = ()
    """Where others reach this one; empty: it only dials, and nothing listens."""
    port: int = 8443
    """Where it listens, on all addresses of the machine; 0: exchange servers of their own listen instead."""
    sync_interval: float = 60.0
    """Seconds between two syncs with a peer where nothing changes; no more than `links.signs` demands."""
    certificate: Path | None = None
    """The directory with a certificate to show; None: one is made."""
    network: NetworkRules = field(default_factory=NetworkRules)
    """Which addresses may be dialled."""


async def prepare_certificate(
    cluster: Cluster, namespace: str, settings: ExchangeSettings, clock: Callable[[], datetime]
) -> ServedCertificate | None:
    """Return the certificate to be shown, made if there is none; None if nothing listens.

    Raises ApiError, or ValueError if what is stored or mounted cannot be used.
    """
    if not settings.endpoints:
        return None
    names = [parse_endpoint(endpoint).host for endpoint in settings.endpoints]
    mounted = settings.certificate
    made = SelfMade(SecretPairs(cluster, namespace), names, clock)
    certificate = ServedCertificate(made if mounted is None else Mounted(mounted))
    await certificate.refresh()
    return certificate


def contact_of(settings: ExchangeSettings, certificate: ServedCertificate | None) -> Contact:
    """Return what others must know to dial this installation."""
    return Contact() if certificate is None else Contact(endpoints=settings.endpoints, pins=(certificate.pin,))


class _Signer:
    """Signs answers; the desk is not confirmed, and nothing is answered, while there is no key to sign with."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self.instance = voice.instance

    @property
    def key(self) -> SigningKey:
        """The installation's identity."""
        if self._voice.key is None:
            raise RuntimeError("the identity is lost")
        return self._voice.key

    @property
    def successions(self) -> Successions:
        """What leads from the installation's first identity to this one."""
        return self._voice.successions


@asynccontextmanager
async def exchange_beside(
    desk: Desk,
    equipment: Boxes,
    voice: Voice,
    certificate: ServedCertificate | None,
    settings: ExchangeSettings,
    clock: Callable[[], datetime],
) -> AsyncIterator[None]:
    """Answer other installations and boxes while the context is entered. Raises OSError if the port is taken.

    Where exchange servers of their own listen, the certificate is kept all the same: its pin is what is announced here.
    """
    if certificate is None:
        yield
        return
    async with certificate.kept_fresh():
        if not settings.port:
            yield
            return
        app, host = make_app(_Signer(voice), desk, equipment, clock), everywhere()
        async with serve(app, certificate.context, host, settings.port) as port:
            _log.info(
                "the exchange of installation %s listens on %s as %s; its certificate has %s",
                voice.instance,
                f"[{host}]:{port} (IPv6 and IPv4)" if ":" in host else f"{host}:{port} (IPv4)",
                ", ".join(settings.endpoints),
                certificate.summary,
            )
            yield


class RecordsAlone:
    """What an exchange server of its own knows beside the one record: whether a backup is being restored.

    Two links of one pair that slip through are found and ended by the operator.
    """

    def __init__(self, clock: Callable[[], datetime], restoring_until: datetime | None = None) -> None:
        self._clock = clock
        self._restoring_until = restoring_until

    def pair_linked(self, record: LinkRecordSpec, request: Redemption) -> bool:
        """Whether another live link joins the two accounts, as far as is known."""
        return False

    def namespace_records(self, namespace: str) -> int:
        """How many records have their issuer in the namespace, as far as is known."""
        return 0

    def restoring(self) -> bool:
        """Whether records must be left alone."""
        return self._restoring_until is not None and self._clock() < self._restoring_until

    def saw(self, resource: ResourceType, raw: dict[str, Any]) -> None:
        """Forget it: no decision may rest on what was read for another one."""

    def missed(self, resource: ResourceType, key: ObjectKey) -> None:
        """Forget it."""
