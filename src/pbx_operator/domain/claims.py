"""Claims: who may hold something that only one object can have, such as an internal number or a SIP domain.

There is one order for all claims: whoever holds the thing already and still wants it, then the older object,
then the name.  Who holds it is what the objects' own statuses show, and those are written one at a time, in any
order, and some of them late.  Hence the rule: a status may start to show a thing only when no other status shows it
any more.  Giving up comes first, in a write of its own; taking over follows once the Store has seen that write.

Objects whose plans are made one after the other, such as the numbers of one account, never hold a thing together.
Others may for a moment: the awards of two objects are made before the status of either is written.  So every change of
a claim wakes all who have an interest in the thing (`contested`), the same order decides again between those who show
it, and all but one give it up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pbx_operator.api import reasons
from pbx_operator.api.meta import ObjectKey, ObjectMeta
from pbx_operator.api.reasons import Verdict, verdict

_BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Claim:
    """One object's wish; `wants` is None if it may have nothing, for example while it is being deleted."""

    key: ObjectKey
    created: datetime
    wants: str | None
    shows: str | None
    """What the object's status, as the Store knows it, says that it holds."""

    @property
    def things(self) -> set[str]:
        """What it is about."""
        return {thing for thing in (self.wants, self.shows) if thing is not None}


def created(metadata: ObjectMeta) -> datetime:
    """Return the age that counts in claims."""
    return metadata.creation_timestamp or _BEGINNING


@dataclass(frozen=True, slots=True)
class Award:
    """How a claim ended.

    Won without a rival: the object holds the thing.  Won, but a `rival` still shows it: it has to wait for that
    status to be written.  Not won: the `rival` is the winner.
    """

    won: bool
    rival: ObjectKey | None = None

    @property
    def holds(self) -> bool:
        """Whether the object's status may show the thing now."""
        return self.won and self.rival is None


def settle(claims: Sequence[Claim]) -> dict[ObjectKey, Award]:
    """Decide all claims of one kind; those that want nothing get no award."""
    winners: dict[str, Claim] = {}
    shown_by: defaultdict[str, list[ObjectKey]] = defaultdict(list)
    for claim in sorted(claims, key=_order):
        if claim.wants is not None:
            winners.setdefault(claim.wants, claim)
        if claim.shows is not None:
            shown_by[claim.shows].append(claim.key)
    return {c.key: _award(c, winners[c.wants], shown_by[c.wants]) for c in claims if c.wants is not None}


def contested(before: Claim | None, after: Claim | None) -> set[str]:
    """Return the things that may be awarded otherwise since one object's claim changed."""
    if before == after:
        return set()
    return {thing for claim in (before, after) if claim is not None for thing in claim.things}


def _order(claim: Claim) -> tuple[bool, datetime, ObjectKey]:
    return claim.shows != claim.wants, claim.created, claim.key


def _award(claim: Claim, winner: Claim, shown_by: list[ObjectKey]) -> Award:
    if claim.key != winner.key:
        return Award(won=False, rival=winner.key)
    if claim.shows == claim.wants:
        return Award(won=True)
    return Award(won=True, rival=min(shown_by, default=None))


def rival_name(kind: str, place: ObjectKey, award: Award) -> str:
    """Return what may be said in `place` of who has the thing: names in other namespaces are not for everybody."""
    if award.rival is None or award.rival.namespace != place.namespace:
        return f"another {kind} of this cluster"
    return f"{kind} {award.rival.name}"


def secret_name_taken(secret: str, holder: str | None, field: str) -> Verdict:
    """Return that a Secret, whose name `field` chooses, is somebody else's.

    Nobody is told to delete what `holder`, its controller, would make anew: that would go back and forth.
    """
    anew = f"create this object anew with another {field}"
    facts = {"holder": holder or "somebody else", "next_step": anew if holder else f"delete it, or {anew}"}
    return verdict("Ready", "False", reasons.SECRET_NAME_TAKEN, secret=secret, **facts)
