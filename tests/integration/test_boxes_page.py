"""The page for boxes: its commands, typed one after the other, do what it shows, and leave nothing behind."""

from __future__ import annotations

import sys

import pytest

from integration.page import follow
from support import ROOT, Place

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")


def test_its_commands_do_what_it_shows_and_leave_nothing(place: Place) -> None:
    follow(ROOT / "docs" / "boxes.md", place, 8443, 5060)
