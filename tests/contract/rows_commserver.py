"""Admission table of CommServer."""

from __future__ import annotations

from contract.admission import JSON, Refusal, Row, changed, forbidden, invalid, mismatch
from contract.rows_pbxaccount import LABEL

_CREATE_ANOTHER = "delete the CommServer and create another one"

ORDERED: JSON = {
    "apiVersion": "pbx-operator.io/v1alpha1",
    "kind": "CommServer",
    "metadata": {"name": "hotel-du-lac"},
    "spec": {"type": "OXOConnect", "deliveryMode": "BTCO", "dialing": {"country": "FR"}},
}
"""Built to customer order, and no more than must be said."""


def _server(**spec: object) -> JSON:
    return changed(ORDERED, {"spec": spec})


STOCK = _server(
    deliveryMode="Stock",
    stock={"fleetReference": "ALE12", "installationReference": "1234.5678.90"},
)
RAINBOW: JSON = {
    "company": "Hotel du Lac",
    "siteID": "5ed0a0c44ed1ac2b8eb0d2e1",
    "credentialsSecretRef": {"name": "rainbow-login"},
    "applicationSecretRef": {"name": "rainbow-application"},
}
FULL = changed(
    STOCK,
    {
        "spec": {
            "accountRef": {"name": "amsterdam"},
            "displayName": "Hôtel du Lac",
            "type": "OXOConnectEvolution",
            "activation": {"secretName": "box", "revision": 2},
            "dialing": {"nationalPrefix": "0", "internationalPrefix": "00", "outboundPrefix": "0"},
            "webRTCGateway": {"mode": "Enabled", "license": "Accepted"},
            "numberingRules": [
                {"match": "^([0-9]{1,5})$", "action": "Rewrite", "replace": "$1", "description": "internal"},
                {"match": "^0800", "action": "Block"},
            ],
            "acknowledgedEmergencyNumbers": ["18"],
            "readyWhen": "Running",
            "provider": {"type": "Rainbow", "rainbow": {**RAINBOW, "url": "https://sandbox.openrainbow.com:8443"}},
            "deletionPolicy": "Orphan",
            "deletionProtection": "Enabled",
            "driftPolicy": "Report",
        }
    },
)


def _rules(*rules: JSON) -> JSON:
    return _server(numberingRules=list(rules))


def _rainbow(**fields: object) -> JSON:
    return _server(provider={"type": "Rainbow", "rainbow": changed(RAINBOW, fields)})


RULE: JSON = {"match": "^0800", "action": "Block"}

