"""What every object has in common."""

from __future__ import annotations

import pytest

from pbx_operator.api.meta import RECONCILE_ANNOTATION, TOKEN_LENGTH, ObjectMeta, camel_case
from pbx_operator.api.v1alpha1 import PBXAccount
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccountStatus


@pytest.mark.parametrize(
    ("name", "json_name"),
    [("number", "number"), ("key_id", "keyID"), ("sip_uri", "sipURI"), ("undo_window_seconds", "undoWindowSeconds")],
)
def test_field_names(name: str, json_name: str) -> None:
    assert camel_case(name) == json_name


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
    }
