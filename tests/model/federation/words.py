"""What the messages of a link mean for its properties: what they tell, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterable

from model.federation.cast import Cast
from model.federation.state import NAMES, Side
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.protocol.messages import (
    Answer,
    CancelAnswer,
    LinkReport,
    RedeemAnswer,
    Request,
    SyncAnswer,
    SyncRequest,
)
from pbx_operator.domain.records.facts import Side as Role
from pbx_operator.domain.records.facts import closing_of

FORGOT = "a peer that forgot ends a link"
UNSURE = "a cancel counts as confirmed that is not"
TOO_EARLY = "{} tells the end while its gate is open"
PARTIES = ("Issuer", "Redeemer")
ROLES: tuple[Role, Role] = ("issuer", "redeemer")


def reports(message: Request | Answer) -> tuple[LinkReport, ...]:
    """Return what a message says of links."""
    return message.links if isinstance(message, SyncRequest | SyncAnswer) else ()


def forgotten(cast: Cast, before: Side, after: Side, message: Request | Answer) -> tuple[str, ...]:
    """Return what is wrong if a record ended though the peer said only that it knows of nothing."""
    unknown = [report.state == "Unknown" for report in reports(message)]
    if isinstance(message, RedeemAnswer | CancelAnswer):
        unknown = [message.result == "Unknown"]
    if not unknown or not all(unknown):
        return ()
    pairs = zip(before.records, after.records, strict=True)
    return (FORGOT,) if any(_ended(cast, new) and not _ended(cast, old) for old, new in pairs) else ()


def unsure(cast: Cast, before: Side, after: Side, message: Request | Answer) -> tuple[str, ...]:
    """Return what is wrong if a cancel counts as confirmed though the peer said that it is not sure."""
    if not isinstance(message, CancelAnswer) or message.result == "Done":
        return ()
    pairs = zip(before.records, after.records, strict=True)
    return (UNSURE,) if any(is_confirmed(cast, new) and not is_confirmed(cast, old) for old, new in pairs) else ()


def is_confirmed(cast: Cast, number: int) -> bool:
    """Whether a record is one of a link that was given up unanswered, and whose peer knows that."""
    if number < 0:
        return False
    spec, status = cast.records[number]
    gave_up = spec.end is not None and spec.end.by == "Redeemer" and spec.receipt is None
    return gave_up and status.peer_knows == "End"


def _ended(cast: Cast, number: int) -> bool:
    spec = cast.spec(number)
    return spec is not None and spec.state == "Ended"


def told_too_early(cast: Cast, who: int, side: Side, message: Request | Answer) -> tuple[str, ...]:
    """Return what is wrong if a side tells an end that it brought about itself, and lets calls pass still.

    What the peer brought about, the peer's gate keeps calls from.
    """
    if not is_open(cast, side):
        return ()
    link = cast.statuses[side.status].link_id
    told = any(report.link_id == link and report.state in ("Ended", "Closing") for report in reports(message))
    told = told or (isinstance(message, RedeemAnswer) and message.result == "Gone")
    own = any(_own_end(spec, who) for spec in _specs(cast, side, link))
    return (TOO_EARLY.format(NAMES[who]),) if told and own else ()


def is_open(cast: Cast, side: Side) -> bool:
    """Whether a SIP server would let calls pass: the Interlink is there, is not being deleted, and says so."""
    return side.phase == "present" and cast.statuses[side.status].gate == "Open"


def _specs(cast: Cast, side: Side, link: str | None) -> Iterable[LinkRecordSpec]:
    found = (cast.spec(number) for number in side.records)
    return (s for s in found if s is not None and s.redeemer is not None and s.redeemer.link_id == link)


def _own_end(spec: LinkRecordSpec, who: int) -> bool:
    if spec.end is not None:
        return spec.end.by != PARTIES[1 - who]
    return closing_of(spec, ROLES[who]) is not None
