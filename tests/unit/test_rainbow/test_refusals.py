"""What refusals mean: a reason and a kind for every documented code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pbx_operator.domain.differences import Difference
from simulators.rainbow import Answer, Fault, calls, error, failure
from simulators.rainbow.errors import EXAMPLES
from test_rainbow.bench import CODE, WISH, Bench, fault_of

RENAMED = (Difference("display_name", "Old", "Reception"),)
MEANINGS = {
    400000: ("Final", "SettingsRefused"),
    400100: ("Retry", "NothingToUpdate"),
    403000: ("Credentials", "RoleMissing"),
    403030: ("Final", "MediaPillarLinked"),
    403037: ("Final", "NoDefaultGateway"),
    403038: ("Final", "LastDefaultGateway"),
    403301: ("Credentials", "NotAdministrator"),
    403709: ("Final", "SystemNotShareable"),
    403710: ("Final", "CompanyMultiTenant"),
    404000: ("Retry", "SystemGone"),
    409000: ("Conflict", "EquipmentTaken"),
    409200: ("Conflict", "SystemInOtherGroup"),
    409550: ("Conflict", "NumberInSystem"),
    409551: ("Conflict", "NumberInEquipment"),
    409552: ("Conflict", "NumberInGroup"),
    409554: ("Conflict", "NumberMultiTenant"),
}


def test_every_documented_code_has_a_meaning_of_its_own() -> None:
    logins = {401500, 401501, 401521, 401523}
    assert set(MEANINGS) == set(EXAMPLES) - logins
    assert len(set(MEANINGS.values())) == len(MEANINGS)


@pytest.mark.parametrize("code", MEANINGS)
async def test_a_code_and_what_it_means(bench: Bench, code: int) -> None:
    wish, system = await bench.declared()
    bench.rainbow.add(Fault(calls(operation="PutSystems"), then=error(code)))
    fault = await fault_of(bench.provider().update(wish, system.id, RENAMED))
    assert (fault.kind, fault.reason.name) == MEANINGS[code]


async def test_an_unknown_code_is_shown_with_the_providers_words(bench: Bench) -> None:
    wish, system = await bench.declared()
    body = b'{"errorCode": 403, "errorDetails": "Not on\\nSundays", "errorDetailsCode": 403999}'
    bench.rainbow.add(Fault(calls(operation="PutSystems"), then=Answer(403, body)))
    fault = await fault_of(bench.provider().update(wish, system.id, RENAMED))
    assert (fault.kind, fault.reason.name) == ("Final", "ProviderRefused")
    assert "the provider refuses: Not on Sundays (error 403999)" in fault.message


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"errorDetails": 7}'])
async def test_a_refusal_without_a_code_is_known_by_its_status(bench: Bench, content: bytes) -> None:
    wish, system = await bench.declared()
    bench.rainbow.add(Fault(calls(operation="PutSystems"), then=Answer(418, content)))
    fault = await fault_of(bench.provider().update(wish, system.id, RENAMED))
    assert "HTTP 418 (error 418)" in fault.message


async def test_problems_are_named_without_their_values(bench: Bench) -> None:
    wish, system = await bench.declared()
    fault = await fault_of(
        bench.provider().update(replace(wish, settings=replace(wish.settings, display_name="")), system.id, RENAMED)
    )
    assert fault.reason.name == "SettingsRefused"
    assert "name: Invalid field name" in fault.message


async def test_an_activation_code_that_is_quoted_is_not_shown(bench: Bench) -> None:
    body = b'{"errorDetails": "code our-activation-code is too short", "errorDetailsCode": 400000}'
    bench.rainbow.add(Fault(calls(operation="PostSystems"), then=Answer(400, body)))
    fault = await fault_of(bench.provider().create(WISH, CODE))
    assert "code *** is too short" in fault.message


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_broken_provider_is_asked_later(bench: Bench, status: int) -> None:
    bench.rainbow.add(Fault(calls(operation="GetSystemsIdByPbxId"), then=failure(status)))
    fault = await fault_of(bench.provider().observe(WISH, CODE))
    assert (fault.kind, fault.reason.name) == ("Retry", "ProviderUnavailable")


async def test_a_provider_that_asks_for_patience_gets_it_from_all(bench: Bench) -> None:
    await bench.provider().observe(WISH, CODE)
    bench.rainbow.add(Fault(calls(operation="GetSystemsIdByPbxId"), then=failure(429, retry_after=7)))
    fault = await fault_of(bench.provider().observe(WISH, CODE))
    assert (fault.kind, fault.reason.name, fault.retry_after) == ("Retry", "ProviderBusy", timedelta(seconds=7))
    bench.rainbow.journal.clear()
    bench.clock.advance(6)
    again = await fault_of(bench.provider(company="Other").create(WISH, CODE))
    assert (again.reason.name, again.retry_after) == ("ProviderBusy", timedelta(seconds=1))
    assert not bench.rainbow.journal.calls
    bench.clock.advance(1)
    assert await bench.provider().observe(WISH, CODE) is None


async def test_a_dead_provider_is_not_asked_at_once_by_all(bench: Bench) -> None:
    await bench.provider().observe(WISH, CODE)
    bench.rainbow.add(Fault(calls(), times=None, then="drop"))
    bench.rainbow.journal.clear()
    for _ in range(20):
        fault = await fault_of(bench.provider().observe(WISH, CODE))
        assert fault.reason.name == "ProviderUnavailable"
    assert len(bench.rainbow.journal.calls) == 3
    bench.rainbow.clear()
    bench.clock.advance(2)
    assert await bench.provider().observe(WISH, CODE) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data": {}}', b'{"data": []}', b"not JSON", b"[" * 100_000])
async def test_an_answer_of_another_form_is_no_answer(bench: Bench, body: bytes) -> None:
    bench.rainbow.add(Fault(calls(operation="GetSystemsIdByPbxId"), then=Answer(200, body)))
    fault = await fault_of(bench.provider().observe(WISH, CODE))
    assert (fault.kind, fault.reason.name) == ("Retry", "ProviderUnavailable")
