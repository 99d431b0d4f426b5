"""What must hold in every small world, for steps, for moments, for moments of rest, and for what can follow.

The names are what a report says when one does not hold.
"""

from __future__ import annotations

from collections.abc import Iterator

from model.cast import NAMES, Account, I, Q, R, Slot, life_of
from model.moves import World
from model.state import State
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, LinkRecordSpec
from pbx_operator.domain.records.facts import Side, any_closing, closing_of, interlink_of

SIDES: tuple[Side, Side] = ("issuer", "redeemer")


class Properties:
    """The properties of one world's states; each method yields the names of those that do not hold."""

    def __init__(self, world: World) -> None:
        self._operator = world.operator
        self._config = world.config

    # --- steps --------------------------------------------------------------------------------------------------

    def broken_by_step(self, before: State, after: State) -> Iterator[str]:
        """Judge what a step did to the records."""
        for key in range(self._config.keys):
            old, new = self._operator.spec(before, key), self._operator.spec(after, key)
            if old is None or new is None or old == new:
                continue
            if old.state == "Ended":
                yield "an ended link changes"
            if old.redeemer and (not new.redeemer or new.redeemer.link_id != old.redeemer.link_id):
                yield "a key has another redeemer"
            if any(_goes_back(interlink_of(old, side), interlink_of(new, side)) for side in SIDES):
                yield "a link goes back to an object that is gone"
            if old.state == "Issued" and new.state == "Established" and not self._both_exist(after, new):
                yield "a link is made with an object that is gone"

    def _both_exist(self, state: State, spec: LinkRecordSpec) -> bool:
        """Nobody can keep a promise to an object that was removed by force."""
        forced = state.forces < self._config.forces
        slots = ((_slot(state, end), life_of(end.uid)) for end in _ends(spec))
        return forced or all(slot.phase != "A" and slot.life == life for slot, life in slots)

    # --- moments ------------------------------------------------------------------------------------------------

    def broken_at(self, state: State, *, at_rest: bool) -> Iterator[str]:
        """Judge a moment; at rest, nothing is left to be done."""
        if state.forces == self._config.forces:
            yield from self._released(state, at_rest=at_rest)
        if at_rest:
            yield from self._too_many(state)
            yield from self._keys(state)
            yield from self._gates(state)

    def _released(self, state: State, *, at_rest: bool) -> Iterator[str]:
        """An object that was let go has ended its links, or announced the end."""
        for spec in self._live(state):
            for side in SIDES:
                named = interlink_of(spec, side)
                if named is None or (spec.state == "Issued" and not at_rest):
                    continue
                slot, life = _slot(state, named), life_of(named.uid)
                gone = slot.life > life or (slot.phase == "A" and slot.life == life)
                if gone and closing_of(spec, side) is None:
                    yield f"the {side} was let go with a live link"

    def _too_many(self, state: State) -> Iterator[str]:
        if len(self._of_issuer(state)) > 1:
            yield "an issuer has two live records"
        for place in (R, Q):
            slot = state.slots[place]
            links = [s for s in self._links(state) if slot.phase == "P" and _names(s, place, slot)]
            if len(links) > 1:
                yield "a redeemer has two links"

    def _keys(self, state: State) -> Iterator[str]:
        issuer, mine = state.slots[I], self._of_issuer(state)
        held = state.secret[0] if state.secret is not None and state.secret[1] == issuer.life else None
        unused = [s for s in mine if s.state == "Issued"]
        if not self._config.brought and issuer.phase == "P":
            if any(held is None or self._operator.spec(state, held) != spec for spec in unused):
                yield "a key is issued that nobody can read"
            if held is not None and not unused and self._operator.spec(state, held) is not None:
                yield "the Secret of a spent or void key stays"
            if self._lacks_key(state, mine):
                yield "an issuer gets no key"
        if self._waits(state):
            yield "a redeemer waits beside a key that it could use"

    def _lacks_key(self, state: State, mine: list[LinkRecordSpec]) -> bool:
        life = state.slots[I].life
        specs = [self._operator.specs[number] for number in state.recs if number >= 0]
        wish = [s for s in specs if _issuer_life(s) == life and s.revision >= state.revision]
        possible = has_account(state) and state.minted < self._config.keys
        return possible and not mine and not wish and not self._live(state)

    def _waits(self, state: State) -> bool:
        spec, slot, issuer = self._operator.spec(state, 0), state.slots[R], state.slots[I]
        if spec is None or spec.state != "Issued" or slot.phase != "P" or slot.moved:
            return False
        request = self._operator.cast.request(R, slot.life, slot.moved, 0)
        invited = issuer.phase == "P" and issuer.life == _issuer_life(spec) and has_account(state)
        has_key = bool(state.known & 1) and state.carried == 0
        return invited and has_key and request.link_id not in spec.fences

    def _gates(self, state: State) -> Iterator[str]:
        for place, slot in enumerate(state.slots):
            if slot.phase != "P" or self._operator.status(slot).gate != "Open":
                continue
            links = (s for s in self._links(state) if any(_names_side(s, side, place, slot) for side in SIDES))
            if not any(self._is_up(state, spec) for spec in links):
                yield "a gate is open without a link"

    def _is_up(self, state: State, spec: LinkRecordSpec) -> bool:
        there = all(_is_there(_slot(state, end), end) for end in _ends(spec))
        return there and not any_closing(spec) and has_account(state)

    # --- what can follow ----------------------------------------------------------------------------------------

    def everything_deleted(self, state: State) -> bool:
        """Whether users have deleted all objects."""
        return all(slot.phase != "P" for slot in state.slots)

    def everything_gone(self, state: State) -> bool:
        """Whether nothing is left of them."""
        absent = all(slot.phase == "A" for slot in state.slots) and state.account.phase != "D"
        return absent and not self._live(state) and state.secret is None

    def account_deleted(self, state: State) -> bool:
        """Whether I's account is being deleted."""
        return state.account.phase == "D"

    def account_gone(self, state: State) -> bool:
        """Whether I's account is gone."""
        return state.account.phase == "A"

    def may_link_again(self, state: State) -> bool:
        """Both objects of the one link are there, in whatever life, and nothing is on its way that ends it."""
        links = self._links(state)
        if len(links) != 1 or not has_account(state):
            return False
        (spec,) = links
        slots = [_slot(state, end) for end in _ends(spec)]
        if any(slot.phase != "P" or slot.moved for slot in slots):
            return False
        key = next(k for k in range(self._config.keys) if self._operator.spec(state, k) == spec)
        shows_another = slots[1] == state.slots[R] and state.carried != key
        writes = [w for w in (*state.busy, *state.late) if w is not None and w.verb == "put" and w.key == key]
        return not shows_another and all(self._operator.specs[w.spec].state != "Ended" for w in writes)

    def linked_again(self, state: State) -> bool:
        """Whether the link is up, and both sides show it."""
        return any(
            self._is_up(state, spec)
            and all(self._operator.status(_slot(state, end)).gate == "Open" for end in _ends(spec))
            for spec in self._links(state)
        )

    # --- reading ------------------------------------------------------------------------------------------------

    def _live(self, state: State) -> list[LinkRecordSpec]:
        specs = (self._operator.specs[number] for number in state.recs if number >= 0)
        return [s for s in specs if s.state != "Ended"]

    def _links(self, state: State) -> list[LinkRecordSpec]:
        return [s for s in self._live(state) if s.state == "Established"]

    def _of_issuer(self, state: State) -> list[LinkRecordSpec]:
        """Return the live records of the issuer that is there."""
        issuer = state.slots[I]
        return [s for s in self._live(state) if issuer.phase == "P" and _names_side(s, "issuer", I, issuer)]


