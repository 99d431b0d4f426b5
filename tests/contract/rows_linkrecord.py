"""Admission table of LinkRecord: what keeps a used key used, whoever writes the record."""

from __future__ import annotations

from contract.admission import JSON, Refusal, Row, changed, forbidden, invalid

ADVICE = "a record is never edited; to end its link, delete an Interlink"
KEY, OTHER_KEY = "k" * 16, "o" * 16
LINK, OTHER_LINK = "l" * 26, "m" * 26
INSTANCE, OTHER_INSTANCE = "i" * 26, "j" * 26
PUBLIC, OTHER_PUBLIC = "P" * 43, "Q" * 43
TIME, LATER = "2027-01-31T12:00:00Z", "2027-02-28T12:00:00Z"
REDEEMER: JSON = {
    "linkID": LINK,
    "instance": INSTANCE,
    "publicKey": PUBLIC,
    "account": {"namespace": "tenant-2", "name": "rotterdam"},
    "interlink": {"namespace": "tenant-2", "name": "to-amsterdam", "uid": "uid-2"},
    "time": TIME,
}
END: JSON = {"by": "Issuer", "reason": "Deleted", "time": TIME}
ALLOWED: JSON = {"instance": INSTANCE, "namespace": "tenant-2", "account": "rotterdam"}
CLOSING: JSON = {"uid": "uid-1", "reason": "Deleted", "since": TIME, "endsAt": LATER}
ISSUED: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "LinkRecord",
    "metadata": {"name": f"k-{KEY}"},
    "spec": {
        "instance": INSTANCE,
        "keyID": KEY,
        "keyPublic": PUBLIC,
        "origin": "Generated",
        "revision": 1,
        "issuedTime": TIME,
        "issuer": {
            "instance": INSTANCE,
            "publicKey": PUBLIC,
            "account": {"namespace": "tenant-1", "name": "amsterdam"},
            "interlink": {"namespace": "tenant-1", "name": "to-rotterdam", "uid": "uid-1"},
        },
        "policy": {"expirationTime": LATER, "allowedRedeemers": [ALLOWED], "accountReady": "True"},
        "state": "Issued",
        "fences": [OTHER_LINK],
    },
}


def _with(record: JSON, **spec: object) -> JSON:
    return changed(record, {"spec": spec})


ESTABLISHED = _with(ISSUED, state="Established", redeemer=REDEEMER)
ENDED = _with(ESTABLISHED, state="Ended", end=END)
FULL = _with(ENDED, closing={"issuer": CLOSING, "redeemer": CLOSING | {"uid": "uid-2", "reason": "Orphaned"}})
CONTACT: JSON = {"endpoints": ["https://pbx.example.com:8443", "https://[2001:db8::1]:8443"], "pins": [PUBLIC]}
PROOF: JSON = {"payload": "e30=", "by": PUBLIC, "sig": "s" * 86}
OTHER_PROOF = PROOF | {"sig": "t" * 86}
REQUESTED: JSON = changed(
    _with(ESTABLISHED, role="Replica", state="Requested", contact=CONTACT, cancel=PROOF, policy=None, fences=None)
    | {"metadata": {"name": f"r-{LINK}"}},
    {"spec": {"issuer": {"instance": OTHER_INSTANCE}}},
)
CONFIRMED = _with(REQUESTED, state="Established", receipt=PROOF)
FULL_REPLICA = _with(CONFIRMED, state="Ended", end=END)
GIVEN_UP = _with(REQUESTED, state="Ended", end=END | {"by": "Redeemer", "reason": "Cancelled"})
NAMELESS = REQUESTED | {"metadata": {"name": f"k-{KEY}"}}
"""A Replica takes its name from its redeemer; what has none is named like an Authority."""


def _immutable(*path: str, value: str | int, old: str | int) -> Row:
    """Change one member of an established record, as no process of the operator ever does."""
    patch: JSON = {path[-1]: value}
    for name in reversed(path[:-1]):
        patch = {name: patch}
    field = ".".join(("spec", *path))
    sentence = f"`{path[-1]}` may not change from '{old}' to '{value}': {ADVICE}"
    return Row(f"another {field}", _with(ESTABLISHED, **patch), (forbidden(field, sentence),), before=ESTABLISHED)


