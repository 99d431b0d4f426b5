"""The status of an EquipmentRecord: what a box says is kept as it is, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from contract.admission import JSON
from contract.rows_equipmentrecord import ASSOCIATED, TIME
from contract.tenant import Tenant
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecordStatus

NAME = ASSOCIATED["metadata"]["name"]
CHANNELS: list[JSON] = [{"name": f"line{number}", "state": "Up"} for number in range(16)]
FULL: JSON = {"report": {"time": TIME, "rev": 2**53 - 1, "channels": CHANNELS}}


@pytest.fixture
def record(tenant: Tenant) -> Iterator[Tenant]:
    """Return the tenant, with the record of a box that is in."""
    tenant.kubectl("create", "-f", "-", stdin=json.dumps(ASSOCIATED))
    yield tenant
    tenant.kubectl("delete", "pbxer", NAME)


def test_everything_set_is_stored_as_it_was_sent(record: Tenant) -> None:
    assert EquipmentRecordStatus.model_validate(FULL).to_json() == FULL
    record.set_status(ASSOCIATED, FULL)
    assert record.get("pbxer", NAME)["status"] == FULL


@pytest.mark.parametrize(
    ("report", "answer"),
    [
        ({"rev": -1}, "status.report.rev"),
        ({"rev": 2**53}, "status.report.rev"),
        ({"time": None}, "status.report.time"),
        ({"channels": [{"name": "SIP", "state": "Up"}]}, r"status.report.channels\[0\].name"),
        ({"channels": [{"name": "sip", "state": "Ringing"}]}, r"status.report.channels\[0\].state"),
        ({"channels": [*CHANNELS, {"name": "more", "state": "Up"}]}, "status.report.channels"),
        ({"channels": [CHANNELS[0], CHANNELS[0]]}, r"status.report.channels\[1\]: Duplicate value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_out_of_bounds_is_refused(report: JSON, answer: str, record: Tenant) -> None:
    with pytest.raises(AssertionError, match=answer):
        record.set_status(ASSOCIATED, {"report": {**FULL["report"], **report}})
