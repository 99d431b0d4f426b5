"""Customers at telecom.center: the public Operator API of phone.systems, a JSON:API.

Sources: https://doc.telecom.center/headers.html, /fetching-data.html and /reference/customers.html, and where they say
nothing, https://jsonapi.org/format/1.0/ and the client of https://github.com/yeti-switch/yeti-web.  That one customer
can be read at the address that each answer names as its own is inferred.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ValidationError

from pbx_operator.api import provider_reasons
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1.pbxaccount import TELECOM_CENTER_URL, TelecomCenterProvider
from pbx_operator.cluster import Cluster
from pbx_operator.domain.customers.facts import CustomerFacts, CustomerSettings, CustomerWish
from pbx_operator.domain.differences import Difference
from pbx_operator.domain.faults import fault
from pbx_operator.network.recent import Recent
from pbx_operator.providers.credentials import (
    Credentials,
    Login,
    LoginRefusedError,
    SecretEntries,
    read_credentials,
)
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError, other_form, unavailable
from pbx_operator.providers.http import MAX_LOGINS, Account, Accounts, Answer, Call, basic

PATH = "/api/rest/public/operator/customers"
MEDIA_TYPE = "application/vnd.api+json"
_MEMBER = "spec.provider.telecomCenter"
_ATTRIBUTES = {
    "display_name": "name",
    "language": "language",
    "capacity_limit": "capacity_limit",
    "sip_account_limit": "sip_account_limit",
}
"""The API's names of our settings."""
_SPEC_FIELDS = {
    "id": f"{_MEMBER}.customerID",
    "name": "spec.displayName",
    "language": f"{_MEMBER}.language",
    "capacity_limit": f"{_MEMBER}.capacityLimit",
    "sip_account_limit": f"{_MEMBER}.sipAccountLimit",
}
"""Where a user corrects what the API calls by these names."""
_MAX_PROBLEMS, _MAX_DETAIL = 5, 200


class _Attributes(BaseModel):
    name: str
    language: str
    capacity_limit: int | None = None
    sip_account_limit: int | None = None


class _Customer(BaseModel):
    id: str
    attributes: _Attributes


class _Document(BaseModel):
    data: _Customer


class Logins:
    """What is known of each login at each place that was used lately, shared by all accounts that use it."""

    def __init__(self, accounts: Accounts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._monotonic = monotonic
        self._logins: Recent[Login] = Recent(MAX_LOGINS)

    def login(self, credentials: Credentials) -> Login:
        """Return the login with this content of its Secret."""
        return self._logins.get(credentials.digest, lambda: Login(self._monotonic))

    def account(self, endpoint: ApiEndpoint, credentials: Credentials) -> Account:
        """Return the way to the provider."""
        return self._accounts.of(endpoint, credentials.values["username"])


class TelecomCenter:
    """The customers that one account's login may see; a CustomerProvider."""

    def __init__(self, cluster: Cluster, logins: Logins, account: ObjectKey, place: TelecomCenterProvider) -> None:
        self._cluster = cluster
        self._logins = logins
        self._namespace = account.namespace
        self._endpoint = ApiEndpoint(place.url, TELECOM_CENTER_URL, _MEMBER)
        field = f"{_MEMBER}.credentialsSecretRef"
        self._login = SecretEntries(place.credentials_secret_ref.name, field, ("username", "password"))

    async def observe(self, wish: CustomerWish) -> CustomerFacts | None:
        """Return the customer with the wished id; None if there is none. Raises ProviderError, ApiError."""
        answer = await self._ask(wish, Call("GET", _path(wish), media_type=MEDIA_TYPE))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return _facts(_accepted(answer), wish)

    async def create(self, wish: CustomerWish) -> CustomerFacts:
        """Create the customer, or return the one that has its id: 409 or 422 may say so, and nobody wrote down which.

        Raises ProviderError, ApiError.
        """
        attributes = {name: getattr(wish.settings, ours) for ours, name in _ATTRIBUTES.items()}
        answer = await self._ask(wish, Call("POST", PATH, body=_document(wish, attributes), media_type=MEDIA_TYPE))
        if answer.status not in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY):
            return _facts(_accepted(answer), wish)
        found = await self.observe(wish)
        if found is not None:
            return found
        if answer.status == HTTPStatus.CONFLICT or "id" in dict(_problems(answer)):
            raise ProviderError(fault("Conflict", provider_reasons.CUSTOMER_NOT_OURS, customer=wish.customer_id))
        raise _refused(answer)

    async def update(self, wish: CustomerWish, differences: tuple[Difference, ...]) -> None:
        """Set what differs. Raises ProviderError, ApiError."""
        attributes = {_ATTRIBUTES[each.field]: each.wanted for each in differences}
        call = Call("PATCH", _path(wish), body=_document(wish, attributes), media_type=MEDIA_TYPE)
        answer = await self._ask(wish, call)
        if answer.status == HTTPStatus.NOT_FOUND:  # it went meanwhile: the next look finds that out
            raise unavailable("the customer is gone", "wait: the operator looks again")
        _accepted(answer)

    async def delete(self, wish: CustomerWish) -> None:
        """Delete the customer, or find it gone. Raises ProviderError, ApiError."""
        answer = await self._ask(wish, Call("DELETE", _path(wish), media_type=MEDIA_TYPE))
        if answer.status != HTTPStatus.NOT_FOUND:
            _accepted(answer)

    async def _ask(self, wish: CustomerWish, call: Call) -> Answer:
        """Make a call with the login. Raises ProviderError unless the login was accepted and may do this."""
        credentials = await read_credentials(self._cluster, self._namespace, self._endpoint, (self._login,))
        account = self._logins.account(self._endpoint, credentials)
        async with self._logins.login(credentials).attempt(credentials, wish.rejected_credentials):
            login = basic(credentials.values["username"], credentials.values["password"])
            answer = await account.call(replace(call, headers={"Authorization": login}))
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise LoginRefusedError(provider_reasons.CREDENTIALS_REJECTED)
        if answer.status == HTTPStatus.NOT_FOUND and not _problems(answer):
            raise _other_form("404, and no word of the API's")  # a gateway's: nothing is known to be gone
        if answer.status == HTTPStatus.FORBIDDEN:
            raise ProviderError(fault("Credentials", provider_reasons.ACCESS_DENIED, secret=credentials.secret))
        return answer