IMMUTABLE = (
    _immutable("instance", value=OTHER_INSTANCE, old=INSTANCE),
    _immutable("keyPublic", value=OTHER_PUBLIC, old=PUBLIC),
    _immutable("origin", value="BringYourOwn", old="Generated"),
    _immutable("revision", value=2, old=1),
    _immutable("issuedTime", value=LATER, old=TIME),
    _immutable("issuer", "instance", value=OTHER_INSTANCE, old=INSTANCE),
    _immutable("issuer", "publicKey", value=OTHER_PUBLIC, old=PUBLIC),
    _immutable("issuer", "account", "namespace", value="tenant-3", old="tenant-1"),
    _immutable("issuer", "account", "name", value="utrecht", old="amsterdam"),
    _immutable("issuer", "interlink", "namespace", value="tenant-3", old="tenant-1"),
    _immutable("issuer", "interlink", "name", value="to-utrecht", old="to-rotterdam"),
    _immutable("redeemer", "linkID", value="n" * 26, old=LINK),
    _immutable("redeemer", "instance", value=OTHER_INSTANCE, old=INSTANCE),
    _immutable("redeemer", "publicKey", value=OTHER_PUBLIC, old=PUBLIC),
    _immutable("redeemer", "time", value=LATER, old=TIME),
    _immutable("redeemer", "account", "namespace", value="tenant-3", old="tenant-2"),
    _immutable("redeemer", "account", "name", value="utrecht", old="rotterdam"),
    _immutable("redeemer", "interlink", "namespace", value="tenant-3", old="tenant-2"),
    _immutable("redeemer", "interlink", "name", value="to-utrecht", old="to-amsterdam"),
)

BARE = changed(REQUESTED, {"spec": {"issuer": {"publicKey": None, "account": None, "interlink": None}}})
"""What a redeemer keeps of a key that does not tell who issued it."""

ISSUER = (
    Row("a bare key of another installation", BARE),
    Row("a bare key redeemed", _with(BARE, state="Established", receipt=PROOF), before=BARE),
    *(
        Row(
            f"an Authority without {field}",
            _with(ISSUED, issuer={field: None}),
            (
                invalid(
                    "spec.issuer",
                    "`issuer` must have publicKey, account and interlink because `role` is 'Authority'",
                ),
            ),
        )
        for field in ("publicKey", "account", "interlink")
    ),
    *(
        Row(
            f"{field} of the issuer {verb}",
            _with(before, issuer={field: REQUESTED["spec"]["issuer"][field] if verb == "added" else None}),
            (forbidden(f"spec.issuer.{field}", f"`{field}` may not be {verb}: {ADVICE}"),),
            before=before,
        )
        for field in ("account", "interlink")
        for verb, before in (("added", BARE), ("removed", REQUESTED))
    ),
    *(
        Row(
            f"publicKey of the issuer from {old} to {new}",
            _with(before, issuer={"publicKey": None if new == "absent" else new}),
            (forbidden("spec.issuer.publicKey", f"`publicKey` may not change from '{old}' to '{new}': {ADVICE}"),),
            before=before,
        )
        for before, old, new in ((BARE, "absent", PUBLIC), (REQUESTED, PUBLIC, "absent"))
    ),
)

