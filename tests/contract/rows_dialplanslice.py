"""Admission table of DialPlanSlice."""

from __future__ import annotations

from contract.admission import JSON, Refusal, Row, changed, forbidden, invalid
from contract.rows_internalnumber import DESTINATIONS

OWN: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "DialPlanSlice",
    "metadata": {"name": "amsterdam-own"},
    "spec": {
        "accountRef": {"name": "amsterdam"},
        "source": {"type": "Own"},
        "rank": "0",
        "rev": "r" * 26,
        "emergencyNumbers": ["112", "911"],
        "rows": [
            {"number": "200", "displayName": "Reception", "destination": DESTINATIONS["phone"], "offered": "All"},
            {"number": "0007", "offered": "None"},
        ],
    },
}
PEER: JSON = changed(
    OWN,
    {
        "metadata": {"name": "amsterdam-rotterdam"},
        "spec": {
            "source": {"type": "Peer", "interlink": "to-rotterdam", "class": "Prefixed"},
            "emergencyNumbers": None,
            "rows": [{"number": "200", "dialed": "*8200", "target": "200@rotterdam.pbx.example.com"}],
        },
    },
)
OFFER: JSON = changed(
    OWN,
    {
        "metadata": {"name": "amsterdam-offer"},
        "spec": {
            "source": {"type": "Offer", "interlink": "to-rotterdam"},
            "emergencyNumbers": [],
            "rows": [{"number": "200"}, {"number": "201"}],
        },
    },
)
MEMBERS = {
    "Own": "offered and neither dialed nor target",
    "Peer": "dialed and target and neither offered nor destination",
    "Offer": "nothing but number",
}


OWN_ROWS = tuple(
    {"number": str(n), "destination": destination, "offered": "All"}
    for n, destination in enumerate(DESTINATIONS.values())
)


def _rows(manifest: JSON, *rows: JSON) -> JSON:
    return changed(manifest, {"spec": {"rows": list(rows)}})


def _wrong_row(row_id: str, manifest: JSON, row: JSON) -> Row:
    source = manifest["spec"]["source"]["type"]
    sentence = f"row '{row['number']}' must have {MEMBERS[source]} because `source.type` is '{source}'"
    rows = _rows(manifest, *manifest["spec"]["rows"], row)
    return Row(row_id, rows, (invalid("spec.rows", sentence),))


def _destination(member: str, destination: JSON, verb: str) -> Row:
    sentence = f"`{member}` {verb} because `type` is '{destination['type']}'"
    row = {"number": "1", "destination": destination, "offered": "All"}
    return Row(
        f"destination where {member} {verb}",
        _rows(OWN, row),
        (invalid(f"spec.rows[0].destination.{member}", sentence),),
    )


def _missing(member: str) -> Row:
    return _destination(member, {"type": DESTINATIONS[member]["type"]}, "must be set")


def _surplus(member: str, beside: str) -> Row:
    return _destination(member, DESTINATIONS[member] | DESTINATIONS[beside], "may not be set")


ROWS = (
    Row("own numbers", OWN),
    Row("numbers of a peer", PEER),
    Row("offer", OFFER),
    Row("no rows", _rows(OWN)),
    Row("every destination", _rows(OWN, *OWN_ROWS)),
    Row("rows may change", _rows(OWN), before=OWN),
    _wrong_row("own row without offered", OWN, {"number": "1"}),
    _wrong_row("own row with a target", OWN, {"number": "1", "offered": "All", "target": "1@rotterdam"}),
    _wrong_row("own row with dialed", OWN, {"number": "1", "offered": "All", "dialed": "81"}),
    _wrong_row("row of a peer without dialed", PEER, {"number": "1", "target": "1@rotterdam"}),
    _wrong_row("row of a peer without target", PEER, {"number": "1", "dialed": "81"}),
    _wrong_row(
        "row of a peer with its destination",
        PEER,
        {"number": "1", "dialed": "81", "target": "1@rotterdam", "destination": DESTINATIONS["phone"]},
    ),
    _wrong_row(
        "row of a peer that is offered",
        PEER,
        {"number": "1", "dialed": "81", "target": "1@rotterdam", "offered": "All"},
    ),
    _wrong_row("offer with a name", OFFER, {"number": "1", "displayName": "Reception"}),
    _wrong_row("offer with a destination", OFFER, {"number": "1", "destination": DESTINATIONS["phone"]}),
    Row(
        "number twice",
        _rows(OFFER, {"number": "200"}, {"number": "200"}),
        (Refusal("spec.rows[1]", 'Duplicate value: {"number":"200"}'),),
    ),
    Row(
        "emergency numbers of a peer",
        changed(PEER, {"spec": {"emergencyNumbers": ["110"]}}),
        (
            forbidden(
                "spec.emergencyNumbers", "`emergencyNumbers` '110' may not be set because `source.type` is 'Peer'"
            ),
        ),
    ),
    Row(
        "own numbers of a link",
        changed(OWN, {"spec": {"source": {"interlink": "to-rotterdam"}}}),
        (invalid("spec.source.interlink", "`interlink` may not be set because `type` is 'Own'"),),
    ),
    Row(
        "offer without a link",
        changed(OFFER, {"spec": {"source": {"interlink": None}}}),
        (invalid("spec.source.interlink", "`interlink` must be set because `type` is 'Offer'"),),
    ),
    Row(
        "offer with a class",
        changed(OFFER, {"spec": {"source": {"class": "Plain"}}}),
        (invalid("spec.source.class", "`class` may not be set because `type` is 'Offer'"),),
    ),
    Row(
        "peer without a class",
        changed(PEER, {"spec": {"source": {"class": None}}}),
        (invalid("spec.source.class", "`class` must be set because `type` is 'Peer'"),),
    ),
    *(_missing(member) for member in DESTINATIONS),
    _surplus("phone", beside="application"),
    _surplus("sipURI", beside="phone"),
    _surplus("externalNumber", beside="phone"),
    _surplus("application", beside="phone"),
    _surplus("commServer", beside="phone"),
)
