"""Redemption: how a key is spent, exactly once.

`decide` is the only place where a record gets its redeemer, inside a cluster and between clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pbx_operator.api.v1alpha1.linkrecord import (
    EndReason,
    InterlinkIdentity,
    LinkRecordSpec,
    NamespacedName,
    Redeemer,
)
from pbx_operator.domain.protocol.envelope import canonical, signed_bytes
from pbx_operator.domain.protocol.keys import SigningKey, link_id, verify
from pbx_operator.domain.protocol.succession import Successions, instance_of, speaks_for
from pbx_operator.domain.records.facts import admits, any_closing, expired
from pbx_operator.domain.records.machine import ended

MAX_RECORDS_PER_NAMESPACE = 10_000


@dataclass(frozen=True, slots=True)
class Redemption:
    """A request to link, signed twice: by the key (authority) and by the redeemer's instance (binding)."""

    key_id: str
    instance: str
    public_key: str
    account: NamespacedName
    interlink: InterlinkIdentity
    link_id: str
    key_signature: str = ""
    instance_signature: str = ""
    successions: Successions = ()
    """What leads from the installation's first key to `public_key`; it proves itself, so nobody signs it again."""

    def payload(self) -> bytes:
        """Return the bytes that both signatures cover."""
        facts = {
            "account": self.account.to_json(),
            "instance": self.instance,
            "interlink": self.interlink.to_json(),
            "keyID": self.key_id,
            "linkID": self.link_id,
            "publicKey": self.public_key,
        }
        return signed_bytes("redeem", canonical(facts))

    def redeemer(self, time: datetime) -> Redeemer:
        """Return whom a record names once the key is redeemed by this request."""
        return Redeemer(
            link_id=self.link_id,
            instance=self.instance,
            public_key=self.public_key,
            account=self.account,
            interlink=self.interlink,
            time=time.replace(microsecond=0),
        )


def sign_redemption(
    key: SigningKey,
    key_id: str,
    identity: SigningKey,
    issuer_instance: str,
    account: NamespacedName,
    interlink: InterlinkIdentity,
    successions: Successions = (),
) -> Redemption:
    """Make the request by which `interlink` redeems the key; `successions` leads to `identity`."""
    instance = instance_of(identity.public, successions)
    request = Redemption(
        key_id,
        instance,
        identity.public,
        account,
        interlink,
        link_id(issuer_instance, key_id, instance, interlink.uid),
        successions=successions,
    )
    payload = request.payload()
    return replace(request, key_signature=key.sign(payload), instance_signature=identity.sign(payload))


def cancel_bytes(issuer: str, key: str, link: str) -> bytes:
    """Return what the key signs to say that this link may never be made."""
    return signed_bytes("cancel", f"{issuer}{key}{link}".encode())


@dataclass(frozen=True, slots=True)
class Linked:
    """The key is redeemed by this link; the same answer as often as it is asked."""

    redeemer: Redeemer


@dataclass(frozen=True, slots=True)
class Unknown:
    """No such key, or not proven; tried again later, since a backup may bring it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Final: the request makes no sense."""

    reason: Literal["SelfLink"]


BusyReason = Literal[
    "IssuerAbsent",
    "Closing",
    "RedeemerNotAllowed",
    "AccountNotReady",
    "DuplicateLink",
    "TooManyRecords",
    "Restoring",
    "Contended",
]


@dataclass(frozen=True, slots=True)
class Busy:
    """Not now; nothing was consumed."""

    reason: BusyReason
    retry_after: timedelta = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Used:
    """Final: somebody else redeemed the key."""

    time: datetime
    instance: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Final: the key is void."""

    reason: EndReason | Literal["Cancelled"]


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The issuer is in another cluster and did not answer; nobody knows whether it has decided."""

    retry_after: timedelta = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Unproven:
    """Whoever was asked in another cluster answered, and cannot be believed; nobody knows what the issuer decided."""

    problem: str
    """What is wrong with the answer, as the end of a sentence about the installation that was asked; for our log."""


Result = Linked | Unknown | Refused | Busy | Used | Gone | Unreachable | Unproven


@dataclass(frozen=True, slots=True)
class IssuerFacts:
    """What the authority looked up after it had read the record."""

    issuer_present: bool
    """The issuer's Interlink exists with the recorded UID and is not being deleted."""
    pair_linked: bool
    """Another live link joins the same two accounts."""
    namespace_records: int = 0
    """How many records the issuer's namespace has."""
    restoring: bool = False
    """The operator was told that a backup is being restored."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a redemption, and what must be written before it may be given."""

    result: Result
    spec: LinkRecordSpec | None = None
    replay: bool = False


def decide(spec: LinkRecordSpec | None, request: Redemption, facts: IssuerFacts, now: datetime) -> Decision:
    """Answer a redemption.

    The only place where a key is spent.  A request that is repeated gets the same answer, so that a redeemer
    that won can always finish; whoever cannot prove the key learns nothing.
    """
    if spec is None or not _proven(spec, request):
        return Decision(Unknown())
    if spec.redeemer is not None and spec.redeemer.link_id != request.link_id:
        return Decision(Used(spec.redeemer.time, spec.redeemer.instance), replay=True)
    if spec.end is not None:
        return Decision(Gone(spec.end.reason))
    if spec.redeemer is not None:
        return Decision(Linked(spec.redeemer))
    return _decide_issued(spec, request, facts, now)


def _decide_issued(spec: LinkRecordSpec, request: Redemption, facts: IssuerFacts, now: datetime) -> Decision:
    if facts.restoring:
        return Decision(Busy("Restoring", timedelta(minutes=1)))
    if expired(spec, now):
        return Decision(Gone("KeyExpired"), ended(spec, "Operator", "KeyExpired", now))
    if request.instance == spec.issuer.instance and request.account == spec.issuer.account:
        return Decision(Refused("SelfLink"))
    if request.link_id in spec.fences:
        return Decision(Gone("Cancelled"))
    busy = _busy(spec, request, facts)
    if busy is not None:
        return Decision(busy)
    redeemer = request.redeemer(now)
    return Decision(Linked(redeemer), spec.model_copy(update={"state": "Established", "redeemer": redeemer}))


def _proven(spec: LinkRecordSpec, request: Redemption) -> bool:
    payload = request.payload()
    expected = link_id(spec.issuer.instance, spec.key_id, request.instance, request.interlink.uid)
    return (
        request.link_id == expected
        and verify(spec.key_public, request.key_signature, payload)
        and speaks_for(request.public_key, request.instance, request.successions)
        and verify(request.public_key, request.instance_signature, payload)
    )


def _busy(spec: LinkRecordSpec, request: Redemption, facts: IssuerFacts) -> Busy | None:
    if not facts.issuer_present:
        return Busy("IssuerAbsent")
    if any_closing(spec):
        return Busy("Closing")
    if not admits(spec.policy.allowed_redeemers, spec.issuer.instance, request.instance, request.account):
        return Busy("RedeemerNotAllowed")
    if spec.policy.account_ready != "True":
        return Busy("AccountNotReady")
    if facts.pair_linked:
        return Busy("DuplicateLink")
    if facts.namespace_records > MAX_RECORDS_PER_NAMESPACE:
        return Busy("TooManyRecords", timedelta(hours=1))
    return None
