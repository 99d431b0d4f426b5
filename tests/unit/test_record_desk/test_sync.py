"""Each side tells its own: what is recorded, what is told, and what strangers and floods get."""

from __future__ import annotations

from functools import partial

from builders import digest
from federated_builders import HEARD, over
from pbx_operator.cluster import Conflict
from simulation.redeemer import NUMBERS, Redeemer
from simulation.site import Site


class TestSync:
    async def test_each_side_hears_the_other(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        site.tell(HEARD)
        answer = await redeemer.says(rev=7, account="b", sip_domain="b.example", gate="Open", numbers=NUMBERS)
        heard = site.record().status.heard
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
        assert site.record().status.contact == redeemer.site.contact

    async def test_an_end_ends_the_link_and_is_acknowledged(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        answer = await redeemer.says(**over("AccountDeleted", by="Redeemer"))
        assert answer.state == "Ended"
        end = site.record().spec.end
        assert end is not None
        assert (end.by, end.reason) == ("Redeemer", "AccountDeleted")
        await redeemer.says(**over("AccountDeleted", by="Redeemer"))
        assert site.record().status.peer_knows == "End"

    async def test_our_end_is_told(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.cancel()
        answer = await redeemer.says()
        assert answer.end is not None
        assert (answer.state, answer.end.by, answer.end.reason) == ("Ended", "Redeemer", "Deleted")
        assert site.record().status.peer_knows is None, "they may not have got it"

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
        assert site.record().spec.state == "Issued"

    async def test_a_recording_learns_no_numbers_and_moves_nobody(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        site.tell(HEARD)
        old = await redeemer.sync(redeemer.report(), contact=redeemer.site.contact, fresh=False)
        assert [link.numbers for link in old.links] == [None]
        assert site.record().status.contact is None

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
        heard = site.record().status.heard
        assert heard is not None
        assert heard.rev == 100

    async def test_a_recording_does_not_say_that_the_peer_knows_the_link(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.says(rev=7, numbers=NUMBERS)
        await redeemer.says(state="Unknown")
        assert site.record().status.peer_knows == "Unknown"
        await redeemer.sync(redeemer.report(rev=7, numbers=NUMBERS), fresh=False)
        assert site.record().status.peer_knows == "Unknown"
        await redeemer.sync(redeemer.report(rev=7, numbers=NUMBERS))
        assert site.record().status.peer_knows is None

    async def test_nor_that_it_has_forgotten_it(self, site: Site, redeemer: Redeemer) -> None:
        await redeemer.redeem()
        await redeemer.sync(redeemer.report(state="Unknown"), fresh=False)
        assert site.record().status.peer_knows is None
