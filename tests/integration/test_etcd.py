"""A used key does not stay in etcd: not in what is stored, and not in what was stored once it is compacted."""

from __future__ import annotations

import pytest

from integration.etcd import Etcd, records_of_log
from integration.test_federation_faults import traces_of_bundle
from integration.two_clusters import Pair, begin_story, watched
from pbx_operator.api.meta import SECRETS, ObjectKey

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET_KEYS = b"/registry/secrets/"


async def test_a_used_key_goes_from_etcd_too(pair: Pair) -> None:
    async with watched(pair):
        story = await begin_story(pair)
        text = await story.link()
        await story.here.absent(SECRETS, ObjectKey(story.issuer.key.namespace, "x-key"))
        carried = ObjectKey(story.redeemer.key.namespace, "key")
        await story.there.stage.api.cluster.delete(SECRETS, carried)
        await story.there.absent(SECRETS, carried)
        await pair.settle()
        traces = [trace.encode() for trace in traces_of_bundle(text)]
        for stage in (pair.reachable, pair.hidden):
            await gone_once_compacted(Etcd(stage.control_plane), traces)
        await story.end()


async def gone_once_compacted(etcd: Etcd, traces: list[bytes]) -> None:
    """Check that the key was under the names of Secrets alone, and then nowhere in the database.

    The write-ahead log keeps the transactions of the time before, until etcd itself removes a file of it.
    """
    places = [key for key, value in await etcd.history() if holds(value, traces)]
    assert places, "the search would find it"
    assert all(key.startswith(SECRET_KEYS) for key in places)
    assert holds(etcd.database(), traces)
    await etcd.forget()
    assert not [key for key, value in await etcd.history() if holds(value, traces)]
    assert not holds(etcd.database(), traces)
    assert not [content for content in etcd.other_files() if holds(content, traces)]
    for file in etcd.log():
        logged = [record for record in records_of_log(file) if holds(record, traces)]
        assert all(SECRET_KEYS in record for record in logged)
        for trace in traces:
            assert sum(record.count(trace) for record in logged) == file.count(trace), "no record was left out"


def holds(content: bytes, traces: list[bytes]) -> bool:
    return any(trace in content for trace in traces)
