"""What the client asks and understands: every call, every sort of refusal, and what is no answer at all."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from builders import NAMESPACE
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.pbxaccount import TelecomCenterProvider
from pbx_operator.domain.customers.facts import CustomerFacts, CustomerSettings, CustomerWish
from pbx_operator.domain.differences import Difference
from pbx_operator.domain.faults import Fault
from pbx_operator.network.circuits import MAX_CALLS
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.telecom_center import Logins, TelecomCenter
from provider_secrets import LOOPBACK, Secrets, accounts
from simulators import telecom_center as simulated
from simulators.telecom_center import NO_ROUTE, NO_SUCH_PAGE, Answer, calls

ACCOUNT = ObjectKey(NAMESPACE, "acme")
WISH = CustomerWish(ACCOUNT, "7", CustomerSettings("Acme", "LT", capacity_limit=10))
FACTS = CustomerFacts("7", WISH.settings)
RENAMED = (Difference("display_name", "Acme", "Acme Ltd"),)


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """The simulator, and the operator's side."""

    center: simulated.TelecomCenter
    secrets: Secrets = field(default_factory=Secrets)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.write_login("correct: hörse")
        self.restart()

    def write_login(self, password: str) -> None:
        self.secrets.write("login", username="operator", password=password, url=self.center.url)

    def restart(self) -> None:
        """Begin anew as another process, which remembers nothing."""
        self.logins = Logins(accounts(LOOPBACK, self.clock), self.clock)

    @property
    def client(self) -> TelecomCenter:
        """Return the provider of one more account that uses the login."""
        place = {"url": self.center.url, "credentialsSecretRef": {"name": "login"}}
        return TelecomCenter(self.secrets, self.logins, ACCOUNT, TelecomCenterProvider.model_validate(place))

    def answer(self, status: int, body: str = "", **more: Any) -> None:
        """Let every call end like this."""
        self.center.add(simulated.Fault(calls(), times=None, then=Answer(status, body=body.encode(), **more)))


@pytest.fixture
async def bench(served: ssl.SSLContext, trusted: None) -> AsyncIterator[Bench]:
    async with simulated.TelecomCenter("operator", "correct: hörse", tls=served) as center:
        yield Bench(center)


async def fault_of(call: Awaitable[Any]) -> Fault:
    with pytest.raises(ProviderError) as caught:
        await call
    assert "hörse" not in str(caught.value)
    return caught.value.fault


def refusal(status: int, *errors: dict[str, Any]) -> dict[str, Any]:
    return {"status": status, "body": json.dumps({"errors": list(errors)})}


async def test_a_customer_lives(bench: Bench) -> None:
    client = bench.client
    assert await client.observe(WISH) is None
    assert await client.create(WISH) == FACTS
    assert await client.observe(WISH) == FACTS
    await client.update(WISH, RENAMED)
    assert bench.center.customers["7"]["name"] == "Acme Ltd"
    await client.delete(WISH)
    await client.delete(WISH)
    assert not bench.center.customers.ids()
    journal = [f"{call.method} {call.status}" for call in bench.center.journal.calls]
    assert journal == ["GET 404", "POST 201", "GET 200", "PATCH 200", "DELETE 204", "DELETE 404"]


@pytest.mark.parametrize("taken_id", [409, 422])
async def test_one_that_is_there_is_shown_as_it_is(bench: Bench, taken_id: Any) -> None:
    bench.center._taken_id = taken_id
    bench.center.customers.put("7", name="theirs")
    assert await bench.client.create(WISH) == CustomerFacts("7", CustomerSettings("theirs", "EN"))
    assert bench.center.customers["7"]["name"] == "theirs"


async def test_one_that_was_created_while_the_answer_was_lost_is_found(bench: Bench) -> None:
    bench.center.add(simulated.Fault(calls(method="POST"), at="after-commit", then="drop"))
    assert (await fault_of(bench.client.create(WISH))).kind == "Retry"
    assert await bench.client.create(WISH) == FACTS
    assert [call.method for call in bench.center.journal.calls] == ["POST", "POST", "GET"]


async def test_one_that_goes_while_it_is_changed_is_looked_for(bench: Bench) -> None:
    fault = await fault_of(bench.client.update(WISH, RENAMED))
    assert (fault.kind, fault.reason.name) == ("Retry", "ProviderUnavailable")


# --- refusals ---------------------------------------------------------------------------------------------------


async def test_every_refused_field_is_named_as_the_user_wrote_it(bench: Bench) -> None:
    wish = replace(WISH, settings=CustomerSettings(" ", "XX"))
    fault = await fault_of(bench.client.create(wish))
    assert (fault.kind, fault.reason.name) == ("Final", "SettingsRefused")
    assert "spec.displayName: name - can't be blank" in fault.message
    assert "spec.provider.telecomCenter.language: language - is not included in the list" in fault.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"title": "too many", "source": {"pointer": "/data/attributes/capacity_limit"}}, "capacityLimit: too many"),
        ({"detail": "id - has already been seen"}, "customerID: has already been seen"),
        ({"detail": "name - is rude"}, "spec.displayName: is rude"),
        ({"detail": "the operator is bankrupt"}, "request: the operator is bankrupt"),
        ({"code": 100, "source": {"parameter": "filter"}}, "request: 100"),
        ({"detail": "two\nlines \x1b[31m"}, "request: twolines [31m"),
        ({"detail": "x" * 10_000}, "x" * 200),
        ({"source": "nonsense", "detail": ["a"]}, "request: ['a']"),
    ],
)
async def test_the_words_of_a_refusal(bench: Bench, error: dict[str, Any], words: str) -> None:
    bench.answer(**refusal(422, error))
    fault = await fault_of(bench.client.update(WISH, RENAMED))
    assert (fault.kind, fault.reason.name) == ("Final", "SettingsRefused")
    assert words in fault.message
    assert len(fault.message) < 300


