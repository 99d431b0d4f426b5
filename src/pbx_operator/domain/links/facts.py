"""What is known about one Interlink when its plan is made, and the first conclusions from it.

A snapshot is taken from the Store alone.  What the Store cannot know, since Secrets are not watched and answers
of the authority are not stored, comes as `Attempts`: the outcome of the last try, when the next one is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from zlib import crc32

from pbx_operator.api.meta import ObjectKey, ObjectMeta
from pbx_operator.api.v1alpha1.interlink import Interlink, SecretKeyReference
from pbx_operator.api.v1alpha1.linkrecord import InterlinkIdentity, LinkRecord, NamespacedName
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.domain.conditions import is_true
from pbx_operator.domain.dialplan.offers import NO_OFFER, Offer
from pbx_operator.domain.records.facts import Side, account_of, interlink_of, sides_of
from pbx_operator.domain.records.redemption import Result

SECRET_LOOK_PERIOD = timedelta(minutes=5)
"""How long after its issue the Secret of an unused key is looked at first."""

USUAL_IDENTITY = ObjectKey("pbx-system", "pbx-operator-identity")
"""Where an operator without options keeps its identity."""


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What holds for the whole installation."""

    instance: str
    confirmed: bool = True
    """The identity belongs to this cluster, or an administrator said that it may be used here."""
    identity_lost: bool = False
    """There are records, but the Secret with the installation's private key is gone."""
    identity: ObjectKey = USUAL_IDENTITY
    """Where that Secret is, or was; told to people."""
    started: datetime | None = None
    """When this process began to work."""
    restoring_until: datetime | None = None
    """Until then a restore may be under way: no record is created or ended."""
    reachable: bool = False
    """There is an exchange that boxes can connect to."""

    def restoring(self, now: datetime) -> bool:
        """Whether records must be left alone."""
        return self.restoring_until is not None and now < self.restoring_until


@dataclass(frozen=True, slots=True)
class KeyLook:
    """What the last look at the Secret of a key found."""

    found: Literal["Key", "Missing", "Malformed"]
    next_look: datetime
    pause: timedelta
    """How long the operator waited before this look, or would wait after it."""
    key_id: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class RedeemTry:
    """How the authority answered the last redemption; `basis` is what it could see then."""

    key_id: str
    result: Result
    basis: object
    next_try: datetime
    pause: timedelta = timedelta(0)
    """How long the operator waits from this try to the next, before jitter."""


@dataclass(frozen=True, slots=True)
class MintTry:
    """Why the last attempt to issue a key did not end in a record."""

    problem: Literal["WaitingForCleanup", "SecretNameTaken", "KeyKnown"]
    next_try: datetime
    holder: str | None = None
    """Kind and name of what controls the Secret, if SecretNameTaken and something does."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Outcomes that only this process remembers; losing them costs a repetition, nothing else."""

    look: KeyLook | None = None
    redeem: RedeemTry | None = None
    asking: str | None = None
    """The key that is being presented to another installation."""
    mint: MintTry | None = None
    swept_key: str | None = None
    """The key whose spent Secret is known to be gone."""


@dataclass(frozen=True, slots=True)
class LinkSnapshot:
    """One Interlink, or the place of one, and all that bears on it."""

    key: ObjectKey
    cluster: ClusterFacts
    interlink: Interlink | None = None
    account: PBXAccount | None = None
    unreadable_account: ObjectMeta | None = None
    """The metadata of the account if it exists and cannot be read; `account` is None then."""
    records: tuple[LinkRecord, ...] = ()
    """Records that name this place on either side, in any state."""
    rivals: tuple[LinkRecord, ...] = ()
    """Live established records that join an account of ours with one that `records` or the key join it with."""
    shown_record: LinkRecord | None = None
    """The record of the key that the Secret showed at the last look, else of the one in the status."""
    others: Mapping[ObjectKey, Interlink] = field(default_factory=dict)
    """The Interlinks on the other sides of `records`."""
    accounts: Mapping[ObjectKey, PBXAccount] = field(default_factory=dict)
    """The accounts that `records` name."""
    unreadable: frozenset[ObjectKey] = frozenset()
    """Places of Interlinks and accounts among those that `records` name, where the object cannot be read."""
    spent_elsewhere: bool = False
    """The shown key is another installation's, and a link with it is over already: whoever's Interlink it was."""
    peer_reachable: bool | None = None
    """Whether the peer's installation, in another cluster, answers ours; None if that was not found out (yet)."""
    offer: Offer = NO_OFFER
    """What our account lets a peer in another cluster dial over this link."""
    offer_published: bool = True
    """Whether the dial plan says what this link's own sharing admits, if it has one."""
    older_prefix_holder: str | None = None
    """Name of the older Interlink of the account that the wanted dialPrefix belongs to."""
    attempts: Attempts = Attempts()
    since: tuple[str, datetime] | None = None
    """Which Ready reason this process saw last, and since when."""

    @property
    def account_metadata(self) -> ObjectMeta | None:
        """The metadata of the account, readable or not; None if there is no account."""
        return self.account.metadata if self.account is not None else self.unreadable_account


