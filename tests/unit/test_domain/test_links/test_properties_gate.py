"""The gate in any scene: shut by any single fault, the same on both sides, and open for nothing but a link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated_builders import authority, replica
from link_builders import CLUSTER, ISSUER, REDEEMER, STRANGER, around, closing, going, ready_account, wants, with_spec
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordStatus, SideReport
from pbx_operator.domain.links.facts import LinkSnapshot, established_of, mine
from pbx_operator.domain.links.gate import closed_because
from pbx_operator.domain.links.told import tell_peer
from pbx_operator.domain.records.facts import Side, any_closing, interlink_of
from strategies import ACCOUNTS, HEALTHY, ISSUER_PLACE, PLACES, REDEEMER_PLACE, Scene, places, scenes

PLACE_OF: dict[Side, ObjectKey] = {"issuer": ISSUER_PLACE, "redeemer": REDEEMER_PLACE}


def is_open(s: LinkSnapshot) -> bool:
    """Whether the gate of the snapshot's Interlink is open, by the link that it keeps."""
    assert s.interlink is not None
    return closed_because(s, s.interlink, established_of(mine(s, s.interlink))) is None


def gates(scene: Scene) -> dict[ObjectKey, bool]:
    """Return the gate of each side that still shows one: of what is being deleted readers see that themselves."""
    return {place: is_open(scene.snapshot(place)) for place in PLACES if scene.living(place) is not None}


# --- what can be wrong ------------------------------------------------------------------------------------------

Fault = Callable[[Scene], Scene]


def changed(place: ObjectKey, change: Callable[[Interlink], Interlink]) -> Fault:
    """An Interlink, if it is there, is not as it should be."""
    return lambda s: s.with_interlink(change(s.interlinks[place])) if place in s.interlinks else s


def recreated(link: Interlink) -> Interlink:
    """Return an object of the same name that no record knows."""
    return link.model_copy(update={"metadata": link.metadata.model_copy(update={"uid": "newcomer"})})


def missing(key: ObjectKey) -> Fault:
    """An Interlink or account is not there."""
    return lambda s: s.without(key)


def unreadable(key: ObjectKey) -> Fault:
    """An Interlink or account is there and cannot be read."""
    return lambda s: replace(s.without(key), unreadable=s.unreadable | {key})


def account_going(key: ObjectKey) -> Fault:
    """An account, if it is there, is being deleted."""
    leaving = ready_account(key.name, key.namespace, deleting=True)
    return lambda s: replace(s, accounts={**s.accounts, key: leaving}) if key in s.accounts else s


def announced(side: Side, why: Literal["Deleted", "Orphaned"]) -> Fault:
    """One side has announced the end of its links."""
    own = getattr(closing(f"{side[0]}-first", reason=why, side=side), side)

    def close(made: LinkRecord) -> LinkRecord:
        both = made.spec.closing.model_copy(update={side: own})
        return made.model_copy(update={"spec": made.spec.model_copy(update={"closing": both})})

    return lambda s: replace(s, records={n: close(r) if r.spec.redeemer else r for n, r in s.records.items()})


def faults_of(side: Side) -> dict[str, Fault]:
    """Return what can be wrong with one side."""
    place, owner = PLACE_OF[side], ACCOUNTS[PLACE_OF[side]]
    return {
        f"{side}: gate is Closed": changed(place, lambda link: with_spec(link, gate="Closed")),
        f"{side}: Interlink is going": changed(place, going),
        f"{side}: Interlink is missing": missing(place),
        f"{side}: Interlink is another object": changed(place, recreated),
        f"{side}: Interlink is unreadable": unreadable(place),
        f"{side}: account is going": account_going(owner),
        f"{side}: account is missing": missing(owner),
        f"{side}: account is unreadable": unreadable(owner),
        f"{side}: deletion is announced": announced(side, "Deleted"),
        f"{side}: is an orphan": announced(side, "Orphaned"),
    }


FAULTS: dict[str, Fault] = {
    **faults_of("issuer"),
    **faults_of("redeemer"),
    "the cluster is another one": lambda s: replace(s, cluster=replace(s.cluster, confirmed=False)),
    "the redeemer is off the list": changed(
        ISSUER_PLACE, lambda link: wants(link, allowed_redeemers=(STRANGER,)) if link.role == "Issuer" else link
    ),
}


# --- inside a cluster -------------------------------------------------------------------------------------------


def test_it_is_open_on_both_sides_of_a_link_with_which_nothing_is_wrong() -> None:
    """Open iff Established, no closing, both gates Open, redeemer allowed, all four objects there and not going."""
    assert gates(HEALTHY) == {ISSUER_PLACE: True, REDEEMER_PLACE: True}


