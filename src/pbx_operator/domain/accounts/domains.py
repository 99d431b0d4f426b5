"""Which SIP domain an account claims.

Domains are unique among all accounts that one operator looks after, so each could be taken by whoever is first.  Those
that accounts get by default are therefore reserved: nobody needs to be quick to get his own.
"""

from __future__ import annotations

from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.domain.claims import Claim, created
from pbx_operator.domain.unreadable import Unreadable


def wanted_domain(account: PBXAccount, suffix: str) -> str:
    """Return the SIP domain that an account asks for: the given one, else the one it has, else one made of its name."""
    generated = f"{account.metadata.name}.{account.metadata.namespace}.{suffix}"
    return account.spec.sip_domain or account.status.sip_domain or generated


def reserving_namespace(account: PBXAccount, suffix: str) -> str | None:
    """Return the other namespace whose accounts alone may have the domain that is given in the spec, if there is one.

    Names of accounts and namespaces have no dots, so every domain of two labels before the suffix belongs to one
    account, whether or not it exists.
    """
    head = (account.spec.sip_domain or "").removesuffix(f".{suffix}")
    labels = head.split(".")
    if head == account.spec.sip_domain or len(labels) != 2 or labels[1] == account.metadata.namespace:
        return None
    return labels[1]


def domain_claim(account: PBXAccount | Unreadable, suffix: str) -> Claim:
    """Return the claim of an account on its SIP domain, which it gives up when it goes."""
    if isinstance(account, Unreadable):
        return account.claim("sipDomain")
    entitled = not account.metadata.deleting and reserving_namespace(account, suffix) is None
    wants = wanted_domain(account, suffix) if entitled else None
    return Claim(account.key, created(account.metadata), wants, account.status.sip_domain)
