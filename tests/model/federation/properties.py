"""What must hold for two installations: after each step, at each moment, and what must stay possible.

The names are what a report says when one does not hold.  By what is promised for links between clusters:

1. One key, one redeemer, for ever: "a key has two redeemers".  Not judged once the issuer went back to an older
   state, in which the key may be unused; but then "a key is spent while a restore is going on" is wrong.
2. Who won can finish: "a redeemer that won cannot finish".  From every state in which A has linked with an object of B
   that waits for the answer, both can be linked, if nothing more is lost.
3. The gate closes before anybody is told: "A (B) tells the end while its gate is open", by the status of the Interlink,
   which is what SIP servers go by, and of ends that the side brought about itself; "calls pass over a link whose end is
   recorded", of both gates together, after a restore only once nothing is left to be done; "the gate of A (B) is open
   without a link", once nothing is left to be done; "an announced end is taken back".
4. Deletion waits for no peer: "a deletion waits for the peer of A (B)".  By its own steps alone an installation lets an
   object go, except that during a restore the issuer of an unused key waits for the end of the restore.
5. What ended stays ended: "an ended link changes", and "an ended link comes back", which is on both sides, after both
   have recorded its end, or one that was not restored; "a link is made after its cancel was confirmed", "a cancel
   counts as confirmed that is not", "a fenced redeemer redeems", "a peer that forgot ends a link".
6. Both sides find together: "the two sides stay apart", "an object outlives its peer", "what was deleted is not gone",
   "calls do not pass over a link that lives", "what was heard is taken back", "it never comes to rest".  They may
   differ for good where one of them shows that its peer forgot the link: if the issuer has no record (any more), or one
   from before the redemption whose key is void or was used anew since; if B's record is gone.  And where A cannot dial
   B, it may not learn of an end at all: if B's record was purged before it could be told, or if A had acknowledged the
   end and went back to a state before that, and B's operator is not started anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from model.federation.cast import uid
from model.federation.history import link_of
from model.federation.moves import World
from model.federation.state import NAMES, A, B, Side, State
from model.federation.words import PARTIES, ROLES, is_open
from model.search import Kind, Promise
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec, LinkRecordStatus
from pbx_operator.domain.records.facts import any_closing, closing_of, interlink_of

LATER: tuple[Kind, ...] = ("progress", "time")
LONGEST = 30
"""More steps than an installation needs to let an object go."""


class Properties:
    """The properties of one world."""

    def __init__(self, world: World) -> None:
        self._world, self._cast, self._config = world, world.cast, world.config
        self._leaves = cache(self._let_leave)
        self._links = range(self._config.lives[B])

    # --- steps --------------------------------------------------------------------------------------------------

    def broken_by_step(self, before: State, after: State) -> Iterator[str]:
        """Judge what a step did; a restore is nobody's doing."""
        if before.history.restored != after.history.restored:
            return
        for who in (A, B):
            if before.sides[who].coming is not None:
                continue
            pairs = zip(before.sides[who].records, after.sides[who].records, strict=True)
            for place, (old, new) in enumerate(pairs):
                if old != new and new >= 0:
                    yield from self._changed(after, who, place, old, new)
                    yield from self._reopened(after, who, old, new)

    def _changed(self, after: State, who: int, place: int, old: int, new: int) -> Iterator[str]:
        spec, status = self._cast.records[new]
        before, known = self._cast.records[old] if old >= 0 else (None, LinkRecordStatus())
        if before is not None and before.state == "Ended" and spec != before:
            yield "an ended link changes"
        if spec.state != "Ended" and heard_rev(status) < heard_rev(known):
            yield "what was heard is taken back"
        if spec.state == "Established" and (before is None or before.state != "Established"):
            link = place if who == B else link_of(spec)
            if before is not None and spec.redeemer is not None and spec.redeemer.link_id in before.fences:
                yield "a fenced redeemer redeems"
            if link is not None and after.history.confirmed >> link & 1 and after.history.restored != A:
                yield "a link is made after its cancel was confirmed"

    def _reopened(self, after: State, who: int, old: int, new: int) -> Iterator[str]:
        """An end that was announced counts until its side takes it back."""
        if old < 0 or not _hears_closing(self._cast.records[old][1]):
            return
        spec, status = self._cast.records[new]
        peers = (self._cast.spec(number) for number in after.sides[1 - who].records)
        same = (x for x in peers if x is not None and link_of(x) == link_of(spec))
        holds = any(x.state == "Ended" or closing_of(x, ROLES[1 - who]) is not None for x in same)
        if holds and spec.state == "Established" and not _hears_closing(status):
            yield "an announced end is taken back"

    # --- moments ------------------------------------------------------------------------------------------------

    def broken_at(self, s: State, *, at_rest: bool) -> Iterator[str]:
        """Judge a moment."""
        if len(s.history.winners) > 1 and s.history.restored != A:
            yield "a key has two redeemers"
        if any(self._over(s, link) and self._is_up(s, link) for link in self._links):
            yield "an ended link comes back"
        if (at_rest or s.history.restored < 0) and self._flows(s) and self._ended_somewhere(s):
            yield "calls pass over a link whose end is recorded"
        for who in (A, B):
            if s.sides[who].phase == "deleting" and not s.sides[who].restoring and not self._leaves(who, s.sides[who]):
                yield f"a deletion waits for the peer of {NAMES[who]}"
        if at_rest:
            yield from self._gates(s)

    def _over(self, s: State, link: int) -> bool:
        """Whether both sides, or one that was not restored, have recorded the end of a link."""
        ended = [bits >> link & 1 for bits in s.history.ended]
        return all(ended) or any(ended[who] and s.history.restored != who for who in (A, B))

    def _is_up(self, s: State, link: int) -> bool:
        return self.at_a(s, link) == "Established" and self.at_b(s, link) == "Established"

    def _ended_somewhere(self, s: State) -> bool:
        """Whether the link that an open gate is about has ended on one of the sides."""
        shown = {self._cast.statuses[side.status].link_id for side in s.sides}
        specs = (self._cast.spec(number) for side in s.sides for number in side.records)
        ended = {x.redeemer.link_id for x in specs if x is not None and x.state == "Ended" and x.redeemer is not None}
        return bool(shown & ended)

    def _let_leave(self, who: int, side: Side) -> bool:
        """Whether an object that is being deleted goes if nothing else happens: no message, and nothing at the peer."""
        for _ in range(LONGEST):
            worked = self._world.does.work(who, side)
            if side.phase == "absent" or worked is None:
                break
            side = worked[1].side
        return side.phase == "absent"

    def _gates(self, s: State) -> Iterator[str]:
        for who in (A, B):
            side = s.sides[who]
            if is_open(self._cast, side) and not any(self._carries(n) for n in side.records):
                yield f"the gate of {NAMES[who]} is open without a link"

    def _carries(self, number: int) -> bool:
        """Whether a record is one of a link that is up, for all that its side knows."""
        if number < 0:
            return False
        spec, status = self._cast.records[number]
        announced = any_closing(spec) or _hears_closing(status)
        return spec.state == "Established" and not announced and status.peer_knows != "Unknown"

    # --- what must stay possible --------------------------------------------------------------------------------

    def promises(self) -> Iterable[Promise[State]]:
        """Return what must stay possible if no more goes wrong, and time passes."""
        yield Promise("a redeemer that won cannot finish", self._has_won, self._has_linked, LATER)
        yield Promise("the two sides stay apart", lambda s: True, self._agree, LATER)
        yield Promise("what was deleted is not gone", self._is_leaving, self._has_left, LATER)
        yield Promise("an object outlives its peer", self._is_bereaved, self._is_not_bereaved, LATER)
        yield Promise("calls do not pass over a link that lives", self._lives, self._flows_or_is_over)

    def _has_won(self, s: State) -> bool:
        """Whether A has linked with an object of B that does not know yet, and nobody has ended anything."""
        if s.history.restored == A or not self._is_sound(s):
            return False
        return any(self._joins(s, x, "Requested") for x in self._links)

    def _has_linked(self, s: State) -> bool:
        return any(self.at_a(s, x) == self.at_b(s, x) == "Established" for x in self._links)

    def _agree(self, s: State) -> bool:
        """Whether both sides say the same of every link, or know, as far as they can, that they do not."""
        return all(side.coming is None for side in s.sides) and all(self._agree_on(s, x) for x in self._links)

    def _agree_on(self, s: State, link: int) -> bool:
        there, here = self.at_a(s, link), self.at_b(s, link)
        if there == here == "Established":
            return True
        if there == "Established":
            return (here == "absent" and self._hears_unknown(s.sides[A], 0)) or self._cannot_know(s, link)
        if here == "Established":
            return self._may_have_forgotten(s, there) and self._hears_unknown(s.sides[B], link)
        return here != "Requested" or there == "absent" or self._may_wait(s)

    def _may_have_forgotten(self, s: State, there: str) -> bool:
        """Whether A has no record, or one from before the redemption, whose key is void or was used anew since."""
        spec = self._cast.spec(s.sides[A].records[0])
        spent = spec is not None and (spec.state == "Ended" or spec.redeemer is not None)
        return there == "absent" or (s.history.restored == A and spent)

    def _hears_unknown(self, side: Side, place: int) -> bool:
        """Whether a record is one of which the peer says that it knows no such link."""
        number = side.records[place]
        return number >= 0 and self._cast.records[number][1].peer_knows == "Unknown"

    def _cannot_know(self, s: State, link: int) -> bool:
        """Whether A cannot dial B, and B does not tell (again) how the link ended.

        B's record is gone, or A forgot in a restore what it had acknowledged.
        """
        here = self.at_b(s, link)
        forgot = here == "Ended" and s.history.restored == A and bool(s.history.ended[A] >> link & 1)
        return (here == "absent" or forgot) and self._world.does.round(A, s.sides[A]) < 0

    def _may_wait(self, s: State) -> bool:
        """Whether nobody may redeem now: the issuer's object is missing, or its account."""
        spec, side = self._cast.spec(s.sides[A].records[0]), s.sides[A]
        return spec is not None and spec.state == "Issued" and (side.phase != "present" or not side.account)

    def _is_leaving(self, s: State) -> bool:
        return any(side.phase == "deleting" for side in s.sides)

    def _has_left(self, s: State) -> bool:
        return not self._is_leaving(s)

    def _is_bereaved(self, s: State) -> bool:
        """Whether an object is still there though its peer's deletion has ended their link."""
        return not self._config.retain and any(self._bereaved(s, who) for who in (A, B))

    def _is_not_bereaved(self, s: State) -> bool:
        return not self._is_bereaved(s)

    def _bereaved(self, s: State, who: int) -> bool:
        side, peer = s.sides[who], s.sides[1 - who]
        if side.phase != "present" or (who == A and any(self._cannot_know(s, link) for link in self._links)):
            return False
        for spec in filter(None, map(self._cast.spec, side.records)):
            named = interlink_of(spec, ROLES[who])
            if named is None or named.uid != uid(who, side.life) or spec.redeemer is None:
                continue
            theirs = (x for x in map(self._cast.spec, peer.records) if x is not None and link_of(x) == link_of(spec))
            if any(_was_left(x, who) for x in ((spec,) if spec.end is not None else theirs)):
                return True
        return False

    def _lives(self, s: State) -> bool:
        """Whether the objects of both sides are there, and have a link that nobody wants to end or to close."""
        return self._is_sound(s) and any(self._joins(s, link, "Established") for link in self._links)

    def _is_sound(self, s: State) -> bool:
        return all(x.phase == "present" and not x.shut and x.account and not x.restoring for x in s.sides)

    def _joins(self, s: State, link: int, state: str) -> bool:
        """Whether a link is one of the objects that are there, Established at A and in this state at B."""
        specs = [self._cast.spec(s.sides[A].records[0]), self._cast.spec(s.sides[B].records[link])]
        for who, spec in enumerate(specs):
            named = interlink_of(spec, ROLES[who]) if spec is not None else None
            if spec is None or named is None or spec.state != ("Established", state)[who] or any_closing(spec):
                return False
            if link_of(spec) != link or named.uid != uid(who, s.sides[who].life):
                return False
        return True

    def _flows(self, s: State) -> bool:
        return all(is_open(self._cast, side) for side in s.sides)

    def _flows_or_is_over(self, s: State) -> bool:
        """An end that was told before a restore may still arrive after it."""
        return self._flows(s) or not self._lives(s)

    # --- reading ------------------------------------------------------------------------------------------------

    def at_a(self, s: State, link: int) -> str:
        """Return what A's record says of a link: Issued also if another won, absent if there is no record."""
        spec = self._cast.spec(s.sides[A].records[0])
        if spec is None:
            return "absent"
        return spec.state if spec.state == "Ended" or link_of(spec) == link else "Issued"

    def at_b(self, s: State, link: int) -> str:
        """Return what B's record of a link says."""
        spec = self._cast.spec(s.sides[B].records[link])
        return "absent" if spec is None else spec.state


def _was_left(spec: LinkRecordSpec, who: int) -> bool:
    """Whether a link ended since the object across it was deleted, or its account, or was lost."""
    end = spec.end
    return end is not None and end.by == PARTIES[1 - who] and end.reason in ("Deleted", "AccountDeleted", "Orphaned")


def _hears_closing(status: LinkRecordStatus) -> bool:
    return status.heard is not None and status.heard.closing == "Announced"


def heard_rev(status: LinkRecordStatus) -> int:
    """Return the number of what was heard last."""
    return status.heard.rev if status.heard is not None else 0
