"""TLS with pinned keys: a peer is known by the public key of its certificate, not by its name or an authority."""

from __future__ import annotations

import hashlib
import ssl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pbx_operator.domain.protocol.keys import base64url


class NotPinnedError(ssl.SSLCertVerificationError):
    """Whoever answers has another key than those that were named."""

    def __init__(self) -> None:
        super().__init__(ssl.SSL_ERROR_SSL, "the server's public key is not pinned")


def pin_of(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4), in base64url.

    Raises ValueError or UnsupportedAlgorithm for a key of an unknown kind.
    """
    info = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64url(hashlib.sha256(info).digest())


def pinned_context(pins: tuple[str, ...]) -> ssl.SSLContext:
    """Return a client's context for TLS 1.3 with a server that has one of these keys.

    The key is checked as the last step of the handshake, so nothing is sent to a stranger and nothing of it is
    read.  That the server holds the private key is part of the handshake itself.
    """

    class PinnedConnection(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if _pin(self.getpeercert(binary_form=True)) not in pins:
                raise NotPinnedError

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(("http/1.1",))
    context.sslobject_class = PinnedConnection
    return context


def _pin(certificate: bytes | None) -> str | None:
    try:
        return None if certificate is None else pin_of(x509.load_der_x509_certificate(certificate))
    except (ValueError, UnsupportedAlgorithm):
        return None
