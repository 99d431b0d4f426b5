"""Objects for tests: plain functions with defaults that work and keyword overrides for what a test is about.

Everything is derived from names, so two calls with the same arguments give equal objects.  `spec` fields go in as
keywords; `status`, `deleting`, `created`, `uid` and `generation` are about the object itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey, ObjectMeta
from pbx_operator.api.v1alpha1 import DialPlanSlice, Interlink, InternalNumber, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import InterlinkSpec, InterlinkStatus, IssueKey, RedeemKey
from pbx_operator.api.v1alpha1.internalnumber import (
    Destination,
    InternalNumberSpec,
    InternalNumberStatus,
    Phone,
    Visibility,
)
from pbx_operator.api.v1alpha1.linkrecord import End, InterlinkIdentity, Issuer, LinkRecordSpec, Redeemer, record_name
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountSpec, PBXAccountStatus
from pbx_operator.api.v1alpha1.shared import AccountReference, NumberRange, Sharing, Status
from pbx_operator.domain.accounts.plan import AccountSnapshot, plan_account
from pbx_operator.domain.conditions import check, find
from pbx_operator.domain.dialplan.numbers import resolve
from pbx_operator.domain.dialplan.offers import EstablishedLink, OfferedNumber, make_offer, offer
from pbx_operator.domain.links.facts import account_name
from pbx_operator.domain.plan import AddFinalizer, DeleteSlice, Plan, RemoveFinalizer, WriteSlice
from pbx_operator.domain.protocol.keys import base32, base64url

NAMESPACE = "default"
SUFFIX = "pbx.example"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BEFORE = NOW - DAY
"""When objects were created unless a test says otherwise."""


def at(seconds: float) -> datetime:
    """Return a time relative to NOW."""
    return NOW + timedelta(seconds=seconds)


def digest(text: str, length: int) -> str:
    """Return a valid id of this length that belongs to a text."""
    return base32(hashlib.sha256(text.encode()).digest())[:length]


def public_key(text: str) -> str:
    """Return something that looks like an Ed25519 public key."""
    return base64url(hashlib.sha256(text.encode()).digest())


INSTANCE = digest("this installation", 26)


def meta(
    kind: str,
    name: str,
    namespace: str = NAMESPACE,
    *,
    uid: str | None = None,
    created: datetime = BEFORE,
    deleting: bool = False,
    generation: int = 1,
    resource_version: str = "1",
    finalizers: tuple[str, ...] = (),
    reconcile: str | None = None,
) -> ObjectMeta:
    """Return metadata as the API server would have it."""
    return ObjectMeta(
        name=name,
        namespace=namespace,
        uid=uid or f"{kind}-{namespace}-{name}",
        resource_version=resource_version,
        generation=generation,
        creation_timestamp=created,
        deletion_timestamp=NOW if deleting else None,
        finalizers=finalizers,
        annotations={"pbx-operator.io/reconcile-requested-at": reconcile} if reconcile else {},
    )


_META = {"uid", "created", "deleting", "generation", "resource_version", "finalizers", "reconcile"}


def _divide(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Separate what is about the metadata from what is about the spec."""
    return {k: v for k, v in options.items() if k in _META}, {k: v for k, v in options.items() if k not in _META}


def account(
    name: str = "a",
    namespace: str = NAMESPACE,
    *,
    domain: str | None = "",
    status: PBXAccountStatus | None = None,
    **options: Any,
) -> PBXAccount:
    """Return an account in the Netherlands that holds the SIP domain made of its name.

    `domain` is the domain that its status shows; None for an account that holds none.
    """
    about, spec = _divide({"finalizers": (TEARDOWN_FINALIZER,), **options})
    shown = f"{name}.{namespace}.{SUFFIX}" if domain == "" else domain
    return PBXAccount(
        metadata=meta("account", name, namespace, **about),
        spec=PBXAccountSpec(**{"country": "NL", **spec}),
        status=status or PBXAccountStatus(sip_domain=shown),
    )


def number(
    digits: str,
    account: str = "a",
    namespace: str = NAMESPACE,
    *,
    name: str | None = None,
    holds: str | bool = False,
    visibility: Visibility = "Shared",
    **options: Any,
) -> InternalNumber:
    """Return an InternalNumber, named `n<digits>`, that rings a phone of the same name.

    `holds` is what its status shows: True for the wanted number, digits for another one.
    """
    about, spec = _divide(options)
    name = name or f"n{digits}"
    held = digits if holds is True else holds or None
    return InternalNumber(
        metadata=meta("number", name, namespace, **about),
        spec=InternalNumberSpec(
            account_ref=AccountReference(name=account),
            number=digits,
            visibility=visibility,
            **{"destination": phone(name), **spec},
        ),
        status=InternalNumberStatus(number=held),
    )


