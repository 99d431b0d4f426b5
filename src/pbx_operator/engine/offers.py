"""What accounts offer over their links, remembered for as long as what it follows from stays the same.

An account with many peers is planned from the offers of all of them, and again whenever one of them changes.
Working out the numbers of every peer each time would make a change cost the number of links squared.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.shared import Sharing
from pbx_operator.domain.claims import Claim
from pbx_operator.domain.dialplan.numbers import resolve
from pbx_operator.domain.dialplan.offers import NO_OFFER, Offer, offer
from pbx_operator.engine.store import Store


@dataclass(frozen=True, slots=True)
class _Known:
    """What was worked out for one account; it holds for these very objects, which never change."""

    account: PBXAccount
    numbers: list[InternalNumber]
    claimed: list[Claim]
    held: tuple[InternalNumber, ...]
    offers: dict[Sharing | None, Offer] = field(default_factory=dict)
    """By the sharing of the account's Interlink: most links of an account have the same."""

    def follows_from(self, account: PBXAccount, numbers: list[InternalNumber], claimed: list[Claim]) -> bool:
        """Whether it was worked out from these objects."""
        same = account is self.account and len(numbers) == len(self.numbers) and claimed == self.claimed
        return same and all(map(operator.is_, numbers, self.numbers))


class Offers:
    """Answers what an account offers over one of its Interlinks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[ObjectKey, _Known] = {}

    def over(self, interlink: ObjectKey, owner: ObjectKey) -> Offer:
        """Return what the owner offers to whoever is on the other side of its Interlink."""
        account, link = self._store.accounts.get(owner), self._store.interlinks.get(interlink)
        if account is None or link is None:
            return NO_OFFER
        known = self._look_up(owner, account)
        sharing = link.spec.sharing
        if sharing not in known.offers:
            known.offers[sharing] = offer(account, link, known.held)
        return known.offers[sharing]

    def forget(self, owner: ObjectKey) -> None:
        """Drop what is known of an account that is gone."""
        self._known.pop(owner, None)

    def _look_up(self, owner: ObjectKey, account: PBXAccount) -> _Known:
        numbers = self._store.numbers.select("account", owner)
        claimed = [u.claim("number") for u in self._store.numbers.unreadables(owner)]
        known = self._known.get(owner)
        if known is None or not known.follows_from(account, numbers, claimed):
            held = resolve(account, numbers, claimed).held
            known = self._known[owner] = _Known(account, numbers, claimed, held)
        return known
