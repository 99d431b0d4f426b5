"""Keys, identities and the names that follow from them.

A key is an Ed25519 private key: whoever holds it can sign one redemption, and the record needs only the public
half to check it.  The text of a key must not appear anywhere but in its Secret, so the types here never show it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from pbx_operator.api.meta import Model, format_time
from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName, PublicKey
from pbx_operator.domain.protocol.endpoints import EndpointError, parse_endpoint

SEED_BYTES = 32
KEY_ID_LENGTH = 16
INSTANCE_ID_LENGTH = 26
LINK_ID_LENGTH = 26
SECRET_TYPE = "pbx-operator.io/key"
SECRET_ENTRY = "key"

MAX_TEXT = 4096
"""Characters of the longest text that is worth parsing; a bundle has a few hundred."""

_KEY_TEXT = re.compile(r"pbxk1\.([a-z2-7]{16})\.([A-Za-z0-9_-]{43})")
_ROOM_FOR_A_SEED = re.compile(r"[A-Za-z0-9+/_-]{43}")
"""A seed in base64 of either alphabet, or in hex."""


class MalformedKeyError(ValueError):
    """A text is not a key; the message says why, and quotes nothing of the text but a wrong endpoint."""


def base32(data: bytes) -> str:
    """Encode in lower case without padding, since the results become object names."""
    return base64.b32encode(data).decode().lower().rstrip("=")


def base64url(data: bytes) -> str:
    """Encode in the URL alphabet without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 private key that does not show itself."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_BYTES:
            raise MalformedKeyError(f"a seed has {SEED_BYTES} bytes, not {len(self.seed)}")

    @property
    def public(self) -> str:
        """The public half in base64url."""
        return base64url(Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def sign(self, message: bytes) -> str:
        """Return the signature in base64url."""
        return base64url(Ed25519PrivateKey.from_private_bytes(self.seed).sign(message))

    def __str__(self) -> str:
        return repr(self)


def verify(public: str, signature: str, message: bytes) -> bool:
    """Whether the signature over the message was made by the private half of `public`.

    Both must be written as we would: the last character of a text has bits to spare.
    """
    try:
        key, proof = _from_base64url(public), _from_base64url(signature)
        if (base64url(key), base64url(proof)) != (public, signature):
            return False
        Ed25519PublicKey.from_public_bytes(key).verify(proof, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def key_id(public: str) -> str:
    """Return the public name of a key; being a digest it is also the check for typing errors."""
    return base32(hashlib.sha256(_from_base64url(public)).digest())[:KEY_ID_LENGTH]


def instance_id(public: str) -> str:
    """Return the name of an operator installation from its first public key."""
    return base32(hashlib.sha256(_from_base64url(public)).digest())[:INSTANCE_ID_LENGTH]


def link_id(issuer_instance: str, key: str, redeemer_instance: str, redeemer_uid: str) -> str:
    """Return the name of a link: computed by both sides, chosen by nobody.

    All parts but the last have a fixed length, so that no two inputs run together.
    """
    digest = hashlib.sha256(f"{issuer_instance}{key}{redeemer_instance}{redeemer_uid}".encode()).digest()
    return base32(digest)[:LINK_ID_LENGTH]


def key_text(key: SigningKey) -> str:
    """Return the text that a person carries: `pbxk1.<keyID>.<seed>`."""
    return f"pbxk1.{key_id(key.public)}.{base64url(key.seed)}"


class IssuerAddress(Model):
    """Who issued a key and where to redeem it, for a redeemer in another cluster; nothing of it is secret."""

    public_key: PublicKey
    """publicKey is the identity of the issuer's installation when the key was made; its successors count, too."""
    account: NamespacedName
    """account is the issuer's PBXAccount."""
    interlink: InterlinkIdentity
    """interlink is the issuer's Interlink."""
    contact: Contact
    """contact is how the installation can be reached."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A key together with public facts about its issuer, for display and, between clusters, for dialling."""

    key: SigningKey
    instance: str | None = None
    account: str | None = None
    expiration_time: datetime | None = None
    issuer: IssuerAddress | None = None
    contact: Contact | None = None
    """How the issuer can be reached, where not the text says so but whoever entered it."""

    def text(self) -> str:
        """Return the bundle as one base64url word."""
        facts: dict[str, Any] = {"key": key_text(self.key), "instance": self.instance, "account": self.account}
        if self.expiration_time is not None:
            facts["expirationTime"] = format_time(self.expiration_time)
        if self.issuer is not None:
            facts["issuer"] = self.issuer.to_json()
        facts = {name: value for name, value in facts.items() if value is not None}
        return base64url(json.dumps({**facts, "checksum": _checksum(facts)}).encode())


def addressed(bundle: Bundle, instance: str, contact: Contact) -> Bundle:
    """Return the key as one of this installation, which can be reached so. Raises MalformedKeyError."""
    if bundle.instance not in (None, instance):
        raise MalformedKeyError(
            f"its bundle is from installation {bundle.instance}, but spec.redeemKey.issuer names {instance}"
        )
    for place, endpoint in enumerate(contact.endpoints):
        _check_endpoint(f"spec.redeemKey.issuer.endpoints[{place}]", endpoint)
    return replace(bundle, instance=instance, contact=contact)


def parse_key(text: str) -> Bundle:
    """Read a bare key or a bundle.

    Raises MalformedKeyError with a description that quotes nothing of the text but a wrong endpoint of the issuer,
    which is public.
    """
    text = text.strip()
    if not text:
        raise MalformedKeyError("it is empty")
    if len(text) > MAX_TEXT:
        raise MalformedKeyError(f"it has more than {MAX_TEXT} characters")
    return Bundle(_parse_bare(text)) if text.startswith("pbxk") else _parse_bundle(text)


def _parse_bare(text: str) -> SigningKey:
    match = _KEY_TEXT.fullmatch(text)
    if match is None:
        raise MalformedKeyError("a key is 'pbxk1.', 16 characters, a dot and 43 characters")
    key = SigningKey(_from_base64url(match[2]))
    # The last character has two bits to spare: only the text that we would write ourselves counts.
    if key_text(key) != text:
        raise MalformedKeyError("its two parts do not belong together, so a character is wrong")
    return key


def _parse_bundle(text: str) -> Bundle:
    try:
        content = _from_base64url(text)
        facts = json.loads(content)
        bare = facts["key"]
        checksum = facts.pop("checksum", None)
        # As above: a last character with bits to spare counts as well.
        damaged = checksum is not None and (checksum != _checksum(facts) or base64url(content) != text)
    except (ValueError, KeyError, TypeError, RecursionError):
        # Not `from` the cause: its text quotes what it could not read.
        raise MalformedKeyError("it is neither a key ('pbxk1.…') nor a bundle") from None
    if damaged:
        raise MalformedKeyError("its parts do not belong together, so a character is wrong")
    if not isinstance(bare, str):
        raise MalformedKeyError("the bundle's entry 'key' is not text")
    instance = _text(facts, "instance")
    return Bundle(_parse_bare(bare), instance, _text(facts, "account"), _expiration(facts), _issuer_address(facts))


def _checksum(facts: dict[str, Any]) -> str:
    """Return what tells a bundle from one that was damaged on its way; it proves nothing."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    return base64url(hashlib.sha256(canonical).digest())[:16]


def _issuer_address(facts: dict[str, Any]) -> IssuerAddress | None:
    """Return whom to ask; that its key belongs to the installation, its answer has to prove."""
    if "issuer" not in facts:
        return None
    try:
        address = IssuerAddress.model_validate(facts["issuer"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        match first["loc"], first["input"]:
            case ("contact", "endpoints", int(place)), str(endpoint):
                _check_endpoint(_endpoint_entry(place), endpoint)
        entry = ".".join(("issuer", *map(str, first["loc"])))
        problem = "is missing" if first["type"] == "missing" else "is not what it should be"
        raise MalformedKeyError(f"the bundle's entry '{entry}' {problem}") from None
    for place, endpoint in enumerate(address.contact.endpoints):
        _check_endpoint(_endpoint_entry(place), endpoint)
    return address


def _endpoint_entry(place: int) -> str:
    return f"the bundle's entry 'issuer.contact.endpoints.{place}'"


def _check_endpoint(entry: str, endpoint: str) -> None:
    """Raise MalformedKeyError if what the entry says is no endpoint.

    It is quoted, since contacts are public; but not where something in it could be a key.
    """
    try:
        parse_endpoint(endpoint)
    except EndpointError as error:
        said = error.problem if _ROOM_FOR_A_SEED.search(endpoint) else str(error)
        raise MalformedKeyError(f"{entry}: {said}") from None


def _expiration(facts: dict[str, Any]) -> datetime | None:
    text = _text(facts, "expirationTime")
    if text is None:
        return None
    try:
        expires = datetime.fromisoformat(text)
    except ValueError:
        expires = None
    if expires is None or expires.tzinfo is None:
        raise MalformedKeyError("the bundle's entry 'expirationTime' is not a time with its zone")
    return expires


def _text(facts: dict[str, Any], name: str) -> str | None:
    value = facts.get(name)
    if value is not None and not isinstance(value, str):
        raise MalformedKeyError(f"the bundle's entry '{name}' is not text")
    return value
