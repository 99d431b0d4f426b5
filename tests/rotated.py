"""Installations whose identity was rotated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise

from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.succession import Successions, succeed


def keys(name: str, count: int) -> list[SigningKey]:
    """Return the keys that an installation of this name has one after the other; the first is the name's own."""
    names = [name, *(f"{name} after {n} rotations" for n in range(1, count))]
    return [SigningKey(hashlib.sha256(one.encode()).digest()) for one in names]


def chain(line: Sequence[SigningKey]) -> Successions:
    """Return what leads from the first of these keys to the last."""
    successions: Successions = ()
    for old, new in pairwise(line):
        successions = succeed(old, new, successions)
    return successions