def phone(username: str) -> Destination:
    """Return a destination that is a phone."""
    return Destination(type="Phone", phone=Phone(username=username))


def sharing(*ranges: str, mode: Literal["All", "Selected", "None"] = "Selected") -> Sharing:
    """Return a sharing of ranges such as "200-299"; without any, `mode` says which."""
    return Sharing(mode=mode, numbers=tuple(number_range(r) for r in ranges))


def number_range(text: str) -> NumberRange:
    """Return a range such as "200-299", or "200" for a single number."""
    start, _, end = text.partition("-")
    return NumberRange(start=start, end=end or start)


def interlink(
    name: str = "x",
    account: str = "a",
    namespace: str = NAMESPACE,
    *,
    issue: IssueKey | dict[str, Any] | None = None,
    redeem: str | RedeemKey | None = None,
    gate: Literal["Open", "Closed"] | None = None,
    status: InterlinkStatus | None = None,
    **options: Any,
) -> Interlink:
    """Return an Interlink that issues a key, or with `redeem=<Secret>` one that redeems it.

    `gate` is the gate that its status shows, not the one that its spec asks for.
    """
    about, spec = _divide({"finalizers": (TEARDOWN_FINALIZER,), **options})
    side: dict[str, Any] = {"issue_key": issue or {}}
    if redeem is not None:
        side = {"redeem_key": redeem if isinstance(redeem, RedeemKey) else {"secret_ref": {"name": redeem}}}
    shown = InterlinkStatus(state="Established", gate=gate) if gate else InterlinkStatus()
    return Interlink(
        metadata=meta("interlink", name, namespace, **about),
        spec=InterlinkSpec.model_validate({"account_ref": {"name": account}, **side, **spec}),
        status=status or shown,
    )


def record(
    issuer: Interlink,
    redeemer: Interlink | None = None,
    *,
    key: str | None = None,
    time: datetime = BEFORE,
    end: End | None = None,
    **options: Any,
) -> LinkRecord:
    """Return the record of the issuer's key: Issued, Established if there is a redeemer, or Ended with an `end`."""
    key_id = digest(key or f"key of {issuer.key}", 16)
    established = redeemer is not None
    spec = {
        "instance": INSTANCE,
        "key_id": key_id,
        "key_public": public_key(key_id),
        "revision": issuer.spec.issue_key.revision if issuer.spec.issue_key else 1,
        "issued_time": issuer.metadata.creation_timestamp if established else NOW,
        "issuer": Issuer(
            instance=INSTANCE, public_key=public_key("issuer"), account=account_name(issuer), interlink=identity(issuer)
        ),
        "state": "Ended" if end else "Established" if established else "Issued",
        "redeemer": _redeemer(redeemer, key_id, time) if redeemer else None,
        "end": end,
        **options,
    }
    return LinkRecord(
        metadata=meta("record", record_name(key_id), namespace=""), spec=LinkRecordSpec.model_validate(spec)
    )


def _redeemer(link: Interlink, key_id: str, time: datetime) -> Redeemer:
    return Redeemer(
        link_id=digest(f"{key_id} {link.metadata.uid}", 26),
        instance=INSTANCE,
        public_key=public_key("redeemer"),
        account=account_name(link),
        interlink=identity(link),
        time=time,
    )


def identity(link: Interlink) -> InterlinkIdentity:
    """Return how records name an Interlink."""
    return InterlinkIdentity(namespace=link.key.namespace, name=link.key.name, uid=link.metadata.uid)


def linked(
    name: str,
    *numbers: str,
    peer: str = "",
    account: str = "a",
    namespace: str = NAMESPACE,
    established: datetime = BEFORE,
    gate: Literal["Open", "Closed"] = "Open",
    **options: Any,
) -> EstablishedLink:
    """Return an established link over which the peer (by default named like the link) offers these numbers.

    A number may be written `200=Reception` to give it a display name.
    """
    offered = [(digits, shown or None) for digits, _, shown in (n.partition("=") for n in numbers)]
    return EstablishedLink(
        interlink=interlink(name, account, namespace, gate=gate, **options),
        key_id=digest(f"key of {namespace}/{name}", 16),
        established=established,
        offer=make_offer(f"{peer or name}.peers.example", [OfferedNumber(*o) for o in offered]),
    )


def link_between(
    ours: Interlink, theirs: Interlink, owner: PBXAccount, numbers: list[InternalNumber], **options: Any
) -> EstablishedLink:
    """Return the link between two Interlinks as our side sees it, with what the peer's account offers."""
    made = record(ours, theirs, **options) if ours.role == "Issuer" else record(theirs, ours, **options)
    assert made.spec.redeemer is not None
    held = resolve(owner, numbers).held
    return EstablishedLink(ours, made.spec.key_id, made.spec.redeemer.time, offer(owner, theirs, held))