LIFE = (
    Row("redeemed", ESTABLISHED, before=ISSUED),
    Row("ended", ENDED, before=ESTABLISHED),
    Row("revoked while Issued", _with(ISSUED, state="Ended", end=END), before=ISSUED),
    Row("closing announced and taken back", ESTABLISHED, before=_with(ESTABLISHED, closing={"issuer": CLOSING})),
    Row(
        "issuer adopted",
        _with(ESTABLISHED, issuer={"interlink": {"uid": "uid-3"}}),
        before=ESTABLISHED,
    ),
    Row(
        "redeemer adopted",
        _with(ESTABLISHED, redeemer={"interlink": {"uid": "uid-3"}}),
        before=ESTABLISHED,
    ),
    Row("fenced once more", _with(ISSUED, fences=[OTHER_LINK, LINK]), before=ISSUED),
    Row(
        "Established back to Issued",
        _with(ISSUED, redeemer=None),
        (
            forbidden("spec.state", "`state` may not go back from 'Established' to 'Issued': a key works once"),
            forbidden("spec.redeemer", f"`redeemer` of link '{LINK}' may not be removed: a key works once"),
        ),
        before=ESTABLISHED,
    ),
    Row(
        "Ended back to Established",
        ESTABLISHED,
        (forbidden("spec.state", "`state` may not go back from 'Ended' to 'Established': a key works once"),),
        before=ENDED,
    ),
    Row(
        "Ended back to Issued",
        ISSUED,
        (forbidden("spec.state", "`state` may not go back from 'Ended' to 'Issued': a key works once"),),
        before=_with(ISSUED, state="Ended", end=END),
    ),
    Row(
        "Established without a redeemer",
        _with(ISSUED, state="Established"),
        (invalid("spec.redeemer", "`redeemer` must be set because `state` is 'Established'"),),
    ),
    Row(
        "Issued with a redeemer",
        _with(ISSUED, redeemer=REDEEMER),
        (invalid("spec.redeemer", f"`redeemer` of link '{LINK}' may not be set because `state` is 'Issued'"),),
    ),
    Row(
        "redeemer forgotten at the end",
        _with(ENDED, redeemer=None),
        (forbidden("spec.redeemer", f"`redeemer` of link '{LINK}' may not be removed: a key works once"),),
        before=ESTABLISHED,
    ),
    Row(
        "redeemer added by the end",
        ENDED,
        (forbidden("spec.redeemer", f"`redeemer` of link '{LINK}' may not be added because `state` is 'Ended'"),),
        before=ISSUED,
    ),
    Row(
        "redeemed by a fenced link",
        _with(ESTABLISHED, fences=[OTHER_LINK, LINK]),
        (
            invalid(
                "spec.redeemer",
                f"link '{LINK}' may not be Established: it is in `fences`, as its redeemer cancelled",
            ),
        ),
        before=ISSUED,
    ),
    Row(
        "fence replaced",
        _with(ISSUED, fences=[LINK]),
        (forbidden("spec.fences", f"`fences` may not lose '{OTHER_LINK}': a cancelled link stays cancelled"),),
        before=ISSUED,
    ),
    Row(
        "fences removed",
        _with(ISSUED, fences=None),
        (forbidden("spec.fences", f"`fences` may not lose '{OTHER_LINK}': a cancelled link stays cancelled"),),
        before=ISSUED,
    ),
    Row(
        "Ended without an end",
        _with(ISSUED, state="Ended"),
        (invalid("spec.end", "`end` must be set because `state` is 'Ended'"),),
    ),
    Row(
        "end without Ended",
        _with(ESTABLISHED, end=END),
        (invalid("spec.end", "`end` with reason 'Deleted' may not be set because `state` is 'Established'"),),
    ),
    Row(
        "another end",
        _with(ENDED, end={"reason": "Revoked"}),
        (forbidden("spec.end", "`end` may not change: the link was ended by 'Issuer' with reason 'Deleted'"),),
        before=ENDED,
    ),
)

