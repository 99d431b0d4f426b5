"""Refusals in the form of the platform: the body of an error and the codes that its documents name.

OPENAPI (responses of every operation) shows the body: errorCode, errorMsg, errorDetails (a string, an object, or a
list of {param, msg, value}), errorDetailsCode and sometimes errorDetailsData.  [F]  Its 500 has no errorDetailsCode,
so a client must not count on one.  [F]
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

MESSAGES: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Resource Not Found",
    409: "Conflict",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
"""errorMsg by status, as in the examples of OPENAPI; 429 is not there [I]."""

EXAMPLES: Final[dict[int, object]] = {
    400000: "Invalid format 'System' 'pbxNumberingTranslator'. Array size is longer than 100",
    400100: "No System data provided for update.",
    401500: "Unknown login or wrong password for login user1@company.com",
    401501: "Unknown login or wrong password for login user1@company.com, login is forbidden",
    401521: "Company of user user1@company.com is not active (companyId=56d6f05241255dd54b5b61b2, status=hold)",
    401523: {"errorMsg": "User user1@company.com has expired (timeToLive)", "timeToLive": 3600},
    403000: "Access denied: user user1@company.com does not have required role(s) admin,superadmin",
    403030: "Can't delete system with id 569d0ef3ef7816921f7e94fa because it's still linked to Media Pillar.",
    403037: "No default Media Pillar in group.",
    403038: "No more default Media Pillar in group.",
    403301: "User 5749afba245015fe0d36e96c is not assigned to administrate System 57486e5d807a594145e510d6",
    403709: "Inconsistent link. A multi-tenant system must be shared by a multi-tenant companies only",
    403710: "Inconsistent link. A multi-tenant company must only use a multi-tenant system",
    404000: "System with id 569ce8c8f9336c471b98eda1 does not exist.",
    409000: "System with pbxId = OXE.000.111 already exists.",
    409200: "System already belongs to another group.",
    409550: "shortNumber already used in this system.",
    409551: "shortNumber already used in this PBX.",
    409552: "internalNumber 218001 is already associated to another phoneNumber within the system group.",
    409554: "Multi-tenant number on a system that is not multi-tenant.",
}
"""Every code of systems, sites and login with a text like that of OPENAPI; tests order them by `documented`."""


class ApiError(Exception):
    """A refusal; `code` is errorDetailsCode, None where no document gives one."""

    def __init__(
        self, status: int, details: object, *, code: int | None = None, data: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{code or status}: {details}")
        self.status = status
        self.details = details
        self.code = code
        self.data = data

    def body(self) -> dict[str, Any]:
        """Return the document that the client gets."""
        message = MESSAGES.get(self.status) or HTTPStatus(self.status).phrase
        body: dict[str, Any] = {"errorCode": self.status, "errorMsg": message, "errorDetails": self.details}
        if self.code is not None:
            body["errorDetailsCode"] = self.code
        if self.data is not None:
            body["errorDetailsData"] = self.data
        return body


def coded(code: int, details: object, data: dict[str, Any] | None = None) -> ApiError:
    """Return the refusal with this errorDetailsCode; its first three digits are the status.  [F]"""
    return ApiError(code // 1000, details, code=code, data=data)


def documented(code: int) -> ApiError:
    """Return the refusal of this code with the text of the documents, for a fault on demand.

    Raises KeyError for a code that no document of systems, sites or login names.
    """
    return coded(code, EXAMPLES[code])


def problem(param: str, msg: str, *value: object) -> dict[str, object]:
    """Return an entry of a 400000; an absent field has no value.  [F: OPENAPI, PostSites, param status]"""
    return {"param": param, "msg": msg} | ({"value": value[0]} if value else {})


def invalid(*problems: dict[str, object]) -> ApiError:
    """Return the 400000 that lists all problems of a request.  [F]"""
    return coded(400000, list(problems))


def missing(kind: str, identifier: str) -> ApiError:
    """Return the 404000 of a thing that does not exist.  [F]"""
    return coded(404000, f"{kind} with id {identifier} does not exist.")


def not_assigned(user_id: str, kind: str, identifier: str) -> ApiError:
    """Return the 403301 of an administrator who does not administrate a thing.  [F]"""
    return coded(403301, f"User {user_id} is not assigned to administrate {kind} {identifier}")
