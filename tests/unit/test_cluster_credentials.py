"""Which cluster is chosen, with which identity, and how rotated tokens are picked up."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from kubernetes.aio.config import incluster_config

from pbx_operator.cluster import CredentialsError
from pbx_operator.cluster.credentials import REFRESH_SECONDS, Credentials, find_kubeconfig


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def write_kubeconfig(path: Path, user: dict[str, str], server: str = "https://api.example:6443/") -> str:
    config = {
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
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
    ca.write_text("a certificate")
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


@pytest.mark.parametrize("content", ["", "[]", "{unbalanced", "clusters: []\ncurrent-context: x\n"])
async def test_a_malformed_kubeconfig_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(CredentialsError, match=f"kubeconfig {path}: "):
        await Credentials(str(path)).load()


async def test_a_missing_kubeconfig_is_named() -> None:
    with pytest.raises(CredentialsError, match="kubeconfig /nowhere/config: no such file"):
        await Credentials("/nowhere/config").load()


async def test_an_unusable_certificate_is_named(tmp_path: Path) -> None:
    certificate = tmp_path / "client.crt"
    certificate.write_text("not a certificate")
    user = {"client-certificate": str(certificate), "client-key": str(certificate)}
    credentials = Credentials(write_kubeconfig(tmp_path / "config", user))
    await credentials.load()
    with pytest.raises(CredentialsError, match="unusable certificate or key"):
        credentials.ssl_context()
