"""Internal numbers: who holds one, who may dial it, and who may not even know of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import builders
from builders import interlink, number_range, sharing
from integration.harness import World, number
from integration.reason_stories import shows
from pbx_operator.api import reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, DialPlanSlice, Interlink, PBXAccount
from pbx_operator.api.v1alpha1.internalnumber import Destination, ServerDestination
from pbx_operator.api.v1alpha1.pbxaccount import Emergency, Numbering

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def linked(world: World, a: PBXAccount, b: PBXAccount, **issuing: Any) -> tuple[Interlink, Interlink]:
    """Link two offices; the Interlinks are named after each other's namespace."""
    to_b, to_a = (other.key.namespace.rpartition("-")[2] for other in (b, a))
    issuer = interlink(f"to-{to_b}", "a", a.key.namespace, **issuing)
    redeemer = interlink(f"to-{to_a}", "a", b.key.namespace, redeem=f"from-{to_a}")
    await world.join(issuer, redeemer)
    return issuer, redeemer


def by_age(world: World, *links: Interlink) -> list[Interlink]:
    """Sort links as the rules do: within one second the key decides."""
    now = {link.key: world.now(link) for link in links}
    ages = {key: (o.status.established_time, o.status.key_id) for key, o in now.items() if o is not None}
    return sorted(links, key=lambda link: str(ages[link.key]))


async def test_a_number_has_one_holder_and_the_next_takes_over(world: World) -> None:
    a = await world.office("a")
    namespace = a.key.namespace
    first = number("200", namespace, name="zz")
    second = number("200", namespace, name="aa")
    await world.apply(first)
    await world.ready(first, "Serving")
    await world.apply(second)
    await world.ready(second, "NumberConflict")
    assert "zz" in world.message(second)
    await world.delete(first)
    taken = await world.ready(second, "Serving")
    assert taken.status.number == "200"


async def test_a_changed_number_frees_the_old_one_at_once(world: World) -> None:
    a = await world.office("a")
    first, second = number("200", a.key.namespace, name="x"), number("200", a.key.namespace, name="y")
    await world.apply(first)
    await world.ready(first, "Serving")
    await world.apply(second)
    await world.ready(second, "NumberConflict")
    await world.apply(number("201", a.key.namespace, name="x"))
    for one in (first, second):
        await world.ready(one, "Serving")
    await world.until(lambda: world.dial(a, "200").outcome == "Own", "200 rings at the second")
    await world.until(lambda: world.dial(a, "201").outcome == "Own", "201 rings at the first")


@pytest.mark.parametrize("order", ["forwards", "backwards"])
async def test_permuted_numbers_all_arrive(world: World, order: str) -> None:
    """The observer fails the test if two objects ever show one number."""
    a = await world.office("a")
    digits = [str(n) for n in range(200, 212)]
    names = [f"phone-{d}" for d in digits]
    wanted = dict(zip(names, digits, strict=True))
    await world.apply(*(number(d, a.key.namespace, name=n) for n, d in wanted.items()))
    for shift in (1, 5):
        rotated = digits[shift:] + digits[:shift]
        wanted = dict(zip(names, rotated, strict=True))
        objects = [number(d, a.key.namespace, name=n) for n, d in wanted.items()]
        await world.apply(*(objects if order == "forwards" else reversed(objects)))
        for one in objects:
            assert (await world.ready(one, "Serving")).status.number == one.spec.number
    slices = [s for s in world.stage.observer.all(DialPlanSlice) if s.key.namespace == a.key.namespace]
    rows = {row.number: row.destination for s in slices for row in s.spec.rows}
    assert {d: destination.phone.username for d, destination in rows.items() if destination and destination.phone} == {
        d: n for n, d in wanted.items()
    }


