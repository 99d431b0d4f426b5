"""Which conditions there are, and what a reason for one of them is made of.

The reasons themselves are the table in `reasons`, which is what the rules and tools import; this module has the
words that the table is written in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal

from pbx_operator.api.meta import ConditionStatus

ConditionType = Literal[
    "Ready",
    "Reconciling",
    "Stalled",
    "Accepted",
    "ResolvedRefs",
    "KeyIssued",
    "Established",
    "CallsAllowed",
    "PeerReachable",
    "Conflicted",
    "Provisioned",
    "Connected",
    "WeakActivationCode",
]
Place = tuple[ConditionType, ConditionStatus]
"""Where a reason may stand: a condition and its status."""

CONDITIONS: Mapping[ConditionType, str] = {
    "Ready": "Whether the object is as wanted, summed up for tools that wait.",
    "Reconciling": "Present while the operator goes on by itself; with the reason and message of Ready.",
    "Stalled": "Present while a person must change some object first; with the reason and message of Ready.",
    "Accepted": "Whether what the spec asks for is allowed in its account.",
    "ResolvedRefs": "Whether the objects that the spec names were found.",
    "KeyIssued": "Whether there is a key for the peer; on an Interlink that issues one.",
    "Established": "Whether the two accounts are linked; on an Interlink.",
    "CallsAllowed": "Whether calls may pass over the link, which Ready does not tell; on an Interlink.",
    "PeerReachable": "Whether the peer's installation answers ours; on an Interlink to an account of another cluster.",
    "Conflicted": "Present while own numbers hide numbers of peers that no dial prefix reaches; on a PBXAccount.",
    "Provisioned": "Whether the provider has it as wanted; on a CommServer, and on a PBXAccount with a provider.",
    "Connected": "Whether the box is connected to its provider; on a CommServer.",
    "WeakActivationCode": "Present while the box could be forged by whoever can guess its code; on a CommServer.",
}
"""What each condition tells."""

GRACE = timedelta(minutes=2)
"""How long a reason with `Patience.GRACE` counts as progress before a person must act."""


class Patience(StrEnum):
    """What a reason for not being ready means to a tool that waits (kstatus, Argo CD)."""

    PROGRESS = "Reconciling"
    """The operator expects this to pass."""
    GRACE = "Reconciling, Stalled after 2 minutes"
    """It may pass by itself, for example while two manifests are applied; later a person must act."""
    PERSON = "Stalled"
    """A person must change some object; the operator reacts when that happens."""


_BESIDE_READY: Mapping[Patience | None, tuple[Place, ...]] = {
    None: (),
    Patience.PROGRESS: (("Reconciling", "True"),),
    Patience.GRACE: (("Reconciling", "True"), ("Stalled", "True")),
    Patience.PERSON: (("Stalled", "True"),),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the table.

    `what` describes the situation and `fix` is the next step, empty where nothing needs to be done; both have
    `{placeholders}` for facts.  `text` replaces them in messages where a fact says it all.  `shown` is every place
    where the rules may put the reason.  `patience` is set if one of them is a Ready that is not True.
    """

    name: str
    what: str
    fix: str = ""
    patience: Patience | None = None
    _: KW_ONLY
    shown: tuple[Place, ...]
    text: str = ""

    @property
    def template(self) -> str:
        """The message before its placeholders are filled."""
        return self.text or (f"{self.what}; {self.fix}" if self.fix else self.what)

    @property
    def places(self) -> tuple[Place, ...]:
        """Every condition and status that it may stand on, those that accompany Ready included."""
        return self.shown + _BESIDE_READY[self.patience]

    def message(self, **facts: object) -> str:
        """Return the text for people. Raises KeyError if the fact for a placeholder is missing."""
        return self.template.format(**facts)
