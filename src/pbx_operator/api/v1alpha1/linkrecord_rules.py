"""The CEL rules of LinkRecord that span its members: what keeps a used key used.

The API server judges by them whoever writes the record: an exchange, the operator, or a person.  `linkrecord` has
the members and the rules about one of them alone.
"""

from __future__ import annotations

from pbx_operator.api.schema import Rule, choice, sentence

END_INSTEAD = "a record is never edited; to end its link, delete an Interlink"

LIFE = (
    Rule(
        rule="self.state == oldSelf.state || oldSelf.state in ['Issued', 'Requested'] || self.state == 'Ended'",
        message="`state` goes from Issued or Requested to Established to Ended and never back",
        message_expression=sentence(
            "`state` may not go back from '{oldSelf.state}' to '{self.state}': a key works once"
        ),
        field_path=".state",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="self.state != (self.role == 'Replica' ? 'Issued' : 'Requested')",
        message="`state` Issued is for role Authority, Requested for role Replica",
        message_expression=sentence("`state` may not be '{self.state}' because `role` is '{self.role}'"),
        field_path=".state",
    ),
    Rule(
        rule="has(self.redeemer) ? self.state != 'Issued' : !(self.state in ['Established', 'Requested'])",
        message="`redeemer` must be set while `state` is Established or Requested, and may not be while it is Issued",
        message_expression=choice(
            "has(self.redeemer)",
            "`redeemer` of link '{self.redeemer.linkID}' may not be set because `state` is '{self.state}'",
            "`redeemer` must be set because `state` is '{self.state}'",
        ),
        field_path=".redeemer",
    ),
    Rule(
        rule="has(self.redeemer) || !has(oldSelf.redeemer)",
        message="`redeemer` is never removed: a key works once",
        message_expression=sentence(
            "`redeemer` of link '{oldSelf.redeemer.linkID}' may not be removed: a key works once"
        ),
        field_path=".redeemer",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="has(oldSelf.redeemer) || !has(self.redeemer) || self.state == 'Established'",
        message="`redeemer` is set by establishing the link, never later",
        message_expression=sentence(
            "`redeemer` of link '{self.redeemer.linkID}' may not be added because `state` is '{self.state}'"
        ),
        field_path=".redeemer",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule=(
            "self.state != 'Established' || !has(self.redeemer) || !has(self.fences)"
            " || !(self.redeemer.linkID in self.fences)"
        ),
        message="a link in `fences` may not be Established",
        message_expression=sentence(
            "link '{self.redeemer.linkID}' may not be Established: it is in `fences`, as its redeemer cancelled"
        ),
        field_path=".redeemer",
    ),
    Rule(
        rule="!has(oldSelf.fences) || (has(self.fences) && oldSelf.fences.all(fence, fence in self.fences))",
        message="`fences` only grow",
        message_expression=sentence(
            "`fences` may not lose '{oldSelf.fences.filter(f, !has(self.fences) || !(f in self.fences))[0]}':"
            " a cancelled link stays cancelled"
        ),
        field_path=".fences",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule="has(self.end) == (self.state == 'Ended')",
        message="`end` must be set if, and only if, `state` is Ended",
        message_expression=choice(
            "has(self.end)",
            "`end` with reason '{self.end.reason}' may not be set because `state` is '{self.state}'",
            "`end` must be set because `state` is '{self.state}'",
        ),
        field_path=".end",
    ),
    Rule(
        rule="!has(oldSelf.end) || !has(self.end) || self.end == oldSelf.end",
        message="`end` never changes",
        message_expression=sentence(
            "`end` may not change: the link was ended by '{oldSelf.end.by}' with reason '{oldSelf.end.reason}'"
        ),
        field_path=".end",
        reason="FieldValueForbidden",
    ),
)
"""How a key is spent once, and a link ends for ever."""


def _unchanged(field: str) -> str:
    """Return the expression of an optional member that stays as it is, there or absent."""
    return f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"


def _absent_or_kept(field: str) -> Rule:
    """Return the rule that an optional member of the issuer stays there, or stays absent."""
    return Rule(
        rule=f"has(self.{field}) == has(oldSelf.{field})",
        message=f"`{field}` is never added or removed: {END_INSTEAD}",
        message_expression=choice(
            f"has(self.{field})",
            f"`{field}` may not be added: {END_INSTEAD}",
            f"`{field}` may not be removed: {END_INSTEAD}",
        ),
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


ISSUER = (
    *(_absent_or_kept(field) for field in ("account", "interlink")),
    Rule(
        rule=_unchanged("publicKey"),
        message=f"`publicKey` is immutable: {END_INSTEAD}",
        message_expression=sentence(
            "`publicKey` may not change"
            " from '{has(oldSelf.publicKey) ? oldSelf.publicKey : 'absent'}'"
            " to '{has(self.publicKey) ? self.publicKey : 'absent'}':"
            f" {END_INSTEAD}"
        ),
        field_path=".publicKey",
        reason="FieldValueForbidden",
    ),
)
"""What a record says of the issuer it says from the beginning, and for good."""


def _of_replica(field: str) -> Rule:
    """Return the rule that only what a redeemer keeps has this member."""
    return Rule(
        rule=f"!has(self.{field}) || self.role == 'Replica'",
        message=f"`{field}` is for role Replica",
        message_expression=sentence(f"`{field}` may not be set because `role` is '{{self.role}}'"),
        field_path=f".{field}",
    )


def _set_once(field: str) -> Rule:
    """Return the rule that an optional member never changes once it is there."""
    return Rule(
        rule=f"!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})",
        message=f"`{field}` is set once: {END_INSTEAD}",
        message_expression=choice(
            f"has(self.{field})",
            f"`{field}` may not change: {END_INSTEAD}",
            f"`{field}` may not be removed: {END_INSTEAD}",
        ),
        field_path=f".{field}",
        reason="FieldValueForbidden",
    )


ELSEWHERE = (
    Rule(
        rule=(
            "self.role == 'Replica'"
            " || (has(self.issuer.publicKey) && has(self.issuer.account) && has(self.issuer.interlink))"
        ),
        message="`issuer` must have publicKey, account and interlink unless `role` is Replica",
        message_expression=sentence(
            "`issuer` must have publicKey, account and interlink because `role` is '{self.role}'"
        ),
        field_path=".issuer",
    ),
    *(_of_replica(field) for field in ("contact", "cancel", "receipt")),
    *(_set_once(field) for field in ("cancel", "receipt")),
    Rule(
        rule=_unchanged("contact"),
        message=f"`contact` is immutable: {END_INSTEAD}",
        message_expression=sentence(f"`contact` of key '{{self.keyID}}' may not change: {END_INSTEAD}"),
        field_path=".contact",
        reason="FieldValueForbidden",
    ),
    Rule(
        rule=(
            "self.role != 'Replica' || (has(self.receipt) ? self.state != 'Requested' : self.state != 'Established')"
        ),
        message="`receipt` must be set while a Replica is Established, and may not be while it is Requested",
        message_expression=choice(
            "has(self.receipt)",
            "`receipt` may not be set because `state` is '{self.state}'",
            "`receipt` must be set because `state` is '{self.state}'",
        ),
        field_path=".receipt",
    ),
    Rule(
        rule="has(oldSelf.receipt) || !has(self.receipt) || self.state == 'Established'",
        message="`receipt` is set by establishing the link, never later",
        message_expression=sentence("`receipt` may not be added because `state` is '{self.state}'"),
        field_path=".receipt",
        reason="FieldValueForbidden",
    ),
)
"""What a redeemer keeps of its request to another installation: how to ask, how to give up, and the proof."""
