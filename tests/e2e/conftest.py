"""The image that all of these tests are about, and the cluster that runs it.

What is imported from `tools` can be found only after its path was added here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.cluster import Cluster
    from e2e.release import Release

sys.path.append(str(ROOT / "tools"))


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
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a cluster that can run the image, or skip the test and say why there is none."""
    from e2e.cluster import open_cluster

    with open_cluster(lambda: request.getfixturevalue("archive"), tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def release(cluster: Cluster) -> Iterator[Release]:
    """Return the release that looks after all namespaces; its pods are ready."""
    from helm_chart.rendering import NAMESPACE

    from e2e.release import VALUES, released

    with released(cluster, NAMESPACE, VALUES) as release:
        yield release
