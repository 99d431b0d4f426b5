"""The prefixes that a country usually has, to tell whoever left them out, or mistyped them.

Without its national prefix, 0123456789 reaches the PBX as 123456789, and without the international one 0044… is no
number of another country: nothing is refused, and calls fail.

The data is that of the package `phonenumbers`, as for emergency numbers.  Its international prefix is a regular
expression where callers choose a carrier, as in Brazil: any prefix that it matches is usual, and there may be none to
propose.  A country without a national prefix in the data is not judged by it: it may have none, or the data lacks it.
"""

from __future__ import annotations

import re

import phonenumbers

from pbx_operator.domain.numbering.rules import Dialing


def prefix_warning(dialing: Dialing) -> str | None:
    """Return a warning about prefixes that are absent or differ from the usual ones of the country, or None."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(dialing.country)
    if metadata is None:
        return None
    pattern = metadata.international_prefix or ""
    candidates = (pattern, metadata.preferred_international_prefix or "")
    international = next(filter(str.isdecimal, candidates), "")
    usual: list[str] = []
    if metadata.national_prefix and dialing.national_prefix != metadata.national_prefix:
        usual.append(f'nationalPrefix "{metadata.national_prefix}"')
    if international and not re.fullmatch(pattern, dialing.international_prefix):
        usual.append(f'internationalPrefix "{international}"')
    if not usual:
        return None
    it = "it" if len(usual) == 1 else "them"
    return f"{dialing.country} usually has {' and '.join(usual)}: write {it} into spec.dialing, unless this PBX differs"
