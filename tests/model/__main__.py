"""Explore small worlds from the command line.

    PYTHONPATH=tests python -m model [--large] [WORD ...]

Without words all worlds of the size are explored, those of one cluster and those of two, else those with one of the
words in their names.  The exit status is 1 if anything is wrong in any of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from model import explore, worlds
from model.federation import explore as federation_explore
from model.federation import worlds as federation_worlds
from model.search import Search, TooLarge


def explorers(*, large: bool) -> Iterable[tuple[str, Search[Any]]]:
    """Return the explorations of one size, by name."""
    for config in worlds.LARGE if large else worlds.SMALL:
        yield config.name, explore.Explorer(config)
    for world in federation_worlds.LARGE if large else federation_worlds.SMALL:
        yield world.name, federation_explore.Explorer(world)


def main(arguments: list[str]) -> int:
    """Explore, and print what was found."""
    words = [a for a in arguments if not a.startswith("--")]
    wrong = False
    for name, explorer in explorers(large="--large" in arguments):
        if words and not any(word in name for word in words):
            continue
        try:
            found = explorer.run()
        except TooLarge as error:
            print(error, flush=True)
            continue
        wrong = wrong or bool(found.broken)
        print(f"{name}: {found}", flush=True)
    return int(wrong)


sys.exit(main(sys.argv[1:]))