@pytest.mark.parametrize("fault", sorted(FAULTS))
@settings(max_examples=20)
@given(st.lists(st.sampled_from(sorted(FAULTS)), max_size=3), st.booleans())
def test_any_fault_shuts_it_on_both_sides_whatever_else_is_wrong(fault: str, others: list[str], first: bool) -> None:
    """Closing is monotone: no fault makes up for another, and none hides another, in any order."""
    scene = HEALTHY
    for wrong in (fault, *others) if first else (*others, fault):
        scene = FAULTS[wrong](scene)
    assert not any(gates(scene).values())


@given(scenes(far=False))
def test_both_sides_of_a_link_say_the_same(scene: Scene) -> None:
    """ "Both sides come to the same answer from the same record"; without a living partner it is closed."""
    for made in scene.records.values():
        shown = {side: _shown(scene, made, side) for side in PLACE_OF}
        if "keeps another" not in shown.values():
            assert set(shown.values()) in ({"Open"}, {"Closed"}, {"Closed", "nothing"}, {"nothing"}), made.spec.state


def _shown(scene: Scene, made: LinkRecord, side: Side) -> str:
    """Return what the object that the record names on a side shows of it."""
    link, named = scene.living(PLACE_OF[side]), interlink_of(made.spec, side)
    if link is None or named is None or link.metadata.uid != named.uid:
        return "nothing"
    s = scene.snapshot(link.key)
    if established_of(mine(s, link)) not in (None, made):
        return "keeps another"
    return "Closed" if closed_because(s, link, made) else "Open"


@given(scenes(), places)
def test_it_is_open_for_nothing_but_an_established_link(scene: Scene, place: ObjectKey) -> None:
    """Pending or Ended: Closed, also where all four objects are as they should be."""
    healthy = replace(HEALTHY, records=scene.records)
    s = healthy.snapshot(place)
    assert s.interlink is not None
    assert closed_because(s, s.interlink, None) is not None
    for made in mine(s, s.interlink):
        if closed_because(s, s.interlink, made) is None:
            assert made.spec.state == "Established"
            assert not any_closing(made.spec)


# --- between two clusters ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Half:
    """One side of a link between two clusters, as its own cluster sees it."""

    link: Interlink
    made: LinkRecord
    facts: dict[str, Any]

    def knowing(self, status: LinkRecordStatus) -> tuple[LinkSnapshot, LinkRecord]:
        """Return the snapshot in which the record has this status."""
        made = self.made.model_copy(update={"status": status})
        return around(self.link, made, **self.facts), made

    def says(self) -> SideReport:
        """Return what this side tells its peer, whatever it has heard."""
        s, made = self.knowing(LinkRecordStatus())
        (tell,) = tell_peer(s, self.link, made)
        return tell.told

    def is_open(self, heard: SideReport | None, **status: Any) -> bool:
        """Whether the gate is open, once this was heard."""
        s, made = self.knowing(LinkRecordStatus(heard=heard, **status))
        return closed_because(s, self.link, made) is None


OWN_FAULTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "the account is missing": {"accounts": []},
    "the cluster is another one": {"cluster": replace(CLUSTER, confirmed=False)},
    "the offer is not published": {"offer_published": False},
}


@st.composite
def halves(draw: st.DrawFn, side: Side) -> tuple[Half, bool]:
    """One side, and whether anything is wrong with it."""
    link = ISSUER if side == "issuer" else REDEEMER
    fault = draw(st.sampled_from(sorted(OWN_FAULTS)))
    shut, leaving = draw(st.booleans()), draw(st.booleans())
    barred = side == "issuer" and draw(st.booleans())
    made = authority() if side == "issuer" else replica()
    if leaving:
        ending = closing(link.metadata.uid, side=side)
        made = made.model_copy(update={"spec": made.spec.model_copy(update={"closing": ending})})
    link = with_spec(link, gate="Closed" if shut else "Open")
    link = wants(link, allowed_redeemers=(STRANGER,)) if barred else link
    return Half(link, made, OWN_FAULTS[fault]), fault != "nothing" or shut or leaving or barred


@given(halves("issuer"), halves("redeemer"))
def test_two_clusters_agree_once_each_has_heard_the_other(
    issuer: tuple[Half, bool], redeemer: tuple[Half, bool]
) -> None:
    """One rule for both, as inside a cluster: open iff nothing is wrong on either side; unheard, it is closed."""
    (ours, wrong), (theirs, wrong_there) = issuer, redeemer
    assert (ours.is_open(theirs.says()), theirs.is_open(ours.says())) == ((not wrong and not wrong_there),) * 2
    assert not ours.is_open(None)
    assert not theirs.is_open(None)


@given(halves("issuer"), halves("redeemer"))
def test_a_peer_that_says_it_knows_no_such_link_closes_it(
    issuer: tuple[Half, bool], redeemer: tuple[Half, bool]
) -> None:
    """Signed Unknown for an Established link: gate closed, whatever was heard before."""
    for ours, theirs in ((issuer[0], redeemer[0]), (redeemer[0], issuer[0])):
        assert not ours.is_open(theirs.says(), peer_knows="Unknown")
