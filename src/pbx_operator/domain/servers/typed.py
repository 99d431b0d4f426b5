"""What people type on a box: the equipment ID and the activation code that were generated, in whatever spelling.

Both are capitals and digits in groups, and nothing else is ever generated.  So lower case, and groups that are written
together or with spaces, cannot make two of them equal.  The references of a box from stock are not ours, and are taken
as they are written: nobody says that capitals do not count, and without its dash `ALE12-1234` would be `ALE1-21234`.
"""

from __future__ import annotations

import re

GROUP = 4
"""Letters and digits of a group."""
CODE_LENGTH = 20
"""Letters and digits of a generated code: 100 bits, and short enough to be typed at a console."""
EQUIPMENT_PREFIX, EQUIPMENT_LENGTH = "PBX", 16
"""What a generated equipment ID begins with, and how many letters and digits follow."""

_BETWEEN = re.compile(r"[\s-]")
_CODE = re.compile(rf"[A-Z2-7]{{{CODE_LENGTH}}}")
_EQUIPMENT_ID = re.compile(rf"{EQUIPMENT_PREFIX}(?P<digest>[A-Z2-7]{{{EQUIPMENT_LENGTH}}})")


def code_of(letters: str) -> str:
    """Return the activation code that is made of these letters and digits (RFC 4648, base 32)."""
    return _in_groups(letters[:CODE_LENGTH].upper())


def equipment_id_of(letters: str) -> str:
    """Return the equipment ID that is made of these letters and digits (RFC 4648, base 32)."""
    return EQUIPMENT_PREFIX + _in_groups(letters[:EQUIPMENT_LENGTH].upper())


def canonical_code(text: str) -> str:
    """Return the one form of a generated activation code; any other text as it is, without the spaces around it."""
    letters = _BETWEEN.sub("", text).upper()
    return code_of(letters) if _CODE.fullmatch(letters) else text.strip()


def canonical_equipment_id(text: str) -> str:
    """Return the one form of a generated equipment ID; any other text as it is, without the spaces around it."""
    match = _EQUIPMENT_ID.fullmatch(_BETWEEN.sub("", text).upper())
    return equipment_id_of(match["digest"]) if match is not None else text.strip()


def _in_groups(letters: str) -> str:
    return "-".join(letters[i : i + GROUP] for i in range(0, len(letters), GROUP))
