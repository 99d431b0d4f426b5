"""A key is presented: who gets which answer, and what is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from builders import NAMESPACE, NOW, digest
from federated_builders import over
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink
from pbx_operator.api.v1alpha1.linkrecord import (
    NamespacedName,
)
from pbx_operator.domain.protocol.envelope import open_envelope
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.links.desk import RedeemReply
from simulation.redeemer import ACCOUNT, KEY_ID, Redeemer
from simulation.site import Site, signing_key


async def test_linked_and_signed_for(site: Site, redeemer: Redeemer) -> None:
    reply = await redeemer.redeem()
    assert (reply.result, reply.time) == ("Linked", NOW)
    spec = site.record().spec
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


async def test_as_often_as_it_is_asked(site: Site, redeemer: Redeemer) -> None:
    first = await redeemer.redeem()
    site.now += timedelta(hours=1)
    assert await redeemer.redeem() == first
    assert site.cluster.written == ["put"]


async def test_used_by_another(site: Site, redeemer: Redeemer, stranger: Redeemer) -> None:
    await redeemer.redeem()
    assert await stranger.redeem() == RedeemReply("Used", time=NOW, by=redeemer.site.instance)
    replay = site.record().status.replay
    assert replay is not None
    assert replay.link_id == stranger.link_id


async def test_gone(site: Site, redeemer: Redeemer) -> None:
    await redeemer.redeem()
    await redeemer.says(**over("Deleted", by="Redeemer"))
    assert await redeemer.redeem() == RedeemReply("Gone", "Deleted")


async def test_busy(site: Site, redeemer: Redeemer) -> None:
    site.api.delete(Interlink.resource, ObjectKey(NAMESPACE, "i"))
    assert await redeemer.redeem() == RedeemReply("Busy", "IssuerAbsent", 900)
    assert site.record().spec.state == "Issued"


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
async def test_whoever_proves_nothing_learns_nothing(site: Site, redeemer: Redeemer, changes: dict[str, Any]) -> None:
    assert await redeemer.redeem(**changes) == RedeemReply("Unknown")
    assert site.cluster.written == []


async def test_nor_whoever_has_another_key(redeemer: Redeemer) -> None:
    assert await redeemer.redeem(signing_key("another")) == RedeemReply("Unknown")


async def test_nothing_is_proven_without_our_identity(site: Site, redeemer: Redeemer) -> None:
    site.identity.key = None
    assert await redeemer.redeem() == RedeemReply("Unknown")
    assert not site.desk.confirmed()
