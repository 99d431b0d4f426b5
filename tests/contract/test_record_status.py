"""The status of a LinkRecord: what another installation says is kept as it is, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from contract.admission import JSON
from contract.rows_linkrecord import CONFIRMED, CONTACT, LINK, PUBLIC, TIME
from contract.tenant import Tenant
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordStatus

REPORT: JSON = {
    "rev": 2**53 - 1,
    "account": "amsterdam",
    "displayName": "Amsterdam",
    "sipDomain": "amsterdam.example.com",
    "gate": "Open",
    "closing": "None",
    "numbers": [{"number": "200", "displayName": "Reception"}, {"number": "0200"}],
}
FULL: JSON = {
    "replay": {"linkID": LINK, "time": TIME},
    "told": REPORT,
    "heard": REPORT | {"closing": "Announced"},
    "contact": CONTACT,
    "peerKnows": "Unknown",
    "peerKey": PUBLIC,
}


@pytest.fixture
def record(tenant: Tenant) -> Iterator[Tenant]:
    """Return the tenant, with an established record of a redeemer."""
    name = CONFIRMED["metadata"]["name"]
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(CONFIRMED))
    yield tenant
    tenant.kubectl("delete", "lrec", name)


def test_everything_set_is_stored_as_it_was_sent(record: Tenant) -> None:
    assert LinkRecordStatus.model_validate(FULL).to_json() == FULL
    record.set_status(CONFIRMED, FULL)
    assert record.get("lrec", CONFIRMED["metadata"]["name"])["status"] == FULL


def test_a_side_may_share_every_number_there_is(record: Tenant) -> None:
    numbers = [{"number": f"{n:0{digits}}"} for digits in range(1, 5) for n in range(10**digits)]
    status = {"told": REPORT | {"numbers": numbers}}
    record.set_status(CONFIRMED, status)
    assert record.get("lrec", CONFIRMED["metadata"]["name"])["status"] == status


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ({"told": {"rev": -1}}, "status.told.rev"),
        ({"heard": {"rev": 2**53}}, "status.heard.rev"),
        ({"heard": {"account": "Amsterdam"}}, "status.heard.account"),
        ({"heard": {"displayName": "x" * 256}}, "status.heard.displayName"),
        ({"heard": {"sipDomain": "https://example.com"}}, "status.heard.sipDomain"),
        ({"heard": {"gate": "Ajar"}}, "status.heard.gate"),
        ({"heard": {"closing": "Yes"}}, "status.heard.closing"),
        ({"heard": {"numbers": [{"displayName": "Reception"}]}}, "status.heard.numbers[0].number"),
        ({"heard": {"numbers": [{"number": "20000"}]}}, "status.heard.numbers[0].number"),
        ({"heard": {"numbers": [{"number": "200"}] * 11_111}}, "status.heard.numbers"),
        ({"contact": {"endpoints": ["http://pbx.example.com"]}}, "status.contact.endpoints[0]"),
        ({"contact": {"endpoints": ["https://2001:db8::1"]}}, "status.contact.endpoints[0]"),
        ({"contact": {"endpoints": ["https://[pbx.example.com]"]}}, "status.contact.endpoints[0]"),
        ({"contact": {"endpoints": ["https://pbx.example.com"] * 5}}, "status.contact.endpoints"),
        ({"contact": {"pins": ["short"]}}, "status.contact.pins[0]"),
        ({"replay": {"linkID": LINK}}, "status.replay.time"),
        ({"peerKnows": "Everything"}, "status.peerKnows"),
        ({"peerKey": "short"}, "status.peerKey"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_out_of_bounds_is_refused(status: JSON, answer: str, record: Tenant) -> None:
    with pytest.raises(AssertionError, match=answer.replace("[", r"\[")):
        record.set_status(CONFIRMED, status)
