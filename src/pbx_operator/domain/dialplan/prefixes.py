"""Dial prefixes: which link may use which, so that `prefix + number` always means one thing.

The account's slices use only prefixes that are usable here; the Interlink's condition Accepted tells the rest.
A link without a usable prefix stays up: its numbers are dialled as they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from pbx_operator.api.reasons import ACCEPTED, DIAL_PREFIX_EMERGENCY, RESERVED_PREFIX, Verdict, verdict
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.domain.dialplan.emergency import Finding, judge_dial_prefix
from pbx_operator.domain.dialplan.numbers import protected_numbers
from pbx_operator.domain.dialplan.offers import EstablishedLink

_NOT_USED = "; it is not used, and the peer's numbers are dialled as they are"
_USED = "; it is used all the same"


def prefix_holders(links: Iterable[EstablishedLink]) -> dict[str, str]:
    """Return the Interlink that each dialPrefix belongs to: the oldest established link that wants it."""
    holders: dict[str, str] = {}
    for link in sorted(links, key=lambda link: link.seniority):
        if link.interlink.spec.dial_prefix is not None:
            holders.setdefault(link.interlink.spec.dial_prefix, link.interlink.metadata.name)
    return holders


def prefix_verdict(account: PBXAccount, prefix: str) -> Verdict:
    """Return whether a dialPrefix is accepted in this account, whoever wants it.

    What is refused is Accepted=False and not used.  What is only warned about is Accepted=True with the reason for
    the warning.  A prefix that some number of a peer would complete to an emergency number is of that kind: it works
    for the other numbers, and what the peer shares must not decide about it.
    """
    reserved = _reserved(account, prefix)
    if reserved is not None:
        value, name = f"dialPrefix {prefix}", account.metadata.name
        return verdict("Accepted", "False", RESERVED_PREFIX, value=value, prefix=reserved, account=name)
    finding = _finding(account, prefix)
    if finding is None:
        return verdict("Accepted", "True", ACCEPTED)
    if finding.severity == "Refused":
        return verdict("Accepted", "False", DIAL_PREFIX_EMERGENCY, finding=finding.message + _NOT_USED)
    return verdict("Accepted", "True", DIAL_PREFIX_EMERGENCY, finding=finding.message + _USED)


def usable_prefixes(account: PBXAccount, links: Iterable[EstablishedLink]) -> dict[str, str]:
    """Return the dialPrefix of each Interlink, by name, that has one and may use it."""
    return {holder: prefix for prefix, holder in prefix_holders(links).items() if _usable(account, prefix)}


def _usable(account: PBXAccount, prefix: str) -> bool:
    finding = _finding(account, prefix)
    return _reserved(account, prefix) is None and (finding is None or finding.severity == "Warned")


def _reserved(account: PBXAccount, prefix: str) -> str | None:
    """Return a reserved prefix that collides: digits after the shorter of the two could spell the longer one."""
    reserved = account.spec.numbering.reserved_prefixes
    return next((r for r in reserved if prefix.startswith(r) or r.startswith(prefix)), None)


def _finding(account: PBXAccount, prefix: str) -> Finding | None:
    return judge_dial_prefix(
        prefix,
        protected_numbers(account),
        protection=account.spec.emergency.protection,
        dialing=account.spec.numbering.dialing,
    )
