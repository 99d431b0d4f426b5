"""Certificates and kubeconfigs of one sandbox, signed by a certificate authority of its own.

A fresh authority per sandbox means that a kubeconfig of one never opens another.  Certificates stay files, to
which the kubeconfigs refer: both live and die with the data directory.  The processes that use them are
described in `components`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LIFETIME = timedelta(days=365)
_CLOCK_SKEW = timedelta(hours=1)
_CA_NAME = "pbx-sandbox-ca"


@dataclass(frozen=True)
class KeyPair:
    """A certificate and its private key, as PEM files."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """Signs the server and client certificates of one sandbox; keeps everything in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files = self._pair("ca")

    @classmethod
    def create(cls, directory: Path) -> CertificateAuthority:
        """Make a new authority in a directory that exists."""
        authority = cls(directory)
        key = _new_key()
        name = _name(_CA_NAME)
        certificate = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write_pair(authority.files, certificate, key)
        return authority

    def issue_server(self, hosts: Sequence[str]) -> KeyPair:
        """Issue the certificate of the API server for these DNS names and IP addresses."""
        names: list[x509.GeneralName] = [_general_name(host) for host in hosts]
        extension = x509.SubjectAlternativeName(names)
        return self._issue("kube-apiserver", _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, extension)

    def issue_client(self, user: str, groups: Sequence[str] = ()) -> KeyPair:
        """Issue a client certificate: Kubernetes reads the user from CN and the groups from O.

        Raises:
            ValueError: the user or a group is empty or longer than the 64 characters that X.509 allows.

        """
        return self._issue(_file_name(user, groups), _name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH)

    def write_kubeconfig(self, path: Path, server: str, user: str, client: KeyPair) -> Path:
        """Write a kubeconfig that reaches `server` (a URL) with a client certificate, and return its path."""
        cluster = {"server": server, "certificate-authority": str(self.files.certificate)}
        credentials = {"client-certificate": str(client.certificate), "client-key": str(client.key)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "sandbox", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "sandbox", "context": {"cluster": "sandbox", "user": user}}],
            "current-context": "sandbox",
        }
        _write_private(path, json.dumps(config, indent=2).encode())  # JSON is YAML
        return path

    def kubeconfig_for(self, server: str, user: str, groups: Sequence[str] = ()) -> Path:
        """Issue a client certificate, write a kubeconfig beside it and return its path."""
        path = self.directory / f"{_file_name(user, groups)}.kubeconfig"
        return self.write_kubeconfig(path, server, user, self.issue_client(user, groups))

    def _issue(
        self,
        file_name: str,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        extension: x509.SubjectAlternativeName | None = None,
    ) -> KeyPair:
        issuer_key = serialization.load_pem_private_key(self.files.key.read_bytes(), password=None)
        if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{self.files.key} does not hold an elliptic curve key")
        key = _new_key()
        builder = (
            _builder(subject, _name(_CA_NAME), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=False)
        pair = self._pair(file_name)
        _write_pair(pair, builder.sign(issuer_key, hashes.SHA256()), key)
        return pair

    def _pair(self, file_name: str) -> KeyPair:
        return KeyPair(self.directory / f"{file_name}.crt", self.directory / f"{file_name}.key")


def create_service_account_key(path: Path) -> None:
    """Write the private key that signs service account tokens; the API server verifies with the same file."""
    _write_private(path, _pem(_new_key()))


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _name(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + _LIFETIME)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _file_name(user: str, groups: Sequence[str]) -> str:
    """Name the files of an identity: readable, and different for different identities."""
    digest = hashlib.sha256(json.dumps([user, *groups]).encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9.-]', '_', user)}-{digest}"


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write_pair(pair: KeyPair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    _write_private(pair.key, _pem(key))
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
