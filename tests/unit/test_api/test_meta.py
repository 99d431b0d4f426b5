"""What every object has in common."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from pbx_operator.api.meta import RECONCILE_ANNOTATION, TOKEN_LENGTH, ObjectMeta, camel_case, format_time
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus


@pytest.mark.parametrize(
    ("name", "json_name"),
    [("number", "number"), ("key_id", "keyID"), ("sip_uri", "sipURI"), ("undo_window_seconds", "undoWindowSeconds")],
)
def test_field_names(name: str, json_name: str) -> None:
    assert camel_case(name) == json_name


class TestTime:
    CET = timezone(timedelta(hours=1))

    @pytest.mark.parametrize(
        ("time", "text"),
        [
            (datetime(2027, 1, 31, 13, 0, 0, 999_999, CET), "2027-01-31T12:00:00Z"),
            (datetime(1, 1, 1, 2, 0, tzinfo=CET), "0001-01-01T01:00:00Z"),
            (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59Z"),
        ],
    )
    def test_is_shown_in_utc_with_four_digits_for_the_year(self, time: datetime, text: str) -> None:
        assert format_time(time) == text

    def test_is_read_into_utc(self) -> None:
        read = ObjectMeta.model_validate({"name": "a", "creationTimestamp": "2027-01-31T13:00:00+01:00"})
        assert read.creation_timestamp == datetime(2027, 1, 31, 12, 0, tzinfo=UTC)
        assert read.creation_timestamp.tzinfo is UTC

    @pytest.mark.parametrize("text", ["9999-12-31T23:00:00-05:00", "0001-01-01T00:00:00+01:00", "0000-01-01T00:00:00Z"])
    def test_that_utc_cannot_tell_is_not_read(self, text: str) -> None:
        with pytest.raises(ValidationError):
            ObjectMeta.model_validate({"name": "a", "creationTimestamp": text})


def test_only_the_annotation_that_the_operator_reads_is_kept() -> None:
    annotations = {RECONCILE_ANNOTATION: "now", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    metadata = ObjectMeta.model_validate({"name": "a", "annotations": annotations})
    assert metadata.annotations == {RECONCILE_ANNOTATION: "now"}
    assert metadata.reconcile_requested_at == "now"
    assert ObjectMeta(name="a").reconcile_requested_at is None


def test_a_long_token_fits_into_the_status() -> None:
    """An annotation may have 256 KiB; a status that the API server refuses would stop the object for ever."""
    metadata = ObjectMeta(name="a", annotations={RECONCILE_ANNOTATION: "x" * (TOKEN_LENGTH + 1)})
    status = PBXAccountStatus(last_handled_reconcile_at=metadata.reconcile_requested_at)
    assert status.last_handled_reconcile_at == "x" * TOKEN_LENGTH


def test_an_object_is_read_and_written_without_absent_fields() -> None:
    stored = {"metadata": {"name": "a", "namespace": "n"}, "spec": {"country": "NL", "unknown": 1}}
    account = PBXAccount.model_validate(stored)
    assert str(account.key) == "n/a"
    assert account.spec.to_json() == {
        "country": "NL",
        "numbering": {"ranges": [], "outOfRange": "Warn", "dialing": "EnBloc", "reservedPrefixes": []},
        "emergency": {"protection": "Enforce", "additionalNumbers": []},
        "sharing": {"mode": "All", "numbers": []},
        "provider": {"type": "Builtin"},
        "deletionPolicy": "Delete",
        "driftPolicy": "Enforce",
        "deletionProtection": "Disabled",
    }
