"""Logins at providers: read from Secrets by name, and tried once.

Whoever may write an object names both its Secret and the URL that the login is sent to, and may not be allowed to read
the Secret.  So a login goes to the provider's own URL, or to the one that its Secret names.

Providers lock a login after a few wrong passwords, and each further try may lengthen that.  So what a provider has
refused is not tried again before the Secrets say something else: this process remembers the contents, and the status
of the object remembers the version of the Secrets, and why, for the next process.  Nor is an entry tried that has the
line break at its end that editors and `echo` leave there.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from pbx_operator.api import provider_reasons
from pbx_operator.api.conditions import Reason
from pbx_operator.api.meta import SECRETS, ObjectKey
from pbx_operator.cluster import Cluster, Gone
from pbx_operator.domain.faults import Fault, fault
from pbx_operator.domain.protocol.endpoints import EndpointError, one_form, parse_endpoint
from pbx_operator.network.circuits import MAX_CALLS
from pbx_operator.providers.endpoints import ApiEndpoint
from pbx_operator.providers.errors import ProviderError

URL_ENTRY = "url"
"""The entry of a Secret that says where its login may be sent."""


@dataclass(frozen=True, slots=True)
class SecretEntries:
    """A Secret that a login needs, the field of the spec that names it, and the entries that it must have."""

    name: str
    field: str
    entries: tuple[str, ...]

    @property
    def label(self) -> str:
        """The Secret as messages name it."""
        return f"{self.name} ({self.field})"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login at one place, as its Secrets say it; `repr` does not show it."""

    secret: str
    """The Secret with the login, as messages name it: the first one."""
    secrets: str
    """All Secrets, one of which a person must correct if the provider does not say which."""
    values: Mapping[str, str] = field(repr=False)
    """All entries by name."""
    version: str
    """The resourceVersions of the Secrets, and where they are used: short, and different after any change."""
    digest: str = field(repr=False)
    """The same for the same values at the same place."""


async def read_credentials(
    cluster: Cluster, namespace: str, endpoint: ApiEndpoint, wanted: Sequence[SecretEntries]
) -> Credentials:
    """Read the Secrets of a login at an endpoint; their entries have different names.

    For any other URL than the provider's own the first Secret must name it.  Raises ApiError, and ProviderError:
    `InvalidEndpoint`, `CredentialsMissing` if a Secret or an entry is missing, empty or no text, `CredentialsInvalid`
    if white space slipped into an entry, and `CredentialsElsewhere` if the login is not for this URL.
    """
    place, home = endpoint.form, one_form(endpoint.home)
    values: dict[str, str] = {}
    versions = []
    for each in wanted:
        elsewhere = endpoint if each is wanted[0] and place != home else None
        try:
            raw = await cluster.get(SECRETS, ObjectKey(namespace, each.name))
        except Gone as error:
            raise _missing(each, "does not exist", elsewhere) from error
        data = raw.get("data") or {}
        values |= _entries(each, data, elsewhere)
        if elsewhere is not None:
            _check_url(each, data, elsewhere)
        versions.append(raw["metadata"]["resourceVersion"])
    version = f"{'/'.join(versions)}@{_digest(place)[:8]}"
    secrets = " or Secret ".join(each.label for each in wanted)
    return Credentials(wanted[0].label, secrets, values, version, _digest(place, values))


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _entries(wanted: SecretEntries, data: Mapping[str, str], elsewhere: ApiEndpoint | None) -> dict[str, str]:
    found = {}
    for entry in wanted.entries:
        found[entry] = _text(data, entry)
        if not found[entry]:
            raise _missing(wanted, _lacks(data, entry), elsewhere)
        if slip := _slip(found[entry]):
            raise _invalid(wanted, entry, slip)
    return found


def _slip(text: str) -> str | None:
    """Return what nobody means to have in a login; it is told and not cut off, which would be another login."""
    if text.endswith(("\n", "\r")):
        return "a line break at the end of"
    if "\n" in text or "\r" in text:
        return "a line break in"
    return "white space at the beginning or the end of" if text != text.strip() else None


def _text(data: Mapping[str, str], entry: str) -> str:
    """Return what an entry says; empty if it is missing or no text."""
    try:
        return base64.b64decode(data.get(entry, "")).decode()
    except (ValueError, binascii.Error):
        return ""


def _lacks(data: Mapping[str, str], entry: str) -> str:
    return f"has no text in its entry '{entry}'" if entry in data else f"has no entry '{entry}'"


def _missing(wanted: SecretEntries, problem: str, elsewhere: ApiEndpoint | None) -> ProviderError:
    entries = " and ".join(f"'{entry}'" for entry in wanted.entries)
    if elsewhere is not None:
        entries += f", and '{URL_ENTRY}' with {elsewhere.url}"
    reason = provider_reasons.CREDENTIALS_MISSING
    return ProviderError(fault("Credentials", reason, secret=wanted.label, problem=problem, entries=entries))


