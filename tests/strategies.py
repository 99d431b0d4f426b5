"""Hypothesis strategies: accounts and their established links; records in every state; scenes that lack anything.

A scene is what a cluster could look like after crashes, restores and forced deletions, so its objects need not fit
together; but each record passes the rules of the API server.  The two sides live in two namespaces, so that a text
which names the other one shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hypothesis import strategies as st

from builders import INSTANCE, NOW, account, at, digest, interlink, linked, meta, record
from federated_builders import ELSEWHERE, HEARD, authority, replica
from link_builders import CLUSTER, NOTHING_TRIED, STRANGER, gather, looked, ready_account, with_spec
from pbx_operator.api.meta import TEARDOWN_FINALIZER, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import Ended, InterlinkStatus
from pbx_operator.api.v1alpha1.linkrecord import Closing, End, LinkRecordStatus, Policy, SideClosing
from pbx_operator.api.v1alpha1.pbxaccount import Emergency, Numbering
from pbx_operator.domain.dialplan.offers import EstablishedLink
from pbx_operator.domain.links.facts import Attempts, ClusterFacts, LinkSnapshot, MintTry, RedeemTry
from pbx_operator.domain.records.facts import accounts_of, places_of
from pbx_operator.domain.records.redemption import Busy, Gone, Refused, Result, Unknown, Unproven, Unreachable, Used

NORTH, SOUTH = "north-city", "south-city"
ISSUER_PLACE, REDEEMER_PLACE = ObjectKey(NORTH, "i"), ObjectKey(SOUTH, "r")
PLACES = (ISSUER_PLACE, REDEEMER_PLACE)
ACCOUNTS = {ISSUER_PLACE: ObjectKey(NORTH, "a"), REDEEMER_PLACE: ObjectKey(SOUTH, "b")}
OTHER_FINALIZER = "another.example/keeps"
RESTORED = at(600)
"""When a restore that is under way is over."""

KEYS = tuple(digest(key, 16) for key in ("one", "two", "three"))
_OWN_KEY = {"from_secret_ref": {"name": "own"}, "expiration_time": at(86_400)}
_CLUSTERS = (
    *[CLUSTER] * 6,
    ClusterFacts(INSTANCE, started=at(-60)),
    ClusterFacts(INSTANCE, confirmed=False),
    ClusterFacts(INSTANCE, identity_lost=True),
)
RESTORING = ClusterFacts(INSTANCE, restoring_until=RESTORED)

rarely, sometimes = (st.sampled_from([False] * often + [True]) for often in (11, 5))
places = st.sampled_from(PLACES)
keys = st.sampled_from(KEYS)
_MOMENTS = [at(s) for s in (-40 * 86_400, -86_400, -600, -60, -1, 0, 1, 300, 3600, 40 * 86_400)]
later = st.sampled_from([at(s) for s in (1, 10, 60, 300, 600, 3600, 86_000, 86_400, 31 * 86_400, 80 * 86_400)])
lives = st.sampled_from(["first"] * 11 + ["second"])
"""An object of one name may be the recorded one, or its successor or predecessor."""


# --- objects ----------------------------------------------------------------------------------------------------


def _status(draw: st.DrawFn) -> InterlinkStatus:
    """What an Interlink may show: nothing yet, or some past that need not fit its records."""
    if draw(st.booleans()):
        return InterlinkStatus()
    ended = Ended(
        by=draw(st.sampled_from(["Local", "Peer"])), reason=draw(_END_REASONS), time=draw(st.sampled_from(_MOMENTS))
    )
    return InterlinkStatus(
        state=draw(st.sampled_from(["Pending", "Established", "Ended"])),
        gate=draw(st.sampled_from(["Open", "Closed"])),
        key_id=draw(st.sampled_from([None, *KEYS])),
        key_revision=draw(st.sampled_from([None, 1, 2])),
        link_id=draw(st.sampled_from([None, digest("link", 26)])),
        ended=draw(st.sampled_from([None, ended])),
    )


def _about(draw: st.DrawFn, side: str, account: str) -> dict[str, Any]:
    """Draw what both sides have; one of another account is never one that records name, as the field is immutable."""
    moved = draw(rarely)
    finalizers = [(TEARDOWN_FINALIZER,), (TEARDOWN_FINALIZER, OTHER_FINALIZER), (OTHER_FINALIZER,)]
    return {
        "account": "z" if moved else account,
        "uid": f"{side}-moved" if moved else f"{side}-{draw(lives)}",
        "deleting": draw(rarely),
        "finalizers": draw(st.sampled_from([*finalizers[:1] * 4, *finalizers])),
        "generation": draw(st.integers(1, 3)),
        "reconcile": draw(st.sampled_from([None, "please"])),
        "on_peer_deletion": draw(st.sampled_from(["Delete", "Retain"])),
        "deletion_protection": draw(st.sampled_from(["Disabled", "Disabled", "Enabled"])),
        "undo_window_seconds": draw(st.sampled_from([0, 0, 300, 900])),
        "dial_prefix": draw(st.sampled_from([None, None, "8", "112"])),
        "status": _status(draw),
    }


def _issuer(draw: st.DrawFn) -> Interlink:
    """The Interlink at the issuer's place, in one of its lives."""
    issue: dict[str, Any] = {
        "revision": draw(st.integers(1, 2)),
        "ready_when": draw(st.sampled_from(["KeyIssued", "Established"])),
        "allowed_redeemers": (STRANGER,) if draw(rarely) else (),
        **draw(st.sampled_from([{}, _OWN_KEY])),
    }
    made = interlink("i", namespace=NORTH, issue=issue, **_about(draw, "i", "a"))
    return with_spec(made, gate="Closed" if draw(rarely) else "Open")


