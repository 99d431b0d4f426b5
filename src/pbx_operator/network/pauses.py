"""Pauses before something is tried or asked again."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TypeVar

PauseT = TypeVar("PauseT", float, timedelta)


def jittered(pause: PauseT) -> PauseT:
    """Spread a pause over 80 to 120 %, so that many that fail together do not return together."""
    return pause * random.uniform(0.8, 1.2)
