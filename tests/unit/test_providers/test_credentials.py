"""Where a login may be sent: to the provider's own URL, or to the one that its Secret names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import NAMESPACE
from pbx_operator.domain.faults import Fault
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.providers.credentials import Credentials, SecretEntries, read_credentials
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import Account, Accounts, Dialler
from pbx_operator.providers.rainbow import Sessions
from pbx_operator.providers.telecom_center import Logins
from provider_secrets import Secrets

HOME = "https://provider.example"
OTHER = "https://sandbox.provider.example:8443"


def open_account(url: str) -> Account:
    return Account(Dialler(NetworkRules()), url)


async def read(place: str, **entries: str) -> Credentials:
    secrets = Secrets()
    secrets.write("login", username="u", password="p", **entries)
    wanted = [SecretEntries("login", ("username", "password"))]
    return await read_credentials(secrets, NAMESPACE, place, wanted, home=HOME)


async def refused(place: str, **entries: str) -> Fault:
    with pytest.raises(ProviderError) as raised:
        await read(place, **entries)
    return raised.value.fault


@pytest.mark.parametrize("entries", [{}, {"url": OTHER}])
@pytest.mark.parametrize("url", [HOME, f"{HOME}:443"])
async def test_the_providers_own_url_needs_no_word(url: str, entries: dict[str, str]) -> None:
    assert (await read(url, **entries)).values["password"] == "p"


@pytest.mark.parametrize("written", [OTHER, f"{OTHER}\n"])
async def test_another_url_is_named_by_the_secret(written: str) -> None:
    assert (await read(OTHER, url=written)).secret == "login"


@pytest.mark.parametrize("entries", [{}, {"url": ""}, {"url": HOME}, {"url": "https://sandbox.provider.example"}])
async def test_no_login_for_any_other_url(entries: dict[str, str]) -> None:
    fault = await refused(OTHER, **entries)
    assert (fault.kind, fault.reason.name, fault.credentials) == ("Credentials", "CredentialsElsewhere", None)
    assert "'url'" in fault.message


async def test_a_url_that_is_no_endpoint_is_not_the_absent_one() -> None:
    assert (await refused("https://host:99999")).reason.name == "CredentialsElsewhere"


async def test_one_place_in_two_spellings_is_one_login() -> None:
    first, second = await read(HOME), await read(f"{HOME}:443")
    assert (first.version, first.digest) == (second.version, second.digest)
    logins = Logins(Accounts(open_account))
    assert logins.account(HOME, first) is logins.account(f"{HOME}:443", second)


async def test_two_passwords_of_one_name_share_what_the_provider_asks_for_in_rainbow_too() -> None:
    opened: list[str] = []

    def counted(url: str) -> Account:
        opened.append(url)
        return open_account(url)

    first, sessions = await read(HOME), Sessions(Accounts(counted))
    sessions.of(HOME, first)
    sessions.of(f"{HOME}:443", replace(first, digest="of another password"))
    assert opened == [HOME]
