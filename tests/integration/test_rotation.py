"""The identities of two clusters are rotated while a link joins them; who kept a former key can do nothing to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from builders import NOW
from integration.harness import OPERATOR, Stage, World, number
from integration.process import LOOPBACK, exchange_server
from integration.two_clusters import Pair, Story
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord, PBXAccount
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.domain.protocol.messages import EndNotice, LinkReport, SyncAnswer, SyncRequest
from pbx_operator.domain.protocol.succession import speaks_for, succeed
from pbx_operator.engine.identity import IDENTITY_SECRET, Identity, read_identity
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.links.peer import PeerUnavailable
from pbx_operator.sandbox.ports import unused_port
from support import ROOT

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMESPACE = "pbx-system"
PERIODS = {"identity": 0.5}


async def identity_of(stage: Stage) -> Identity:
    return await read_identity(stage.api.cluster, NAMESPACE)


async def rotate(stage: Stage) -> Identity:
    """Rotate with the command and the operator's rights, and wait until the operator knows; return the former one."""
    former = await identity_of(stage)
    command = [sys.executable, "-m", "pbx_operator", "rotate-identity"]
    done = await asyncio.to_thread(
        subprocess.run,
        [*command, "--kubeconfig", str(stage.control_plane.kubeconfig_for(OPERATOR))],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    now = await identity_of(stage)
    assert f"Installation {former.instance} has a new identity key, {now.public_key}" in done.stdout
    assert speaks_for(now.public_key, former.instance, now.successions)
    await stage.operator.says("was rotated", f"so far: {len(now.successions)}")
    return former


async def hears(world: World, identity: Identity) -> None:
    """Wait until the record of this side knows the other's key."""
    await world.until(
        lambda: [r.status.peer_key for r in world.records()] == [identity.public_key], "the new key was heard"
    )


def greens(story: Story) -> list[tuple[str, str]]:
    """Return what Ready and CallsAllowed of both Interlinks have ever been since they were green first."""
    seen = []
    for world, link in ((story.here, story.issuer), (story.there, story.redeemer)):
        versions = world.stage.observer.versions(Interlink.resource, link.key)
        shown = [{c["type"]: c["status"] for c in v.get("status", {}).get("conditions", [])} for v in versions]
        both = [(s.get("Ready", ""), s.get("CallsAllowed", "")) for s in shown]
        seen += both[both.index(("True", "True")) :]
    return seen


async def reaches(world: World, account: PBXAccount, digits: str, owner: PBXAccount | None) -> None:
    assert owner is not None
    target = f"{digits}@{owner.status.sip_domain}"
    await world.until(lambda: world.dial(account, digits).target == target, f"{account.key} reaches {target}")


async def all_is_said(story: Story) -> None:
    """Wait until both sides have heard all of each other, so that only news is written from now on."""
    owner, peer = story.here.now(story.owner), story.there.now(story.peer)
    await reaches(story.there, story.peer, "200", owner)
    await reaches(story.here, story.owner, "300", peer)
    await story.here.ready(story.issuer, "PeerAnswers", "PeerReachable")
    await story.there.ready(story.redeemer, "PeerAnswers", "PeerReachable")


async def test_a_link_outlives_the_keys_of_both_sides(pair: Pair, story: Story) -> None:
    await story.link()
    await all_is_said(story)
    await pair.settle()
    before = [r.spec for r in story.records()]
    marks = [len(story.here.writes()), len(story.there.writes())]

    await rotate(pair.reachable)
    await hears(story.there, await identity_of(pair.reachable))
    await rotate(pair.hidden)
    await hears(story.here, await identity_of(pair.hidden))
    await pair.settle()
    assert [r.spec for r in story.records()] == before
    later = [*story.here.writes()[marks[0] :], *story.there.writes()[marks[1] :]]
    assert [(c.resource, c.subresource) for c in later] == [("linkrecords", "status")] * 2

    await story.here.apply(number("201", story.owner.key.namespace))
    await story.there.apply(number("301", story.peer.key.namespace))
    for digits, asked, account, answering in (
        ("200", story.there, story.peer, story.here.now(story.owner)),
        ("201", story.there, story.peer, story.here.now(story.owner)),
        ("300", story.here, story.owner, story.there.now(story.peer)),
        ("301", story.here, story.owner, story.there.now(story.peer)),
    ):
        await reaches(asked, account, digits, answering)
    assert set(greens(story)) == {("True", "True")}

    await story.here.delete(story.issuer)
    await story.here.gone(story.issuer)
    await story.there.gone(story.redeemer)
    await story.end_is_known()


async def test_an_operator_that_starts_has_the_key_of_the_secret(pair: Pair, story: Story) -> None:
    await story.link()
    await rotate(pair.hidden)
    await pair.crash_redeemer()
    await hears(story.here, await identity_of(pair.hidden))
    await story.green()


async def ask(pair: Pair, who: Identity, *reports: LinkReport, port: int | None = None) -> SyncAnswer:
    """Let somebody speak with the issuer by this identity, at its own port or another one."""
    contact = next(r.spec.contact for r in pair.hidden.observer.all(LinkRecord) if r.spec.role == "Replica")
    assert contact is not None
    if port is not None:
        contact = contact.model_copy(update={"endpoints": (f"https://localhost:{port}",)})
    peer = RemotePeer(who, LOOPBACK, lambda: datetime.now(UTC))
    draft = partial(SyncRequest, links=reports)
    return await peer.ask(contact, (await identity_of(pair.reachable)).instance, draft, SyncAnswer)


async def say(pair: Pair, who: Identity, report: LinkReport) -> LinkReport:
    """Let somebody tell the issuer this by this identity, and return the answer."""
    (link,) = (await ask(pair, who, report)).links
    return link


def forked(former: Identity, times: int) -> Identity:
    """Return what somebody can make of a former key who rotates by himself."""
    assert former.key is not None
    key, successions = former.key, former.successions
    for n in range(times):
        new = SigningKey(bytes([n + 1]) * 32)
        key, successions = new, succeed(key, new, successions)
    return Identity(former.instance, key.public, key, confirmed=True, successions=successions)


async def test_a_former_key_changes_nothing(pair: Pair, story: Story) -> None:
    await story.link()
    await all_is_said(story)
    former = await rotate(pair.hidden)
    await hears(story.here, await identity_of(pair.hidden))
    await pair.settle()
    (record,) = story.here.records()
    assert record.spec.redeemer is not None
    link = LinkReport(key_id=record.spec.key_id, link_id=record.spec.redeemer.link_id, state="Live")
    end = EndNotice(by="Redeemer", reason="Deleted", time=NOW)
    for thief in (former, forked(former, 1), forked(former, 5)):
        for said in (link, link.model_copy(update={"state": "Ended", "end": end})):
            answer = await say(pair, thief, said)
            assert (answer.state, answer.numbers) == ("Unknown", None)
    await pair.settle()
    assert story.here.records() == [record]
    assert set(greens(story)) == {("True", "True")}
    assert (await say(pair, await identity_of(pair.hidden), link)).state == "Live", "who is rotated is heard"


async def test_a_key_that_was_carried_before_works_after(pair: Pair, story: Story) -> None:
    await story.offer()
    await rotate(pair.reachable)
    await rotate(pair.hidden)
    await story.there.apply(story.redeemer)
    await story.green()
    owner, peer = story.here.now(story.owner), story.there.now(story.peer)
    await reaches(story.there, story.peer, "200", owner)
    await reaches(story.here, story.owner, "300", peer)


async def test_a_question_without_an_answer_is_asked_again_with_the_new_key(pair: Pair, story: Story) -> None:
    await story.offer()
    await pair.reachable.stop()
    await story.there.apply(story.redeemer)
    await story.there.ready(story.redeemer, "PeerUnavailable")
    (asked,) = story.there.records()
    await rotate(pair.hidden)
    pair.start_issuer()
    await story.green()
    (here,), (there,) = story.here.records(), story.there.records()
    assert asked.spec.redeemer == there.spec.redeemer
    assert here.spec.redeemer is not None
    assert there.spec.redeemer is not None
    assert here.spec.redeemer.link_id == there.spec.redeemer.link_id
    assert (
        here.spec.redeemer.public_key == (await identity_of(pair.hidden)).public_key != there.spec.redeemer.public_key
    )


async def test_an_older_copy_of_the_secret_is_not_taken(pair: Pair, story: Story) -> None:
    await story.link()
    key = ObjectKey(NAMESPACE, IDENTITY_SECRET)
    cluster = pair.hidden.api.cluster
    copy = (await cluster.get(SECRETS, key))["data"]
    await rotate(pair.hidden)
    latest = await cluster.get(SECRETS, key)
    data = {name: copy.get(name) for name in latest["data"]}
    await cluster.patch(SECRETS, key, {"data": data})
    await pair.hidden.operator.says("holds a former key", "restore its latest backup")
    await cluster.patch(SECRETS, key, {"data": latest["data"]})
    await hears(story.here, await identity_of(pair.hidden))
    await story.green()


async def answers_by(pair: Pair, port: int, identity: Identity) -> None:
    """Wait until the server at this port answers by this identity."""
    who = await identity_of(pair.hidden)
    async with asyncio.timeout(30):
        while True:
            with suppress(PeerUnavailable):
                if (await ask(pair, who, port=port)).successions == identity.successions:
                    return
            await asyncio.sleep(0.1)


async def test_an_exchange_server_takes_the_new_key_up(pair: Pair, story: Story, tmp_path: Path) -> None:
    await story.link()
    port = unused_port()
    kubeconfig = pair.reachable.control_plane.kubeconfig_for("pbx-exchange")
    async with exchange_server(kubeconfig, tmp_path / "exchange.log", port, port, periods=PERIODS):
        await answers_by(pair, port, await identity_of(pair.reachable))
        await rotate(pair.reachable)
        await answers_by(pair, port, await identity_of(pair.reachable))
    await story.green()
