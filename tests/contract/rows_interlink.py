"""Admission table of Interlink."""

from __future__ import annotations

from contract.admission import JSON, Row, changed, forbidden, invalid, mismatch
from contract.rows_pbxaccount import LABEL

CREATE_ANOTHER = "delete the Interlink and create another one"
ISSUING: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "Interlink",
    "metadata": {"name": "to-rotterdam"},
    "spec": {"accountRef": {"name": "amsterdam"}, "issueKey": {}},
}
REDEEMING: JSON = changed(
    ISSUING,
    {
        "metadata": {"name": "to-amsterdam"},
        "spec": {
            "issueKey": None,
            "redeemKey": {
                "secretRef": {"name": "from-amsterdam", "key": "pbx_key.txt"},
                "issuer": {
                    "instance": "i" * 26,
                    "endpoints": ["https://pbx.example.com:8443", "https://192.0.2.7", "https://[2001:db8::1]:8443"],
                    "pin": "P" * 43,
                },
            },
        },
    },
)
FULL: JSON = changed(
    ISSUING,
    {
        "spec": {
            "displayName": "Tim Andrews",
            "issueKey": {
                "secretName": "to-rotterdam-key",
                "expiresAfterSeconds": 3600,
                "revision": 2,
                "allowedRedeemers": [{"instance": "a" * 26, "namespace": "tenant-2", "account": "rotterdam"}],
                "readyWhen": "Established",
            },
            "sharing": {"mode": "Selected", "numbers": [{"start": "200", "end": "249"}]},
            "dialPrefix": "*8",
            "priority": 0,
            "gate": "Closed",
            "onPeerDeletion": "Retain",
            "undoWindowSeconds": 604800,
            "deletionProtection": "Enabled",
        }
    },
)
BROUGHT: JSON = changed(
    ISSUING,
    {
        "spec": {
            "issueKey": {
                "fromSecretRef": {"name": "key.v1", "key": "pbx_key.txt"},
                "expirationTime": "2027-01-31T12:00:00+01:00",
            }
        }
    },
)


IN_THE_YEARS = "must be in the years 2000 to 8999: choose another time, such as 2099-12-31T00:00:00Z"


def _interlink(**spec: object) -> JSON:
    return changed(ISSUING, {"spec": spec})


def _redeeming(secret: str) -> JSON:
    return changed(REDEEMING, {"spec": {"redeemKey": {"secretRef": {"name": secret}}}})


def _issuing(**issue_key: object) -> JSON:
    return _interlink(issueKey=issue_key)


ABSOLUTE_END = _issuing(expirationTime="2027-01-31T12:00:00Z")


def _other_secret(row_id: str, old: str | None, new: str | None) -> Row:
    sentence = f"`secretName` may not change from '{old or ''}' to '{new or ''}': {CREATE_ANOTHER}"
    refusal = forbidden("spec.issueKey.secretName", sentence)
    return Row(row_id, _secret_name(new), (refusal,), before=_secret_name(old))


def _secret_name(name: str | None) -> JSON:
    return _issuing(secretName=name) if name else ISSUING


def _sharing(mode: str, *ranges: tuple[str, str]) -> JSON:
    return _interlink(sharing={"mode": mode, "numbers": [{"start": start, "end": end} for start, end in ranges]})


def _issuer_at(*endpoints: str) -> JSON:
    return changed(REDEEMING, {"spec": {"redeemKey": {"issuer": {"endpoints": [*endpoints]}}}})


def _wrong_port(endpoint: str) -> Row:
    sentence = f"`endpoints` has '{endpoint}', whose port is not a number from 1 to 65535"
    refusal = invalid("spec.redeemKey.issuer.endpoints", sentence)
    return Row(f"an issuer at {endpoint}", _issuer_at("https://pbx.example.com", endpoint), (refusal,))


