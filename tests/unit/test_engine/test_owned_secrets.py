"""Who has a Secret of a name that the operator wants."""

from __future__ import annotations

from typing import Any

import pytest

from pbx_operator.api.meta import ObjectMeta
from pbx_operator.engine.owned_secrets import holder, owned_secret
from server_builders import commserver

SERVER = commserver("pbx")
OURS = owned_secret(SERVER.key, SERVER, "Opaque", {})["metadata"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"uid": "of an earlier object"}, None),
        ({"name": "sn1"}, "CommServer sn1"),
        ({"name": "sn1", "controller": False}, None),
        ({"kind": "Interlink"}, "Interlink pbx"),
    ],
    ids=["ours", "ours in a former life", "another's", "not its controller", "of another kind"],
)
def test_what_would_make_a_secret_anew_is_named(changes: dict[str, Any], said: str | None) -> None:
    (reference,) = OURS["ownerReferences"]
    found = OURS | {"uid": "1", "ownerReferences": [reference | changes]}
    assert holder(ObjectMeta.model_validate(found), SERVER) == said
