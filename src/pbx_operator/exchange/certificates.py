"""The certificate of the exchange: made and renewed here, or read from mounted files.

Peers know the exchange by the public key of its certificate (`pinning`), and messages are signed besides.  So no
authority has to vouch for it, and a renewal keeps the key: nobody has to be told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pbx_operator.exchange.pinning import pin_of

LIFETIME = timedelta(days=90)
RENEW_AFTER = LIFETIME * 2 / 3
"""The age at which a certificate is replaced: a month is left for a cluster that stands still."""
CLOCK_SKEW = timedelta(hours=1)
CERTIFICATE_FILE = "tls.crt"
KEY_FILE = "tls.key"
"""The names that Secrets of type kubernetes.io/tls and cert-manager use."""

_log = logging.getLogger(__name__)
_SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pbx-operator exchange")])


class CertificateError(ValueError):
    """A certificate and its key cannot be used; the text says why and holds nothing of the key."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate, with its chain if it has one, and the private key: both as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)

    def parse(self) -> x509.Certificate:
        """Return the certificate. Raises CertificateError if it cannot be read or the key is not its own."""
        try:
            certificate = x509.load_pem_x509_certificate(self.certificate)
            key = serialization.load_pem_private_key(self.key, password=None)
            own = key.public_key() == certificate.public_key()
        except TypeError as error:
            raise CertificateError("the key may not have a password") from error
        except (ValueError, UnsupportedAlgorithm):
            # Not `from` the cause: nobody knows what its text quotes.
            raise CertificateError("the certificate and the key must be PEM of a common kind") from None
        if not own:
            raise CertificateError("the key is not the one of the certificate")
        return certificate

    @property
    def pin(self) -> str:
        """The SHA-256 of the public key, by which peers know it. Raises CertificateError."""
        return pin_of(self.parse())


class CertificateSource(Protocol):
    """Where the certificate to show comes from."""

    async def current(self) -> KeyPair:
        """Return it. Raises CertificateError or ApiError."""


class PairStore(Protocol):
    """Where all replicas find the certificate that one of them made."""

    async def load(self) -> KeyPair | None:
        """Return what is stored, if anything is. Raises ApiError."""

    async def store(self, new: KeyPair, replaces: KeyPair | None) -> KeyPair:
        """Put `new` in the place of `replaces`, and return what is stored then.

        That is another pair if another replica was faster. Raises ApiError.
        """


class SelfMade:
    """A certificate for these DNS names and IP addresses that is made when there is none and renewed in time.

    The key stays the same for ever: peers know the exchange by it, and those that cannot be dialled would never hear of
    another one.  A pair that is lost from the store is therefore stored again, and only a process that starts without
    one makes a key.
    """

    def __init__(self, store: PairStore, names: Sequence[str], clock: Callable[[], datetime]) -> None:
        self._store = store
        self._names = tuple(names)
        self._clock = clock
        self._last: KeyPair | None = None

    async def current(self) -> KeyPair:
        """Return the certificate, made, renewed or stored again where that is due."""
        stored, now = await self._store.load(), self._clock()
        if stored is not None:
            pair = await self._in_time(stored, now)
        elif self._last is None:
            pair = await self._replace(None, make_pair(self._names, now))
        else:
            pair = await self._store.store(self._last, None)
            _log.warning("the certificate of the exchange was not stored any more, and was stored again")
        if self._last is not None and pair.pin != self._last.pin:
            raise CertificateError(
                "what is stored has another key, by which no peer knows the exchange: restore the one before, or start"
                " the operator and its exchange servers anew to show it"
            )
        self._last = pair
        return pair

    async def _in_time(self, stored: KeyPair, now: datetime) -> KeyPair:
        """Return what is stored, renewed if it is time."""
        try:
            certificate = stored.parse()
        except CertificateError as error:
            raise CertificateError(f"the stored certificate is of no use: {error}; remove it and its key") from error
        if not _due(certificate, self._names, now):
            return stored
        return await self._replace(stored, make_pair(self._names, now, stored.key))

    async def _replace(self, old: KeyPair | None, new: KeyPair) -> KeyPair:
        stored = await self._store.store(new, old)
        if stored == new:
            key = "a new key" if old is None else "the same key"
            _log.info("a new certificate was made for the exchange, with %s", key)
        return stored


class Mounted:
    """A certificate out of a directory, as the kubelet mounts a Secret: the files change under us.

    Its key may not: peers know the exchange by it, and those that cannot be dialled would never hear of another one.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pin: str | None = None

    async def current(self) -> KeyPair:
        """Return what the files hold now; a pair that is just being replaced may not fit together."""
        try:
            pair = await asyncio.to_thread(self._read)
        except OSError as error:
            names = f"{CERTIFICATE_FILE} and {KEY_FILE}"
            raise CertificateError(f"{error.filename}: {error.strerror}; mount a Secret with {names} there") from error
        if self._pin not in (None, pair.pin):
            raise CertificateError(
                f"the files in {self._directory} have another key, by which no peer knows the exchange: renew the"
                " certificate with the key that it has (cert-manager: rotationPolicy: Never), or restart to show it"
            )
        self._pin = pair.pin
        return pair

    def _read(self) -> KeyPair:
        return KeyPair(
            (self._directory / CERTIFICATE_FILE).read_bytes(),
            (self._directory / KEY_FILE).read_bytes(),
        )


def make_pair(names: Sequence[str], now: datetime, key: bytes | None = None) -> KeyPair:
    """Return a certificate for these DNS names and IP addresses, signed by its own key, and that key.

    `key` is the PEM of a key to keep.  Raises ValueError if there is no name or one is not a name.
    """
    if not all(names) or not names:
        raise ValueError("a certificate needs names or addresses, and none of them may be empty")
    private = ec.generate_private_key(ec.SECP256R1()) if key is None else _private_key(key)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_SUBJECT)
        .issuer_name(_SUBJECT)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now - CLOCK_SKEW + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(serialization.Encoding.PEM), pem)


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("the stored certificate has a key of another kind; remove both")
    return key


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in dict.fromkeys(names)]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _due(certificate: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    """Whether a certificate is two thirds through its life, or is not for these names."""
    if now >= certificate.not_valid_before_utc + RENEW_AFTER:
        return True
    try:
        shown = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return True
    return list(shown) != _general_names(names)
