"""Explore small worlds from the command line.

    PYTHONPATH=tests python -m model [--large] [WORD ...]

Without words all worlds of the size are explored, else those with one of the words in their names.  The exit status
is 1 if anything is wrong in any of them.
"""

from __future__ import annotations

import sys

from model.explore import Explorer, TooLarge
from model.worlds import LARGE, SMALL


def main(arguments: list[str]) -> int:
    """Explore, and print what was found."""
    words = [a for a in arguments if not a.startswith("--")]
    wrong = False
    for config in LARGE if "--large" in arguments else SMALL:
        if words and not any(word in config.name for word in words):
            continue
        try:
            found = Explorer(config).run()
        except TooLarge as error:
            print(error, flush=True)
            continue
        wrong = wrong or bool(found.broken)
        print(f"{config.name}: {found}", flush=True)
    return int(wrong)


sys.exit(main(sys.argv[1:]))
