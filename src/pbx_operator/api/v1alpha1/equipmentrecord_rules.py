"""The CEL rules of EquipmentRecord: what keeps a spent activation code spent, whoever writes the record."""

from __future__ import annotations

from pbx_operator.api.schema import Rule, choice, immutable, sentence

REVISION_INSTEAD = "raise `spec.activation.revision` of the CommServer for another activation code"
_DELETE_INSTEAD = "a record is never edited; delete the CommServer that it stands for"

OWNER = (immutable("namespace", _DELETE_INSTEAD), immutable("name", _DELETE_INSTEAD))

LIFE = (
    immutable("equipmentID", _DELETE_INSTEAD),
    immutable("instance", _DELETE_INSTEAD),
    Rule(
        rule="self.revision >= oldSelf.revision",
        message="`revision` never falls",
        message_expression=sentence(
            "`revision` may not fall from {oldSelf.revision} to {self.revision}: a spent activation code stays spent"
        ),
        field_path=".revision",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="self.codeKey == oldSelf.codeKey || self.revision > oldSelf.revision",
        message="`codeKey` changes with a higher `revision` only",
        message_expression=sentence(
            f"`codeKey` may not change because `revision` stays {{self.revision}}: {REVISION_INSTEAD}"
        ),
        field_path=".codeKey",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="has(self.device) == (self.state == 'Associated')",
        message="`device` must be set if, and only if, `state` is Associated",
        message_expression=choice(
            "has(self.device)",
            "`device` may not be set because `state` is '{self.state}'",
            "`device` must be set because `state` is '{self.state}'",
        ),
        field_path=".device",
    ),
    Rule(
        rule=(
            "!has(oldSelf.device) || self.revision > oldSelf.revision"
            " || (has(self.device) && self.device == oldSelf.device)"
        ),
        message="`device` is set once for each `revision`",
        message_expression=choice(
            "has(self.device)",
            f"`device` may not change because `revision` stays {{self.revision}}: {REVISION_INSTEAD}",
            f"`device` may not be removed because `revision` stays {{self.revision}}: {REVISION_INSTEAD}",
        ),
        field_path=".device",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="!has(self.device) || self.revision == oldSelf.revision",
        message="a higher `revision` removes `device`",
        message_expression=sentence(
            "`device` may not stay because `revision` rises from {oldSelf.revision} to {self.revision}:"
            " whoever has the new activation code will be the device"
        ),
        field_path=".device",
        reason="FieldValueForbidden",
    ),
)
"""How an activation code is used once, and another one begins anew."""

NAME = Rule(
    rule="self.metadata.name.matches('^e-[a-z2-7]{26}$')",
    message="`metadata.name` must be `e-` and 26 characters made of the equipment ID",
    message_expression=sentence(
        "name '{self.metadata.name}' must be 'e-' and 26 characters made of the equipment ID: records are made by the"
        " operator alone, create a CommServer"
    ),
    field_path=".metadata.name",
)
