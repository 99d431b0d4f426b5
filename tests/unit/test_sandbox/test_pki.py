"""The identities of a sandbox."""

from __future__ import annotations

import json
import stat
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pbx_operator.sandbox.pki import CertificateAuthority, KeyPair, create_service_account_key


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.create(tmp_path)


def load(pair: KeyPair) -> x509.Certificate:
    certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
    key = load_pem_private_key(pair.key.read_bytes(), password=None)
    assert certificate.public_key() == key.public_key()
    return certificate


def names(certificate: x509.Certificate, oid: x509.ObjectIdentifier) -> list[str | bytes]:
    return [attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid)]


def usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def test_a_client_certificate_names_the_user_and_its_groups(authority: CertificateAuthority) -> None:
    client = load(authority.issue_client("pbx-operator", ["one", "two"]))
    client.verify_directly_issued_by(load(authority.files))
    assert names(client, NameOID.COMMON_NAME) == ["pbx-operator"]
    assert names(client, NameOID.ORGANIZATION_NAME) == ["one", "two"]
    assert usages(client) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_server_certificate_holds_for_names_and_addresses(authority: CertificateAuthority) -> None:
    server = load(authority.issue_server(["127.0.0.1", "localhost"]))
    server.verify_directly_issued_by(load(authority.files))
    alternatives = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.IPAddress) == [ip_address("127.0.0.1")]
    assert alternatives.get_values_for_type(x509.DNSName) == ["localhost"]
    assert usages(server) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_an_authority_opened_again_signs_as_the_same(authority: CertificateAuthority) -> None:
    client = load(CertificateAuthority(authority.directory).issue_client("later"))
    client.verify_directly_issued_by(load(authority.files))


def test_a_kubeconfig_refers_to_its_files(authority: CertificateAuthority) -> None:
    path = authority.kubeconfig_for("https://127.0.0.1:1", "pbx-operator")
    config = json.loads(path.read_bytes())
    assert config["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority": str(authority.files.certificate),
    }
    assert config["contexts"][0]["name"] == config["current-context"]
    user = config["users"][0]["user"]
    client = load(KeyPair(Path(user["client-certificate"]), Path(user["client-key"])))
    assert names(client, NameOID.COMMON_NAME) == ["pbx-operator"]


def test_identities_that_look_alike_do_not_share_files(authority: CertificateAuthority) -> None:
    users: list[tuple[str, list[str]]] = [
        ("system:serviceaccount:a:b", []),
        ("system:serviceaccount:a/b", []),
        ("system:serviceaccount:a:b", ["c"]),
    ]
    paths = {authority.kubeconfig_for("https://127.0.0.1:1", user, groups) for user, groups in users}
    assert len(paths) == len(users)


def test_only_the_owner_reads_private_files(authority: CertificateAuthority) -> None:
    create_service_account_key(authority.directory / "sa.key")
    authority.kubeconfig_for("https://127.0.0.1:1", "x")
    private = [*authority.directory.glob("*.key"), *authority.directory.glob("*.kubeconfig")]
    assert len(private) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


@pytest.mark.parametrize("user", ["", "x" * 65])
def test_a_user_that_x509_cannot_name_is_refused(authority: CertificateAuthority, user: str) -> None:
    with pytest.raises(ValueError, match="64"):
        authority.issue_client(user)