ROWS = (
    Row("built to order", ORDERED),
    Row("from stock", STOCK),
    Row("everything", FULL),
    Row("the least of Rainbow", _rainbow(siteID=None)),
    Row("everything but what names it may change", changed(FULL, {"spec": {"displayName": "Lac"}}), before=FULL),
    Row("the gateway later", _server(webRTCGateway={"mode": "Enabled", "license": "Accepted"}), before=ORDERED),
    Row("the licence accepted, the gateway not wanted", _server(webRTCGateway={"license": "Accepted"})),
    Row("the site later", _rainbow(), before=_rainbow(siteID=None)),
    Row("a name of 57 characters", changed(ORDERED, {"metadata": {"name": "a" * 57}})),
    Row(
        "a name of 58 characters",
        changed(ORDERED, {"metadata": {"name": "a" * 58}}),
        (invalid("metadata.name", f"name '{'a' * 58}' {LABEL}"),),
    ),
    Row("100 rules", _rules(*[RULE] * 100)),
    Row(
        "101 rules",
        _rules(*[RULE] * 101),
        (Refusal("spec.numberingRules", "Too many: 101: must have at most 100 items"),),
    ),
    # --- delivery -----------------------------------------------------------------------------------------------
    Row(
        "an Evolution built to order",
        _server(type="OXOConnectEvolution"),
        (
            invalid(
                "spec.deliveryMode",
                "`deliveryMode` may not be 'BTCO' because `type` is 'OXOConnectEvolution': only an OXOConnect is built"
                " to customer order, write 'Stock'",
            ),
        ),
    ),
    Row(
        "from stock, without references",
        _server(deliveryMode="Stock"),
        (invalid("spec.stock", "`stock` must name the box because `deliveryMode` is 'Stock'"),),
    ),
    Row(
        "built to order, with references",
        changed(STOCK, {"spec": {"deliveryMode": "BTCO"}}),
        (invalid("spec.stock", "`stock` may not be set because `deliveryMode` is 'BTCO'"),),
    ),
    Row(
        "a reference with a hyphen",
        changed(STOCK, {"spec": {"stock": {"fleetReference": "ALE-12"}}}),
        (mismatch("spec.stock.fleetReference", "ALE-12", "^[A-Za-z0-9.]{1,32}$"),),
    ),
    Row(
        "another box",
        changed(STOCK, {"spec": {"stock": {"fleetReference": "ALE13", "installationReference": "1"}}}),
        (
            forbidden(
                "spec.stock.fleetReference",
                f"`fleetReference` may not change from 'ALE12' to 'ALE13': {_CREATE_ANOTHER}",
            ),
            forbidden(
                "spec.stock.installationReference",
                f"`installationReference` may not change from '1234.5678.90' to '1': {_CREATE_ANOTHER}",
            ),
        ),
        before=STOCK,
    ),
    Row(
        "another type",
        changed(STOCK, {"spec": {"type": "OXE"}}),
        (forbidden("spec.type", f"`type` may not change from 'OXOConnect' to 'OXE': {_CREATE_ANOTHER}"),),
        before=STOCK,
    ),
    Row(
        "another delivery mode",
        STOCK,
        (forbidden("spec.deliveryMode", f"`deliveryMode` may not change from 'BTCO' to 'Stock': {_CREATE_ANOTHER}"),),
        before=ORDERED,
    ),
    Row(
        "another Secret",
        _server(activation={"secretName": "box"}),
        (forbidden("spec.activation.secretName", f"`secretName` may not change from '' to 'box': {_CREATE_ANOTHER}"),),
        before=_server(activation={"revision": 1}),
    ),
    Row("a higher revision", _server(activation={"revision": 2}), before=ORDERED),
    # --- numbers ------------------------------------------------------------------------------------------------
    Row(
        "a rewriting rule that says not what",
        _rules({"match": "^1", "action": "Rewrite"}),
        (
            invalid(
                "spec.numberingRules[0].replace",
                "`replace` must be set because `action` is 'Rewrite'; to dial nothing write 'Block'",
            ),
        ),
    ),
    Row(
        "a blocking rule that rewrites",
        _rules({**RULE, "replace": "0"}),
        (
            invalid(
                "spec.numberingRules[0].replace",
                "`replace` may not be '0' because `action` is 'Block': remove it, or write 'Rewrite'",
            ),
        ),
    ),
    Row(
        "an empty match",
        _rules({**RULE, "match": ""}),
        (
            invalid(
                "spec.numberingRules[0].match",
                "`match` may not be '': write a regular expression of 1 to 64 ASCII characters, for example '^0800'",
            ),
        ),
    ),
    *(
        Row(
            f"replacing by '{text}'",
            _rules({"match": "^1", "action": "Rewrite", "replace": text}),
            (
                invalid(
                    "spec.numberingRules[0].replace",
                    f"`replace` may not be '{text}': write what is dialled, in the characters 0-9, *, # and +, with $1"
                    " for the first group of `match`, for example '0$1'; to dial nothing remove it and write 'Block'"
                    " as `action`",
                ),
            ),
        )
        for text in ("", "zero", "0 1")
    ),
    Row("everything that a number may become", _rules({"match": "^1", "action": "Rewrite", "replace": "*#+0$1$&"})),
    *(
        Row(
            f"'{text}' as {field}",
            _server(dialing={field: text}),
            (
                invalid(
                    f"spec.dialing.{field}",
                    f"`{field}` may not be '{text}': write 1 to 32 of the characters 0-9, *, # and +, for example"
                    f" '{example}', or leave it out if there is none",
                ),
            ),
        )
        for field, text, example in (
            ("outboundPrefix", "zero", "0"),
            ("outboundPrefix", "", "0"),
            ("nationalPrefix", "0 ", "0"),
            ("internationalPrefix", "(00)", "00"),
        )
    ),
    *(
        Row(
            f"the country {text}",
            _server(dialing={"country": text}),
            (
                invalid(
                    "spec.dialing.country",
                    f"`country` may not be '{text}': write the two capital letters of ISO 3166-1 alpha-2, for example"
                    " 'FR'",
                ),
            ),
        )
        for text in ("FRA", "fr", "")
    ),
    Row(
        "a prefix without quotes",
        _server(dialing={"outboundPrefix": 0}),
        (
            invalid(
                "spec.dialing.outboundPrefix",
                '"integer": spec.dialing.outboundPrefix in body must be of type string: "integer"',
            ),
        ),
    ),
    # --- gateway ------------------------------------------------------------------------------------------------
    Row(
        "a gateway without its licence",
        _server(webRTCGateway={"mode": "Enabled"}),
        (
            invalid(
                "spec.webRTCGateway.license",
                "`license` is 'NotAccepted', but `mode` is 'Enabled': read the provider's license of the gateway,"
                " and write 'Accepted' if you accept it",
            ),
        ),
    ),
    # --- provider -----------------------------------------------------------------------------------------------
    Row(
        "Rainbow without a company",
        _server(provider={"type": "Rainbow"}),
        (invalid("spec.provider.rainbow", "`rainbow` must be set because `type` is 'Rainbow'"),),
    ),
    Row(
        "a company without Rainbow",
        _server(provider={"type": "Builtin", "rainbow": RAINBOW}),
        (invalid("spec.provider.rainbow", "`rainbow` may not be set because `type` is 'Builtin'"),),
    ),
    Row(
        "another provider",
        _rainbow(),
        (forbidden("spec.provider.type", f"`type` may not change from 'Builtin' to 'Rainbow': {_CREATE_ANOTHER}"),),
        before=ORDERED,
    ),
    Row(
        "another company",
        _rainbow(company="Hotel du Parc"),
        (
            forbidden(
                "spec.provider.rainbow.company",
                f"`company` may not change from 'Hotel du Lac' to 'Hotel du Parc': {_CREATE_ANOTHER}",
            ),
        ),
        before=_rainbow(),
    ),
    Row(
        "another Rainbow",
        _rainbow(url="https://sandbox.openrainbow.com"),
        (
            forbidden(
                "spec.provider.rainbow.url",
                "`url` may not change from 'https://openrainbow.com' to 'https://sandbox.openrainbow.com':"
                f" {_CREATE_ANOTHER}",
            ),
        ),
        before=_rainbow(),
    ),
    Row(
        "another site",
        _rainbow(siteID=None),
        (
            forbidden(
                "spec.provider.rainbow.siteID",
                f"`siteID` may not change from '{RAINBOW['siteID']}' to '': {_CREATE_ANOTHER}",
            ),
        ),
        before=_rainbow(),
    ),
    *(
        Row(
            f"a provider at port {port}",
            _rainbow(url=f"https://openrainbow.com:{port}"),
            (
                invalid(
                    "spec.provider.rainbow.url",
                    f"`url` 'https://openrainbow.com:{port}' has a port that is not a number from 1 to 65535",
                ),
            ),
        )
        for port in (0, 65536, 99999)
    ),
    Row("a provider at the highest port", _rainbow(url="https://openrainbow.com:65535")),
    Row(
        "a provider without TLS",
        _rainbow(url="http://openrainbow.com"),
        (
            invalid(
                "spec.provider.rainbow.url",
                "`url` may not be 'http://openrainbow.com': write https:// and a host in small letters, without a path,"
                " for example 'https://openrainbow.com'",
            ),
        ),
    ),
)
