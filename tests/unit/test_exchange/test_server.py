"""What the exchange answers, to whom, and that every answer belongs to one request."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any, Literal

import pytest
from prometheus_client import REGISTRY

from builders import NOW
from pbx_operator.api.v1alpha1.linkrecord import SharedNumber
from pbx_operator.api.v1alpha1.shared import Endpoint
from pbx_operator.cluster import ApiError, Unavailable
from pbx_operator.domain.protocol.envelope import MAX_PAYLOAD, Envelope, open_envelope, payload_bytes, seal
from pbx_operator.domain.protocol.messages import (
    CancelRequest,
    LinkReport,
    RedeemRequest,
    SyncRequest,
)
from pbx_operator.domain.protocol.succession import MAX_SUCCESSIONS
from pbx_operator.exchange.server import fitting
from pbx_operator.links.desk import RedeemReply, SyncReply
from rotated import chain, keys
from test_exchange.world import (
    CLUE,
    MESSAGES,
    OTHER,
    PATHS,
    PEER,
    US,
    Exchange,
    cancel_message,
    later,
    redeem_message,
    report,
    sync_message,
)

KINDS = ("redeem", "cancel-request", "sync")


async def test_redeem_gives_what_the_desk_decides(exchange: Exchange) -> None:
    receipt = seal("receipt", {"linkID": "x"}, US.key)
    exchange.desk.redeemed = RedeemReply("Linked", time=NOW, receipt=receipt)
    request = seal("redeem", redeem_message(), PEER.key)
    answer = await exchange.post("/v1/redeem", request)
    assert answer.opened(request, "redeem-answer") == {
        "result": "Linked",
        "time": "2026-06-01T12:00:00Z",
        "receipt": receipt.to_json(),
    }
    [(asked, public_key)] = exchange.desk.asked
    assert asked == RedeemRequest.model_validate(redeem_message())
    assert public_key == PEER.key.public


@pytest.mark.parametrize(
    ("reply", "content"),
    [
        (RedeemReply("Unknown"), {"result": "Unknown"}),
        (
            RedeemReply("Busy", "Closing", retry_after_seconds=60),
            {"result": "Busy", "reason": "Closing", "retryAfterSeconds": 60},
        ),
        (
            RedeemReply("Used", time=NOW, by=OTHER.instance),
            {"result": "Used", "time": "2026-06-01T12:00:00Z", "by": OTHER.instance},
        ),
    ],
)
async def test_every_result_of_a_redemption_is_signed(
    exchange: Exchange, reply: RedeemReply, content: dict[str, Any]
) -> None:
    exchange.desk.redeemed = reply
    request = seal("redeem", redeem_message(), PEER.key)
    answer = await exchange.post("/v1/redeem", request)
    assert answer.opened(request, "redeem-answer") == content


@pytest.mark.parametrize("result", ["Done", "Unknown"])
async def test_cancel_gives_what_the_desk_decides(exchange: Exchange, result: Literal["Done", "Unknown"]) -> None:
    exchange.desk.cancelled = result
    request = seal("cancel-request", cancel_message(), PEER.key)
    answer = await exchange.post("/v1/cancel", request)
    assert answer.opened(request, "cancel-answer") == {"result": result}
    assert exchange.desk.asked == [(CancelRequest.model_validate(cancel_message()),)]


async def test_sync_gives_the_links_and_where_we_are(exchange: Exchange) -> None:
    links = (report("1", rev=3), report("2", "Unknown"))
    endpoint: Endpoint = "https://exchange.example:8443"
    exchange.desk.synced = SyncReply(links, (endpoint,), ("A" * 43,))
    request = seal("sync", sync_message(), PEER.key)
    answer = await exchange.post("/v1/sync", request)
    assert answer.opened(request, "sync-answer") == {
        "links": [link.to_json() for link in links],
        "endpoints": [endpoint],
        "pins": ["A" * 43],
    }
    assert exchange.desk.asked == [(SyncRequest.model_validate(sync_message()), True)]


@pytest.mark.parametrize(
    ("at", "fresh"),
    [
        (later(minutes=-5), True),
        (later(minutes=5), True),
        (later(minutes=-5, seconds=-1), False),
        (later(minutes=5, seconds=1), False),
        ("0001-01-01T00:00:00Z", False),
        ("9999-12-31T23:59:59Z", False),
    ],
)
async def test_an_old_sync_is_answered_but_is_no_sign_of_life(exchange: Exchange, at: str, fresh: bool) -> None:
    request = seal("sync", sync_message(at=at), PEER.key)
    answer = await exchange.post("/v1/sync", request)
    answer.opened(request, "sync-answer")
    assert exchange.desk.asked[0][1] is fresh


@pytest.mark.parametrize("kind", ["redeem", "cancel-request"])
async def test_the_senders_clock_decides_nothing_else(exchange: Exchange, kind: str) -> None:
    request = seal(kind, MESSAGES[kind](at=later(days=-365)), PEER.key)
    answer = await exchange.post(PATHS[kind], request)
    answer.opened(request, kind.replace("-request", "") + "-answer")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_repeated_request_gets_the_answer_to_itself_again(exchange: Exchange, kind: str) -> None:
    request = seal(kind, MESSAGES[kind](), PEER.key)
    first, second = [await exchange.post(PATHS[kind], request) for _ in range(2)]
    assert first.body == second.body
    assert exchange.desk.asked[0] == exchange.desk.asked[1]


async def test_an_answer_fits_no_other_request(exchange: Exchange) -> None:
    requests = [seal("sync", sync_message(nonce=nonce * 22), PEER.key) for nonce in "AB"]
    answers = [await exchange.post("/v1/sync", request) for request in requests]
    said = [open_envelope(Envelope.model_validate_json(answer.body), "sync-answer")["re"] for answer in answers]
    assert said[0] != said[1]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_we_signed_is_no_request_and_no_receipt(exchange: Exchange, kind: str) -> None:
    request = seal(kind, MESSAGES[kind](), PEER.key)
    signed = (await exchange.post(PATHS[kind], request)).body
    for path in PATHS.values():
        assert "its signature is wrong" in (await exchange.send("POST", path, signed)).error
    assert len(exchange.desk.asked) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request_can_neither_be_relayed_nor_taken_over(exchange: Exchange, kind: str) -> None:
    relayed = await exchange.post(PATHS[kind], seal(kind, MESSAGES[kind](to=OTHER.instance), PEER.key))
    assert (relayed.status, relayed.error) == (421, "the message is for another installation")
    taken = await exchange.post(PATHS[kind], seal(kind, MESSAGES[kind](), OTHER.key))
    assert (taken.status, taken.error) == (403, "the signer is not the sender of the message")
    assert exchange.desk.asked == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_requests_are_posted(exchange: Exchange, method: str) -> None:
    answer = await exchange.send(method, "/v1/redeem")
    assert (answer.status, answer.error, answer.headers["Allow"]) == (405, "Method Not Allowed", "POST")


async def test_other_paths_lead_nowhere(exchange: Exchange) -> None:
    answer = await exchange.send("POST", f"/v2/{CLUE}")
    assert (answer.status, answer.error) == (404, "Not Found")


async def test_an_unconfirmed_clone_answers_nothing_but_that_it_runs(exchange: Exchange) -> None:
    exchange.desk.is_confirmed = False
    for kind, path in PATHS.items():
        answer = await exchange.post(path, seal(kind, MESSAGES[kind](), PEER.key))
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        assert answer.error == "this installation waits for an administrator"
    assert (await exchange.send("GET", "/openapi.json")).status == 503
    assert (await exchange.send("GET", "/healthz")).status == 200
    assert exchange.desk.asked == []


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (Unavailable("get linkrecords/x: 500", status=500), "5"),
        (Unavailable("get linkrecords/x: 429", status=429, retry_after=1.5), "2"),
        (ApiError("get linkrecords/x: 418", retry_after=0), "1"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_signed_while_the_api_server_does_not_answer(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, kind: str, failure: ApiError, seconds: str
) -> None:
    request = seal(kind, MESSAGES[kind](), PEER.key)
    exchange.desk.failure = failure
    answer = await exchange.post(PATHS[kind], request)
    assert (answer.status, answer.headers["Retry-After"]) == (503, seconds)
    assert answer.error == "the API server does not answer"
    assert caplog.messages == [f"refused a request from 127.0.0.1 with 503: {failure.message}"]
    exchange.desk.failure = None
    assert (await exchange.post(PATHS[kind], request)).status == 200


async def test_an_error_of_ours_tells_nobody_about_the_request(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    exchange.desk.failure = RuntimeError(CLUE)
    answer = await exchange.post("/v1/sync", seal("sync", sync_message(), PEER.key))
    assert (answer.status, answer.error) == (500, "an error of this installation")
    [message] = caplog.messages
    assert message.startswith("a request failed with RuntimeError:")
    assert "in _note" in message
    assert CLUE not in message


async def test_the_log_of_refusals_holds_nothing_of_the_request(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="pbx_operator")
    request = seal("redeem", redeem_message(to=OTHER.instance), PEER.key)
    await exchange.post("/v1/redeem", request)
    assert caplog.messages == ["refused a request from 127.0.0.1 with 421: the message is for another installation"]


@pytest.mark.parametrize(("said", "lines"), [("Live", 1), ("Closing", 1), ("Ended", 0)])
async def test_the_end_of_an_unknown_link_is_told_again_and_again_and_is_no_news(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, said: str, lines: int
) -> None:
    exchange.desk.synced = SyncReply((report("1", "Unknown"),))
    link = report("1").model_copy(update={"state": said}).to_json()
    answer = await exchange.post("/v1/sync", seal("sync", sync_message(links=[link]), PEER.key))
    assert answer.status == HTTPStatus.OK
    told = f"installation {PEER.instance} speaks of a key or link that it has no part in, as far as we know"
    assert caplog.messages == [told] * lines


async def test_answers_are_not_kept_and_do_not_tell_the_software(exchange: Exchange) -> None:
    answer = await exchange.post("/v1/redeem", seal("redeem", redeem_message(), PEER.key))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Server" not in answer.headers


async def test_a_sender_may_wait_until_its_body_is_asked_for(exchange: Exchange) -> None:
    request = seal("redeem", redeem_message(), PEER.key)
    answer = await exchange.send("POST", "/v1/redeem", json.dumps(request.to_json()), Expect="100-continue")
    answer.opened(request, "redeem-answer")


def offer(name: str, numbers: int) -> LinkReport:
    entries = tuple(SharedNumber(number=str(n), display_name="x" * 100) for n in range(numbers))
    return report(name, rev=1, numbers=entries)


async def test_links_that_one_answer_cannot_hold_are_left_out(
    exchange: Exchange, caplog: pytest.LogCaptureFixture
) -> None:
    large = tuple(offer(str(n), 600) for n in range(5))
    exchange.desk.synced = SyncReply((*large, report("small")), ("https://" + "a" * 245,) * 4, ("A" * 43,) * 4)
    request = seal("sync", sync_message(), PEER.key)
    answer = await exchange.post("/v1/sync", request)
    links = answer.opened(request, "sync-answer")["links"]
    assert [link["linkID"] for link in links] == [link.link_id for link in (*large[:3], report("small"))]
    assert len(payload_bytes(Envelope.model_validate_json(answer.body))) <= MAX_PAYLOAD
    assert caplog.messages == ["2 links do not fit into an answer to a sync"]


@pytest.mark.parametrize("rotations", [0, MAX_SUCCESSIONS])
async def test_a_full_answer_has_room_for_its_heading(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch, rotations: int
) -> None:
    line = keys("us", rotations + 1)
    monkeypatch.setattr(US, "key", line[-1])
    monkeypatch.setattr(US, "successions", chain(line))
    endpoints = tuple(f"https://{n}{'a' * 244}" for n in range(4))
    exchange.desk.synced = SyncReply(tuple(offer(str(n), 4) for n in range(500)), endpoints, ("A" * 43,) * 4)
    request = seal("sync", sync_message(), PEER.key)
    answer = await exchange.post("/v1/sync", request)
    assert len(answer.opened(request, "sync-answer")["links"]) < 500
    assert MAX_PAYLOAD - 10240 <= len(payload_bytes(Envelope.model_validate_json(answer.body))) <= MAX_PAYLOAD


@pytest.mark.parametrize("kind", MESSAGES)
async def test_who_was_rotated_says_by_which_keys(exchange: Exchange, kind: str) -> None:
    line = keys("peer", MAX_SUCCESSIONS + 1)
    message = MESSAGES[kind](successions=[one.to_json() for one in chain(line)])
    request = seal(kind, message, line[-1])
    assert (await exchange.post(PATHS[kind], request)).status == HTTPStatus.OK
    ((asked, *_),) = exchange.desk.asked
    assert (asked.sender, asked.successions) == (PEER.instance, chain(line))


@pytest.mark.parametrize("kind", MESSAGES)
async def test_who_shows_no_chain_to_its_key_may_not_speak(exchange: Exchange, kind: str) -> None:
    line = keys("peer", 4)
    successions = [one.to_json() for one in chain(line)]
    cut, former = (successions[:2], line[-1]), (successions, line[0])
    for said, signer in (([], line[-1]), cut, former, ([*reversed(successions)], line[-1])):
        answer = await exchange.post(PATHS[kind], seal(kind, MESSAGES[kind](successions=said), signer))
        assert (answer.status, answer.error) == (403, "the signer is not the sender of the message")
    assert exchange.desk.asked == []


async def test_answers_say_by_which_keys_we_speak(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    line = keys("us", 2)
    request = seal("sync", sync_message(), PEER.key)
    assert "successions" not in (await exchange.post("/v1/sync", request)).opened(request, "sync-answer")
    monkeypatch.setattr(US, "key", line[-1])
    monkeypatch.setattr(US, "successions", chain(line))
    said = (await exchange.post("/v1/sync", request)).opened(request, "sync-answer")
    assert said["successions"] == [one.to_json() for one in chain(line)]


def test_a_link_that_is_too_large_for_any_answer_holds_up_no_other() -> None:
    assert fitting((offer("giant", 5000), report("small"))) == (report("small"),)


@pytest.mark.parametrize(
    ("method", "path", "counted", "code"),
    [
        ("GET", "/healthz", "/healthz", "200"),
        ("POST", "/v1/sync", "/v1/sync", "400"),
        ("GET", "/v1/sync", "other", "405"),
        ("GET", "/made-up", "other", "404"),
    ],
)
async def test_requests_are_counted_by_path_and_answer(
    exchange: Exchange, method: str, path: str, counted: str, code: str
) -> None:
    before = answers_counted(counted, code)
    await exchange.send(method, path)
    assert answers_counted(counted, code) == before + 1


def answers_counted(path: str, code: str) -> float:
    labels = {"path": path, "code": code}
    return REGISTRY.get_sample_value("pbx_operator_exchange_requests_total", labels) or 0.0
