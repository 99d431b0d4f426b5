"""Where a login may be sent: to the provider's own URL, or to the one that its Secret names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import NAMESPACE
from pbx_operator.domain.faults import Fault
from pbx_operator.network.addresses import NetworkRules
from pbx_operator.providers.credentials import Credentials, SecretEntries, read_credentials
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError
from pbx_operator.providers.http import Account, Accounts, Dialler
from pbx_operator.providers.rainbow import Sessions
from pbx_operator.providers.telecom_center import Logins
from provider_secrets import Secrets

HOME = "https://provider.example"
OTHER = "https://sandbox.provider.example:8443"
LOGIN = SecretEntries("login", "spec.provider.rainbow.credentialsSecretRef", ("username", "password"))


def open_account(endpoint: ApiEndpoint) -> Account:
    return Account(Dialler(NetworkRules()), endpoint)


def at(place: str) -> ApiEndpoint:
    return ApiEndpoint(place, HOME, "spec.provider.rainbow")


async def read(place: str, **entries: str) -> Credentials:
    secrets = Secrets()
    secrets.write("login", username="u", password="p", **entries)
    return await read_credentials(secrets, NAMESPACE, at(place), [LOGIN])


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
    assert (await read(OTHER, url=written)).secret == "login (spec.provider.rainbow.credentialsSecretRef)"


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ({}, "it has no entry 'url'"),
        ({"url": ""}, "it has no text in its entry 'url'"),
        ({"url": HOME}, f"its entry 'url' says {HOME}"),
        ({"url": "https://sandbox.provider.example"}, "its entry 'url' says https://sandbox.provider.example"),
        (
            {"url": f"{OTHER}/"},
            "its entry 'url' has a path, a query or a fragment: leave out what follows the host and the port",
        ),
        (
            {"url": "https://u:p4ssword@sandbox.provider.example:8443"},
            "its entry 'url' names a user before the '@': leave it out, nobody logs in there",
        ),
    ],
)
async def test_no_login_for_any_other_url(entries: dict[str, str], problem: str) -> None:
    fault = await refused(OTHER, **entries)
    assert (fault.kind, fault.reason.name, fault.credentials) == ("Credentials", "CredentialsElsewhere", None)
    assert fault.message == (
        f"Secret login (spec.provider.rainbow.credentialsSecretRef) is not for {OTHER}, and nothing was"
        f" sent there, since {problem}; if the login is for that URL, write it into the Secret's entry 'url', which is"
        " looked at again within minutes; else delete this object and create another one with the right"
        " spec.provider.rainbow.url"
    )


@pytest.mark.parametrize(
    ("url", "problem"), [("https://host:99999", "has a port that is not"), ("https://a..b", "has a host that is not")]
)
async def test_a_url_that_can_never_work_is_refused_before_any_secret_is_read(url: str, problem: str) -> None:
    with pytest.raises(ProviderError) as raised:
        await read_credentials(Secrets(), NAMESPACE, at(url), [LOGIN])
    fault = raised.value.fault
    assert (fault.kind, fault.reason.name) == ("Final", "InvalidEndpoint")
    assert fault.message.startswith(f"spec.provider.rainbow.url '{url}' {problem}")
    assert fault.message.endswith(
        f"; the provider's own is {HOME}; delete this object and create another one, since the URL is immutable"
    )
    assert "pbx.example.com" not in fault.message, "that is how an exchange looks"


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        (None, "does not exist"),
        ({"username": "u"}, "has no entry 'password'"),
        ({"username": "", "password": "p"}, "has no text in its entry 'username'"),
    ],
)
async def test_what_is_missing_is_named_with_the_field_that_asks_for_it(
    entries: dict[str, str] | None, problem: str
) -> None:
    secrets = Secrets()
    if entries is not None:
        secrets.write("login", **entries)
    with pytest.raises(ProviderError) as raised:
        await read_credentials(secrets, NAMESPACE, at(HOME), [LOGIN])
    assert raised.value.fault.message == (
        f"Secret login (spec.provider.rainbow.credentialsSecretRef) {problem};"
        " it needs the entries 'username' and 'password', each with a text, and is looked at again within minutes"
    )


@pytest.mark.parametrize(
    ("password", "slip"),
    [
        ("p4ss\n", "a line break at the end of"),
        ("p4ss\r\n", "a line break at the end of"),
        ("p4\nss", "a line break in"),
        ("p4ss ", "white space at the beginning or the end of"),
        ("\tp4ss", "white space at the beginning or the end of"),
    ],
)
async def test_white_space_that_slipped_into_a_login_is_told_before_it_is_sent(password: str, slip: str) -> None:
    secrets = Secrets()
    secrets.write("login", username="u", password=password)
    with pytest.raises(ProviderError) as raised:
        await read_credentials(secrets, NAMESPACE, at(HOME), [LOGIN])
    fault = raised.value.fault
    assert (fault.kind, fault.reason.name, fault.credentials) == ("Credentials", "CredentialsInvalid", None)
    assert fault.message == (
        f"Secret login (spec.provider.rainbow.credentialsSecretRef) has {slip} its entry 'password', and nothing was"
        " sent, so that no try of the login is used up; write the entry 'password' without it, as from a file that"
        " printf wrote or that went through tr -d '\\n'; it is looked at again within minutes"
    )


async def test_white_space_inside_of_a_password_is_part_of_it() -> None:
    secrets = Secrets()
    secrets.write("login", username="u", password="correct horse")
    assert (await read_credentials(secrets, NAMESPACE, at(HOME), [LOGIN])).values["password"] == "correct horse"


@pytest.mark.parametrize("entries", [None, {"username": "u"}])
async def test_of_a_secret_for_another_url_all_is_told_at_once(entries: dict[str, str] | None) -> None:
    secrets = Secrets()
    if entries is not None:
        secrets.write("login", **entries)
    with pytest.raises(ProviderError) as raised:
        await read_credentials(secrets, NAMESPACE, at(OTHER), [LOGIN])
    needed = f"it needs the entries 'username' and 'password', and 'url' with {OTHER}, each with a text"
    assert needed in raised.value.fault.message


async def test_one_place_in_two_spellings_is_one_login() -> None:
    first, second = await read(HOME), await read(f"{HOME}:443")
    assert (first.version, first.digest) == (second.version, second.digest)
    logins = Logins(Accounts(open_account))
    assert logins.account(at(HOME), first) is logins.account(at(f"{HOME}:443"), second)


async def test_two_passwords_of_one_name_share_what_the_provider_asks_for_in_rainbow_too() -> None:
    opened: list[str] = []

    def counted(endpoint: ApiEndpoint) -> Account:
        opened.append(endpoint.url)
        return open_account(endpoint)

    first, sessions = await read(HOME), Sessions(Accounts(counted))
    sessions.of(at(HOME), first)
    sessions.of(at(f"{HOME}:443"), replace(first, digest="of another password"))
    assert opened == [HOME]