def _redeemer(draw: st.DrawFn) -> Interlink:
    """The Interlink at the redeemer's place, in one of its lives."""
    made = interlink("r", namespace=SOUTH, redeem="s", **_about(draw, "r", "b"))
    return with_spec(made, gate="Closed" if draw(rarely) else "Open")


def _account(draw: st.DrawFn, place: ObjectKey) -> PBXAccount:
    """The account of a side: mostly ready, sometimes not (yet), sometimes going."""
    owner = ACCOUNTS[place]
    reserved = draw(st.sampled_from([(), ("8",)]))
    return ready_account(
        owner.name,
        owner.namespace,
        ready=not draw(rarely),
        deleting=draw(rarely),
        numbering={"reserved_prefixes": reserved},
    )


# --- records ----------------------------------------------------------------------------------------------------

_STATES = ("Established", "Established", "Established", "Issued", "Ended", "Void")
"""Void is what ended before anybody redeemed it."""
_FOLLOWED = ["Deleted", "AccountDeleted", "Orphaned"]
_END_REASONS = st.sampled_from(
    [*_FOLLOWED, *_FOLLOWED, "Revoked", "KeyExpired", "DuplicateLink", "FencesFull", "Cancelled"]
)


def _end(draw: st.DrawFn) -> End:
    by = draw(st.sampled_from(["Issuer", "Redeemer", "Operator"]))
    return End(by=by, reason=draw(_END_REASONS), time=draw(st.sampled_from(_MOMENTS)))


def _policy(draw: st.DrawFn) -> Policy:
    return Policy(
        expiration_time=draw(st.sampled_from([None, *_MOMENTS])),
        allowed_redeemers=draw(st.sampled_from([(), (), (STRANGER,)])),
        account_ready=draw(st.sampled_from(["True", "True", "False"])),
    )


def _closing(draw: st.DrawFn, side: str) -> SideClosing | None:
    """The announcement of one side; most have made none."""
    if not draw(sometimes):
        return None
    return SideClosing(
        uid=f"{side}-{draw(lives)}",
        reason=draw(st.sampled_from(["Deleted", "Orphaned"])),
        since=at(-60),
        ends_at=draw(st.sampled_from([at(-1), at(60), at(3600)])),
    )


def _record(draw: st.DrawFn, key: str, states: tuple[str, ...] = _STATES) -> LinkRecord:
    """A record of this cluster alone, in any state."""
    issuer = interlink("i", "a", NORTH, uid=f"i-{draw(lives)}")
    redeemer = interlink("r", "b", SOUTH, redeem="s", uid=f"r-{draw(lives)}")
    state = draw(st.sampled_from(states))
    facts: dict[str, Any] = {
        "key": key,
        "time": at(-draw(st.integers(0, 3))),
        "revision": draw(st.integers(1, 2)),
        "origin": draw(st.sampled_from(["Generated", "BringYourOwn"])),
        "policy": _policy(draw),
    }
    if state in ("Established", "Ended"):
        facts["closing"] = Closing(issuer=_closing(draw, "i"), redeemer=_closing(draw, "r"))
    if state in ("Ended", "Void"):
        facts["end"] = _end(draw)
    return record(issuer, redeemer if state in ("Established", "Ended") else None, **facts)


def _said(draw: st.DrawFn) -> LinkRecordStatus:
    heard = draw(st.sampled_from([None, HEARD, HEARD.model_copy(update={"gate": "Closed"})]))
    return LinkRecordStatus(heard=heard, peer_knows=draw(st.sampled_from([None, None, "Unknown", "End"])))


