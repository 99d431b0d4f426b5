"""What the refusals of Rainbow mean: its error codes, each with a reason of its own.

The body of a refusal is `{errorCode, errorMsg, errorDetails, errorDetailsCode}`: the first is the HTTP status, the last
the code, which may be missing; the details are a text or a list of `{param, msg, value}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from pbx_operator.api import provider_reasons as reasons
from pbx_operator.api import rainbow_reasons
from pbx_operator.api.conditions import Reason
from pbx_operator.domain.faults import FaultKind, fault
from pbx_operator.providers.credentials import LoginRefusedError
from pbx_operator.providers.errors import ProviderError, other_form
from pbx_operator.providers.http import Answer

MEMBER = "spec.provider.rainbow"
"""The member of a CommServer that says where and how Rainbow is asked."""
LOGIN_HOLD = timedelta(minutes=15)
"""How long a login is left alone that is right, and refused for another reason."""
MAX_WORDS = 200
"""Characters of Rainbow's own words that are shown."""

_LOGIN: Mapping[int, tuple[Reason, timedelta | None]] = {
    401500: (reasons.CREDENTIALS_REJECTED, None),
    401501: (reasons.LOGIN_LOCKED, None),
    401521: (rainbow_reasons.LOGIN_COMPANY_INACTIVE, LOGIN_HOLD),
    401523: (rainbow_reasons.LOGIN_EXPIRED, LOGIN_HOLD),
}
_CALLS: Mapping[int, tuple[FaultKind, Reason]] = {
    400000: ("Final", reasons.SETTINGS_REFUSED),
    400100: ("Retry", rainbow_reasons.NOTHING_TO_UPDATE),
    403000: ("Credentials", rainbow_reasons.ROLE_MISSING),
    403301: ("Credentials", rainbow_reasons.NOT_ADMINISTRATOR),
    403030: ("Final", rainbow_reasons.MEDIA_PILLAR_LINKED),
    403037: ("Final", rainbow_reasons.NO_DEFAULT_GATEWAY),
    403038: ("Final", rainbow_reasons.LAST_DEFAULT_GATEWAY),
    403709: ("Final", rainbow_reasons.SYSTEM_NOT_SHAREABLE),
    403710: ("Final", rainbow_reasons.COMPANY_MULTI_TENANT),
    404000: ("Retry", rainbow_reasons.SYSTEM_GONE),
    409000: ("Conflict", rainbow_reasons.EQUIPMENT_TAKEN),
    409200: ("Conflict", rainbow_reasons.SYSTEM_IN_OTHER_GROUP),
    409550: ("Conflict", rainbow_reasons.NUMBER_IN_SYSTEM),
    409551: ("Conflict", rainbow_reasons.NUMBER_IN_EQUIPMENT),
    409552: ("Conflict", rainbow_reasons.NUMBER_IN_GROUP),
    409554: ("Conflict", rainbow_reasons.NUMBER_MULTI_TENANT),
}


class RefusedError(ProviderError):
    """Rainbow refused a call, and did nothing."""

    def __init__(self, answer: Answer, *, equipment: str, secret: str, hidden: str | None = None) -> None:
        code = _code(answer)
        kind, reason = _CALLS.get(code, ("Final", reasons.PROVIDER_REFUSED))
        words = _words(answer, hidden)
        found = fault(kind, reason, equipment=equipment, secret=secret, code=code, words=words)
        super().__init__(found, f"error {code}: {words}")
        self.not_found = answer.status == HTTPStatus.NOT_FOUND


def is_rainbows(answer: Answer) -> bool:
    """Whether a refusal has the form of Rainbow's; a gateway in front of it answers in another one, if in JSON."""
    return isinstance(_document(answer).get("errorCode"), int)


def login_refused(answer: Answer) -> LoginRefusedError | ProviderError:
    """Return what a refused login means: unless the code tells otherwise, that it is wrong.

    Any other status than those for what is malformed or wrong comes from a host that knows no logins.
    """
    if answer.status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
        return unreadable(f"HTTP {answer.status} for a login")
    return LoginRefusedError(*_LOGIN.get(_code(answer), _LOGIN[401500]))


def unreadable(what: str) -> ProviderError:
    """Return the error of an answer that is not Rainbow's."""
    return other_form(what, f"{MEMBER}.url")


def _document(answer: Answer) -> dict[str, Any]:
    return answer.document if isinstance(answer.document, dict) else {}


def _code(answer: Answer) -> int:
    """Return the error code; without one, that of the status for what is not found, else the status itself."""
    code = _document(answer).get("errorDetailsCode")
    if isinstance(code, int):
        return code
    return 404000 if answer.status == HTTPStatus.NOT_FOUND else answer.status


def _words(answer: Answer, hidden: str | None) -> str:
    """Return Rainbow's own words, without values: what it quotes may be a secret."""
    details = _document(answer).get("errorDetails")
    if isinstance(details, list):
        details = "; ".join(_problem(problem) for problem in details)
    text = details if isinstance(details, str) and details else f"HTTP {answer.status}"
    if hidden:
        text = text.replace(hidden, "***")
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable if len(printable) <= MAX_WORDS else f"{printable[: MAX_WORDS - 1]}…"


def _problem(problem: Any) -> str:
    if not isinstance(problem, dict):
        return "a problem without a name"
    return f"{problem.get('param')}: {problem.get('msg')}"
