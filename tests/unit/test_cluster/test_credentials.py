"""Which cluster is chosen, with which identity, and how rotated tokens are picked up."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from kubernetes.aio.config import incluster_config

from pbx_operator.cluster import CredentialsError
from pbx_operator.cluster.credentials import REFRESH_SECONDS, Credentials, find_kubeconfig
from pbx_operator.sandbox.pki import CertificateAuthority


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write_kubeconfig(path: Path, user: dict[str, str], current: str = "x") -> str:
    config = {
        "clusters": [
            {"name": "c", "cluster": {"server": "https://api.example:6443/"}},
            {"name": "d", "cluster": {"server": "https://other.example"}},
        ],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "x", "context": {"cluster": "c", "user": "u"}},
            {"name": "y", "context": {"cluster": "d", "user": "u", "namespace": "paris"}},
            {"name": "no cluster", "context": {"cluster": "gone", "user": "u"}},
        ],
        "current-context": current,
    }
    path.write_text(json.dumps(config))
    return str(path)


def test_the_given_kubeconfig_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert find_kubeconfig(None) is None
    monkeypatch.setenv("KUBECONFIG", "/from/environment")
    assert find_kubeconfig(None) == "/from/environment"
    assert find_kubeconfig("/given") == "/given"


def test_outside_of_a_pod_the_home_directory_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", "/home/user")
    assert find_kubeconfig(None) == "/home/user/.kube/config"


async def test_host_and_token_of_a_kubeconfig(tmp_path: Path) -> None:
    credentials = Credentials(write_kubeconfig(tmp_path / "config", {"token": "t1"}))
    await credentials.load()
    assert credentials.host == "https://api.example:6443"
    assert await credentials.authorization() == "Bearer t1"


async def test_a_rotated_token_file_is_read_again(tmp_path: Path) -> None:
    clock, token = Clock(), tmp_path / "token"
    token.write_text("t1\n")
    credentials = Credentials(write_kubeconfig(tmp_path / "config", {"tokenFile": str(token)}), clock=clock)
    await credentials.load()
    token.write_text("t2\n")
    assert await credentials.authorization() == "Bearer t1"
    clock.now += REFRESH_SECONDS
    assert await credentials.authorization() == "Bearer t2"


async def test_a_refused_token_is_read_again_at_once(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t1")
    credentials = Credentials(write_kubeconfig(tmp_path / "config", {"tokenFile": str(token)}), clock=Clock())
    await credentials.load()
    token.write_text("t2")
    credentials.distrust()
    assert await credentials.authorization() == "Bearer t2"


async def test_an_unreadable_token_keeps_the_previous_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, token = Clock(), tmp_path / "token"
    token.write_text("t1")
    credentials = Credentials(write_kubeconfig(tmp_path / "config", {"tokenFile": str(token)}), clock=clock)
    await credentials.load()
    token.unlink()
    clock.now += REFRESH_SECONDS
    with caplog.at_level(logging.WARNING):
        assert await credentials.authorization() == "Bearer t1"
    assert "previous credentials" in caplog.text


async def test_the_service_account_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, token, ca = Clock(), tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("t1")
    ca.write_bytes(CertificateAuthority.create(tmp_path).files.certificate.read_bytes())
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(ca))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    credentials = Credentials(None, clock=clock)
    await credentials.load()
    assert credentials.host == "https://10.0.0.1:443"
    assert await credentials.authorization() == "bearer t1"
    token.write_text("t2")
    clock.now += REFRESH_SECONDS
    assert await credentials.authorization() == "bearer t2"


async def test_a_context_brings_its_cluster_and_namespace(tmp_path: Path) -> None:
    path = write_kubeconfig(tmp_path / "config", {"token": "t1"})
    current, chosen = Credentials(path), Credentials(path, "y")
    await current.load()
    await chosen.load()
    assert (current.host, current.namespace) == ("https://api.example:6443", None)
    assert (chosen.host, chosen.namespace) == ("https://other.example", "paris")


@pytest.mark.parametrize(
    ("current", "wanted", "problem"),
    [
        ("x", "z", "has no context 'z': choose one that `KUBECONFIG="),
        ("z", None, "has no context 'z': choose one that `KUBECONFIG="),
        ("", None, "has no current context: choose one that `KUBECONFIG="),
        ("no cluster", None, "cannot be used (Invalid kube-config file. Expected object with name gone in "),
    ],
)
async def test_an_unusable_context_is_named(tmp_path: Path, current: str, wanted: str | None, problem: str) -> None:
    path = write_kubeconfig(tmp_path / "config", {"token": "t1"}, current)
    with pytest.raises(CredentialsError, match=re.escape(f"kubeconfig {path} {problem}")):
        await Credentials(path, wanted).load()


async def test_a_user_that_acts_as_another_is_refused(tmp_path: Path) -> None:
    """With the rights of the one behind it, the operator could do more than it was meant to."""
    path = write_kubeconfig(tmp_path / "config", {"token": "t1", "as": "pbx-operator"})
    with pytest.raises(CredentialsError, match="user 'u' acts as 'pbx-operator', which is not supported: give a user"):
        await Credentials(path).load()


@pytest.mark.parametrize("content", ["", "[]", "{unbalanced", "a: [\n b: {", "text", "contexts: []"])
async def test_a_malformed_kubeconfig_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(CredentialsError, match=rf"^kubeconfig {path} .*: .*`KUBECONFIG={path} kubectl config "):
        await Credentials(str(path)).load()


async def test_the_content_of_a_kubeconfig_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("contexts: [{name: x, hunter2: {}}]\nclusters: []\ncurrent-context: x\n")
    with pytest.raises(CredentialsError, match="Expected key context") as problem:
        await Credentials(str(path)).load()
    assert "hunter2" not in str(problem.value)


async def test_a_service_account_has_no_contexts() -> None:
    with pytest.raises(CredentialsError, match="context 'x' needs a kubeconfig: give its path with --kubeconfig"):
        await Credentials(None, "x").load()


async def test_a_missing_kubeconfig_is_named() -> None:
    with pytest.raises(CredentialsError, match="kubeconfig /nowhere/config: no such file"):
        await Credentials("/nowhere/config").load()


async def test_an_unusable_certificate_is_named(tmp_path: Path) -> None:
    certificate = tmp_path / "client.crt"
    certificate.write_text("not a certificate")
    user = {"client-certificate": str(certificate), "client-key": str(certificate)}
    with pytest.raises(CredentialsError, match="unusable certificate or key"):
        await Credentials(write_kubeconfig(tmp_path / "config", user)).load()


async def test_a_rotated_client_certificate_is_read_again(tmp_path: Path) -> None:
    clock, authority = Clock(), CertificateAuthority.create(tmp_path)
    credentials = Credentials(str(authority.kubeconfig_for("https://api.example", "u")), clock=clock)
    await credentials.load()
    first = credentials.ssl_context
    clock.now += REFRESH_SECONDS
    await credentials.authorization()
    assert credentials.ssl_context is first  # connections are kept while nothing changes
    authority.issue_client("u")
    await credentials.authorization()
    assert credentials.ssl_context is first
    clock.now += REFRESH_SECONDS
    await credentials.authorization()
    assert credentials.ssl_context is not first


async def test_a_client_certificate_that_is_being_replaced_is_read_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, authority = Clock(), CertificateAuthority.create(tmp_path)
    credentials = Credentials(str(authority.kubeconfig_for("https://api.example", "u")), clock=clock)
    await credentials.load()
    first, mine = credentials.ssl_context, authority.issue_client("u")
    key = mine.key.read_bytes()
    mine.key.write_bytes(authority.issue_client("another").key.read_bytes())
    clock.now += REFRESH_SECONDS
    await credentials.authorization()
    assert credentials.ssl_context is first
    assert "previous credentials" in caplog.text
    mine.key.write_bytes(key)
    clock.now += REFRESH_SECONDS
    await credentials.authorization()
    assert credentials.ssl_context is not first
