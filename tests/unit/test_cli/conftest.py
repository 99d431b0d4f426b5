"""The kubeconfig that commands find."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_cli.clusters import KUBECONFIG, FakeCluster


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Return a kubeconfig whose current context names no namespace."""
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    return path


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, kubeconfig: Path) -> FakeCluster:
    """Return the cluster that the kubeconfig leads to; its objects are the test's."""
    fake = FakeCluster()
    monkeypatch.setattr("pbx_operator.cli.questions.Cluster", fake.connect)
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    return fake