def has_account(state: State) -> bool:
    """Whether the account that I belongs to is there; the one that it may move to always is."""
    return state.slots[I].moved or state.account == Account("P", state.account.life)


def _ends(spec: LinkRecordSpec) -> list[InterlinkIdentity]:
    return [end for side in SIDES if (end := interlink_of(spec, side)) is not None]


def _slot(state: State, named: InterlinkIdentity) -> Slot:
    return state.slots[NAMES.index(named.name)]


def _is_there(slot: Slot, named: InterlinkIdentity) -> bool:
    return slot.phase == "P" and slot.life == life_of(named.uid)


def _names(spec: LinkRecordSpec, place: int, slot: Slot) -> bool:
    return _names_side(spec, "redeemer", place, slot)


def _names_side(spec: LinkRecordSpec, side: Side, place: int, slot: Slot) -> bool:
    named = interlink_of(spec, side)
    return named is not None and named.name == NAMES[place] and life_of(named.uid) == slot.life


def _goes_back(old: InterlinkIdentity | None, new: InterlinkIdentity | None) -> bool:
    return old is not None and new is not None and life_of(new.uid) < life_of(old.uid)


def _issuer_life(spec: LinkRecordSpec) -> int | None:
    named = interlink_of(spec, "issuer")
    return life_of(named.uid) if named is not None else None
