"""CommServers for tests, as `builders` makes the other kinds: the spec is written as in a manifest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from builders import BEFORE, NAMESPACE
from pbx_operator.api.meta import ObjectMeta
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import CommServerSpec, CommServerStatus

DIALING = {"country": "FR", "nationalPrefix": "0", "internationalPrefix": "00"}
"""What is usual in the country, so that nothing is warned about."""
BTCO: dict[str, Any] = {"type": "OXOConnect", "deliveryMode": "BTCO", "dialing": DIALING}
STOCK: dict[str, Any] = {
    **BTCO,
    "deliveryMode": "Stock",
    "stock": {"fleetReference": "ALE12", "installationReference": "1234.5678.90"},
}


def commserver(
    name: str = "pbx",
    *,
    uid: str | None = None,
    generation: int = 1,
    created: datetime = BEFORE,
    deleting: datetime | None = None,
    finalizers: tuple[str, ...] = (),
    status: CommServerStatus | None = None,
    **spec: Any,
) -> CommServer:
    """Return a CommServer that is built to order unless the spec says otherwise."""
    metadata = ObjectMeta(
        name=name,
        namespace=NAMESPACE,
        uid=uid or f"uid of {name}",
        resource_version="1",
        generation=generation,
        creation_timestamp=created,
        deletion_timestamp=deleting,
        finalizers=finalizers,
    )
    return CommServer(
        metadata=metadata,
        spec=CommServerSpec.model_validate({**BTCO, **spec}),
        status=status or CommServerStatus(),
    )
