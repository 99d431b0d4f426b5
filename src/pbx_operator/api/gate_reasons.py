"""The rows of the table of reasons that are about a link's gate: why calls may pass, or may not.

Part of `api/reasons`; which of them holds is decided in `domain/links/gate`.
"""

from __future__ import annotations

from pbx_operator.api.conditions import Place, Reason

_OPEN: Place = ("CallsAllowed", "True")
_CLOSED: Place = ("CallsAllowed", "False")
SEE_READY = "the condition Ready says why, and what to do"
"""The next step where another condition has it."""

GATE_OPEN = Reason("GateOpen", "calls may pass in both directions", shown=(_OPEN,))
NOT_ESTABLISHED = Reason("NotEstablished", "there is no link", SEE_READY, shown=(_CLOSED,))
CLOSED_HERE = Reason("ClosedHere", "spec.gate is Closed", "set it to Open to let calls pass", shown=(_CLOSED,))
CLOSED_BY_PEER = Reason(
    "ClosedByPeer", "the peer closed its gate", "ask that side, where CallsAllowed says why", shown=(_CLOSED,)
)
PEER_NOT_HEARD = Reason(
    "PeerNotHeard",
    "nothing has been heard of the peer yet",
    "wait two minutes for its first sync, then see that the redeemer's operator reaches the issuer's exchange",
    shown=(_CLOSED,),
)
PEER_DELETING = Reason(
    "PeerDeleting", "the peer is ending the link", "it ends, unless they take that back in time", shown=(_CLOSED,)
)
ORPHANED = Reason("Orphaned", "{missing} is missing", "re-create it within the hour to keep the link", shown=(_CLOSED,))
NOT_PUBLISHED = Reason(
    "NotPublished",
    "the dial plan does not say yet what the peer may dial",
    "it is being written; see the account's conditions if this lasts",
    shown=(_CLOSED,),
)
CALLS_UNREADABLE = Reason(
    "Unreadable",
    "an object of the link cannot be read",
    "correct the one whose Ready condition says Unreadable",
    shown=(_CLOSED,),
)
CALLS_NOT_ADMITTED = Reason(
    "RedeemerNotAllowed",
    "the issuer took the redeemer off its spec.issueKey.allowedRedeemers",
    "put it back to open the gate",
    shown=(_CLOSED,),
)

REASONS = tuple(value for value in globals().values() if isinstance(value, Reason))
"""Every row, in the order of this page."""
