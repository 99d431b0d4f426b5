"""How often anybody may ask, and that nobody pays for the floods of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbx_operator.cluster import Unavailable
from pbx_operator.domain.protocol.envelope import seal
from pbx_operator.exchange import limits, refusals
from pbx_operator.exchange.limits import (
    ADDRESS_BURST,
    ALL_GUESSES_BURST,
    GUESS_BURST,
    GUESS_RATE,
    Addresses,
    Guesses,
    Strangers,
    TokenBucket,
    source_of,
)
from pbx_operator.exchange.refusals import LOG_BURST
from pbx_operator.links.desk import RedeemReply, SyncReply
from pbx_operator.providers.association import AssociateReply, ReportReply
from test_exchange.world import (
    OTHER,
    PEER,
    Exchange,
    FakeDesk,
    Hands,
    associate_message,
    heading,
    redeem_message,
    report,
    report_message,
    running,
    sync_message,
)


@given(
    st.floats(0.1, 100), st.integers(1, 100), st.lists(st.floats(0, 10, allow_subnormal=False), min_size=1, max_size=50)
)
def test_a_bucket_never_gives_more_than_its_burst_and_rate(rate: float, burst: int, pauses: list[float]) -> None:
    bucket, now, given = TokenBucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        while bucket.take(now) == 0:
            given += 1
    assert given <= burst + rate * now + 1e-6
    assert given >= min(burst, 1)


@given(st.floats(0.1, 100), st.integers(1, 10))
def test_whoever_waits_as_told_gets_a_token(rate: float, burst: int) -> None:
    bucket, now = TokenBucket(rate, burst, 0.0), 0.0
    for _ in range(burst):
        assert bucket.take(now) == 0
    wait = bucket.take(now)
    assert wait == pytest.approx(1 / rate)
    assert bucket.take(now + wait / 2) > 0
    assert bucket.take(now + wait * 1.001) == 0


def test_addresses_do_not_share_a_bucket() -> None:
    addresses = Addresses()
    while addresses.take("a", 0.0) == 0:
        pass
    assert addresses.take("b", 0.0) == 0


def test_the_longest_silent_address_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ADDRESSES", 3)
    addresses = Addresses()
    for source in ("noisy", "quiet"):
        while addresses.take(source, 0.0) == 0:
            pass
    for newcomer in range(2):
        assert addresses.take("noisy", 0.0) > 0
        assert addresses.take(str(newcomer), 0.0) == 0
    assert addresses.take("noisy", 0.0) > 0
    assert addresses.take("quiet", 0.0) == 0


def test_recognised_installations_neither_pay_for_strangers_nor_take_their_tokens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "UNKNOWN_BURST", 2)
    strangers = Strangers(0.0)
    for _ in range(10):
        assert strangers.take("friend", 0.0) == 0
        strangers.recognised("friend")
    assert [strangers.take("stranger", 0.0) for _ in range(2)] == [0, 0]
    assert strangers.take("stranger", 0.0) > 0
    assert strangers.take("friend", 0.0) == 0
    strangers.recognised("friend")
    assert strangers.take("stranger", 0.0) > 0


def test_only_so_many_are_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNKNOWN_BURST", 1)
    monkeypatch.setattr(limits, "ACQUAINTANCES", 2)
    strangers = Strangers(0.0)
    for instance in ("first", "second", "first", "third"):
        assert strangers.take(instance, 0.0) == 0
        strangers.recognised(instance)
    assert strangers.take("stranger", 0.0) == 0
    assert [strangers.take(instance, 0.0) == 0 for instance in ("first", "second", "third")] == [True, False, True]


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        (None, ""),
        ("somewhere", ""),
    ],
)
def test_addresses_stand_for_their_owners(remote: str | None, source: str) -> None:
    assert source_of(remote) == source


async def test_an_address_that_asks_too_often_must_wait(exchange: Exchange) -> None:
    for _ in range(ADDRESS_BURST):
        assert (await exchange.send("GET", "/openapi.json")).status == 200
    request = seal("redeem", redeem_message(), PEER.key)
    refused = await exchange.post("/v1/redeem", request)
    assert (refused.status, refused.error) == (429, "too many requests from this address")
    assert refused.headers["Retry-After"] == "1"
    assert exchange.desk.asked == []
    assert (await exchange.send("GET", "/healthz")).status == 200
    exchange.hands.seconds += 1
    assert (await exchange.post("/v1/redeem", request)).status == 200


async def test_strangers_run_out_of_unknown_while_peers_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UNKNOWN_BURST", 2)
    desk = FakeDesk(synced=SyncReply((report("1"), report("2", "Unknown"))))
    by_peer = seal("sync", sync_message(), PEER.key)
    by_stranger = seal("redeem", redeem_message(**{"from": OTHER.instance}), OTHER.key)
    async with running(desk, Hands()) as exchange:
        assert (await exchange.post("/v1/sync", by_peer)).status == 200
        desk.redeemed = RedeemReply("Unknown")
        for _ in range(2):
            assert (await exchange.post("/v1/redeem", by_stranger)).status == 200
        asked = len(desk.asked)
        refused = await exchange.post("/v1/redeem", by_stranger)
        assert (refused.status, refused.error) == (429, "too many requests about unknown keys and links")
        assert "Retry-After" in refused.headers
        assert len(desk.asked) == asked
        assert (await exchange.post("/v1/sync", by_peer)).status == 200
        exchange.hands.seconds += 1
        assert (await exchange.post("/v1/redeem", by_stranger)).status == 200


@pytest.mark.parametrize("kind", ["redeem", "cancel", "sync"])
async def test_what_counts_as_unknown(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(limits, "UNKNOWN_BURST", 1)
    desk = FakeDesk(redeemed=RedeemReply("Unknown"), cancelled="Unknown")
    desk.synced = SyncReply((report("1", "Unknown"), report("2", "Unknown")))
    messages = {
        "redeem": seal("redeem", redeem_message(), PEER.key),
        "cancel": seal("cancel-request", heading(cancel=seal("cancel", {}, PEER.key).to_json()), PEER.key),
        "sync": seal("sync", sync_message(), PEER.key),
    }
    async with running(desk, Hands()) as exchange:
        assert (await exchange.post(f"/v1/{kind}", messages[kind])).status == 200
        assert (await exchange.post(f"/v1/{kind}", messages[kind])).status == 429


async def test_a_flood_of_refusals_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    hands = Hands()
    async with running(FakeDesk(), hands) as exchange:
        for _ in range(LOG_BURST + 10):
            assert (await exchange.send("GET", "/nowhere")).status == 404
        line = "refused a request from 127.0.0.1 with 404: Not Found"
        assert caplog.messages == [line] * LOG_BURST
        for more in (" (10 more before this one)", ""):
            hands.seconds += 1 / refusals.LOG_RATE
            await exchange.send("GET", "/nowhere")
            assert caplog.messages[-1] == f"{line}{more}"


# --- activation codes -------------------------------------------------------------------------------------------


def test_one_address_cannot_use_up_the_guesses_of_another() -> None:
    guesses = Guesses(0.0)
    assert [guesses.take("a", 0.0) == 0 for _ in range(GUESS_BURST + 1)] == [True] * GUESS_BURST + [False]
    assert guesses.take("b", 0.0) == 0
    assert guesses.take("a", 1 / GUESS_RATE) == 0


def test_many_addresses_together_have_a_limit_too() -> None:
    guesses = Guesses(0.0)
    taken = [guesses.take(f"address {number}", 0.0) == 0 for number in range(ALL_GUESSES_BURST + 5)]
    assert taken == [True] * ALL_GUESSES_BURST + [False] * 5
    assert guesses.take(f"address {ALL_GUESSES_BURST}", 1.0) == 0, "it was refused for others: its own bucket is full"


def test_what_was_not_wrong_does_not_count() -> None:
    guesses = Guesses(0.0)
    for _ in range(10 * ALL_GUESSES_BURST):
        assert guesses.take("a", 0.0) == 0
        guesses.was_not_wrong("a")


async def test_a_guesser_is_stopped_and_boxes_that_are_in_are_not(exchange: Exchange) -> None:
    async def associate() -> int:
        return (await exchange.post("/v1/associate", seal("associate", associate_message(), PEER.key))).status

    exchange.desk.associated = AssociateReply("Unknown")
    assert [await associate() for _ in range(GUESS_BURST + 2)] == [200] * GUESS_BURST + [429] * 2
    answer = await exchange.post("/v1/associate", seal("associate", associate_message(), OTHER.key))
    assert answer.status == 403, "who signs for another is refused before anything is counted"
    report = await exchange.post("/v1/report", seal("report", report_message(), PEER.key))
    assert report.status == 200
    exchange.hands.seconds += 1 / GUESS_RATE + 1
    exchange.desk.associated = AssociateReply("Associated")
    assert [await associate() for _ in range(5)] == [200] * 5


async def test_wrong_codes_and_strange_reports_are_logged_with_their_source(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.desk.associated, exchange.desk.reported = AssociateReply("Unknown"), ReportReply("Unknown")
    await exchange.post("/v1/associate", seal("associate", associate_message(), PEER.key))
    await exchange.post("/v1/report", seal("report", report_message(), PEER.key))
    assert caplog.messages == [
        "a box at 127.0.0.1 presents an activation code that opens nothing",
        "a box at 127.0.0.1 reports as equipment that it is not, or not any more",
    ]


async def test_a_code_that_could_not_be_judged_is_no_guess(exchange: Exchange) -> None:
    exchange.desk.failure = Unavailable("down")
    for _ in range(2 * GUESS_BURST):
        envelope = seal("associate", associate_message(), PEER.key)
        assert (await exchange.post("/v1/associate", envelope)).status == 503
        exchange.hands.seconds += 1
