"""What a numbering rule puts in place of the part of a number that it matched, in JavaScript's syntax.

The meaning is that of `String.replace` with a pattern without flags: `$1` to `$99` stand for groups, `$&` for all
that matched, `$$` for a dollar sign.  Of `$12` the 2 is an ordinary digit if there are fewer than 12 groups.
JavaScript's other forms, such as `` $` ``, are ordinary characters here, and as nobody can dial a `$`, `checks` refuses
them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_REFERENCE = re.compile(r"\$(?:\$|&|[0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class Replacement:
    """A parsed replacement."""

    parts: tuple[str | int, ...]
    """Texts, and numbers of groups; 0 is all that matched."""
    missing: tuple[str, ...]
    """References to groups that the pattern does not have. They are kept as texts, as JavaScript does."""

    @property
    def text(self) -> str:
        """All that is put in whatever the number is."""
        return "".join(part for part in self.parts if isinstance(part, str))

    def expand(self, matched: str, groups: tuple[str, ...]) -> str:
        """Return what stands in place of `matched`."""
        values = (matched, *groups)
        return "".join(part if isinstance(part, str) else values[part] for part in self.parts)

    def may_give(self, result: str) -> bool:
        """Return False if no number can become this result: it lacks a text that is always put in."""
        return all(part in result for part in self.parts if isinstance(part, str))


def parse_replacement(text: str, groups: int) -> Replacement:
    """Parse the replacement of a pattern with so many groups."""
    parts: list[str | int] = []
    missing: list[str] = []
    done = 0
    for reference in _REFERENCE.finditer(text):
        parts.append(text[done : reference.start()])
        meaning = _meaning(reference[0], groups)
        if not meaning:
            missing.append(reference[0])
        parts += meaning or (reference[0],)
        done = reference.end()
    parts.append(text[done:])
    return Replacement(tuple(part for part in parts if part != ""), tuple(missing))


def _meaning(reference: str, groups: int) -> tuple[str | int, ...]:
    """Return what a reference stands for; nothing if there is no such group."""
    name = reference[1:]
    if name == "$":
        return ("$",)
    if name == "&":
        return (0,)
    if 1 <= int(name) <= groups:
        return (int(name),)
    if 1 <= int(name[0]) <= groups:
        return (int(name[0]), name[1:])
    return ()
