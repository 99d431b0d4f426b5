"""The image that all of these tests are about; `make e2e` builds it first."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support import ROOT

sys.path.append(str(ROOT / "tools"))


@pytest.fixture(scope="session")
def archive() -> Path:
    """Return the image as an archive."""
    path = ROOT / "build" / "pbx-operator.tar"
    if not path.is_file():
        pytest.skip(f"there is no image at {path.relative_to(ROOT)}: run `make image`")
    return path