ROWS = (
    Row("issuing with all defaults", ISSUING),
    Row("redeeming", REDEEMING),
    Row("an issuer at the last ports", _issuer_at("https://pbx.example.com:1", "https://[2001:db8::1]:65535")),
    _wrong_port("https://pbx.example.com:65536"),
    _wrong_port("https://pbx.example.com:0"),
    _wrong_port("https://[2001:db8::1]:99999"),
    Row("everything set", FULL),
    Row("a key brought along", BROUGHT),
    Row("everything but the identity may change", _issuing(secretName="to-rotterdam-key"), before=FULL),
    Row("another Secret to redeem from", _redeeming("new"), before=REDEEMING),
    Row("revision lowered, as by a Git rollback", ISSUING, before=_issuing(revision=7)),
    Row(
        "another key brought along",
        changed(BROUGHT, {"spec": {"issueKey": {"fromSecretRef": {"name": "key.v2", "key": "key"}}}}),
        before=BROUGHT,
    ),
    Row("a generated key with an absolute end", ABSOLUTE_END),
    Row("the end of a generated key in another form", _issuing(expiresAfterSeconds=300), before=ABSOLUTE_END),
    Row(
        "name with a dot",
        changed(ISSUING, {"metadata": {"name": "to.rotterdam"}}),
        (invalid("metadata.name", f"name 'to.rotterdam' {LABEL}"),),
    ),
    Row(
        "neither issueKey nor redeemKey",
        _interlink(issueKey=None),
        (
            invalid(
                "spec.issueKey",
                "`issueKey` or `redeemKey` must be set; for a key with all defaults write `issueKey: {}`"
                " (nothing after the colon counts as absent)",
            ),
        ),
    ),
    Row(
        "issueKey and redeemKey",
        _interlink(redeemKey={"secretRef": {"name": "from-rotterdam"}}),
        (
            invalid(
                "spec.issueKey",
                "`issueKey` may not be set beside `redeemKey`: one side of a link issues the key, the other redeems it",
            ),
        ),
    ),
    Row(
        "redeemKey instead of issueKey",
        changed(REDEEMING, {"metadata": {"name": "to-rotterdam"}}),
        (forbidden("spec.issueKey", f"`issueKey` may not give way to `redeemKey`: {CREATE_ANOTHER}"),),
        before=ISSUING,
    ),
    Row(
        "issueKey instead of redeemKey",
        changed(ISSUING, {"metadata": {"name": "to-amsterdam"}}),
        (forbidden("spec.issueKey", f"`redeemKey` may not give way to `issueKey`: {CREATE_ANOTHER}"),),
        before=REDEEMING,
    ),
    Row(
        "another account",
        _interlink(accountRef={"name": "utrecht"}),
        (forbidden("spec.accountRef.name", f"`name` may not change from 'amsterdam' to 'utrecht': {CREATE_ANOTHER}"),),
        before=ISSUING,
    ),
    Row(
        "account in capitals",
        _interlink(accountRef={"name": "Amsterdam"}),
        (mismatch("spec.accountRef.name", "Amsterdam", "^[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?$"),),
    ),
    Row(
        "a key brought along for ever",
        _issuing(fromSecretRef={"name": "brought"}),
        (
            invalid(
                "spec.issueKey.expirationTime",
                "`expirationTime` must be set because the key comes from Secret 'brought',"
                " which may lie in Git for ever",
            ),
        ),
    ),
    Row(
        "two ends of a generated key",
        changed(ABSOLUTE_END, {"spec": {"issueKey": {"expiresAfterSeconds": 300}}}),
        (
            forbidden(
                "spec.issueKey.expiresAfterSeconds",
                "`expiresAfterSeconds` may not be set to 300 beside `expirationTime`: remove one of them",
            ),
        ),
    ),
    Row(
        "two ends of a key brought along",
        changed(BROUGHT, {"spec": {"issueKey": {"expiresAfterSeconds": 300}}}),
        (
            forbidden(
                "spec.issueKey.expiresAfterSeconds",
                "`expiresAfterSeconds` may not be set to 300 beside `fromSecretRef`: use `expirationTime`",
            ),
        ),
    ),
    Row(
        "two Secrets",
        changed(BROUGHT, {"spec": {"issueKey": {"secretName": "other"}}}),
        (
            forbidden(
                "spec.issueKey.secretName",
                "`secretName` may not be set to 'other' beside `fromSecretRef`, which names Secret 'key.v1'",
            ),
        ),
    ),
    _other_secret("another Secret for the key", "old", "new"),
    _other_secret("a Secret for the key, named later", None, "new"),
    _other_secret("a Secret for the key, named no more", "old", None),
    Row(
        "a key brought along instead of a generated one",
        BROUGHT,
        (
            forbidden(
                "spec.issueKey.fromSecretRef",
                f"a generated key may not give way to `fromSecretRef` with Secret 'key.v1': {CREATE_ANOTHER}",
            ),
        ),
        before=ISSUING,
    ),
    Row(
        "a generated key instead of one brought along",
        ISSUING,
        (
            forbidden(
                "spec.issueKey.fromSecretRef",
                f"`fromSecretRef` with Secret 'key.v1' may not give way to a generated key: {CREATE_ANOTHER}",
            ),
        ),
        before=BROUGHT,
    ),
    Row(
        "a key brought along without its reference",
        changed(BROUGHT, {"spec": {"issueKey": {"fromSecretRef": None}}}),
        (
            forbidden(
                "spec.issueKey.fromSecretRef",
                f"`fromSecretRef` with Secret 'key.v1' may not give way to a generated key: {CREATE_ANOTHER}",
            ),
        ),
        before=BROUGHT,
    ),
    Row(
        "a day without a time",
        changed(BROUGHT, {"spec": {"issueKey": {"expirationTime": "2027-01-31"}}}),
        (
            invalid(
                "spec.issueKey.expirationTime",
                '"2027-01-31": spec.issueKey.expirationTime in body must be of type date-time: "2027-01-31"',
            ),
        ),
    ),
    Row("the earliest end of a key", _issuing(expirationTime="2000-01-01T00:00:00Z")),
    Row("the latest end of a key", _issuing(expirationTime="8999-12-31T23:59:59Z")),
    *(
        Row(
            f"an end of a key in the {age}",
            _issuing(expirationTime=time),
            (invalid("spec.issueKey.expirationTime", f"`expirationTime` {time} {IN_THE_YEARS}"),),
        )
        for age, time in (
            ("past millennium", "1999-12-31T23:59:59Z"),
            ("far future", "9000-01-01T00:00:00Z"),
            ("last hour that there is", "9999-12-31T23:00:00-05:00"),
            ("year 0", "0000-01-01T00:00:00Z"),
        )
    ),
    Row(
        "an end of a key in a zone that is none",
        _issuing(expirationTime="2027-01-31T12:00:00+99:00"),
        (
            invalid(
                "spec.issueKey",
                '"object": Invalid date-time formatted string 2027-01-31T12:00:00+99:00: parsing time'
                ' "2027-01-31T12:00:00+99:00": extra text: "+99:00" evaluating rule: `expirationTime` must be in the'
                " years 2000 to 8999",
            ),
        ),
    ),
    Row("shortest life of a key", _issuing(expiresAfterSeconds=300)),
    Row(
        "life of a key too short",
        _issuing(expiresAfterSeconds=299),
        (
            invalid(
                "spec.issueKey.expiresAfterSeconds",
                "299: spec.issueKey.expiresAfterSeconds in body should be greater than or equal to 300",
            ),
        ),
    ),
    Row(
        "prefix with a letter",
        _interlink(dialPrefix="8a"),
        (mismatch("spec.dialPrefix", "8a", "^[0-9*#]{1,4}$"),),
    ),
    Row("no sharing", _sharing("None")),
    Row(
        "Selected without numbers",
        _sharing("Selected"),
        (invalid("spec.sharing.numbers", "`numbers` must list the offered ranges because `mode` is 'Selected'"),),
    ),
    Row(
        "numbers without Selected",
        _sharing("All", ("200", "249")),
        (
            invalid(
                "spec.sharing.numbers",
                "`numbers` may not be set because `mode` is 'All': remove it, or write 'Selected'",
            ),
        ),
    ),
    Row(
        "ranges that are none",
        _sharing("Selected", ("20", "249"), ("249", "200")),
        (
            invalid("spec.sharing.numbers[0].end", "`end` '249' must have as many digits as `start` '20'"),
            invalid("spec.sharing.numbers[1].end", "`end` '200' may not be lower than `start` '249'"),
        ),
    ),
)
