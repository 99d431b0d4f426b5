"""Which slices to write and delete, in an order in which every moment between two writes is safe.

A reader sees the slices change one by one.  So what narrows a link's reach comes first, then what takes numbers
away; rows that only move to another slice are written there before they vanish here; and the end of a link's own
Offer slices, which widens its reach to the default, comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pbx_operator.api.meta import OwnerReference
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.domain.dialplan.slices import Draft
from pbx_operator.domain.plan import DeleteSlice, WriteSlice, target_of

_NARROW, _WITHDRAW, _CREATE, _REWRITE, _CLEAR = range(5)

Right = tuple[str, str | None, str | None, str]
"""What a row lets somebody do: source, Interlink, `Offered` if it is about peers, digits."""


@dataclass(frozen=True, slots=True)
class SliceChanges:
    """The way from the existing slices to the wanted ones."""

    actions: tuple[WriteSlice | DeleteSlice, ...]
    """To be carried out in this order; a failure must stop the rest."""
    blocked: tuple[str, ...]
    """Wanted names that somebody else's objects have."""
    urgent: bool
    """Something is taken away or narrowed, which must not wait for anything."""


class _Step(NamedTuple):
    phase: int
    name: str
    action: WriteSlice | DeleteSlice


def diff_slices(
    account: PBXAccount,
    wanted: Sequence[Draft],
    existing: Sequence[DialPlanSlice],
    taken: frozenset[str] = frozenset(),
) -> SliceChanges:
    """Return how to get from the existing slices, which name this account, to the wanted ones.

    Slices of an earlier account of this name are deleted; those of nobody, or of somebody else, are left alone.
    A name becomes free only when its object is gone, so what is still being deleted is waited for.  The names in
    `taken` have objects that are no business of this account.
    """
    ours = {s.metadata.name: s for s in existing if is_ours(s, account)}
    others = {s.metadata.name: s for s in existing if s.metadata.name not in ours}
    going = {name for name, s in (ours | others).items() if s.metadata.deleting or is_predecessors(s, account)}
    foreign = others.keys() | taken
    changed = [(d, ours.get(d.name)) for d in wanted if d.name not in foreign and d.name not in going]
    changed = [(d, old) for d, old in changed if old is None or old.spec.rev != d.rev]
    names = {d.name for d in wanted}
    surplus = [s for name, s in ours.items() if name not in names and not s.metadata.deleting]
    stale = [s for name, s in others.items() if name in going and not s.metadata.deleting]
    steps = _in_safe_order(account, wanted, changed, surplus)
    blocked = sorted(foreign & names - going)
    urgent = bool(stale) or any(step.phase <= _WITHDRAW for step in steps)
    return SliceChanges((*map(_delete, stale), *(step.action for step in steps)), tuple(blocked), urgent)


def delete_all(account: str, existing: Sequence[DialPlanSlice]) -> tuple[DeleteSlice, ...]:
    """Return how to get rid of all slices that the operator made for accounts of this name; Offers narrow, so last."""
    ours = [s for s in existing if not s.metadata.deleting and _made_for(s, account)]
    return tuple(_delete(s) for s in sorted(ours, key=_is_offer))


def any_left(account: str, existing: Sequence[DialPlanSlice]) -> bool:
    """Whether slices that the operator made for accounts of this name still exist."""
    return any(_made_for(s, account) for s in existing)


def is_ours(existing: DialPlanSlice, account: PBXAccount) -> bool:
    """Whether the operator made a slice for this account, in this life of it."""
    return any(o.uid == account.metadata.uid for o in _owners(existing))


def is_predecessors(existing: DialPlanSlice, account: PBXAccount) -> bool:
    """Whether a slice belongs to an account of this name that is gone."""
    return _made_for(existing, account.metadata.name) and not is_ours(existing, account)


def _made_for(existing: DialPlanSlice, account: str) -> bool:
    return any(o.name == account for o in _owners(existing))


def _owners(existing: DialPlanSlice) -> Iterator[OwnerReference]:
    return (o for o in existing.metadata.owner_references if o.kind == PBXAccount.resource.kind)


def _delete(existing: DialPlanSlice) -> DeleteSlice:
    return DeleteSlice(target_of(existing))


def _in_safe_order(
    account: PBXAccount,
    wanted: Sequence[Draft],
    changed: Sequence[tuple[Draft, DialPlanSlice | None]],
    surplus: Sequence[DialPlanSlice],
) -> list[_Step]:
    builds = [(draft.build(account, old), old) for draft, old in changed]
    kept = {right for new, _ in builds for right in _rights(new)}
    narrowed = {d.head.source.interlink for d in wanted if d.head.source.type == "Offer"}
    steps: list[_Step] = []
    for new, old in builds:
        withdraws = _is_offer(new) if old is None else not kept.issuperset(_rights(old))
        phase = _withdrawal(new) if withdraws else _CREATE if old is None else _REWRITE
        steps.append(_Step(phase, new.metadata.name, WriteSlice(new)))
    for old in surplus:
        widens = _is_offer(old) and old.spec.source.interlink not in narrowed
        phase = _CLEAR if widens or kept.issuperset(_rights(old)) else _withdrawal(old)
        steps.append(_Step(phase, old.metadata.name, _delete(old)))
    return sorted(steps, key=lambda step: (step.phase, step.name))


def _is_offer(part: DialPlanSlice) -> bool:
    return part.spec.source.type == "Offer"


def _withdrawal(part: DialPlanSlice) -> int:
    return _NARROW if _is_offer(part) else _WITHDRAW


def _rights(part: DialPlanSlice) -> Iterator[Right]:
    source = part.spec.source
    for row in part.spec.rows:
        yield source.type, source.interlink, None, row.dialed or row.number
        if row.offered == "All":
            yield source.type, source.interlink, "Offered", row.number
