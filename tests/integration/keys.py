"""Keys as `pbx key new` makes them."""

from __future__ import annotations

import secrets

from pbx_operator.domain.protocol.keys import SEED_BYTES, SigningKey, key_text


def new_key() -> str:
    """Return the text of a key that nobody has issued."""
    return key_text(SigningKey(secrets.token_bytes(SEED_BYTES)))