def _far_record(draw: st.DrawFn, key: str) -> LinkRecord:
    """A record of a link with another installation, whose objects have the same names as some of ours."""
    end = _end(draw) if draw(sometimes) else None
    if draw(st.booleans()):
        issuer = interlink("i", "a", NORTH, uid=f"i-{draw(lives)}")
        far = interlink("r", "b", SOUTH, redeem="s", uid="r-first")
        closing = Closing(issuer=_closing(draw, "i"))
        return authority(issuer, far, key=key, end=end, closing=closing, status=_said(draw))
    far = interlink("i", "a", NORTH, uid="i-first")
    redeemer = interlink("r", "b", SOUTH, redeem="s", uid=f"r-{draw(lives)}")
    if draw(rarely):
        return replica(far, redeemer, key=key, end=end, requested=True)
    closing = Closing(redeemer=_closing(draw, "r"))
    return replica(far, redeemer, key=key, end=end, closing=closing, status=_said(draw))


# --- what a process remembers -----------------------------------------------------------------------------------

_MINT_PROBLEMS: tuple[Literal["WaitingForCleanup", "SecretNameTaken", "KeyKnown"], ...] = (
    "WaitingForCleanup",
    "SecretNameTaken",
    "KeyKnown",
)
results: st.SearchStrategy[Result] = st.sampled_from(
    [
        Unknown(),
        Unreachable(),
        Unproven("says nothing that could be believed"),
        Refused("SelfLink"),
        Used(NOW, ELSEWHERE),
        *(Gone(why) for why in ("Revoked", "KeyExpired", "Deleted", "DuplicateLink", "Cancelled", "AlreadyUsed")),
        *(Busy(why) for why in ("IssuerAbsent", "DuplicateLink", "RedeemerNotAllowed", "Restoring", "Contended")),
    ]
)


def _memory(draw: st.DrawFn) -> Attempts:
    """Draw what was tried for an Interlink."""
    failed = [MintTry(problem, at(5)) for problem in _MINT_PROBLEMS]
    mint = draw(st.sampled_from([None, *failed]))
    if draw(st.booleans()):
        return Attempts(mint=mint)
    redeem = RedeemTry(draw(keys), draw(results), None, at(900)) if draw(st.booleans()) else None
    key = draw(st.sampled_from([None, *KEYS]))
    seen = looked(key, problem=draw(st.sampled_from(["", "it is empty"])) if key is None else "", redeem=redeem)
    return replace(seen, mint=mint, swept_key=draw(st.sampled_from([None, *KEYS])))


# --- accounts that dial ------------------------------------------------------------------------------------------

DIGITS = st.sampled_from(["0", "1", "2", "11", "12", "20", "112", "150", "200", "201", "300", "1123", "2112", "8200"])
PREFIXES = st.sampled_from(["1", "2", "8", "11", "15", "82", "112", "*", "*7", "1120"])


@st.composite
def established_links(
    draw: st.DrawFn, *, peers: st.SearchStrategy[str] = DIGITS, prefixes: st.SearchStrategy[str] = PREFIXES
) -> tuple[EstablishedLink, ...]:
    """The links of account a, many of equal age or with equal prefixes, with what their peers offer."""
    return tuple(
        linked(
            f"l{i}",
            *sorted(draw(st.sets(peers, max_size=4))),
            dial_prefix=draw(prefixes) if draw(st.booleans()) else None,
            priority=draw(st.sampled_from([1, 2])),
            established=at(draw(st.integers(0, 2))),
        )
        for i in range(draw(st.integers(0, 5)))
    )


@st.composite
def dialing_accounts(draw: st.DrawFn) -> PBXAccount:
    """Account a, with any rules about prefixes and emergency numbers."""
    return account(
        country=draw(st.sampled_from(["NL", "FR", "US"])),
        emergency=Emergency(
            protection=draw(st.sampled_from(["Enforce", "Warn"])),
            additional_numbers=tuple(sorted(draw(st.sets(st.sampled_from(["82", "8200", "1999", "20"]), max_size=2)))),
        ),
        numbering=Numbering(
            dialing=draw(st.sampled_from(["EnBloc", "DigitByDigit"])),
            reserved_prefixes=tuple(sorted(draw(st.sets(st.sampled_from(["0", "8", "*7", "113"]), max_size=2)))),
        ),
    )