def snapshot(
    subject: PBXAccount | str, *numbers: InternalNumber, namespace: str = NAMESPACE, **facts: Any
) -> AccountSnapshot:
    """Return the snapshot of an account, or with a name the one of an account that does not exist."""
    key = ObjectKey(namespace, subject) if isinstance(subject, str) else subject.key
    existing = None if isinstance(subject, str) else subject
    return AccountSnapshot(key, SUFFIX, account=existing, numbers=numbers, **facts)


def planned(before: AccountSnapshot, now: datetime = NOW) -> Plan:
    """Plan an account, and hold every status of the plan against the conditions contract."""
    plan = plan_account(before, now)
    objects = {n.key: n.metadata for n in before.numbers}
    for update in plan.statuses:
        about = objects[update.target.key] if update.target.resource is InternalNumber.resource else None
        if about is None:
            assert before.account is not None
            about = before.account.metadata
        problems = check(update.status, about.generation, deleting=about.deleting)
        assert not problems, f"{update.target.key}: {problems}"
    return plan


def applied(before: AccountSnapshot, plan: Plan) -> AccountSnapshot:
    """Return the snapshot after everything in a plan was carried out."""
    slices = {s.metadata.name: s for s in before.slices}
    subject = before.account
    for action in plan.actions:
        match action:
            case WriteSlice(written):
                slices[written.metadata.name] = written
            case DeleteSlice(target):
                del slices[target.key.name]
            case AddFinalizer() if subject is not None:
                subject = _with_finalizers(subject, (TEARDOWN_FINALIZER,))
            case RemoveFinalizer() if subject is not None:
                subject = _with_finalizers(subject, ())
            case _:
                raise AssertionError(f"an account's plan has no {action}")
    statuses = {(u.target.resource.kind, u.target.key): u.status for u in plan.statuses}
    if subject is not None and ("PBXAccount", subject.key) in statuses:
        subject = subject.model_copy(update={"status": statuses["PBXAccount", subject.key]})
    numbers = tuple(n.model_copy(update={"status": statuses["InternalNumber", n.key]}) for n in before.numbers)
    return replace(before, account=subject, numbers=numbers, slices=tuple(slices.values()))


def _with_finalizers(subject: PBXAccount, finalizers: tuple[str, ...]) -> PBXAccount:
    return subject.model_copy(update={"metadata": subject.metadata.model_copy(update={"finalizers": finalizers})})


def settled(before: AccountSnapshot, now: datetime = NOW) -> AccountSnapshot:
    """Plan and apply until nothing changes any more; that takes three rounds at most."""
    for _ in range(3):
        after = applied(before, planned(before, now))
        if after == before:
            return after
        before = after
    assert applied(before, planned(before, now)) == before, "the plan is no fixed point"
    return before


def changed(before: AccountSnapshot, **facts: Any) -> AccountSnapshot:
    """Return the settled world with other facts."""
    return replace(settled(before), **facts)


def slice_steps(plan: Plan) -> list[str]:
    """Return what a plan does to slices, in order: `+name` for a write, `-name` for a deletion."""
    steps = []
    for action in plan.actions:
        match action:
            case WriteSlice(part):
                steps.append(f"+{part.metadata.name}")
            case DeleteSlice(target):
                steps.append(f"-{target.key.name}")
    return steps


def reach(slices: Iterable[DialPlanSlice], link: str) -> set[str]:
    """Return the own numbers that a link may reach, as the reader's contract says."""
    parts = list(slices)
    own = [row for part in parts if part.spec.source.type == "Own" for row in part.spec.rows]
    offers = [part for part in parts if part.spec.source.type == "Offer" and part.spec.source.interlink == link]
    if offers:
        return {row.number for row in own} & {row.number for part in offers for row in part.spec.rows}
    return {row.number for row in own if row.offered == "All"}


def status_of(plan: Plan, name: str) -> InternalNumberStatus:
    """Return the status that a plan gives to an InternalNumber."""
    found = (u.status for u in plan.statuses if u.target.key.name == name)
    return next(status for status in found if isinstance(status, InternalNumberStatus))


def account_status_of(plan: Plan) -> PBXAccountStatus:
    """Return the status that a plan gives to its account."""
    return next(u.status for u in plan.statuses if isinstance(u.status, PBXAccountStatus))


def shown(status: Status, type_: str = "Ready") -> tuple[str, str]:
    """Return status and reason of a condition, such as ("True", "Serving")."""
    condition = find(status.conditions, type_)
    assert condition is not None, f"there is no condition {type_}"
    return condition.status, condition.reason
