"""A redeemer gives up: what can then never be any more, and who may not say so."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import NOW, digest
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord import (
    Policy,
)
from pbx_operator.domain.protocol.envelope import open_envelope, seal
from pbx_operator.domain.records.redemption import cancel_bytes
from pbx_operator.links.desk import RedeemReply
from simulation.redeemer import KEY, KEY_ID, Redeemer
from simulation.site import Site, signing_key


async def test_before_the_redemption_which_then_comes_too_late(site: Site, redeemer: Redeemer) -> None:
    assert await redeemer.cancel() == "Done"
    assert site.record().spec.fences == (redeemer.link_id,)
    assert await redeemer.redeem() == RedeemReply("Gone", "Cancelled")
    assert site.record().spec.state == "Issued"


async def test_and_leaves_the_key_to_others(redeemer: Redeemer, stranger: Redeemer) -> None:
    await redeemer.cancel()
    assert (await stranger.redeem()).result == "Linked"


async def test_after_the_redemption_it_ends_the_link(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    assert await redeemer.cancel() == "Done"
    end = site.record().spec.end
    assert end is not None
    assert (end.by, end.reason) == ("Redeemer", "Deleted")


@pytest.mark.parametrize("redeemed", [True, False])
async def test_once_is_enough(site: Site, redeemer: Redeemer, redeemed: bool) -> None:
    if redeemed:
        await redeemer.redeem()
    await redeemer.cancel()
    before = site.record()
    assert await redeemer.cancel() == "Done"
    assert site.record() == before


async def test_of_a_link_that_lost_against_another(site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
    await stranger.redeem()
    assert await redeemer.cancel() == "Done"
    assert site.record().spec.state == "Established"


async def test_of_a_key_that_is_void(site: Site, redeemer: Redeemer) -> None:
    site.now += timedelta(days=1)
    site.api.objects.clear()
    site.issue("i", "a", KEY, Policy(expiration_time=NOW))
    await redeemer.redeem()
    assert await redeemer.cancel() == "Done"


async def test_by_a_redeemer_that_is_not_admitted_makes_no_fence(site: Site, redeemer: Redeemer) -> None:
    """Or a stolen key could end a link of its owner's by filling the fences."""
    site.api.objects.clear()
    site.issue("i", "a", KEY, Policy(allowed_redeemers=(AllowedRedeemer(account="z"),)))
    assert await redeemer.cancel() == "Unknown"
    assert site.record().spec.fences == ()


async def test_of_a_key_that_nobody_knows_is_no_acknowledgement(site: Site, redeemer: Redeemer) -> None:
    """The record may come with a backup."""
    site.api.objects.clear()
    assert await redeemer.cancel() == "Unknown"


async def test_by_somebody_without_the_key(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    assert await redeemer.cancel(redeemer.cancel_of(signing_key("another"))) == "Unknown"
    assert site.record().spec.state == "Established"


async def test_by_somebody_else_who_has_the_key(site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
    await redeemer.redeem()
    signature = KEY.sign(cancel_bytes(site.instance, KEY_ID, redeemer.link_id))
    theirs = stranger.cancel_of(linkID=redeemer.link_id, keySignature=signature)
    assert await stranger.cancel(theirs) == "Unknown"
    assert await stranger.cancel(redeemer.cancel_of()) == "Unknown", "nor by passing on what was not its own"
    assert site.record().spec.state == "Established"


@pytest.mark.parametrize(
    "changes", [{"issuer": Site("stranger").instance}, {"linkID": "short"}, {"keyID": digest("other", 16)}], ids=str
)
async def test_that_is_not_for_this_key(site: Site, redeemer: Redeemer, changes: dict[str, Any]) -> None:
    await redeemer.redeem()
    assert await redeemer.cancel(redeemer.cancel_of(**changes)) == "Unknown"
    assert site.record().spec.state == "Established"


async def test_that_somebody_else_passes_on(site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
    assert await stranger.cancel(redeemer.cancel_of()) == "Unknown"
    assert site.cluster.written == []


async def test_that_is_signed_as_something_else(site: Site, redeemer: Redeemer) -> None:
    message = open_envelope(redeemer.cancel_of(), "cancel")
    assert await redeemer.cancel(seal("receipt", message, redeemer.key)) == "Unknown"
    assert site.cluster.written == []
