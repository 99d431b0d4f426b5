"""The issuer was restored from before the redemption; the redeemer shows the receipt."""

from __future__ import annotations

import pytest

from builders import NOW
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.domain.protocol.envelope import Envelope, open_envelope, seal
from simulation.redeemer import KEY, Redeemer
from simulation.site import Site


class TestHeal:
    """The issuer's record is from a backup that knows nothing of the redemption; the redeemer has the receipt."""

    async def restored(self, site: Site, redeemer: Redeemer) -> Envelope:
        receipt = (await redeemer.redeem()).receipt
        assert receipt is not None
        site.api.objects.clear()
        site.issue("i", "a", KEY)
        return receipt

    async def test_it_is_taken_up_again(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        receipt = await self.restored(site, redeemer)
        answer = await redeemer.says(receipt=receipt)
        assert answer.state == "Live"
        spec = site.record().spec
        assert spec.redeemer is not None
        assert (spec.state, spec.redeemer.link_id, spec.redeemer.time) == ("Established", redeemer.link_id, NOW)
        assert (await stranger.redeem()).result == "Used"

    async def test_not_where_another_has_won_since(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        receipt = await self.restored(site, redeemer)
        await stranger.redeem()
        assert (await redeemer.says(receipt=receipt)).state == "Unknown"
        assert (await stranger.says()).state == "Live"

    async def test_not_where_the_redeemer_gave_up_since(self, site: Site, redeemer: Redeemer) -> None:
        receipt = await self.restored(site, redeemer)
        await redeemer.cancel()
        assert (await redeemer.says(receipt=receipt)).state == "Unknown"
        assert site.record().spec.state == "Issued"

    async def test_not_for_somebody_else(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        receipt = await self.restored(site, redeemer)
        await stranger.sync(redeemer.report(receipt=receipt))
        await stranger.sync(stranger.report(receipt=receipt))
        assert site.record().spec.state == "Issued"

    @pytest.mark.parametrize("kind", ["receipt", "cancel"])
    async def test_not_by_a_receipt_that_is_not_ours(self, site: Site, redeemer: Redeemer, kind: str) -> None:
        message = open_envelope(await self.restored(site, redeemer), "receipt")
        await redeemer.says(receipt=seal(kind, message, redeemer.key))
        assert site.record().spec.state == "Issued"


class TestRotated:
    """The issuer was rotated before the redemption, since then, or both."""

    def restore(self, site: Site, before: LinkRecord) -> None:
        site.api.objects.clear()
        body = {"metadata": {"name": before.metadata.name}, "spec": before.spec.to_json()}
        site.api.create(LinkRecord.resource, body)

    @pytest.mark.parametrize("rotations", [(0, 1), (1, 0), (1, 1)], ids=str)
    async def test_one_that_was_signed_with_the_key_of_its_time_heals(
        self, site: Site, redeemer: Redeemer, rotations: tuple[int, int]
    ) -> None:
        before = site.record()
        for _ in range(rotations[0]):
            site.rotate()
        receipt = (await redeemer.redeem()).receipt
        for _ in range(rotations[1]):
            site.rotate()
        self.restore(site, before)
        assert (await redeemer.says(receipt=receipt)).state == "Live"
        assert site.record().spec.state == "Established"

    async def test_one_by_a_key_that_was_given_up_before_the_record_was_made_does_not(
        self, site: Site, redeemer: Redeemer
    ) -> None:
        """Or a former key could take every unused key."""
        thief = site.identity.key
        assert thief is not None
        site.api.objects.clear()
        site.rotate()
        site.issue("i", "a", KEY)
        before = site.record()
        receipt = (await redeemer.redeem()).receipt
        assert receipt is not None
        self.restore(site, before)
        forged = seal("receipt", open_envelope(receipt, "receipt"), thief)
        assert (await redeemer.says(receipt=forged)).state == "Unknown"
        assert site.record().spec.state == "Issued"
        assert (await redeemer.says(receipt=receipt)).state == "Live"
