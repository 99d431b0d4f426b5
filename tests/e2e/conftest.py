"""The image that all of these tests are about, and the clusters that run it.

What is imported from `tools` can be found only after its path was added here.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import ROOT

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from node.host import Host

    from e2e.cluster import Cluster
    from e2e.release import Release

sys.path.append(str(ROOT / "tools"))

_RUNNING: dict[str, Cluster] = {}
"""The clusters that a failure shows, by the names of their fixtures."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let each failure show the state of the clusters, while it lasts."""
    report = yield
    if report.failed:
        report.sections += [(f"state of {name}", cluster.state()) for name, cluster in _RUNNING.items()]
    return report


@contextmanager
def _shown(name: str, cluster: Cluster) -> Iterator[Cluster]:
    _RUNNING[name] = cluster
    try:
        yield cluster
    finally:
        del _RUNNING[name]


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the image of the present sources as an archive, or skip the test and say why it cannot be built."""
    from build_image import build_archive
    from image.base import obstacle

    if (reason := obstacle()) is not None:
        pytest.skip(reason)
    path = tmp_path_factory.mktemp("archive") / "pbx-operator.tar"
    build_archive(path)
    return path


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """Return where nodes of our own run, or skip the test and say why there are none."""
    from node.host import Host

    from e2e.cluster import no_host

    if (reason := no_host()) is not None:
        pytest.skip(reason)
    with Host() as host:
        yield host


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a cluster that can run the image, or skip the test and say why there is none; ours has two nodes."""
    from e2e.cluster import open_cluster

    folder = tmp_path_factory.mktemp("cluster")
    with (
        open_cluster(
            lambda: request.getfixturevalue("host"), lambda: request.getfixturevalue("archive"), folder
        ) as cluster,
        _shown("cluster", cluster),
    ):
        yield cluster


@pytest.fixture(scope="module")
def second_cluster(host: Host, archive: Path) -> Iterator[Cluster]:
    """Return one more cluster on the same network, or skip the test and say why there is none."""
    from e2e.cluster import own_cluster

    with own_cluster(host, archive, number=2) as cluster, _shown("second_cluster", cluster):
        yield cluster


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Iterator[Release]:
    """Return the release that looks after all namespaces; its pods are ready."""
    from helm_chart.rendering import NAMESPACE

    from e2e.release import VALUES, released

    with released(cluster, NAMESPACE, VALUES) as release:
        yield release
