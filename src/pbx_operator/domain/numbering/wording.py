"""How messages about numbering rules list what they are about: all of a few, and of many the first.

Emergency numbers are short, and whoever has to acknowledge or save them needs all that a country usually has.
"""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 5
"""How many entries a list shows; a hundred rules are more than anybody reads."""
NUMBERS_SHOWN = 20
"""How many emergency numbers a list shows; a few countries have a hundred."""


def listed(entries: Iterable[str], most: int = SHOWN) -> str:
    """Return `a, b and c`; of more entries than `most` the first ones and how many are left."""
    all_entries = list(entries)
    shown, left = all_entries[:most], len(all_entries) - most
    *first, last = [*shown, f"{left} more"] if left > 0 else shown
    return f"{', '.join(first)} and {last}" if first else last


def numbers_listed(numbers: Iterable[str]) -> str:
    """Return emergency numbers, or what they become, as `listed`."""
    return listed(numbers, NUMBERS_SHOWN)


def quoted(numbers: Iterable[str]) -> str:
    """Return emergency numbers as `listed`, each in quotes, as they are written in a manifest."""
    return numbers_listed(f'"{number}"' for number in numbers)
