"""Records of links whose other side is in another cluster, where objects have the same names as some of ours."""

from __future__ import annotations

from typing import Any

from builders import at, digest, interlink, record
from link_builders import ISSUER, REDEEMER
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import (
    Contact,
    LinkRecordStatus,
    Proof,
    SharedNumber,
    SideReport,
    replica_name,
)
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.domain.protocol.messages import LinkReport

ELSEWHERE = digest("another installation", 26)
FAR_ISSUER, FAR_REDEEMER = interlink("i", "a", uid="far-i"), interlink("r", "b", redeem="s", uid="far-r")
"""The Interlinks of the other cluster; ours of the same names are strangers to them."""
CONTACT = Contact(endpoints=("https://pbx.example.com:8443",), pins=(base64url(b"\0" * 32),))
PROOF = Proof(payload="e30=", by=base64url(b"\1" * 32), sig=base64url(b"\2" * 64))
HEARD = SideReport(
    rev=5,
    account="far",
    display_name="Far away",
    sip_domain="far.example",
    gate="Open",
    numbers=(SharedNumber(number="300", display_name="Reception"), SharedNumber(number="301")),
)


def authority(
    issuer: Interlink = ISSUER,
    redeemer: Interlink | None = FAR_REDEEMER,
    *,
    status: LinkRecordStatus | None = None,
    **options: Any,
) -> LinkRecord:
    """Return our record of a key that an installation elsewhere redeemed, or nobody."""
    made = record(issuer, redeemer, **options)
    far = made.spec.redeemer.model_copy(update={"instance": ELSEWHERE}) if made.spec.redeemer else None
    spec = made.spec.model_copy(update={"redeemer": far})
    return made.model_copy(update={"spec": spec, "status": status or LinkRecordStatus()})


def replica(
    issuer: Interlink = FAR_ISSUER,
    redeemer: Interlink = REDEEMER,
    *,
    requested: bool = False,
    status: LinkRecordStatus | None = None,
    **options: Any,
) -> LinkRecord:
    """Return our record of a key of an installation elsewhere: of the link, or with `requested` of the question."""
    made = record(issuer, redeemer, **options)
    assert made.spec.redeemer is not None
    facts: dict[str, Any] = {
        "role": "Replica",
        "issuer": made.spec.issuer.model_copy(update={"instance": ELSEWHERE}),
        "contact": CONTACT,
        "cancel": PROOF,
        "receipt": None if requested else PROOF,
    }
    if requested and made.spec.state == "Established":
        facts["state"] = "Requested"
    metadata = made.metadata.model_copy(update={"name": replica_name(made.spec.redeemer.link_id)})
    spec = made.spec.model_copy(update=facts)
    return made.model_copy(update={"metadata": metadata, "spec": spec, "status": status or LinkRecordStatus()})


def heard(**facts: Any) -> LinkRecordStatus:
    """Return the status of a record whose peer said this, beside what HEARD says."""
    return LinkRecordStatus(heard=HEARD.model_copy(update=facts))


def report(made: LinkRecord, **facts: Any) -> LinkReport:
    """Return what the peer says of this link."""
    assert made.spec.redeemer is not None
    return LinkReport(**{"key_id": made.spec.key_id, "link_id": made.spec.redeemer.link_id, "state": "Live", **facts})


def over(reason: Any, **facts: Any) -> dict[str, Any]:
    """Return the part of a report that says how a link ended."""
    return {"state": "Ended", "end": {"by": "Issuer", "reason": reason, "time": at(0), **facts}}
