"""The served OpenAPI document as a stranger's tools read it: requests made out of it, and answers held to it.

Behind the server is the real desk with a link in its records, so that signed messages get as far as they can.
"""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from builders import NOW
from pbx_operator.domain.protocol.envelope import PROTOCOL, seal
from pbx_operator.domain.protocol.keys import SigningKey
from pbx_operator.exchange.certificates import KeyPair, make_pair
from pbx_operator.exchange.server import SMALL_BODY, SYNC_BODY, make_app
from pbx_operator.exchange.serving import serve
from pbx_operator.exchange.tls import ServedCertificate
from pbx_operator.providers.association import EquipmentDesk
from simulation.redeemer import KEY, KEY_ID, NUMBERS, Redeemer
from simulation.site import Site
from test_exchange.world import HOST, PATHS, FixedSource, Hands, Installation

JSON = dict[str, Any]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Served:
    """An exchange in a thread of its own, and what its document says."""

    def __init__(self, site: Site, redeemer: Redeemer, url: str, session: requests.Session) -> None:
        self.site, self.redeemer, self.url, self.session = site, redeemer, url, session
        self.document: JSON = session.get(f"{url}/openapi.json", timeout=60).json()
        self.outside = cases(self.document)
        self.inside = cases(opened(self.document))
        self.answers = {kind: answer_to(self.document, path) for kind, path in PATHS.items()}
        self.heading = {"from": redeemer.site.instance, "to": site.instance}
        self.known = {"keyID": KEY_ID, "linkID": redeemer.link_id}

    def post(self, kind: str, envelope: JSON) -> requests.Response:
        return self.session.post(f"{self.url}{PATHS[kind]}", json=envelope, timeout=60)


def cases(document: JSON) -> dict[str, st.SearchStrategy[Case[Any]]]:
    """Return what a document says may be sent to each path, and what may not."""
    schema = schemathesis.openapi.from_dict(document)
    return {
        path: st.one_of([schema[path]["POST"].as_strategy(generation_mode=mode) for mode in GenerationMode])
        for path in PATHS.values()
    }


def is_described(case: Case[Any]) -> bool:
    """Whether the body is one that the document allows."""
    assert case.meta is not None
    return case.meta.generation.mode is GenerationMode.POSITIVE


def envelope_of(kind: str, message: Any, key: SigningKey) -> JSON:
    """Sign a message, or bytes that are none."""
    if not isinstance(message, bytes):
        return seal(kind, message, key).to_json()
    signature = key.sign(f"{PROTOCOL}\0{kind}\0".encode() + message)
    return {"payload": base64.b64encode(message).decode(), "by": key.public, "sig": signature}


def opened(document: JSON) -> JSON:
    """Return the document with the messages in the place of the envelopes around them."""
    paths = {}
    for path in PATHS.values():
        post = document["paths"][path]["post"]
        content = {"application/json": {"schema": inner(post["requestBody"])}}
        paths[path] = {"post": {**post, "requestBody": {"required": True, "content": content}}}
    return {**document, "paths": paths}


def answer_to(document: JSON, path: str) -> Draft202012Validator:
    """Return what judges the messages that answer requests to a path."""
    schema = inner(document["paths"][path]["post"]["responses"]["200"])
    return Draft202012Validator({**schema, "components": document["components"]})


def inner(body: JSON) -> JSON:
    """Return the schema of what is inside of an envelope."""
    schema: JSON = body["content"]["application/json"]["schema"]["properties"]["payload"]["contentSchema"]
    return schema


async def told(site: Site, redeemer: Redeemer) -> None:
    """Let the records have a link."""
    site.issue("i", "a", KEY)
    await redeemer.redeem()
    await redeemer.says(rev=7, numbers=NUMBERS)


@contextmanager
def listening(site: Site, pair: KeyPair) -> Iterator[int]:
    """Serve the desk of a site in a thread; yields the port."""
    ready, ended, ports = threading.Event(), asyncio.Event(), []
    loop = asyncio.new_event_loop()

    async def run() -> None:
        certificate = ServedCertificate(FixedSource(pair))
        await certificate.refresh()
        boxes = EquipmentDesk(site.cluster, site.instance, lambda: site.now)
        app = make_app(Installation("issuer"), site.desk, boxes, lambda: site.now, Hands(step=120.0).monotonic)
        async with serve(app, certificate.context, HOST, 0) as port:
            ports.append(port)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert ready.wait(30)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pair = make_pair([HOST], datetime.now(NOW.tzinfo))
    pem = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem.write_bytes(pair.certificate)
    site = Site("issuer")
    redeemer = Redeemer(site, "redeemer")
    asyncio.run(told(site, redeemer))
    with listening(site, pair) as port, requests.Session() as session:
        session.verify, session.trust_env = str(pem), False
        yield Served(site, redeemer, f"https://{HOST}:{port}", session)


@pytest.mark.parametrize("path", [*PATHS.values()])
@BOUNDED
@given(st.data())
def test_whatever_the_document_allows_or_forbids_is_answered_as_it_says(
    served: Served, path: str, data: st.DataObject
) -> None:
    case = data.draw(served.outside[path])
    case.call_and_validate(served.url, verify=served.session.verify, checks=[*CHECKS, negative_data_rejection])


@pytest.mark.parametrize("kind", PATHS)
@BOUNDED
@given(st.data())
def test_a_message_is_taken_if_and_only_if_it_is_as_described(served: Served, kind: str, data: st.DataObject) -> None:
    case = data.draw(served.inside[PATHS[kind]])
    message: Any = case.body
    described = is_described(case)
    if described:
        named = served.known if data.draw(st.booleans()) else {}
        message = {**message, **served.heading, "links": [{**link, **named} for link in message.get("links", [])]}
        message |= named if kind == "redeem" else {}
        message.pop("successions", None)  # invented ones lead to nobody: a signer that is not the sender gets 403
    envelope = envelope_of(kind, message, served.redeemer.key)
    response = served.post(kind, envelope)
    case.validate_response(response, checks=CHECKS)
    too_large = len(json.dumps(envelope)) > (SYNC_BODY if kind == "sync" else SMALL_BODY)
    assert response.status_code == (413 if too_large else 200 if described else 400), response.text
    if response.status_code == 200:
        served.answers[kind].validate(json.loads(base64.b64decode(response.json()["payload"])))
