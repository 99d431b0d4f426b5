"""How messages about numbering rules list what they are about: all of a few, and of many the first."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 5
"""How many entries a list shows; a hundred rules and a hundred emergency numbers are more than anybody reads."""


def listed(entries: Iterable[str]) -> str:
    """Return `a, b and c`; of more than five entries the first five and how many are left."""
    all_entries = list(entries)
    shown, left = all_entries[:SHOWN], len(all_entries) - SHOWN
    *first, last = [*shown, f"{left} more"] if left > 0 else shown
    return f"{', '.join(first)} and {last}" if first else last


def quoted(texts: Iterable[str]) -> str:
    """Return the texts as `listed`, each in quotes, as they are written in a manifest."""
    return listed(f'"{text}"' for text in texts)
