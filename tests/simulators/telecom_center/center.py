"""The service itself: what each method does to customers.

Sources are abbreviated as in the docstring of the package.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web

from simulators.journal import Call
from simulators.serving import Simulator
from simulators.telecom_center.credentials import BasicCredentials
from simulators.telecom_center.customers import ATTRIBUTES, Attributes, Customers, defaults, is_id, refusals
from simulators.telecom_center.jsonapi import (
    Problem,
    RefusedError,
    check_media_types,
    document_response,
    invalid,
    not_allowed,
    not_found,
    resource_object,
)
from simulators.telecom_center.query import Query, matches, page_links, parse

PATH = "/api/rest/public/operator/customers"
"""DOCS, customers.html and CLIENT, phone_systems_api_client.rb; the host is https://api.telecom.center."""
KIND = "customers"
_FIELDS = ("id", *ATTRIBUTES)


class TelecomCenter(Simulator):
    """The customers of one operator, for the one user whom it knows.

    DOCS and JSON:API say 409 for an id that is taken; a service built with GEM is likely to say 422, as it checks
    uniqueness where it checks values.  As nobody wrote down what this one does, `taken_id` chooses: a client has to
    understand both.  `page_size` is the size of a page that was not asked for, GEM's 10 unless a test wants less.
    """

    def __init__(
        self,
        name: str,
        password: str,
        *,
        tls: ssl.SSLContext | None = None,
        taken_id: Literal[409, 422] = 409,
        page_size: int = 10,
    ) -> None:
        super().__init__(tls)
        self.credentials = BasicCredentials(name, password)
        self.customers = Customers()
        self.refused_logins = 0
        """Calls that were answered 401."""
        self._taken_id = taken_id
        self._page_size = page_size

    def begin(self, request: web.BaseRequest, body: bytes) -> Call:
        return self.journal.begin(request.method, request.path_qs, who=self.credentials.identify(request))

    def answer(self, request: web.BaseRequest, body: bytes, call: Call) -> web.Response:
        """Refuse strangers and unknown paths, then do what the method says.

        Basic authentication: DOCS, headers.html.  Challenge and text of the 401 are those of Rails, inferred, as
        is that a locked user gets the same; a 401 is no JSON:API document.
        """
        if not call.who:
            self.refused_logins += 1
            challenge = {"WWW-Authenticate": 'Basic realm="Application"'}
            return web.Response(status=HTTPStatus.UNAUTHORIZED, text="HTTP Basic: Access denied.\n", headers=challenge)
        key = request.path.removeprefix(PATH).removeprefix("/")
        if request.path not in {PATH, f"{PATH}/{key}"} or "/" in key:
            return web.Response(status=HTTPStatus.NOT_FOUND)
        try:
            return self._one(request, body, key) if key else self._all(request, body)
        except RefusedError as refused:
            return refused.response()

    def _all(self, request: web.BaseRequest, body: bytes) -> web.Response:
        if request.method not in {"GET", "POST"}:
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, POST"})
        check_media_types(request)
        return self._list(request) if request.method == "GET" else self._create(request, body)

    def _one(self, request: web.BaseRequest, body: bytes, key: str) -> web.Response:
        if request.method not in {"GET", "PATCH", "DELETE"}:
            return web.Response(status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET, PATCH, DELETE"})
        check_media_types(request)
        query = self._query(request)
        if request.method == "GET":
            return self._read(request, key, query)
        if request.method == "PATCH":
            return self._update(request, body, key, query)
        return self._delete(key)

    def _list(self, request: web.BaseRequest) -> web.Response:
        """GET: one page of customers (DOCS, customers.html; the form of the page and its links is GEM's)."""
        query = self._query(request, is_list=True)
        everybody = {key: {"id": key, **self.customers[key]} for key in self.customers.ids()}
        found = [key for key, customer in everybody.items() if matches(customer, query) and self.customers.visible(key)]
        for by, descending in reversed(query.order):
            found.sort(key=lambda key: _sort_key(by, everybody[key][by]), reverse=descending)
        begin = (query.number - 1) * query.size
        page = [self._resource(request, key, query) for key in found[begin : begin + query.size]]
        links = page_links(_url(request), request.query, query, len(found))
        return document_response(HTTPStatus.OK, {"data": page, "links": links})

    def _read(self, request: web.BaseRequest, key: str, query: Query) -> web.Response:
        """GET of one: not in the list of methods of DOCS, but each answer links to it as `self`; 404 as in GEM."""
        if not self.customers.visible(key):
            raise RefusedError(not_found(key))
        return document_response(HTTPStatus.OK, {"data": self._resource(request, key, query)})

    def _create(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """POST: 201, the whole customer and its `self` (DOCS, customers.html); the Location is GEM's."""
        query = self._query(request)
        data = resource_object(body, KIND)
        customer = {**defaults(), **_known(data["attributes"])}
        chosen = data.get("id")
        if chosen is not None and not is_id(chosen):
            detail = f"{chosen} is not a valid value for id."
            raise RefusedError(Problem(HTTPStatus.BAD_REQUEST, "103", "Invalid field value", detail, "/data/id"))
        key = self.customers.next_id() if chosen is None else str(chosen)
        if problems := refusals(customer):
            raise RefusedError(*problems)
        if key in self.customers:
            raise RefusedError(self._taken(key))
        self.customers.create(key, customer)
        headers = {"Location": f"{_url(request)}/{key}"}
        return document_response(HTTPStatus.CREATED, {"data": self._resource(request, key, query)}, headers)

    def _update(self, request: web.BaseRequest, body: bytes, key: str, query: Query) -> web.Response:
        """PATCH: attributes that are absent stay (JSON:API, #crud-updating); 200 with the whole customer (inferred).

        An id that is not that of the path: 409 (JSON:API, #crud-updating-responses-409; GEM would say 400).  An
        id that is absent: 400 (GEM).  Unlike a read, a write sees a customer at once, whatever the lag.
        """
        data = resource_object(body, KIND)
        if data.get("id") is None:
            detail = "The resource object does not contain a key."
            raise RefusedError(Problem(HTTPStatus.BAD_REQUEST, "109", "A key is required", detail, "/data"))
        if not is_id(data["id"]) or str(data["id"]) != key:
            detail = f"The URL does not support the key {data['id']}"
            raise RefusedError(Problem(HTTPStatus.CONFLICT, "110", "Key is not included in URL", detail, "/data/id"))
        changes = _known(data["attributes"])
        if key not in self.customers:
            raise RefusedError(not_found(key))
        customer = {**self.customers[key], **changes}
        if problems := refusals(customer):
            raise RefusedError(*problems)
        self.customers.update(key, customer)
        return document_response(HTTPStatus.OK, {"data": self._resource(request, key, query)})

    def _delete(self, key: str) -> web.Response:
        """DELETE: 204 without a body, 404 for a customer that is gone (CLIENT, process_response and its specs)."""
        if key not in self.customers:
            raise RefusedError(not_found(key))
        self.customers.remove(key)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _query(self, request: web.BaseRequest, *, is_list: bool = False) -> Query:
        return parse(request.query, KIND, _FIELDS, self._page_size, is_list=is_list)

    def _taken(self, key: str) -> Problem:
        if self._taken_id == 422:
            return invalid("id", "has already been taken")
        return Problem(HTTPStatus.CONFLICT, "409", "Conflict", f"The id {key} has already been taken.", "/data/id")

    def _resource(self, request: web.BaseRequest, key: str, query: Query) -> dict[str, Any]:
        """Return a resource object: members and their order as in DOCS, customers.html; the id is always text."""
        customer = self.customers[key]
        wanted = ATTRIBUTES.keys() if query.fields is None else query.fields
        links = {"self": f"{_url(request)}/{key}"}
        attributes = {name: value for name, value in customer.items() if name in wanted}
        return {"id": key, "type": KIND, "links": links, "attributes": attributes}


def _known(attributes: Mapping[str, Any]) -> Attributes:
    """Return the attributes of a document; raises RefusedError (GEM: 400) if a customer has not all of them."""
    if unknown := [name for name in attributes if name not in ATTRIBUTES]:
        raise RefusedError(*(not_allowed(name, pointer=f"/data/attributes/{name}") for name in unknown))
    return dict(attributes)


def _url(request: web.BaseRequest) -> str:
    return f"{request.scheme}://{request.host}{PATH}"


def _sort_key(by: str, value: Any) -> tuple[bool, Any]:
    """Return what to sort a value by; null comes last, as in PostgreSQL."""
    if value is None:
        return True, 0
    return False, int(value) if by == "id" else value
