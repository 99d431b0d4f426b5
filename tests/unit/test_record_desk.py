"""The desk behind the exchange: what peers are told, and what their words change."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from builders import NAMESPACE, NOW, digest
from federated_builders import HEARD, over
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.api.v1alpha1.interlink import AllowedRedeemer
from pbx_operator.api.v1alpha1.linkrecord import (
    LinkRecordSpec,
    LinkRecordStatus,
    NamespacedName,
    Policy,
)
from pbx_operator.cluster import Conflict
from pbx_operator.domain.envelope import Envelope, open_envelope, seal
from pbx_operator.domain.keys import base64url
from pbx_operator.domain.redemption import cancel_bytes
from pbx_operator.links.desk import RedeemReply
from simulation.redeemer import ACCOUNT, KEY, KEY_ID, NUMBERS, Redeemer
from simulation.site import Site, signing_key


@pytest.fixture
def site() -> Site:
    site = Site("issuer")
    site.issue("i", "a", KEY)
    return site


@pytest.fixture
def redeemer(site: Site) -> Redeemer:
    return Redeemer(site, "redeemer")


@pytest.fixture
def stranger(site: Site) -> Redeemer:
    return Redeemer(site, "stranger", "uid-of-a-stranger")


def spec_of(site: Site) -> LinkRecordSpec:
    return site.record().spec


def status_of(site: Site) -> LinkRecordStatus:
    return site.record().status


class TestRedeem:
    async def test_linked_and_signed_for(self, site: Site, redeemer: Redeemer) -> None:
        reply = await redeemer.redeem()
        assert (reply.result, reply.time) == ("Linked", NOW)
        spec = spec_of(site)
        assert spec.state == "Established"
        assert spec.redeemer is not None
        assert (spec.redeemer.instance, spec.redeemer.account) == (redeemer.site.instance, ACCOUNT)
        assert reply.receipt is not None
        assert reply.receipt.by == site.identity.public_key
        assert open_envelope(reply.receipt, "receipt") == {
            "issuer": site.instance,
            "keyID": KEY_ID,
            "linkID": redeemer.link_id,
            "redeemer": redeemer.site.instance,
            "redeemerKey": redeemer.key.public,
            "account": ACCOUNT.to_json(),
            "interlink": redeemer.interlink.to_json(),
            "time": "2026-06-01T12:00:00Z",
        }

    async def test_as_often_as_it_is_asked(self, site: Site, redeemer: Redeemer) -> None:
        first = await redeemer.redeem()
        site.now += timedelta(hours=1)
        assert await redeemer.redeem() == first
        assert site.cluster.written == ["put"]

    async def test_used_by_another(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        await redeemer.redeem()
        assert await stranger.redeem() == RedeemReply("Used", time=NOW, by=redeemer.site.instance)
        replay = status_of(site).replay
        assert replay is not None
        assert replay.link_id == stranger.link_id

    async def test_gone(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.says(**over("Deleted", by="Redeemer"))
        assert await redeemer.redeem() == RedeemReply("Gone", "Deleted")

    async def test_busy(self, site: Site, redeemer: Redeemer) -> None:
        site.api.delete(Interlink.resource, ObjectKey(NAMESPACE, "i"))
        assert await redeemer.redeem() == RedeemReply("Busy", "IssuerAbsent", 900)
        assert spec_of(site).state == "Issued"

    @pytest.mark.parametrize(
        "changes",
        [
            {"key_id": digest("no such key", 16)},
            {"link_id": digest("chosen", 26)},
            {"account": NamespacedName(namespace="far", name="c")},
            {"sender": Site("stranger").instance},
            {"key_signature": base64url(b"\0" * 64)},
            {"instance_signature": base64url(b"\0" * 64)},
        ],
        ids=lambda changes: next(iter(changes)),
    )
    async def test_whoever_proves_nothing_learns_nothing(
        self, site: Site, redeemer: Redeemer, changes: dict[str, Any]
    ) -> None:
        assert await redeemer.redeem(**changes) == RedeemReply("Unknown")
        assert site.cluster.written == []

    async def test_nor_whoever_has_another_key(self, redeemer: Redeemer) -> None:
        assert await redeemer.redeem(signing_key("another")) == RedeemReply("Unknown")

    async def test_nothing_is_proven_without_our_identity(self, site: Site, redeemer: Redeemer) -> None:
        site.identity.key = None
        assert await redeemer.redeem() == RedeemReply("Unknown")
        assert not site.desk.confirmed()


class TestCancel:
    async def test_before_the_redemption_which_then_comes_too_late(self, site: Site, redeemer: Redeemer) -> None:
        assert await redeemer.cancel() == "Done"
        assert spec_of(site).fences == (redeemer.link_id,)
        assert await redeemer.redeem() == RedeemReply("Gone", "Cancelled")
        assert spec_of(site).state == "Issued"

    async def test_and_leaves_the_key_to_others(self, redeemer: Redeemer, stranger: Redeemer) -> None:
        await redeemer.cancel()
        assert (await stranger.redeem()).result == "Linked"

    async def test_after_the_redemption_it_ends_the_link(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        assert await redeemer.cancel() == "Done"
        end = spec_of(site).end
        assert end is not None
        assert (end.by, end.reason) == ("Redeemer", "Deleted")

    @pytest.mark.parametrize("redeemed", [True, False])
    async def test_once_is_enough(self, site: Site, redeemer: Redeemer, redeemed: bool) -> None:
        if redeemed:
            await redeemer.redeem()
        await redeemer.cancel()
        before = site.record()
        assert await redeemer.cancel() == "Done"
        assert site.record() == before

    async def test_of_a_link_that_lost_against_another(
        self, site: Site, redeemer: Redeemer, stranger: Redeemer
    ) -> None:
        await stranger.redeem()
        assert await redeemer.cancel() == "Done"
        assert spec_of(site).state == "Established"

    async def test_of_a_key_that_is_void(self, site: Site, redeemer: Redeemer) -> None:
        site.now += timedelta(days=1)
        site.api.objects.clear()
        site.issue("i", "a", KEY, Policy(expiration_time=NOW))
        await redeemer.redeem()
        assert await redeemer.cancel() == "Done"

    async def test_by_a_redeemer_that_is_not_admitted_makes_no_fence(self, site: Site, redeemer: Redeemer) -> None:
        """Or a stolen key could end a link of its owner's by filling the fences."""
        site.api.objects.clear()
        site.issue("i", "a", KEY, Policy(allowed_redeemers=(AllowedRedeemer(account="z"),)))
        assert await redeemer.cancel() == "Unknown"
        assert spec_of(site).fences == ()

    async def test_of_a_key_that_nobody_knows_is_no_acknowledgement(self, site: Site, redeemer: Redeemer) -> None:
        """The record may come with a backup."""
        site.api.objects.clear()
        assert await redeemer.cancel() == "Unknown"

    async def test_by_somebody_without_the_key(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        assert await redeemer.cancel(redeemer.cancel_of(signing_key("another"))) == "Unknown"
        assert spec_of(site).state == "Established"

    async def test_by_somebody_else_who_has_the_key(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        await redeemer.redeem()
        signature = KEY.sign(cancel_bytes(site.instance, KEY_ID, redeemer.link_id))
        theirs = stranger.cancel_of(linkID=redeemer.link_id, keySignature=signature)
        assert await stranger.cancel(theirs) == "Unknown"
        assert await stranger.cancel(redeemer.cancel_of()) == "Unknown", "nor by passing on what was not its own"
        assert spec_of(site).state == "Established"

    @pytest.mark.parametrize(
        "changes", [{"issuer": Site("stranger").instance}, {"linkID": "short"}, {"keyID": digest("other", 16)}], ids=str
    )
    async def test_that_is_not_for_this_key(self, site: Site, redeemer: Redeemer, changes: dict[str, Any]) -> None:
        await redeemer.redeem()
        assert await redeemer.cancel(redeemer.cancel_of(**changes)) == "Unknown"
        assert spec_of(site).state == "Established"

    async def test_that_somebody_else_passes_on(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        assert await stranger.cancel(redeemer.cancel_of()) == "Unknown"
        assert site.cluster.written == []

    async def test_that_is_signed_as_something_else(self, site: Site, redeemer: Redeemer) -> None:
        message = open_envelope(redeemer.cancel_of(), "cancel")
        assert await redeemer.cancel(seal("receipt", message, redeemer.key)) == "Unknown"
        assert site.cluster.written == []


class TestSync:
    async def test_each_side_hears_the_other(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        site.tell(HEARD)
        answer = await redeemer.says(rev=7, account="b", sip_domain="b.example", gate="Open", numbers=NUMBERS)
        heard = status_of(site).heard
        assert heard is not None
        assert (heard.rev, heard.account, heard.sip_domain, heard.gate) == (7, "b", "b.example", "Open")
        assert (answer.state, answer.rev, answer.known_rev) == ("Live", HEARD.rev, 7)
        assert [n.number for n in answer.numbers or ()] == ["300", "301"]

    async def test_nothing_is_written_while_nothing_changes(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        site.tell(HEARD)
        says = partial(redeemer.says, rev=7, numbers=NUMBERS, known_rev=HEARD.rev)
        await says()
        before = list(site.cluster.written)
        assert (await says()).numbers is None
        assert site.cluster.written == before

    async def test_how_we_are_reached_and_they_are(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        reply = await redeemer.sync(redeemer.report(), contact=redeemer.site.contact)
        assert (reply.endpoints, reply.pins) == (site.contact.endpoints, site.contact.pins)
        assert status_of(site).contact == redeemer.site.contact

    async def test_an_end_ends_the_link_and_is_acknowledged(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        answer = await redeemer.says(**over("AccountDeleted", by="Redeemer"))
        assert answer.state == "Ended"
        end = spec_of(site).end
        assert end is not None
        assert (end.by, end.reason) == ("Redeemer", "AccountDeleted")
        await redeemer.says(**over("AccountDeleted", by="Redeemer"))
        assert status_of(site).peer_knows == "End"

    async def test_our_end_is_told(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.cancel()
        answer = await redeemer.says()
        assert answer.end is not None
        assert (answer.state, answer.end.by, answer.end.reason) == ("Ended", "Redeemer", "Deleted")
        assert status_of(site).peer_knows is None, "they may not have got it"

    async def test_a_stranger_learns_nothing_and_changes_nothing(
        self, site: Site, redeemer: Redeemer, stranger: Redeemer
    ) -> None:
        await redeemer.redeem()
        site.tell(HEARD)
        before = site.record()
        theirs = redeemer.report(rev=9, numbers=NUMBERS)
        for report in (theirs, redeemer.report(**over("Deleted")), redeemer.report(state="Unknown")):
            (answer,) = (await stranger.sync(report, contact=stranger.site.contact)).links
            assert answer == redeemer.report(state="Unknown")
        assert site.record() == before

    async def test_the_peer_must_name_its_link(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        before = site.record()
        other = redeemer.report(link_id=digest("another link", 26), **over("Deleted"))
        (answer,) = (await redeemer.sync(other)).links
        assert answer.state == "Unknown"
        assert site.record() == before

    async def test_an_unused_key_is_nobodys_link(self, site: Site, redeemer: Redeemer) -> None:
        assert await redeemer.says() == redeemer.report(state="Unknown")
        assert spec_of(site).state == "Issued"

    async def test_a_recording_learns_no_numbers_and_moves_nobody(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        site.tell(HEARD)
        old = await redeemer.sync(redeemer.report(), contact=redeemer.site.contact, fresh=False)
        assert [link.numbers for link in old.links] == [None]
        assert status_of(site).contact is None

    async def test_what_cannot_be_recorded_is_left_out_and_not_called_unknown(
        self, site: Site, redeemer: Redeemer
    ) -> None:
        """The peer would close the gate of a link that is well."""
        await redeemer.redeem()

        def refuse(what: str) -> None:
            raise Conflict(f"{what}: others were faster", status=409)

        site.cluster.before = refuse
        assert (await redeemer.sync(redeemer.report(rev=7, numbers=NUMBERS))).links == ()
        site.cluster.before = lambda what: None
        assert (await redeemer.says(rev=7, numbers=NUMBERS)).state == "Live"

    async def test_others_who_write_meanwhile_delay_but_change_nothing(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        times = iter(range(3))

        def interrupt(what: str) -> None:
            if next(times, None) is not None:
                site.tell(HEARD.model_copy(update={"rev": HEARD.rev + len(site.cluster.written)}))
                raise Conflict("somebody was faster", status=409)

        site.cluster.before = interrupt
        assert (await redeemer.says(rev=7, numbers=NUMBERS)).known_rev == 7

    async def test_links_that_nobody_knows_are_not_looked_for_without_end(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        invented = [redeemer.report(key_id=digest(f"{n}", 16), link_id=digest(f"{n}", 26)) for n in range(50)]
        reply = await redeemer.sync(redeemer.report(), *invented)
        assert [link.state for link in reply.links] == ["Live"] + ["Unknown"] * 10


class TestSignOfLife:
    async def test_a_peer_that_speaks_of_its_link_is_heard(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.sync(redeemer.report())
        assert site.ears.heard_of == [redeemer.site.instance]

    async def test_a_recording_is_none(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.sync(redeemer.report(), fresh=False)
        assert site.ears.heard_of == []

    async def test_nor_is_a_stranger(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        await redeemer.redeem()
        await stranger.sync(redeemer.report())
        assert site.ears.heard_of == []


class TestFlood:
    async def test_a_link_that_is_named_many_times_is_written_once(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        before = len(site.cluster.written)
        reports = [redeemer.report(rev=n + 1, numbers=NUMBERS) for n in range(100)]
        reply = await redeemer.sync(*reports)
        assert len(reply.links) == 1
        assert len(site.cluster.written) == before + 1
        heard = status_of(site).heard
        assert heard is not None
        assert heard.rev == 100

    async def test_a_recording_does_not_say_that_the_peer_knows_the_link(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.says(rev=7, numbers=NUMBERS)
        await redeemer.says(state="Unknown")
        assert status_of(site).peer_knows == "Unknown"
        await redeemer.sync(redeemer.report(rev=7, numbers=NUMBERS), fresh=False)
        assert status_of(site).peer_knows == "Unknown"
        await redeemer.sync(redeemer.report(rev=7, numbers=NUMBERS))
        assert status_of(site).peer_knows is None

    async def test_nor_that_it_has_forgotten_it(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.sync(redeemer.report(state="Unknown"), fresh=False)
        assert status_of(site).peer_knows is None


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
        spec = spec_of(site)
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
        assert spec_of(site).state == "Issued"

    async def test_not_for_somebody_else(self, site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
        receipt = await self.restored(site, redeemer)
        await stranger.sync(redeemer.report(receipt=receipt))
        await stranger.sync(stranger.report(receipt=receipt))
        assert spec_of(site).state == "Issued"

    @pytest.mark.parametrize("kind", ["receipt", "cancel"])
    async def test_not_by_a_receipt_that_is_not_ours(self, site: Site, redeemer: Redeemer, kind: str) -> None:
        message = open_envelope(await self.restored(site, redeemer), "receipt")
        await redeemer.says(receipt=seal(kind, message, redeemer.key))
        assert spec_of(site).state == "Issued"