def account_ready(account: PBXAccount | None) -> bool:
    """Whether an account can take links."""
    return account is not None and not account.metadata.deleting and is_true(account.status.conditions, "Ready")


def side_of(interlink: Interlink) -> Side:
    """Return the side of a record that an Interlink takes."""
    return "issuer" if interlink.role == "Issuer" else "redeemer"


def issued_too_late(link: Interlink, now: datetime) -> bool:
    """Whether a key that is issued now would have expired already."""
    issue = link.spec.issue_key
    return issue is not None and issue.expiration_time is not None and issue.expiration_time <= now


def key_reference(interlink: Interlink) -> SecretKeyReference | None:
    """Return the Secret that a user put a key into; None where the operator generates it."""
    if interlink.spec.redeem_key is not None:
        return interlink.spec.redeem_key.secret_ref
    return interlink.spec.issue_key.from_secret_ref if interlink.spec.issue_key else None


def follows_peer(interlink: Interlink) -> bool:
    """Whether the object goes when its peer ends the link; one that nobody may delete stays."""
    return interlink.spec.on_peer_deletion == "Delete" and interlink.spec.deletion_protection == "Disabled"


def key_secret_name(interlink: Interlink) -> str:
    """Return the name of the Secret that holds the key, on either side."""
    reference = key_reference(interlink)
    if reference is not None:
        return reference.name
    issue = interlink.spec.issue_key
    return (issue.secret_name if issue else None) or f"{interlink.metadata.name}-key"


def next_secret_look(s: LinkSnapshot, interlink: Interlink) -> datetime | None:
    """Return when to see whether the Secret of an unused generated key still holds it; None if there is no such key.

    Secrets are not watched, so a process looks now and then, and at once if a user asks for it.  After its start it
    spreads its first looks over the period, or those at all unused keys would come at one moment.
    """
    unused = issued_of(mine(s, interlink))
    if unused is None or key_reference(interlink) is not None:
        return None
    if s.attempts.look is not None:
        return s.attempts.look.next_look
    if _is_asked_for(interlink, unused):
        return unused.spec.issued_time
    first = unused.spec.issued_time + SECRET_LOOK_PERIOD
    share = crc32(unused.spec.key_id.encode()) / 2**32
    return first if s.cluster.started is None else max(first, s.cluster.started + share * SECRET_LOOK_PERIOD)


def _is_asked_for(interlink: Interlink, unused: LinkRecord) -> bool:
    """Whether a fresh look at a key was requested that is shown already."""
    asked, status = interlink.metadata.reconcile_requested_at, interlink.status
    return asked not in (None, status.last_handled_reconcile_at) and status.key_id == unused.spec.key_id


def generated_key_lost(s: LinkSnapshot, interlink: Interlink, unused: LinkRecord) -> bool:
    """Whether the last look found no Secret with the unused key that the operator had put there."""
    look = s.attempts.look
    return key_reference(interlink) is None and look is not None and look.key_id != unused.spec.key_id


def live(record: LinkRecord) -> bool:
    """Whether the record is not Ended."""
    return record.spec.state != "Ended"


def account_name(interlink: Interlink) -> NamespacedName:
    """Return the account that an Interlink names, as records write it."""
    return NamespacedName(namespace=interlink.key.namespace, name=interlink.spec.account_ref.name)


