"""Answers of faults in the form of the platform.

How often the platform limits rates is not documented; 429 with Retry-After is what its status means.  [I]
"""

from __future__ import annotations

import json
from dataclasses import replace

from simulators.faults import Answer
from simulators.rainbow.errors import ApiError, documented


def refused(refusal: ApiError) -> Answer:
    """Return the answer that tells a refusal."""
    return Answer(refusal.status, json.dumps(refusal.body()).encode(), code=refusal.code)


def error(code: int) -> Answer:
    """Return the answer with this errorDetailsCode (KeyError: the documents do not name it), e.g. error(409000)."""
    return refused(documented(code))


def failure(status: int, *, retry_after: int | None = None) -> Answer:
    """Return the answer of a status with an error body but no code, as the documents show for 500."""
    return replace(refused(ApiError(status, "")), retry_after=retry_after)