ELSEWHERE = (
    Row("Requested", REQUESTED),
    Row("Replica, restored from a backup", FULL_REPLICA),
    Row("Requested and confirmed", CONFIRMED, before=REQUESTED),
    Row("Requested and given up", GIVEN_UP, before=REQUESTED),
    Row("Replica ended", FULL_REPLICA, before=CONFIRMED),
    Row("cancel signed later", REQUESTED, before=_with(REQUESTED, cancel=None)),
    Row(
        "another role",
        _with(ESTABLISHED, role="Replica"),
        (
            forbidden("spec.role", f"`role` may not change from 'Authority' to 'Replica': {ADVICE}"),
            invalid("metadata.name", f"name 'k-{KEY}' must be 'r-{LINK}'"),
            invalid("spec.receipt", "`receipt` must be set because `state` is 'Established'"),
        ),
        before=ESTABLISHED,
    ),
    Row(
        "Requested by an Authority",
        _with(ESTABLISHED, state="Requested"),
        (invalid("spec.state", "`state` may not be 'Requested' because `role` is 'Authority'"),),
    ),
    Row(
        "Issued by a Replica",
        _with(NAMELESS, state="Issued", redeemer=None),
        (invalid("spec.state", "`state` may not be 'Issued' because `role` is 'Replica'"),),
    ),
    Row(
        "Requested without a redeemer",
        _with(NAMELESS, redeemer=None),
        (invalid("spec.redeemer", "`redeemer` must be set because `state` is 'Requested'"),),
    ),
    Row(
        "Established back to Requested",
        _with(CONFIRMED, state="Requested"),
        (
            forbidden("spec.state", "`state` may not go back from 'Established' to 'Requested': a key works once"),
            invalid("spec.receipt", "`receipt` may not be set because `state` is 'Requested'"),
        ),
        before=CONFIRMED,
    ),
    Row(
        "Requested after it was given up",
        REQUESTED,
        (forbidden("spec.state", "`state` may not go back from 'Ended' to 'Requested': a key works once"),),
        before=GIVEN_UP,
    ),
    *(
        Row(
            f"{field} of an Authority",
            _with(ISSUED, **{field: value}),
            (invalid(f"spec.{field}", f"`{field}` may not be set because `role` is 'Authority'"),),
        )
        for field, value in {"contact": CONTACT, "cancel": PROOF, "receipt": PROOF}.items()
    ),
    *(
        Row(
            f"contact {what}",
            _with(REQUESTED, contact=new),
            (forbidden("spec.contact", f"`contact` of key '{KEY}' may not change: {ADVICE}"),),
            before=_with(REQUESTED, contact=old),
        )
        for what, old, new in (
            ("changed", CONTACT, {"endpoints": []}),
            ("removed", CONTACT, None),
            ("added", None, CONTACT),
        )
    ),
    *(
        Row(
            f"{field} {what}",
            _with(FULL_REPLICA, **{field: value}),
            (forbidden(f"spec.{field}", f"`{field}` may not {verb}: {ADVICE}"),),
            before=FULL_REPLICA,
        )
        for field in ("cancel", "receipt")
        for what, verb, value in (("changed", "change", OTHER_PROOF), ("removed", "be removed", None))
    ),
    Row(
        "Established without a receipt",
        _with(CONFIRMED, receipt=None),
        (invalid("spec.receipt", "`receipt` must be set because `state` is 'Established'"),),
        before=REQUESTED,
    ),
    Row(
        "receipt added by the end",
        FULL_REPLICA,
        (forbidden("spec.receipt", "`receipt` may not be added because `state` is 'Ended'"),),
        before=REQUESTED,
    ),
)


def _expiration(row_id: str, old: str | None, new: str | None) -> Row:
    sentence = (
        f"`expirationTime` may not change from {old or 'never'} to {new or 'never'}:"
        " raise `revision` of the Interlink for a new key"
    )
    return Row(
        row_id,
        _with(ISSUED, policy={"expirationTime": new}),
        (forbidden("spec.policy.expirationTime", sentence),),
        before=_with(ISSUED, policy={"expirationTime": old}),
    )


ROWS = (
    Row("Issued", ISSUED),
    Row("Established, restored from a backup", ESTABLISHED),
    Row("everything set", FULL),
    *LIFE,
    *IMMUTABLE,
    *ISSUER,
    *ELSEWHERE,
    Row(
        "another keyID",
        _with(ISSUED, keyID=OTHER_KEY),
        (
            forbidden("spec.keyID", f"`keyID` may not change from '{KEY}' to '{OTHER_KEY}': {ADVICE}"),
            invalid("metadata.name", f"name 'k-{KEY}' must be 'k-{OTHER_KEY}'"),
        ),
        before=ISSUED,
    ),
    Row("unused key lives longer", _with(ISSUED, policy={"allowedRedeemers": []}), before=ISSUED),
    _expiration("unused key expires later", LATER, "2027-03-31T12:00:00Z"),
    _expiration("unused key never expires any more", LATER, None),
    _expiration("unused key expires after all", None, LATER),
    Row(
        "policy removed",
        _with(ISSUED, policy=None),
        (
            forbidden(
                "spec.policy.expirationTime",
                f"`expirationTime` may not change from {LATER} to never:"
                " raise `revision` of the Interlink for a new key",
            ),
        ),
        before=ISSUED,
    ),
    Row(
        "nine fences",
        _with(ISSUED, fences=[f"{chr(ord('a') + n)}" * 26 for n in range(9)]),
        (Refusal("spec.fences", "Too many: 9: must have at most 8 items"),),
    ),
)
