"""The CEL rules of LinkRecord once more, as a predicate: what the API server would refuse.

The simulated API server judges by it, and so can every test of the link machine.  The admission table holds it
against the real rules.
"""

from __future__ import annotations

from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec

_ORDER = {"Issued": 0, "Requested": 0, "Established": 1, "Ended": 2}


def unlawful(old: LinkRecordSpec | None, new: LinkRecordSpec) -> list[str]:
    """Return every rule that is broken when a record is created as `new`, or goes from `old` to `new`."""
    broken = [rule for rule, holds in _standing(new).items() if not holds]
    if old is not None:
        broken += [rule for rule, holds in _steps(old, new).items() if not holds]
    return broken


def _standing(new: LinkRecordSpec) -> dict[str, bool]:
    has_redeemer = new.redeemer is not None
    return {
        "state goes with role": new.state != ("Issued" if new.role == "Replica" else "Requested"),
        "redeemer goes with state": (
            new.state != "Issued" if has_redeemer else new.state not in ("Established", "Requested")
        ),
        "receipt goes with state": new.role != "Replica"
        or (new.state != "Established" if new.receipt is None else new.state != "Requested"),
        "an Authority asks nobody": new.role == "Replica" or _elsewhere(new) == (None, None, None),
        "an Authority knows its issuer": new.role == "Replica"
        or None not in (new.issuer.public_key, new.issuer.account, new.issuer.interlink),
        "a fenced link is never Established": not (
            new.state == "Established" and new.redeemer is not None and new.redeemer.link_id in new.fences
        ),
        "end goes with Ended": (new.end is not None) == (new.state == "Ended"),
        "at most 8 fences": len(new.fences) <= 8,
    }


def _steps(old: LinkRecordSpec, new: LinkRecordSpec) -> dict[str, bool]:
    return {
        "state never goes back": _ORDER[new.state] >= _ORDER[old.state],
        "what is immutable stays": _fixed(old) == _fixed(new),
        "redeemer is never removed nor changed": old.redeemer is None or _redeemer(old) == _redeemer(new),
        "redeemer comes with Established only": (
            old.redeemer is not None or new.redeemer is None or new.state == "Established"
        ),
        "contact stays": old.contact == new.contact,
        "cancel is set once": old.cancel in (None, new.cancel),
        "receipt is set once": old.receipt in (None, new.receipt),
        "receipt comes with Established only": (
            old.receipt is not None or new.receipt is None or new.state == "Established"
        ),
        "fences only grow": set(old.fences) <= set(new.fences),
        "end never changes": old.end is None or new.end is None or old.end == new.end,
        "expirationTime stays": old.policy.expiration_time == new.policy.expiration_time,
    }


def _elsewhere(spec: LinkRecordSpec) -> tuple[object, object, object]:
    return (spec.contact, spec.cancel, spec.receipt)


def _fixed(spec: LinkRecordSpec) -> object:
    issuer = spec.issuer
    place = issuer.interlink and (issuer.interlink.namespace, issuer.interlink.name)
    own = (spec.role, spec.instance, spec.key_id, spec.key_public, spec.origin, spec.revision, spec.issued_time)
    return (*own, issuer.instance, issuer.public_key, issuer.account, place)


def _redeemer(spec: LinkRecordSpec) -> object:
    redeemer = spec.redeemer
    if redeemer is None:
        return None
    place = (redeemer.interlink.namespace, redeemer.interlink.name)
    return (redeemer.link_id, redeemer.instance, redeemer.public_key, redeemer.account, redeemer.time, place)
