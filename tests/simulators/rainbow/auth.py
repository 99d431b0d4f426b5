"""Login, renewal, validation and logout (/authentication/v1.0), with the lock-out; OPENAPI, authent portal.

[F]  Login is GET with `Authorization: Basic base64(login:password)` and
`x-rainbow-app-auth: Basic base64(appId:sha256hex(appSecret + password))`.  The fifth failure locks the account for 60
minutes; while it is locked every try gets 401501, and a wrong one starts the hour anew.  401521: the company is not
active.  401523: the user has expired.  A token can be renewed maxTokenRenew times.

[I]  The fifth wrong try itself is answered 401501 ("once the maximum has been reached").  A good login forgets earlier
failures, and so does the end of a lock.  [?]  A wrong application does not count as a failure of the user.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from simulators.rainbow.access import EVERYONE
from simulators.rainbow.errors import ApiError, coded, invalid, problem
from simulators.rainbow.fields import Endpoint, Request
from simulators.rainbow.state import Application, Role, State, User, iso
from simulators.rainbow.tokens import Tokens

ROOT: Final = "/api/rainbow/authentication/v1.0"
MAX_FAILURES: Final = 5
LOCKED_SECONDS: Final = 3600
MAX_TOKEN_RENEW: Final = 5
TOKEN_SECONDS: Final = 7200
"""Life of a token: exp - iat of the example in GetBasicLogin.  [I]"""
_BEARER: Final = "Bearer "


class Authentication:
    """Who calls; the tokens are known here alone."""

    def __init__(self) -> None:
        self._tokens = Tokens()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the operations of the authentication portal; the paths are case-sensitive.  [F]"""
        return (
            Endpoint("GetBasicLogin", "GET", f"{ROOT}/login", None, self._login),
            Endpoint("GetRenew", "GET", f"{ROOT}/renew", EVERYONE, self._renew),
            Endpoint("GetApiRainbowAuthenticationV10Validator", "GET", f"{ROOT}/validator", EVERYONE, _validate),
            Endpoint("GetLogout", "GET", f"{ROOT}/logout", EVERYONE, self._logout),
        )

    def user(self, state: State, authorization: str) -> User:
        """Return whose token this is.

        Raises ApiError: 401 for no or a bad token, 401523 if the user has expired meanwhile.  [F: 401 of every call]
        """
        payload = self._payload(state, authorization)
        user = state.users.get(payload["user"]["loginEmail"].lower())
        if user is None:
            raise ApiError(401, "The user of the token does not exist.")
        _refuse_expired(state, user)
        return user

    def _login(self, state: State, request: Request) -> dict[str, Any]:
        """GetBasicLogin of OPENAPI.  [F]"""
        request.no_query()
        login, password = _basic(request, "Authorization")
        user = _right_user(state, login, password)
        application = _right_application(state, request, password)
        company = state.companies[user.company_id]
        if company.status != "active":
            details = f"Company of user {user.login} is not active (companyId={company.id}, status={company.status})"
            raise coded(401521, details)
        _refuse_expired(state, user)
        return self._reply(state, user, application, renewed=0)

    def _renew(self, state: State, request: Request) -> dict[str, Any]:
        """GetRenew of OPENAPI: a new token that lives from now on, until the maximum.  [F]

        The refusal beyond the maximum is not documented [?]; the old token stays good for the rest of its life [?].
        """
        request.no_query()
        payload = self._payload(state, request.headers["Authorization"])
        if payload["countRenewed"] >= payload["maxTokenRenew"]:
            raise ApiError(401, "The token has been renewed as often as it can be.")
        application = state.applications[payload["app"]["id"]]
        return self._reply(state, request.by(), application, renewed=payload["countRenewed"] + 1)

    def _logout(self, _state: State, request: Request) -> dict[str, Any]:
        """GetLogout of OPENAPI.  [F]"""
        request.no_query()
        self._tokens.revoke(_token(request.headers["Authorization"]))
        return {"status": f"User {request.by().login} successfully logged out", "data": []}

    def _payload(self, state: State, authorization: str) -> dict[str, Any]:
        return self._tokens.payload(_token(authorization), state.clock())

    def _reply(self, state: State, user: User, application: Application, *, renewed: int) -> dict[str, Any]:
        now = int(state.clock())
        payload = {
            "countRenewed": renewed,
            "maxTokenRenew": MAX_TOKEN_RENEW,
            "user": {"id": user.id, "loginEmail": user.login},
            "app": {"id": application.id, "name": application.name},
            "iat": now,
            "exp": now + TOKEN_SECONDS,
        }
        return {
            "token": self._tokens.sign(payload),
            "loggedInUser": _user_document(state, user),
            "loggedInApplication": {"id": application.id, "name": application.name, "state": "active"},
        }


