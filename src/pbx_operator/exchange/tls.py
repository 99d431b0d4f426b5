"""What the exchange shows to whoever connects: TLS 1.3, with a certificate that changes while it serves."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge

from pbx_operator.api.meta import format_time
from pbx_operator.cluster import ApiError
from pbx_operator.exchange.certificates import CertificateError, CertificateSource, KeyPair

REFRESH_SECONDS = 60.0
"""How often the source is asked; the kubelet takes as long to update mounted files."""

EXPIRATION = Gauge(
    "pbx_operator_exchange_certificate_expiration_timestamp_seconds",
    "When the certificate that the exchange shows expires, in seconds since 1970; 0 where no exchange is served.",
)

_log = logging.getLogger(__name__)


class ServedCertificate:
    """An SSL context for servers that shows the newest usable certificate of a source."""

    def __init__(self, source: CertificateSource) -> None:
        self._source = source
        self._shown: KeyPair | None = None
        self._pin = ""
        self.summary = ""
        """What the log says of it: its pin and until when it is valid; empty before the first refresh."""
        self.context = _server_context()

    @property
    def pin(self) -> str:
        """The pin of what is shown; empty before the first refresh."""
        return self._pin

    async def refresh(self) -> bool:
        """Show what the source has now, from the next connection on; return whether that is something new.

        Raises CertificateError, OSError or ApiError; then the context shows what it showed before.
        """
        pair = await self._source.current()
        if pair == self._shown:
            return False
        pin, end = pair.pin, pair.parse().not_valid_after_utc
        _load(_server_context(), pair)  # a context that refuses a pair has lost the one before
        _load(self.context, pair)
        replaced, self._shown, self._pin = self._shown, pair, pin
        EXPIRATION.set(end.timestamp())
        self.summary = f"the pin {pin} and is valid until {format_time(end)}"
        if replaced is not None:
            _log.info("the exchange shows a new certificate, which has %s", self.summary)
        return True

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """Refresh while the context is entered; a failure is logged, and the old certificate stays meanwhile."""
        keeping = asyncio.create_task(self._keep_fresh())
        try:
            yield
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    async def _keep_fresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except (ValueError, OSError, ApiError) as error:
                _log.warning("the certificate of the exchange cannot be refreshed: %s", error)


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a resumed connection would go on showing an old certificate
    return context


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Load a pair from memory: OpenSSL takes files only, and the key may not be written to a disk."""
    certificate, key = os.memfd_create("certificate"), os.memfd_create("key")
    try:
        _write(certificate, pair.certificate)
        _write(key, pair.key)
        context.load_cert_chain(f"/proc/self/fd/{certificate}", f"/proc/self/fd/{key}")
    except ssl.SSLError as error:
        raise CertificateError(f"OpenSSL refuses the certificate: {error.reason}") from error
    finally:
        os.close(certificate)
        os.close(key)


def _write(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
