"""Two clusters with an operator each; the redeemer's cannot be reached from outside, as behind NAT."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest

from builders import interlink
from integration.harness import World, number
from integration.keys import new_key
from integration.two_clusters import Pair, Story
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import LinkRecord, PBXAccount
from pbx_operator.api.v1alpha1.interlink import RedeemKey
from pbx_operator.api.v1alpha1.linkrecord import Issuer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def reaches(world: World, account: PBXAccount, digits: str, target: str | None) -> None:
    await world.until(
        lambda: world.dial(account, digits).target == target, f"{account.key} reaches {target} by {digits}"
    )


async def test_both_sides_turn_green_and_dial_each_other(story: Story) -> None:
    await story.link()
    owner, peer = story.here.now(story.owner), story.there.now(story.peer)
    assert owner is not None
    assert peer is not None
    await reaches(story.there, story.peer, "200", f"200@{owner.status.sip_domain}")
    await reaches(story.here, story.owner, "300", f"300@{peer.status.sip_domain}")
    authority, replica = story.records()
    assert (authority.spec.role, replica.spec.role) == ("Authority", "Replica")
    assert authority.spec.redeemer is not None
    assert replica.spec.redeemer is not None
    assert authority.spec.redeemer.link_id == replica.spec.redeemer.link_id
    assert replica.spec.receipt is not None


async def test_a_private_number_vanishes_across(story: Story) -> None:
    await story.link()
    owner = story.here.now(story.owner)
    assert owner is not None
    await reaches(story.there, story.peer, "200", f"200@{owner.status.sip_domain}")
    hidden = number("200", story.owner.key.namespace)
    hidden = hidden.model_copy(update={"spec": hidden.spec.model_copy(update={"visibility": "Private"})})
    await story.here.apply(hidden)
    await reaches(story.there, story.peer, "200", None)


@pytest.mark.parametrize("side", ["issuer", "redeemer"])
async def test_either_side_ends_both(story: Story, side: str) -> None:
    await story.link()
    await (story.here.delete(story.issuer) if side == "issuer" else story.there.delete(story.redeemer))
    await story.here.gone(story.issuer)
    await story.there.gone(story.redeemer)
    await story.end_is_known()


@pytest.mark.parametrize("side", ["issuer", "redeemer"])
async def test_an_end_reaches_a_side_that_was_down(pair: Pair, story: Story, side: str) -> None:
    await story.link()
    down = pair.hidden if side == "issuer" else pair.reachable
    await down.stop()
    if side == "issuer":
        await story.here.delete(story.issuer)
        await story.here.gone(story.issuer)
    else:
        await story.there.delete(story.redeemer)
        await story.there.gone(story.redeemer)
    assert len([r for r in story.records() if r.spec.state == "Ended"]) == 1
    (pair.start_redeemer if side == "issuer" else pair.start_issuer)()
    await story.here.gone(story.issuer)
    await story.there.gone(story.redeemer)


async def test_a_peer_that_is_out_of_reach_is_shown_and_the_link_stays(pair: Pair, story: Story) -> None:
    await story.link()
    await story.there.ready(story.redeemer, "PeerAnswers", "PeerReachable")
    await pair.reachable.stop()
    await story.there.ready(story.redeemer, "PeerSilent", "PeerReachable")
    await story.there.green(story.redeemer)
    pair.start_issuer()
    await story.there.ready(story.redeemer, "PeerAnswers", "PeerReachable")
    for reason, type_ in (("PeerSilent", "Warning"), ("PeerAnswers", "Normal")):
        assert [e["type"] for e in await story.there.event(story.redeemer, reason)] == [type_]


async def test_a_peer_that_only_dials_is_missed_when_it_falls_silent(pair: Pair, story: Story) -> None:
    await story.link()
    await story.here.ready(story.issuer, "PeerAnswers", "PeerReachable")
    await pair.hidden.stop()
    await story.here.ready(story.issuer, "PeerSilent", "PeerReachable")
    await story.here.green(story.issuer)
    pair.start_redeemer()
    await story.here.ready(story.issuer, "PeerAnswers", "PeerReachable")


async def test_an_issuer_that_comes_later_is_found(pair: Pair, story: Story) -> None:
    await story.offer()
    await pair.reachable.stop()
    await story.there.apply(story.redeemer)
    await story.there.ready(story.redeemer, "PeerUnavailable")
    (asked,) = story.there.records()
    line = await pair.hidden.operator.says(asked.spec.key_id, "at https://", "cannot be reached")
    assert ObjectKey(line["namespace"], line["name"]) == story.redeemer.key
    pair.start_issuer()
    await story.here.green(story.issuer)
    await story.there.green(story.redeemer)
    for reason, type_ in (("PeerUnavailable", "Warning"), ("Established", "Normal")):
        assert [e["type"] for e in await story.there.event(story.redeemer, reason)] == [type_]


async def test_an_issuer_restored_from_before_the_redemption_heals(pair: Pair, story: Story) -> None:
    """The redeemer shows the issuer its own proof, and nobody else can use the key meanwhile or later."""
    await story.offer()
    (before,) = story.here.records()
    await story.there.apply(story.redeemer)
    await story.here.green(story.issuer)
    await story.there.green(story.redeemer)
    await pair.reachable.stop()
    api, name = pair.reachable.api, ObjectKey("", before.metadata.name)
    await api.cluster.delete(LinkRecord.resource, name)
    await story.here.until(lambda: not story.here.records(), "the record is gone")
    body = {"apiVersion": "pbx-operator.io/v1alpha1", "kind": "LinkRecord", "metadata": {"name": name.name}}
    await api.cluster.create(LinkRecord.resource, {**body, "spec": before.spec.to_json()})
    pair.start_issuer()
    await story.here.until(lambda: [r.spec.state for r in story.here.records()] == ["Established"], "it has healed")
    await story.here.green(story.issuer)
    await story.there.green(story.redeemer)


async def test_a_key_works_once_across_clusters(story: Story) -> None:
    await story.link()
    rival = interlink("z", "a", story.peer.key.namespace, redeem="key")
    await story.there.apply(rival)
    await story.there.ready(rival, "KeyAlreadyUsed")


async def test_a_key_that_both_brought_along_links_them(pair: Pair, story: Story) -> None:
    """The key in both Gits is bare; the redeemer's user says where its issuer is, from what its operator logs."""
    told = re.findall(r"installation (\w{26}); .* at (https://\S+), with the pin ([\w-]{43})", pair.reachable.logs())
    instance, endpoint, pin = told[-1]
    text, here, there = new_key(), story.issuer.key.namespace, story.redeemer.key.namespace
    own = {"fromSecretRef": {"name": "mine"}, "expirationTime": datetime.now(UTC) + timedelta(days=1)}
    issuer = {"instance": instance, "endpoints": ["https://localhost:1"], "pin": pin}
    entered = {"secretRef": {"name": "key"}, "issuer": issuer}
    await story.here.put_key(here, "mine", text)
    await story.there.put_key(there, "key", text)
    story.issuer = interlink("x", "a", here, issue=own)
    story.redeemer = interlink("y", "a", there, redeem=RedeemKey.model_validate(entered))
    await story.there.apply(story.redeemer)
    await story.there.ready(story.redeemer, "PeerUnavailable")
    issuer["endpoints"] = [endpoint]
    story.redeemer = interlink("y", "a", there, redeem=RedeemKey.model_validate(entered))
    await story.there.apply(story.redeemer)
    await story.there.ready(story.redeemer, "KeyUnknown")
    await story.here.apply(story.issuer)
    await story.here.ready(story.issuer, "KeyIssued")
    await story.hurry()
    await story.green()
    owner = story.here.now(story.owner)
    assert owner is not None
    await reaches(story.there, story.peer, "200", f"200@{owner.status.sip_domain}")
    _, replica = story.records()
    assert replica.spec.issuer == Issuer(instance=instance)


async def test_nothing_is_written_while_nothing_changes(pair: Pair, story: Story) -> None:
    await story.link()
    await pair.reachable.settle()
    await pair.hidden.settle()
    mark = [len(story.here.writes()), len(story.there.writes())]
    await asyncio.gather(pair.reachable.settle(), pair.hidden.settle())
    assert [len(story.here.writes()), len(story.there.writes())] == mark