# --- scenes -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """What exists in a cluster, and what its operator remembers."""

    interlinks: Mapping[ObjectKey, Interlink]
    accounts: Mapping[ObjectKey, PBXAccount]
    records: Mapping[str, LinkRecord]
    attempts: Mapping[ObjectKey, Attempts] = field(default_factory=dict)
    cluster: ClusterFacts = CLUSTER
    unreadable: frozenset[ObjectKey] = frozenset()
    """Places where there is an object that cannot be read."""
    secrets: Mapping[ObjectKey, str] = field(default_factory=dict)
    """The keys in the Secrets that users made, by the place of the Interlink that names them."""

    def snapshot(self, place: ObjectKey, **facts: Any) -> LinkSnapshot:
        """Return what the operator would plan this place on."""
        interlinks, owners, known = self.interlinks.values(), self.accounts.values(), self.records.values()
        tried = self.attempts.get(place, NOTHING_TRIED)
        found = gather(place, interlinks, owners, known, tried, self.cluster, **facts)
        named = {key for r in found.records for key in (*places_of(r.spec), *accounts_of(r.spec))}
        link = self.interlinks.get(place)
        own = ObjectKey(place.namespace, link.spec.account_ref.name) if link is not None else None
        hidden = meta("account", own.name, own.namespace) if own is not None and own in self.unreadable else None
        return replace(found, unreadable=self.unreadable & named, unreadable_account=hidden)

    def living(self, place: ObjectKey) -> Interlink | None:
        """Return the Interlink of a place unless it is being deleted."""
        link = self.interlinks.get(place)
        return None if link is None or link.metadata.deleting else link

    def with_interlink(self, link: Interlink) -> Scene:
        """Return the scene with this object at its place."""
        return replace(self, interlinks={**self.interlinks, link.key: link})

    def with_record(self, made: LinkRecord) -> Scene:
        """Return the scene with this record in the place of the one of its name."""
        return replace(self, records={**self.records, made.metadata.name: made})

    def without(self, key: ObjectKey) -> Scene:
        """Return the scene without the Interlink or account of this place."""
        return replace(
            self,
            interlinks={k: i for k, i in self.interlinks.items() if k != key},
            accounts={k: a for k, a in self.accounts.items() if k != key},
        )


def scene_of(
    interlinks: Iterable[Interlink], owners: Iterable[PBXAccount], known: Iterable[LinkRecord], **facts: Any
) -> Scene:
    """Return the scene of these objects."""
    by_name = {r.metadata.name: r for r in known}
    return Scene({i.key: i for i in interlinks}, {a.key: a for a in owners}, by_name, **facts)


_ISSUER, _REDEEMER = interlink("i", "a", NORTH, uid="i-first"), interlink("r", "b", SOUTH, redeem="s", uid="r-first")
HEALTHY = scene_of(
    [_ISSUER, _REDEEMER],
    [ready_account("a", NORTH), ready_account("b", SOUTH)],
    [record(_ISSUER, _REDEEMER, key="one")],
    secrets={REDEEMER_PLACE: KEYS[0]},
)
"""A link with which nothing is wrong."""


@st.composite
def scenes(draw: st.DrawFn, *, far: bool = True, clusters: tuple[ClusterFacts, ...] = _CLUSTERS) -> Scene:
    """Up to three records about two places, in a cluster where anything may be missing or unreadable."""
    made = [_issuer(draw), _redeemer(draw)]
    known = []
    for key in ("one", "two", "three")[: draw(st.sampled_from([0, 1, 1, 1, 2, 2, 3]))]:
        known.append(_far_record(draw, key) if far and draw(sometimes) else _record(draw, key))
    scene = scene_of(
        made,
        [_account(draw, place) for place in PLACES],
        known,
        attempts={place: _memory(draw) for place in PLACES},
        cluster=draw(st.sampled_from(clusters)),
        secrets={place: draw(keys) for place in PLACES if draw(st.booleans())},
    )
    everything = [*PLACES, *ACCOUNTS.values()]
    for gone in draw(st.sets(st.sampled_from(everything), max_size=2)) if draw(sometimes) else ():
        scene = scene.without(gone)
        if draw(st.booleans()):
            scene = replace(scene, unreadable=scene.unreadable | {gone})
    return scene


@st.composite
def calm_scenes(draw: st.DrawFn, *, clusters: tuple[ClusterFacts, ...] = _CLUSTERS) -> Scene:
    """The two objects and their accounts as they should be, with any records and memories."""
    scene = draw(scenes(clusters=clusters))
    links = {}
    for place, link in HEALTHY.interlinks.items():
        wishes = with_spec(
            link,
            on_peer_deletion=draw(st.sampled_from(["Delete", "Retain"])),
            deletion_protection=draw(st.sampled_from(["Disabled", "Disabled", "Enabled"])),
        )
        links[place] = wishes.model_copy(update={"status": _status(draw)})
    return replace(scene, interlinks=links, accounts=HEALTHY.accounts, unreadable=frozenset())


@st.composite
def ended_scenes(draw: st.DrawFn) -> Scene:
    """Two objects, or successors of their names, after a link or a key has ended in some way."""
    scene, made = draw(calm_scenes(clusters=(CLUSTER,))), _record(draw, "one", ("Ended", "Ended", "Void"))
    for link in scene.interlinks.values():
        if draw(st.integers(0, 2)) == 2:
            metadata = link.metadata.model_copy(update={"uid": "successor"})
            scene = scene.with_interlink(link.model_copy(update={"metadata": metadata}))
    return replace(scene, records={made.metadata.name: made})
