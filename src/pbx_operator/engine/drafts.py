"""How the numbers of accounts' peers are cut into slices, remembered from one plan of an account to its next.

An account with many peers is planned again whenever one of them changes; only the slices of that one are drafted anew.
What a plan did not need is forgotten, so that nothing stays of what was offered before.
"""

from __future__ import annotations

from pbx_operator.api.meta import ObjectKey
from pbx_operator.domain.dialplan.slices import Draft, PeerDrafter, PeerFacts, draft_peer


class Drafts:
    """What the last plan of each account drafted."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, dict[PeerFacts, tuple[Draft, ...]]] = {}

    def of(self, account: ObjectKey) -> PeerDrafter:
        """Return what drafts the slices of an account's peers in the plan that begins now."""
        before = self._known.pop(account, {})

        def draft(facts: PeerFacts) -> tuple[Draft, ...]:
            drafts = before[facts] if facts in before else draft_peer(facts)
            self._known.setdefault(account, {})[facts] = drafts
            return drafts

        return draft