def _invalid(wanted: SecretEntries, entry: str, slip: str) -> ProviderError:
    reason, problem = provider_reasons.CREDENTIALS_INVALID, f"has {slip} its entry '{entry}'"
    return ProviderError(fault("Credentials", reason, secret=wanted.label, problem=problem, entry=entry))


def _check_url(login: SecretEntries, data: Mapping[str, str], endpoint: ApiEndpoint) -> None:
    """Raise ProviderError (`CredentialsElsewhere`) if the Secret does not say that the login is for this endpoint."""
    named = _text(data, URL_ENTRY).strip()
    if one_form(named) == endpoint.form:
        return
    reason, problem = provider_reasons.CREDENTIALS_ELSEWHERE, _not_there(data, named)
    url, path = endpoint.url, endpoint.field
    raise ProviderError(fault("Credentials", reason, secret=login.label, url=url, problem=problem, field=path))


def _not_there(data: Mapping[str, str], named: str) -> str:
    """Return what the entry with the URL says instead; what is no endpoint is not quoted, as it may be a secret."""
    if not named:
        return f"it {_lacks(data, URL_ENTRY)}"
    try:
        parse_endpoint(named)
    except EndpointError as error:
        return f"its entry '{URL_ENTRY}' {error.mistake}"
    return f"its entry '{URL_ENTRY}' says {named}"


class LoginRefusedError(Exception):
    """The provider refused a login; `Login` makes a fault of it.

    `hold` is how long nobody tries it again; None: until the Secrets say something else.
    """

    def __init__(self, reason: Reason, hold: timedelta | None = None) -> None:
        super().__init__(reason.name)
        self.reason = reason
        self.hold = hold


_LASTING = (provider_reasons.CREDENTIALS_REJECTED, provider_reasons.LOGIN_LOCKED)
"""Why a login is not tried again before the Secrets say something else."""


@dataclass(slots=True)
class _Refusal:
    reason: Reason
    until: float | None


class Login:
    """One content of Secrets at one provider: not tried yet, known to be good, or refused."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._turns = asyncio.Semaphore(MAX_CALLS)
        self._trying = asyncio.Lock()
        self._good = False
        self._refusal: _Refusal | None = None

    @asynccontextmanager
    async def attempt(self, credentials: Credentials, rejected: str | None) -> AsyncIterator[None]:
        """Make a call with the login inside, and raise LoginRefusedError there if the provider refuses it.

        While it is not known to be good, one call goes at a time, and the others learn from it.  Later a few go, and no
        more of those that wait once one was refused.  `rejected` is what a process before this one told with its fault:
        the version of the Secrets that was refused, and why.  Raises ProviderError (`Credentials`).
        """
        async with self._turns:
            if self._good:
                async with self._judged(credentials):
                    yield
                return
            async with self._trying:
                self._stop_refused(credentials, rejected)
                async with self._judged(credentials):
                    yield
                self._good = True

    def _stop_refused(self, credentials: Credentials, rejected: str | None) -> None:
        """Raise what was found before, if it still counts."""
        if self._good:
            return
        refusal = self._refusal
        if refusal is None:
            reason = next((reason for reason in _LASTING if _remark(credentials, reason) == rejected), None)
            if reason is not None:  # nor may objects whose status does not say so
                self._refusal = _Refusal(reason, None)
                raise _refused(credentials, reason)
        elif refusal.until is None:
            raise _refused(credentials, refusal.reason)
        elif (left := refusal.until - self._monotonic()) > 0:
            raise _held(credentials, refusal.reason, left)

    @asynccontextmanager
    async def _judged(self, credentials: Credentials) -> AsyncIterator[None]:
        """Remember a refusal."""
        try:
            yield
        except LoginRefusedError as error:
            self._good = False
            if error.hold is None:
                self._refusal = _Refusal(error.reason, None)
                raise _refused(credentials, error.reason) from error
            hold = error.hold.total_seconds()
            self._refusal = _Refusal(error.reason, self._monotonic() + hold)
            raise _held(credentials, error.reason, hold) from error


def _refused(credentials: Credentials, reason: Reason) -> ProviderError:
    remark = _remark(credentials, reason)
    return ProviderError(_fault(credentials, reason, remark=remark))


def _remark(credentials: Credentials, reason: Reason) -> str:
    """Return what the status remembers of a refusal."""
    return f"{credentials.version} {reason.name}"


def _held(credentials: Credentials, reason: Reason, seconds: float) -> ProviderError:
    wait = timedelta(seconds=seconds)
    return ProviderError(_fault(credentials, reason, wait=wait))


def _fault(
    credentials: Credentials, reason: Reason, *, remark: str | None = None, wait: timedelta | None = None
) -> Fault:
    secret, secrets = credentials.secret, credentials.secrets
    return fault("Credentials", reason, retry_after=wait, credentials=remark, secret=secret, secrets=secrets)
