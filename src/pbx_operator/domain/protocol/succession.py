"""Succession: how the identity key of an installation is replaced, and who may speak for it afterwards.

An installation is named after its first key for ever, since records and link ids hold that name.  Each rotation adds
one statement, "the key after `previous` is `next`", signed by both keys: by the former, or anybody could take the
installation over; by the new one, or an installation could claim a key that is not its own.  The statements in their
order are the chain.  It travels with every message, so that whoever reads one needs nothing else to judge its
signer.

A former key that leaked can still sign statements of its own.  Therefore a record remembers which key of its peer it
has heard, and believes only chains that this key is part of (`extends`): of two chains that part, the first one
heard counts, for this record and for ever, however long the other grows.
"""

from __future__ import annotations

from operator import not_
from typing import Annotated, ClassVar

from pydantic import Field

from pbx_operator.api.meta import Model
from pbx_operator.api.v1alpha1.linkrecord import PublicKey
from pbx_operator.domain.protocol.envelope import canonical, signed_bytes
from pbx_operator.domain.protocol.keys import SigningKey, instance_id, verify

MAX_SUCCESSIONS = 16
"""Rotations that an installation can have; each adds some 330 bytes to every message and two signatures to check."""

Signature = Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9_-]{86}$")]
"""An Ed25519 signature in base64url without padding."""


class Succession(Model):
    """A statement that one key of an installation follows another. Both keys sign it, as type `succession`."""

    type: ClassVar[str] = "succession"
    number: Annotated[int, Field(ge=1, le=MAX_SUCCESSIONS)]
    """number counts the rotations of the installation, from 1 on and without gaps."""
    previous: PublicKey
    """previous is the key that was in use before; the SHA-256 of the first one is the name of the installation."""
    next: PublicKey
    """next is the key that is in use from now on."""
    signature: Signature
    """signature is that of `previous`, over the installation (`instance`), `number`, `previous` and `next`: as JSON
    with sorted names and without blanks, signed like the payload of an envelope."""
    countersignature: Signature
    """countersignature is that of `next` over the same."""


Successions = tuple[Succession, ...]
"""The chain: every rotation of one installation, in order; empty while its first key is in use."""
SuccessionList = Annotated[Successions, Field(max_length=MAX_SUCCESSIONS, fail_fast=True, exclude_if=not_)]
"""A chain in a message, from which it is absent while it is empty."""


class SuccessionsFullError(ValueError):
    """The identity was rotated as often as it can be; the text says what is left to do."""

    def __init__(self) -> None:
        super().__init__(
            f"the identity was rotated {MAX_SUCCESSIONS} times already, which is as often as peers follow; to have "
            "another one, end all links, delete the Secret and all LinkRecords, and link anew"
        )


def succeed(old: SigningKey, new: SigningKey, successions: Successions = ()) -> Successions:
    """Return the chain after `new` has taken the place of `old`, the present key of this chain.

    Raises SuccessionsFullError after the last possible rotation.
    """
    number = len(successions) + 1
    if number > MAX_SUCCESSIONS:
        raise SuccessionsFullError
    signed = _statement(instance_of(old.public, successions), number, old.public, new.public)
    statement = Succession(
        number=number,
        previous=old.public,
        next=new.public,
        signature=old.sign(signed),
        countersignature=new.sign(signed),
    )
    return (*successions, statement)


def instance_of(public: str, successions: Successions) -> str:
    """Return which installation a key speaks for if this chain leads to it; `speaks_for` tells whether it does."""
    return instance_id(successions[0].previous if successions else public)


def position(public: str, instance: str, successions: Successions) -> int | None:
    """Return how many rotations led to this key of the installation, be it the present one or a former one.

    None if the chain does not hold it, or is not a chain of this installation from its first key on.
    """
    if not successions:
        return 0 if instance_id(public) == instance else None
    if len(successions) > MAX_SUCCESSIONS or instance_of(public, successions) != instance:
        return None
    keys = [successions[0].previous]
    for number, statement in enumerate(successions, start=1):
        if (statement.number, statement.previous) != (number, keys[-1]) or not _signed_by_both(statement, instance):
            return None
        if statement.next in keys:  # what was given up does not come back
            return None
        keys.append(statement.next)
    return keys.index(public) if public in keys else None


def speaks_for(public: str, instance: str, successions: Successions = ()) -> bool:
    """Whether the holder of this public key may sign for the installation now: its chain leads there, and ends."""
    return position(public, instance, successions) == len(successions)


def extends(successions: Successions, instance: str, known: str | None) -> bool:
    """Whether a chain, whose present key was found to speak for the installation, goes on from a key that is known.

    With no key known, each chain does.
    """
    return known is None or instance_id(known) == instance or any(s.next == known for s in successions)


def _statement(instance: str, number: int, previous: str, following: str) -> bytes:
    facts = {"instance": instance, "number": number, "previous": previous, "next": following}
    return signed_bytes(Succession.type, canonical(facts))


def _signed_by_both(statement: Succession, instance: str) -> bool:
    signed = _statement(instance, statement.number, statement.previous, statement.next)
    return verify(statement.previous, statement.signature, signed) and verify(
        statement.next, statement.countersignature, signed
    )