def identity_of(interlink: Interlink) -> InterlinkIdentity:
    """Return an Interlink in its present life, as records write it."""
    return InterlinkIdentity(namespace=interlink.key.namespace, name=interlink.key.name, uid=interlink.metadata.uid)


def mine(s: LinkSnapshot, interlink: Interlink) -> tuple[LinkRecord, ...]:
    """Return the records, live or Ended, that name this very object."""
    side, here, uid = side_of(interlink), interlink.key, interlink.metadata.uid
    return tuple(r for r in s.records if (i := interlink_of(r.spec, side)) and i.key == here and i.uid == uid)


def adoptable(s: LinkSnapshot, interlink: Interlink) -> tuple[LinkRecord, ...]:
    """Return the live records whose side this object may take over from a predecessor of its name.

    They name the same place, account and role, and are Established.  A redeemer's Secret must show the
    record's key; where it shows none, a single candidate suffices.  An unused key goes over if the user brought it
    along and the Secret still shows it; or if the object's status tells of it, which then came from a backup, since
    whoever creates an object anew cannot give it a status.
    """
    side = side_of(interlink)
    account = account_name(interlink)
    candidates = [
        r
        for r in s.records
        if live(r)
        and (named := interlink_of(r.spec, side)) is not None
        and named.key == interlink.key
        and named.uid != interlink.metadata.uid
        and account_of(r.spec, side) == account
    ]
    shown = s.attempts.look.key_id if s.attempts.look else None
    established = [r for r in candidates if r.spec.state == "Established"]
    if side == "issuer":
        known = {"BringYourOwn": shown, "Generated": interlink.status.key_id}
        unused = [r for r in candidates if r.spec.state == "Issued" and r.spec.key_id == known[r.spec.origin]]
        return tuple(established + unused)
    if shown is None:
        return tuple(established) if len(established) == 1 else ()
    return tuple(r for r in established if r.spec.key_id == shown)


def records_of_predecessors(s: LinkSnapshot, interlink: Interlink) -> tuple[tuple[LinkRecord, Side], ...]:
    """Return live records, with the side, that name this place for an object that is gone for good.

    They are neither this object's own nor will it adopt them; one that is linked already adopts nothing.
    """
    ours = mine(s, interlink)
    successions = () if established_of(ours) is not None else adoptable(s, interlink)
    own = {r.metadata.name for r in (*ours, *successions)}
    return tuple(
        (r, side) for r in s.records if live(r) and r.metadata.name not in own for side in sides_of(r.spec, s.key)
    )


def established_of(records: tuple[LinkRecord, ...]) -> LinkRecord | None:
    """Return the link that an Interlink keeps when several are live: the earlier, then the smaller id."""
    found = [r for r in records if r.spec.state == "Established"]
    return min(found, key=_seniority, default=None)


def _seniority(record: LinkRecord) -> tuple[datetime, str]:
    redeemer = record.spec.redeemer
    assert redeemer is not None, "an Established record has a redeemer"
    return redeemer.time, redeemer.link_id


def issued_of(records: tuple[LinkRecord, ...]) -> LinkRecord | None:
    """Return the unused key that counts when several are live: the highest revision."""
    found = [r for r in records if r.spec.state == "Issued"]
    return max(found, key=lambda r: (r.spec.revision, r.metadata.name), default=None)


def last_ended_of(records: tuple[LinkRecord, ...]) -> LinkRecord | None:
    """Return the record that ended last."""
    found = [(r.spec.end.time, r.metadata.name, r) for r in records if r.spec.end is not None]
    return max(found, key=lambda item: item[:2])[2] if found else None


def ended_as_duplicate(record: LinkRecord) -> bool:
    """Whether the link ended since another one joins the two accounts."""
    return record.spec.end is not None and record.spec.end.reason == "DuplicateLink"


def ended_by_peer(record: LinkRecord, side: Side) -> bool:
    """Whether the other side's object is gone, which deletes this one too under `onPeerDeletion: Delete`."""
    end = record.spec.end
    other = "Redeemer" if side == "issuer" else "Issuer"
    return end is not None and end.by == other and end.reason in ("Deleted", "AccountDeleted", "Orphaned")
