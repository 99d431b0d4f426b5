"""What the API server refuses of a CommServer, in CEL."""

from __future__ import annotations

from pbx_operator.api.schema import Rule, choice, immutable, sentence

_CREATE_ANOTHER = "delete the CommServer and create another one"

SECRET_NAME = Rule(
    rule="has(self.secretName) == has(oldSelf.secretName)"
    " && (!has(self.secretName) || self.secretName == oldSelf.secretName)",
    message=f"`secretName` is immutable: {_CREATE_ANOTHER}",
    message_expression=sentence(
        "`secretName` may not change from '{oldSelf.?secretName.orValue('')}'"
        f" to '{{self.?secretName.orValue('')}}': {_CREATE_ANOTHER}"
    ),
    field_path=".secretName",
    reason="FieldValueForbidden",
)

SITE = Rule(
    rule="!has(oldSelf.siteID) || (has(self.siteID) && self.siteID == oldSelf.siteID)",
    message=f"`siteID` is immutable once it is set: {_CREATE_ANOTHER}",
    message_expression=sentence(
        f"`siteID` may not change from '{{oldSelf.siteID}}' to '{{self.?siteID.orValue('')}}': {_CREATE_ANOTHER}"
    ),
    field_path=".siteID",
    reason="FieldValueForbidden",
)

LICENSE = Rule(
    rule="self.mode == 'Disabled' || self.license == 'Accepted'",
    message="`license` must be Accepted if `mode` is Enabled",
    message_expression=sentence(
        "`license` is '{self.license}', but `mode` is '{self.mode}': read the provider's license of the gateway,"
        " and write 'Accepted' if you accept it"
    ),
    field_path=".license",
)

REPLACEMENT = (
    Rule(
        rule="has(self.replace) == (self.action == 'Rewrite')",
        message="`replace` must be set if, and only if, `action` is Rewrite",
        message_expression=choice(
            "has(self.replace)",
            "`replace` may not be '{self.replace}' because `action` is '{self.action}': remove it, or write 'Rewrite'",
            "`replace` must be set because `action` is '{self.action}'; to dial nothing write 'Block'",
        ),
        field_path=".replace",
    ),
)

MODE = (
    immutable("type", _CREATE_ANOTHER),
    immutable("deliveryMode", _CREATE_ANOTHER),
    Rule(
        rule="self.deliveryMode != 'BTCO' || self.type == 'OXOConnect'",
        message="`deliveryMode` BTCO is for `type` OXOConnect only",
        message_expression=sentence(
            "`deliveryMode` may not be 'BTCO' because `type` is '{self.type}': only an OXOConnect is built to customer"
            " order, write 'Stock'"
        ),
        field_path=".deliveryMode",
    ),
    Rule(
        rule="has(self.stock) == (self.deliveryMode == 'Stock')",
        message="`stock` must be set if, and only if, `deliveryMode` is Stock",
        message_expression=choice(
            "has(self.stock)",
            "`stock` may not be set because `deliveryMode` is '{self.deliveryMode}'",
            "`stock` must name the box because `deliveryMode` is '{self.deliveryMode}'",
        ),
        field_path=".stock",
    ),
)