def login_of(headers: Mapping[str, str]) -> str:
    """Return the login that a login attempt is for; empty if the header has another form."""
    return (_decoded(headers.get("Authorization", "")) or ("", ""))[0]


def _validate(_state: State, request: Request) -> dict[str, Any]:
    """GetApiRainbowAuthenticationV10Validator of OPENAPI: the token has been checked already.  [F]"""
    request.no_query()
    return {"status": "OK"}


def _right_user(state: State, login: str, password: str) -> User:
    """Return the user if the password is right and the account is not locked; count the failure otherwise."""
    user = state.users.get(login.lower())
    refusal = f"Unknown login or wrong password for login {login}"
    if user is None:
        raise coded(401500, refusal)
    now = state.clock()
    if user.locked_until is not None and now >= user.locked_until:
        user.locked_until, user.failures = None, 0
    if not hmac.compare_digest(password.encode(), user.password.encode()):
        user.failures += 1
        if user.failures < MAX_FAILURES:
            raise coded(401500, refusal)
        user.locked_until = now + LOCKED_SECONDS
    if user.locked_until is not None:
        raise coded(401501, f"{refusal}, login is forbidden")
    user.failures = 0
    return user


def _right_application(state: State, request: Request, password: str) -> Application:
    """Return the application that x-rainbow-app-auth proves.  [F: 401500, OPENAPI GetOidcLogin errmsg]"""
    application_id, proof = _basic(request, "x-rainbow-app-auth")
    application = state.applications.get(application_id)
    expected = hashlib.sha256(((application.secret if application else "") + password).encode()).hexdigest()
    if application is None or not hmac.compare_digest(proof.encode(), expected.encode()):
        raise coded(401500, f"Unknown application or wrong token for application id {application_id}")
    return application


def _refuse_expired(state: State, user: User) -> None:
    """Raise 401523 with the dates that every example of it in OPENAPI carries.  [F]"""
    if user.time_to_live is None or state.clock() < user.created + user.time_to_live:
        return
    details = {
        "errorMsg": f"User {user.login} has expired (timeToLive)",
        "timeToLive": user.time_to_live,
        "creationDate": iso(user.created),
        "expirationDate": iso(user.created + user.time_to_live),
        "currentDate": iso(state.clock()),
    }
    raise coded(401523, details)


def _user_document(state: State, user: User) -> dict[str, Any]:
    """Return loggedInUser: the part of the example of GetBasicLogin that tells who it is.

    roles and adminType of others than a superadmin are inferred.  [I]
    """
    company = state.companies[user.company_id]
    return {
        "id": user.id,
        "loginEmail": user.login,
        "displayName": user.login.partition("@")[0],
        "roles": _ROLES[user.role],
        "adminType": user.role if user.role in _ADMIN_TYPES else "undefined",
        "companyId": company.id,
        "companyName": company.name,
        "organisationId": company.organisation_id,
        "siteId": user.site_id,
        "isActive": True,
        "isTerminated": False,
    }


_ADMIN_TYPES: Final = ("organization_admin", "company_admin", "site_admin")
_ROLES: Final[dict[Role, list[str]]] = {
    "superadmin": ["user", "superadmin"],
    "support": ["user", "support"],
    "bp_admin": ["user", "admin", "bp_admin"],
    "organization_admin": ["user", "admin"],
    "company_admin": ["user", "admin"],
    "site_admin": ["user", "admin"],
    "user": ["user"],
}


def _token(authorization: str) -> str:
    if not authorization.startswith(_BEARER):
        raise ApiError(401, "No authorization token was found")  # [?]
    return authorization.removeprefix(_BEARER)


def _basic(request: Request, header: str) -> tuple[str, str]:
    """Return both parts of a header; a header of another form is a 400000.  [?]"""
    parts = _decoded(request.headers.get(header, ""))
    if parts is None:
        raise invalid(problem(header.lower(), f"Header {header} is mandatory. Expected Basic base64(a:b)."))
    return parts


def _decoded(header: str) -> tuple[str, str] | None:
    """Return both parts of `Basic base64(a:b)`; None for another form."""
    kind, _, encoded = header.partition(" ")
    try:
        first, colon, second = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (first, second) if kind == "Basic" and colon else None