async def test_visibility_is_effective_at_once(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b", "301")
    await linked(world, a, b)
    await world.reaches(b, "201", a)
    await world.apply(number("201", a.key.namespace, visibility="Private"))
    await world.until(lambda: world.dial(b, "201").outcome == "NoMatch", "201 is private")
    assert world.dial(a, "201").outcome == "Own"
    await world.apply(number("201", a.key.namespace, visibility="Shared"))
    await world.reaches(b, "201", a)


async def test_nothing_of_a_private_number_leaves_its_account(world: World) -> None:
    """Not even for the moment in which it was shared before it was made private, or refused.

    The name looked for is a long one: the ids and signatures of records spell short words by chance.
    """
    a, b = await world.office("a", "201"), await world.office("b", "7391")
    private = number("7391", a.key.namespace, name="an-unlisted-phone", displayName="Hidden Desk", visibility="Private")
    refused = number(
        "7391", a.key.namespace, name="also-an-unlisted-phone", displayName="Hidden Desk", visibility="Private"
    )
    await world.apply(private)
    await world.ready(private, "Serving")
    await world.apply(refused)
    await world.ready(refused, "NumberConflict")
    await linked(world, a, b)
    await world.reaches(b, "201", a)
    await world.stage.settle()
    for one in await world.stage.api.everything():
        if one["metadata"].get("namespace") != a.key.namespace:
            text = json.dumps(one)
            assert "an-unlisted-phone" not in text, text
            assert "Hidden Desk" not in text, text
            assert "7391@a." not in text, text
    ours = await world.ready(b, "Serving")
    assert ours.status.shadowed_numbers is None or ours.status.shadowed_numbers.count == 0


async def test_sharing_of_the_account_and_of_one_link(world: World) -> None:
    a = await world.office("a", "201", "301", sharing=sharing("200-299"))
    b, c, d = [await world.office(name) for name in "bcd"]
    await linked(world, a, b)
    await linked(world, a, c, sharing=sharing("300-399"))
    quiet, _ = await linked(world, a, d, sharing=sharing(mode="None"))
    await world.reaches(b, "201", a)
    await world.reaches(c, "301", a)
    await world.stage.settle()
    assert world.dial(b, "301").outcome == "NoMatch"
    assert world.dial(c, "201").outcome == "NoMatch"
    assert [world.dial(d, digits).outcome for digits in ("201", "301")] == ["NoMatch", "NoMatch"]
    await world.apply(interlink(quiet.metadata.name, "a", a.key.namespace))
    await world.reaches(d, "201", a)
    await world.apply(builders.account("a", a.key.namespace, sharing=sharing(mode="None")))
    await world.until(lambda: world.dial(b, "201").outcome == "NoMatch", "the account shares nothing")
    await world.until(lambda: world.dial(d, "201").outcome == "NoMatch", "nor do links without a sharing of their own")
    assert world.dial(c, "301").outcome == "Peer"


def older_first(world: World, *links: Interlink) -> list[Interlink]:
    """Sort links of one account as the dial plan does: by the second in which they came up, then by their key."""
    nows = [now for link in links if (now := world.now(link)) is not None]
    return sorted(nows, key=lambda link: (link.status.established_time, link.status.key_id))


@shows(reasons.SHADOWED)
async def test_ambiguity_is_decided_by_own_number_prefix_and_priority(world: World) -> None:
    a, b, c = await world.office("a"), await world.office("b", "500"), await world.office("c", "500")
    (to_b, _), (to_c, _) = await linked(world, a, b), await linked(world, a, c)
    older, younger = (link.metadata.name for link in older_first(world, to_b, to_c))
    await world.until(lambda: world.dial(a, "500").ambiguous, "both numbers are in the dial plan")
    await world.until(lambda: world.dial(a, "500").interlink == older, "the older link comes first")
    await world.apply(interlink(younger, "a", a.key.namespace, priority=50))
    await world.until(lambda: world.dial(a, "500").interlink == younger, "the preferred link comes first")
    await world.apply(number("500", a.key.namespace))
    await world.until(lambda: world.dial(a, "500").outcome == "Own", "the own number hides both")
    await world.apply(interlink(younger, "a", a.key.namespace, priority=50, dialPrefix="8"))
    await world.until(lambda: world.dial(a, "8500").interlink == younger, "the prefix reaches the peer")
    await world.ready(a, "NumbersShadowed", "Conflicted")


@shows(reasons.DIAL_PREFIX_CONFLICT)
async def test_equal_prefixes_belong_to_the_older_link(world: World) -> None:
    a, b, c = await world.office("a"), await world.office("b", "500"), await world.office("c", "500")
    (to_b, _), (to_c, _) = await linked(world, a, b, dialPrefix="8"), await linked(world, a, c, dialPrefix="8")
    older, younger = older_first(world, to_b, to_c)
    await world.ready(younger, "DialPrefixConflict", "Accepted")
    assert world.shows(younger, "Ready") == ("True", "Established")
    await world.until(lambda: world.dial(a, "8500").interlink == older.metadata.name, "the older link has the prefix")
    await world.delete(older)
    await world.ready(younger, "Accepted", "Accepted")
    await world.until(lambda: world.dial(a, "8500").interlink == younger.metadata.name, "the prefix is free")


@shows(reasons.SERVING_WITH_WARNINGS)
async def test_ranges(world: World) -> None:
    numbering = Numbering(ranges=(number_range("200-299"),), out_of_range="Reject")
    a = await world.office("a", numbering=numbering)
    outside, inside = number("300", a.key.namespace), number("200", a.key.namespace)
    await world.apply(outside, inside)
    await world.ready(inside, "Serving")
    await world.ready(outside, "NumberOutOfRange")
    wider = Numbering(ranges=(number_range("200-299"), number_range("300-399")), out_of_range="Reject")
    await world.apply(builders.account("a", a.key.namespace, numbering=wider))
    await world.ready(outside, "Serving")
    await world.apply(builders.account("a", a.key.namespace, numbering=numbering))
    await world.ready(outside, "ServingWithWarnings")
    await world.until(lambda: world.dial(a, "300").outcome == "Own", "phones are not silenced")


async def test_a_number_that_rings_at_a_server(world: World) -> None:
    a = await world.office("a")
    at_lyon = Destination(type="CommServer", comm_server=ServerDestination(name="lyon"))
    annex = number("200", a.key.namespace, destination=at_lyon)
    server = {
        "apiVersion": "pbx-operator.io/v1alpha1",
        "kind": "CommServer",
        "metadata": {"name": "lyon", "namespace": a.key.namespace},
        "spec": {"type": "OXOConnect", "deliveryMode": "BTCO", "dialing": {"country": "FR"}},
    }
    await world.apply(annex)
    await world.ready(annex, "ServingWithWarnings")
    await world.apply(server)
    await world.ready(annex, "Serving")
    assert world.dial(a, "200").destination == at_lyon
    await world.stage.api.cluster.delete(CommServer.resource, ObjectKey(a.key.namespace, "lyon"))
    await world.ready(annex, "ServingWithWarnings")


async def test_reserved_prefixes(world: World) -> None:
    a, b = await world.office("a", numbering=Numbering(reserved_prefixes=("0",))), await world.office("b", "200")
    behind = number("0200", a.key.namespace)
    await world.apply(behind)
    await world.ready(behind, "ReservedPrefix")
    to_b, _ = await linked(world, a, b, dialPrefix="0")
    await world.ready(to_b, "ReservedPrefix", "Accepted")
    assert world.shows(to_b, "Ready") == ("True", "Established")
    assert world.dial(a, "0200").outcome == "NoMatch"
    await world.reaches(a, "200", b)


@shows(reasons.DIAL_PREFIX_EMERGENCY)
async def test_emergency_numbers_come_before_everything(world: World) -> None:
    a = await world.office("a")
    careless = Emergency(protection="Warn")
    b = await world.office("b", "112", "113", "200", emergency=careless)
    equal, longer = number("112", a.key.namespace), number("1121", a.key.namespace)
    await world.apply(equal, longer)
    for one in (equal, longer):
        await world.ready(one, "EmergencyNumber")
    assert world.dial(a, "112").outcome == "Emergency"
    to_b, _ = await linked(world, a, b, dialPrefix="1")
    await world.condition(to_b, "Accepted", "True", "DialPrefixEmergency")
    await world.reaches(a, "113", b)
    assert world.dial(a, "112").outcome == "Emergency"
    peers = [s for s in world.stage.observer.all(DialPlanSlice) if s.key.namespace == a.key.namespace]
    assert "112" not in {row.dialed for s in peers for row in s.spec.rows}
    await world.apply(interlink(to_b.metadata.name, "a", a.key.namespace, dialPrefix="112"))
    await world.condition(to_b, "Accepted", "False", "DialPrefixEmergency")
    assert world.dial(a, "112200").outcome == "NoMatch"


async def test_numbers_wait_for_their_account_and_follow_its_successor(world: World) -> None:
    namespace = await world.namespace()
    early = number("200", namespace)
    await world.apply(early)
    await world.ready(early, "RefNotFound")
    account = builders.account("a", namespace)
    await world.apply(account)
    await world.ready(early, "Serving")
    await world.delete(account)
    await world.gone(account)
    gone = await world.ready(early, "RefNotFound")
    assert gone.status.number is None
    await world.apply(account)
    await world.ready(early, "Serving")
    await world.until(lambda: world.dial(account, "200").outcome == "Own", "it is dialled again")


def slice_writes(world: World, owner: PBXAccount) -> int:
    return len(world.writes(resource="dialplanslices", namespace=owner.key.namespace))


async def test_a_change_writes_each_affected_slice_once(world: World) -> None:
    a, b, c = await world.office("a", "201"), await world.office("b", "301"), await world.office("c")
    await linked(world, a, b)
    await linked(world, a, c)
    await world.reaches(b, "201", a)
    await world.reaches(c, "201", a)
    await world.stage.settle()
    world.stage.proxy.journal.clear()
    await world.apply(number("202", a.key.namespace))
    await world.reaches(b, "202", a)
    await world.reaches(c, "202", a)
    await world.stage.settle()
    assert [slice_writes(world, office) for office in (a, b, c)] == [1, 1, 1]
    world.stage.proxy.journal.clear()
    await world.apply(number("203", a.key.namespace, visibility="Private"))
    await world.until(lambda: world.dial(a, "203").outcome == "Own", "203 rings in its own account")
    await world.stage.settle()
    assert slice_writes(world, a) == 1
    assert [w for w in world.writes() if w.namespace != a.key.namespace] == []


async def test_a_slice_that_somebody_deleted_comes_back(world: World) -> None:
    a, b = await world.office("a", "201"), await world.office("b")
    await linked(world, a, b)
    await world.reaches(b, "201", a)
    slices = [s for s in world.stage.observer.all(DialPlanSlice) if s.key.namespace in world.namespaces]
    await world.delete(*slices)
    await world.until(lambda: world.dial(a, "201").outcome == "Own", "201 is back at its owner")
    await world.reaches(b, "201", a)