def _path(wish: CustomerWish) -> str:
    return f"{PATH}/{wish.customer_id}"


def _document(wish: CustomerWish, attributes: Mapping[str, object]) -> dict[str, Any]:
    return {"data": {"id": wish.customer_id, "type": "customers", "attributes": dict(attributes)}}


def _accepted(answer: Answer) -> Answer:
    """Return an answer that is a success. Raises ProviderError."""
    if not answer.ok:
        raise _refused(answer)
    return answer


def _facts(answer: Answer, wish: CustomerWish) -> CustomerFacts:
    """Return the customer that an answer tells of. Raises ProviderError if that cannot be read."""
    try:
        customer = _Document.model_validate(answer.document).data
    except ValidationError as error:
        fields = sorted({".".join(map(str, e["loc"])) for e in error.errors(include_input=False)})
        raise _other_form(f"its customer has a wrong {', '.join(fields)}") from error
    if customer.id != wish.customer_id:
        raise _other_form("it is about another customer")
    found = customer.attributes
    settings = CustomerSettings(found.name, found.language, found.capacity_limit, found.sip_account_limit)
    return CustomerFacts(customer.id, settings)


def _other_form(what: str) -> ProviderError:
    return other_form(what, f"{_MEMBER}.url")


# --- refusals ---------------------------------------------------------------------------------------------------


def _refused(answer: Answer) -> ProviderError:
    """Return the error of a request that will never be accepted as it is, with the fields that are to blame."""
    problems = [f"{_SPEC_FIELDS.get(name, name)}: {text}" for name, text in _problems(answer)[:_MAX_PROBLEMS]]
    words = "; ".join(problems) or "without a word"
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        return ProviderError(fault("Final", provider_reasons.SETTINGS_REFUSED, words=words))
    return ProviderError(fault("Final", provider_reasons.PROVIDER_REFUSED, words=words, code=answer.status))


def _problems(answer: Answer) -> list[tuple[str, str]]:
    """Return the attribute and the text of each error of a JSON:API answer, in printable characters."""
    document = answer.document if isinstance(answer.document, dict) else {}
    errors = document.get("errors")
    return [_problem(error) for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _problem(error: Mapping[str, Any]) -> tuple[str, str]:
    source = error.get("source")
    pointer = source.get("pointer") if isinstance(source, dict) else None
    name = str(pointer or "").rpartition("/")[2]
    text = _printable(error.get("detail") or error.get("title") or error.get("code") or "refused")
    if not name:
        name, _, rest = text.partition(" - ")  # "id - has already been taken": without a pointer, the text names it
        return (name, rest) if rest and name in _SPEC_FIELDS else ("request", text)
    return _printable(name), text


def _printable(value: object) -> str:
    return "".join(c for c in str(value)[:_MAX_DETAIL] if c.isprintable())
