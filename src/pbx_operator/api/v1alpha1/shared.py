"""Field types that several kinds share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pbx_operator.api.meta import MAX_EXACT_INTEGER, TOKEN_LENGTH, Condition, Model
from pbx_operator.api.schema import ATOMIC, ListType, Rule, choice, rules, sentence

SHORT = 64
"""Bound of short texts whose form a pattern fixes. It is wider than the pattern on purpose: the API server quotes
a value that the pattern refuses, not one that is too long."""

DnsLabel = Annotated[str, Field(max_length=SHORT, pattern=r"^[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?$")]
"""A name of a PBXAccount or Interlink: a DNS label that leaves room for the suffixes of generated objects."""
ObjectName = Annotated[
    str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
]
NamespaceName = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
SecretKey = Annotated[str, Field(max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
DisplayName = Annotated[str, Field(max_length=255, pattern=r"^[^\x00-\x1f\x7f-\x9f" + "\ufffd-\U00010000]{1,255}$")]
"""A name for people in any script, without control characters, which would break logs, tables and SIP headers, and
without U+FFFE and U+FFFF, which no YAML may have: names get into objects of peers.  The two stand in the middle of a
range, since definitions are YAML, too."""
HostName = Annotated[
    str,
    Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$"),
]
"""An RFC 1123 host name in lower case: labels of at most 63 characters."""
DomainSuffix = Annotated[HostName, Field(max_length=131)]
"""A host name that the longest names of an account and of its namespace, 57 and 63 characters, still fit before."""
InternalNumberDigits = Annotated[str, Field(max_length=SHORT, pattern=r"^[0-9]{1,4}$")]
"""One to four digits, as at phone.systems; leading zeros count."""
DialPrefix = Annotated[str, Field(max_length=SHORT, pattern=r"^[0-9*#]{1,4}$")]
InstanceID = Annotated[str, Field(max_length=SHORT, pattern=r"^[a-z2-7]{26}$")]
KeyID = Annotated[str, Field(max_length=SHORT, pattern=r"^[a-z2-7]{16}$")]
LinkID = Annotated[str, Field(max_length=SHORT, pattern=r"^[a-z2-7]{26}$")]
Endpoint = Annotated[
    str,
    Field(
        max_length=253,
        pattern=r"^https://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(:[0-9]{1,5})?$",
    ),
]
"""Where an exchange listens: `https://host` or `https://host:port`, an IPv6 address in brackets."""
Pin = Annotated[str, Field(max_length=SHORT, pattern=r"^[A-Za-z0-9_-]{43}$")]
"""The SHA-256 of a certificate's SubjectPublicKeyInfo, in base64url without padding."""
UID = Annotated[str, Field(max_length=128, pattern="^[ -~]{1,128}$")]
"""A UID of Kubernetes; a peer's may be any printable text."""
Word = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z]+$")]
Token = Annotated[str, Field(max_length=TOKEN_LENGTH)]

PROVIDER_URL = "^https://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$"
ProviderURL = Annotated[str, Field(max_length=253, pattern=PROVIDER_URL)]
"""Where a provider's API is: `https://host` or `https://host:port`."""
PROVIDER_PORT = Rule(
    rule="!self.url.matches('^https://[^:]*:[0-9]{1,5}$') || (int(self.url.split(':')[2]) >= 1"
    " && int(self.url.split(':')[2]) <= 65535)",
    message="the port of `url` must be a number from 1 to 65535",
    message_expression=sentence("`url` '{self.url}' has a port that is not a number from 1 to 65535"),
    field_path=".url",
)
"""For the members that have a ProviderURL as `url`."""
DeletionPolicy = Literal["Delete", "Orphan"]
DriftPolicy = Literal["Enforce", "Report"]
DeletionProtection = Literal["Enabled", "Disabled"]

Revision = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]
ObservedGeneration = Annotated[int, Field(ge=-1, le=MAX_EXACT_INTEGER)]

Conditions = Annotated[tuple[Condition, ...], Field(max_length=16), ListType("map", ("type",))]

GateState = Literal["Open", "Closed"]

NAME_IS_LABEL = Rule(
    rule="size(self.metadata.name) <= 57 && !self.metadata.name.contains('.')",
    message="`metadata.name` must be a DNS label of at most 57 characters, so that generated names fit",
    message_expression=sentence(
        "name '{self.metadata.name}' must have at most 57 characters and no dot, so that generated names fit"
    ),
    field_path=".metadata.name",
)
"""For the kinds whose names become part of other names."""


class SecretReference(Model):
    """A Secret of the same namespace."""

    name: ObjectName
    """name is the metadata.name of a Secret in the same namespace, for example `provider-login`."""


class AccountReference(Model):
    """A PBXAccount of the same namespace."""

    name: DnsLabel
    """name is the metadata.name of a PBXAccount in the same namespace, for example `amsterdam`."""


class NumberRange(Model):
    """A block of internal numbers of equal length, both ends included."""

    model_config = rules(
        Rule(
            rule="size(self.start) == size(self.end)",
            message="`end` must have as many digits as `start`",
            message_expression=sentence("`end` '{self.end}' must have as many digits as `start` '{self.start}'"),
            field_path=".end",
        ),
        Rule(
            rule="size(self.start) != size(self.end) || self.start <= self.end",
            message="`end` may not be lower than `start`",
            message_expression=sentence("`end` '{self.end}' may not be lower than `start` '{self.start}'"),
            field_path=".end",
        ),
    )

    start: InternalNumberDigits
    """start is the first number of the block, in quotes, for example `"200"`."""
    end: InternalNumberDigits
    """end is the last number of the block, with as many digits as `start`, for example `"299"`."""

    def __contains__(self, number: str) -> bool:
        return len(number) == len(self.start) and self.start <= number <= self.end


class Sharing(Model):
    """Which Shared numbers of the account a linked account may dial; Private numbers are never among them."""

    model_config = rules(
        Rule(
            rule="(has(self.numbers) && size(self.numbers) > 0) == (self.mode == 'Selected')",
            message="`numbers` must be set if, and only if, `mode` is Selected",
            message_expression=choice(
                "self.mode == 'Selected'",
                "`numbers` must list the offered ranges because `mode` is 'Selected'",
                "`numbers` may not be set because `mode` is '{self.mode}': remove it, or write 'Selected'",
            ),
            field_path=".numbers",
        )
    )

    mode: Literal["All", "Selected", "None"] = "All"
    """mode is `All` shared numbers (default), the `Selected` ranges of them, or `None`."""
    numbers: Annotated[tuple[NumberRange, ...], Field(max_length=32), ATOMIC] = ()
    """numbers are the offered ranges; set them if, and only if, mode is `Selected`."""


class Status(Model):
    """What every status has."""

    observed_generation: ObservedGeneration = -1
    """observedGeneration is the metadata.generation that this status describes; -1 means not seen yet."""
    last_handled_reconcile_at: Token | None = None
    """lastHandledReconcileAt echoes the annotation `pbx-operator.io/reconcile-requested-at` once the operator has
    looked because of it; only its first 256 characters count."""
    conditions: Conditions = ()
    """conditions tell the state in detail: `Ready` sums them up, `Reconciling` means that the operator goes on by
    itself, `Stalled` that a person must change something first."""
