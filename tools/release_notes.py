"""What a release says: the section of CHANGELOG.md for a tag, which has to be the version of the project.

`.github/workflows/release.yaml` runs this first, with the machine's own Python: a tag that does not fit stops the
release before anything is published.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from image.facts import ROOT, project

CHANGELOG = ROOT / "CHANGELOG.md"


class ReleaseError(Exception):
    """There can be no such release; the text says why and what to do."""


def release_notes(tag: str, version: str, changelog: str) -> str:
    """Return what the changelog says about a version, without its heading.

    Raises:
        ReleaseError: the tag is not that of the version, or the changelog has nothing to say about it.

    """
    if tag != f"v{version}":
        raise ReleaseError(f"tag {tag!r} is not v{version}, by the version in pyproject.toml: change one of them")
    section = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |^\[|\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if section is None or not (notes := section[1].strip()):
        raise ReleaseError(
            f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD' with a text: make it of what is unreleased"
        )
    return notes + "\n"


def main(arguments: Sequence[str], changelog: Path = CHANGELOG) -> int:
    """Print the notes for the tag that is given; 1 if there can be no such release."""
    (tag,) = arguments
    try:
        print(release_notes(tag, project()["version"], changelog.read_text(encoding="utf-8")), end="")
    except ReleaseError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
