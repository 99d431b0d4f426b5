"""The redeemer's identity is rotated; the issuer's desk hears of it with the next message."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import pytest

from federated_builders import HEARD, over
from pbx_operator.domain.protocol.succession import succeed
from pbx_operator.links.desk import RedeemReply
from simulation.redeemer import NUMBERS, Redeemer
from simulation.site import Site, signing_key


def former(redeemer: Redeemer) -> Redeemer:
    """Return whoever has the key that the redeemer has now, and keeps it when that is rotated."""
    thief = Redeemer(redeemer.desk, "redeemer", redeemer.uid)
    thief.site.identity = deepcopy(redeemer.site.identity)
    return thief


def forked(thief: Redeemer, times: int) -> Redeemer:
    """Let a thief rotate by itself."""
    me = thief.site.identity
    for n in range(times):
        new = signing_key(f"fork {n}")
        assert me.key is not None
        me.successions = succeed(me.key, new, me.successions)
        me.key, me.public_key = new, new.public
    return thief


async def test_a_link_goes_on(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    redeemer.site.rotate()
    assert (await redeemer.says(rev=7, numbers=NUMBERS)).known_rev == 7
    assert site.record().status.peer_key == redeemer.key.public


async def test_which_is_one_write(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    says = partial(redeemer.says, rev=7, numbers=NUMBERS)
    await says()
    before = len(site.cluster.written)
    redeemer.site.rotate()
    await says()
    assert site.cluster.written[before:] == ["put_status"]
    await says()
    assert len(site.cluster.written) == before + 1


async def test_who_was_never_rotated_costs_nothing(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    await redeemer.says(rev=7, numbers=NUMBERS)
    assert site.record().status.peer_key is None


async def test_nor_what_it_had_when_it_redeemed(site: Site, redeemer: Redeemer) -> None:
    redeemer.site.rotate()
    await redeemer.redeem()
    await redeemer.says(rev=7, numbers=NUMBERS)
    assert site.record().status.peer_key is None


@pytest.mark.parametrize("rotations", [1, 2, 16])
async def test_the_former_key_changes_nothing(site: Site, redeemer: Redeemer, rotations: int) -> None:
    await redeemer.redeem()
    site.tell(HEARD)
    thief = former(redeemer)
    for _ in range(rotations):
        redeemer.site.rotate()
    await redeemer.says(rev=7)
    before = site.record()
    for said in ({"rev": 9, "numbers": NUMBERS}, over("Deleted"), {"state": "Unknown"}):
        (answer,) = (await thief.sync(thief.report(**said), contact=Site("thief").contact)).links
        assert answer == thief.report(state="Unknown")
    assert await thief.cancel() == "Unknown"
    assert site.record() == before


@pytest.mark.parametrize("times", [1, 16])
async def test_nor_does_it_by_a_rotation_of_its_own(site: Site, redeemer: Redeemer, times: int) -> None:
    await redeemer.redeem()
    thief = forked(former(redeemer), times)
    redeemer.site.rotate()
    await redeemer.says(rev=7)
    before = site.record()
    assert (await thief.says(**over("Deleted"))).state == "Unknown"
    assert await thief.cancel() == "Unknown"
    assert site.record() == before


async def test_nor_one_that_it_had_before_the_link_was_made(site: Site, redeemer: Redeemer) -> None:
    """Even if the status is lost: the record itself names the key of the redemption."""
    thief = former(redeemer)
    redeemer.site.rotate()
    await redeemer.redeem()
    assert (await thief.says(**over("Deleted"))).state == "Unknown"
    assert site.record().spec.state == "Established"


async def test_a_request_is_answered_alike_before_and_after(site: Site, redeemer: Redeemer) -> None:
    first, link = await redeemer.redeem(), redeemer.link_id
    redeemer.site.rotate()
    assert redeemer.link_id == link
    assert await redeemer.redeem() == first
    assert site.cluster.written == ["put"]


async def test_a_request_needs_the_chain(site: Site, redeemer: Redeemer) -> None:
    redeemer.site.rotate()
    assert await redeemer.redeem(successions=()) == RedeemReply("Unknown")
    assert (await redeemer.redeem()).result == "Linked"


@pytest.mark.parametrize("redeemed", [True, False])
async def test_a_cancel_that_was_signed_before_still_cancels(site: Site, redeemer: Redeemer, redeemed: bool) -> None:
    if redeemed:
        await redeemer.redeem()
    cancel = redeemer.cancel_of()
    redeemer.site.rotate()
    assert await redeemer.cancel(cancel) == "Done"
    assert (site.record().spec.state == "Ended") == redeemed


async def test_but_not_one_that_a_stranger_signed(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    redeemer.site.rotate()
    assert await redeemer.cancel(redeemer.cancel_of(signer=signing_key("stranger"))) == "Unknown"
    assert site.record().spec.state == "Established"
