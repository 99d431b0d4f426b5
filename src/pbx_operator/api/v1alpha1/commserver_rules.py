"""What the API server refuses of a CommServer, in CEL."""

from __future__ import annotations

from pbx_operator.api.schema import Rule, choice, form, immutable, sentence
from pbx_operator.api.v1alpha1.shared import PROVIDER_URL

CREATE_ANOTHER = "delete the CommServer and create another one"

SITE = Rule(
    rule="!has(oldSelf.siteID) || (has(self.siteID) && self.siteID == oldSelf.siteID)",
    message=f"`siteID` is immutable once it is set: {CREATE_ANOTHER}",
    message_expression=sentence(
        f"`siteID` may not change from '{{oldSelf.siteID}}' to '{{self.?siteID.orValue('')}}': {CREATE_ANOTHER}"
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

DIALLED = "^[0-9*#+]{1,32}$"
_WANTED = "1 to 32 of the characters 0-9, *, # and +"


def _prefix(field: str, example: str) -> Rule:
    wanted = f"{_WANTED}, for example '{example}', or leave it out if there is none"
    return form(field, DIALLED, wanted, optional=True)


DIALING = (
    form("country", "^[A-Z]{2}$", "the two capital letters of ISO 3166-1 alpha-2, for example 'FR'"),
    _prefix("nationalPrefix", "0"),
    _prefix("internationalPrefix", "00"),
    _prefix("outboundPrefix", "0"),
)

URL = form(
    "url",
    PROVIDER_URL,
    "https:// and a host in small letters, without a path, for example 'https://openrainbow.com'",
)

NUMBERING_RULE = (
    form("match", "^[ -~]{1,64}$", "a regular expression of 1 to 64 ASCII characters, for example '^0800'"),
    form(
        "replace",
        "^[0-9*#+$&]{1,64}$",
        "what is dialled, in the characters 0-9, *, # and +, with $1 for the first group of `match`, for example '0$1';"
        " to dial nothing remove it and write 'Block' as `action`",
        optional=True,
    ),
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
    immutable("type", CREATE_ANOTHER),
    immutable("deliveryMode", CREATE_ANOTHER),
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
