"""What stands behind the exchange: the desk answers what a peer's installation asks.

The exchange has checked by then who asks and that the question is for this installation; what the answer is, the
desk decides, on records that it reads from the API server.  Addressing, binding to the request and signing are the
exchange's again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pbx_operator.domain.protocol.envelope import Envelope
from pbx_operator.domain.protocol.messages import CancelRequest, LinkReport, Outcome, RedeemRequest, SyncRequest


@dataclass(frozen=True, slots=True)
class RedeemReply:
    """What became of a key; the fields are those of a RedeemAnswer."""

    result: Outcome
    reason: str | None = None
    retry_after_seconds: int | None = None
    time: datetime | None = None
    by: str | None = None
    receipt: Envelope | None = None


@dataclass(frozen=True, slots=True)
class SyncReply:
    """One side of the links that were asked about, and where this installation can be reached now.

    The exchange sends as many links as one message holds, in this order; a link that is left out means nothing.
    """

    links: tuple[LinkReport, ...]
    endpoints: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()


class Desk(Protocol):
    """Answers requests of other installations.

    Who signed a request may speak for `request.sender`, by `request.successions`; `public_key` is what it was signed
    with, in base64url.  Whether that is the peer of a link that the request names, and whether by a key that still
    counts, only the record tells.  Each call may raise ApiError: nothing is known then, and the peer asks again.
    """

    def confirmed(self) -> bool:
        """Whether this installation is in the cluster that its identity was made in, or was moved on purpose."""

    async def redeem(self, request: RedeemRequest, public_key: str) -> RedeemReply:
        """Decide about a key."""

    async def cancel(self, request: CancelRequest) -> Literal["Done", "Unknown"]:
        """Make sure that a link is never made."""

    async def sync(self, request: SyncRequest, *, fresh: bool) -> SyncReply:
        """Take note of the peer's side of links and tell ours.

        A request that is not `fresh` is true, but may be a recording: it is no sign of life.
        """
