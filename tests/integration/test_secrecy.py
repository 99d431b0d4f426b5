"""A key is in its Secret and nowhere else: stories with known keys, and then a search of everything."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

import builders
from builders import interlink
from faultproxy import Answer, Fault, writes
from integration.harness import Stage, World
from integration.keys import new_key

pytestmark = pytest.mark.asyncio(loop_scope="module")


def traces(text: str) -> list[str]:
    """Return what gives a key away: its seed as text, as raw hex, and both in base64."""
    seed = text.split(".")[2]
    raw = base64.urlsafe_b64decode(seed + "=")
    wrapped = base64.b64encode(text.encode()).decode().rstrip("=")
    return [seed, seed[:20], raw.hex(), base64.b64encode(raw).decode(), wrapped[40:80]]


async def stories(world: World) -> list[str]:
    """Live through what can happen to keys, failures included, and return the keys."""
    a, b = await world.office("a", "201"), await world.office("b", "301")
    at_a, at_b = a.key.namespace, b.key.namespace
    proxy = world.stage.proxy

    failing = Fault(writes(resource="secrets"), times=2, then=Answer(422, reason="Invalid"))
    proxy.add(failing)
    generated = await world.join(interlink("x", "a", at_a), interlink("y", "a", at_b, redeem="key"))
    assert failing.hits

    own = new_key()
    await world.put_key(at_a, "mine", own)
    later = datetime.now(UTC) + timedelta(days=1)
    brought = interlink("own", "a", at_a, issue={"fromSecretRef": {"name": "mine"}, "expirationTime": later})
    await world.apply(brought)
    await world.ready(brought, "KeyIssued")

    broken = ".".join([*new_key().split(".")[:2], new_key().split(".")[2]])
    await world.put_key(at_b, "broken", broken)
    await world.apply(interlink("broken", "a", at_b, redeem="broken"))
    await world.ready(interlink("broken", "a", at_b), "KeyMalformed")

    unknown = new_key()
    await world.put_key(at_b, "unknown", unknown)
    await world.apply(interlink("unknown", "a", at_b, redeem="unknown"))
    await world.ready(interlink("unknown", "a", at_b), "KeyUnknown")

    c = await world.office("c")
    proxy.add(Fault(writes(resource="linkrecords", method="PUT"), times=3, at="after-send", then=Answer(500)))
    await world.put_key(c.key.namespace, "key", own)
    await world.apply(interlink("z", "a", c.key.namespace, redeem="key"))
    await world.green(brought, interlink("z", "a", c.key.namespace))

    await world.apply(interlink("unused", "a", at_b))
    await world.ready(interlink("unused", "a", at_b), "KeyIssued")
    unused = await world.key_of(interlink("unused", "a", at_b))
    await world.delete(builders.account("a", at_a))
    await world.gone(builders.account("a", at_a))
    return [generated, own, broken, unknown, unused]


async def test_keys_are_nowhere_but_in_their_secrets(stage: Stage, world: World) -> None:
    keys = await stories(world)
    await stage.settle()
    texts = [json.dumps(one) for one in await stage.api.everything() if one["kind"] != "Secret"]
    texts += [json.dumps(raw) for plural, _, raw in stage.observer.history if plural != "secrets"]
    secrets = [raw for plural, _, raw in stage.observer.history if plural == "secrets"]
    texts += [json.dumps([raw["metadata"], raw["type"]]) for raw in secrets]
    texts += [call.path for call in stage.proxy.journal.calls]
    texts += [call.body.decode() for call in stage.proxy.journal.calls if call.resource != "secrets"]
    _, metrics = await stage.operator.answers("/metrics")
    texts += [stage.logs(), metrics]
    for key in keys:
        for trace in traces(key):
            assert not [text for text in texts if trace in text], f"a trace of a key: {trace}"
    everything = "".join(json.dumps(raw) for raw in secrets)
    assert all(base64.b64encode(key.encode()).decode() in everything for key in keys), "the search would find a key"


async def test_events_are_among_what_was_searched(stage: Stage) -> None:
    kinds = {one["kind"] for one in await stage.api.everything()}
    assert {"Event", "LinkRecord", "DialPlanSlice", "Interlink", "CustomResourceDefinition"} <= kinds