@pytest.mark.parametrize("body", ["", "no JSON", "[]", "{}", '{"errors": 1}', '{"errors": [1]}', '{"errors": []}'])
@pytest.mark.parametrize("status", [400, 415, 418])
async def test_a_refusal_without_words(bench: Bench, status: int, body: str) -> None:
    bench.answer(status, body)
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name) == ("Final", "ProviderRefused")
    assert str(status) in fault.message


async def test_an_id_that_is_taken_and_not_shown_is_a_conflict(bench: Bench) -> None:
    bench.center.customers.read_lag = 10
    bench.center.customers.create("7", {"name": "theirs"})
    fault = await fault_of(bench.client.create(WISH))
    assert (fault.kind, fault.reason.name) == ("Conflict", "CustomerNotOurs")


# --- logins -----------------------------------------------------------------------------------------------------


async def test_a_wrong_login_is_tried_once_by_all_accounts_and_processes(bench: Bench) -> None:
    bench.write_login("wrong")
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name) == ("Credentials", "CredentialsRejected")
    assert fault.credentials is not None
    assert (await fault_of(bench.client.create(WISH))).reason.name == "CredentialsRejected"
    bench.restart()
    remembered = replace(WISH, rejected_credentials=fault.credentials)
    assert (await fault_of(bench.client.observe(remembered))).reason.name == "CredentialsRejected"
    assert bench.center.refused_logins == len(bench.center.journal.calls) == 1
    bench.write_login("correct: hörse")
    assert await bench.client.observe(remembered) is None


@pytest.mark.parametrize("entries", [{}, {"url": "https://127.0.0.1:1"}, {"url": "of another host"}])
async def test_a_login_is_not_sent_where_its_secret_does_not_say(bench: Bench, entries: dict[str, str]) -> None:
    bench.secrets.write("login", username="operator", password="correct: hörse", **entries)
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name) == ("Credentials", "CredentialsElsewhere")
    assert "Secret login" in fault.message
    assert not bench.center.journal.calls


async def test_a_login_that_is_locked_later_is_tried_by_those_alone_that_are_on_their_way(bench: Bench) -> None:
    assert await bench.client.observe(WISH) is None
    bench.center.credentials.lock_out()
    await asyncio.gather(*(fault_of(bench.client.observe(WISH)) for _ in range(20)))
    assert bench.center.refused_logins <= MAX_CALLS


async def test_a_right_that_is_missing_is_told_with_the_secret(bench: Bench) -> None:
    bench.answer(403)
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name, fault.credentials) == ("Credentials", "AccessDenied", None)
    assert "Secret login" in fault.message
    bench.center.clear()
    assert await bench.client.observe(WISH) is None, "the login itself is good"


# --- no answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_broken_provider_is_asked_later(bench: Bench, status: int) -> None:
    bench.answer(status)
    fault = await fault_of(bench.client.create(WISH))
    assert (fault.kind, fault.reason.name) == ("Retry", "ProviderUnavailable")


async def test_a_provider_that_asks_for_patience_gets_it(bench: Bench) -> None:
    bench.answer(429, retry_after=7)
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name, fault.retry_after) == ("Retry", "ProviderBusy", timedelta(seconds=7))
    bench.center.clear()
    bench.clock.now = 6.0
    assert (await fault_of(bench.client.delete(WISH))).reason.name == "ProviderBusy"
    bench.clock.now = 7.0
    assert await bench.client.observe(WISH) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        '{"data": []}',
        '{"data": {"id": "7", "attributes": {"name": 7, "language": "EN"}}}',
        '{"data": {"id": "8", "attributes": {"name": "Acme", "language": "EN"}}}',
        "no JSON",
    ],
)
async def test_an_answer_of_another_form_is_no_answer(bench: Bench, body: str) -> None:
    bench.answer(200, body)
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name) == ("Retry", "ProviderUnavailable")
    assert "if spec.provider.telecomCenter.url is not that of the provider's API, delete this object" in fault.told(
        answered=False
    )


@pytest.mark.parametrize("answer", [NO_SUCH_PAGE, NO_ROUTE, Answer(404, b'{"errors": "none"}'), Answer(404, b"[]")])
async def test_a_404_that_is_not_the_apis_says_nothing_about_a_customer(answer: Answer, bench: Bench) -> None:
    bench.center.add(simulated.Fault(calls(), times=None, then=answer))
    for call in (bench.client.observe(WISH), bench.client.delete(WISH)):
        assert (await fault_of(call)).reason.name == "ProviderUnavailable"


async def test_a_provider_on_a_local_address_is_not_called(bench: Bench) -> None:
    from pbx_operator.network.addresses import NetworkRules

    bench.logins = Logins(accounts(NetworkRules(), bench.clock), bench.clock)
    fault = await fault_of(bench.client.observe(WISH))
    assert (fault.kind, fault.reason.name) == ("Final", "AddressForbidden")
    assert not bench.center.journal.calls
