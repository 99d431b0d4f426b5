"""The rows of the table of reasons that Rainbow alone has: what its API refuses, in words for who declared a server.

Part of `api/provider_reasons`; which error code means which row is in `providers/rainbow/refusals`.
"""

from __future__ import annotations

from pbx_operator.api.conditions import Patience, Reason
from pbx_operator.api.provider_reasons import FAILED_OR_UNKNOWN

SYSTEM_GONE = Reason(
    "SystemGone",
    "the provider does not know the server any more",
    "wait: the operator looks again",
    patience=Patience.PROGRESS,
    shown=FAILED_OR_UNKNOWN,
)
NOTHING_TO_UPDATE = Reason(
    "NothingToUpdate",
    "the provider found nothing to change",
    "wait: the operator looks again",
    patience=Patience.PROGRESS,
    shown=FAILED_OR_UNKNOWN,
)
EQUIPMENT_TAKEN = Reason(
    "EquipmentTaken",
    "the provider has a system {equipment} already, and does not show it to this login",
    "delete it there, or delete this object and create one for another box",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
COMPANY_NOT_FOUND = Reason(
    "CompanyNotFound",
    "the login of Secret {secret} sees no company '{company}'",
    "create the company or correct the login's rights; or delete this object and create another one with the right"
    " spec.provider.rainbow.company",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
COMPANY_AMBIGUOUS = Reason(
    "CompanyAmbiguous",
    "several companies are called '{company}'",
    "rename all but one at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
SITE_NOT_FOUND = Reason(
    "SiteNotFound",
    "company '{company}' has no site {site}",
    "delete this object and create another one with the right spec.provider.rainbow.siteID; none if there is one site",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
SITE_MISSING = Reason(
    "SiteMissing",
    "company '{company}' has no site",
    "create one at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
SITE_AMBIGUOUS = Reason(
    "SiteAmbiguous",
    "company '{company}' has several sites",
    "write one into spec.provider.rainbow.siteID",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
SESSION_REFUSED = Reason(
    "SessionRefused",
    "the provider accepted the login of Secret {secret}, but not the calls after it",
    "have its account checked at the provider; it is tried again",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
LOGIN_COMPANY_INACTIVE = Reason(
    "LoginCompanyInactive",
    "the company of the login of Secret {secret} is not active",
    "have it activated at the provider; it is tried again every 15 minutes",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
LOGIN_EXPIRED = Reason(
    "LoginExpired",
    "the login of Secret {secret} has expired at the provider",
    "have it prolonged, or write another one into the Secret; it is tried again every 15 minutes",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
ROLE_MISSING = Reason(
    "RoleMissing",
    "the login of Secret {secret} has not the role that the provider demands",
    "give it the role of a company administrator; it is tried again",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
NOT_ADMINISTRATOR = Reason(
    "NotAdministrator",
    "the login of Secret {secret} may not administrate this company, site or system",
    "assign it there; it is tried again",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
NO_DEFAULT_GATEWAY = Reason(
    "NoDefaultGateway",
    "the group of the server has no default WebRTC gateway",
    "name one at the provider; it is tried again",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
LAST_DEFAULT_GATEWAY = Reason(
    "LastDefaultGateway",
    "the group of the server would have no default WebRTC gateway any more",
    "name another one at the provider; it is tried again",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
SYSTEM_NOT_SHAREABLE = Reason(
    "SystemNotShareable",
    "a multi-tenant system can only be at sites of multi-tenant companies",
    "delete this object and create one at another company or site",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
COMPANY_MULTI_TENANT = Reason(
    "CompanyMultiTenant",
    "a multi-tenant company can only have multi-tenant systems, and the operator declares none",
    "delete this object and create one at another company",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
SYSTEM_IN_OTHER_GROUP = Reason(
    "SystemInOtherGroup",
    "the server is in another group of servers already",
    "take it out of that group at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
NUMBER_IN_SYSTEM = Reason(
    "NumberInSystem",
    "the provider has an extension of the same short number in this server",
    "change one of them at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
NUMBER_IN_EQUIPMENT = Reason(
    "NumberInEquipment",
    "the provider has an extension of the same short number for this equipment ID",
    "change one of them at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
NUMBER_IN_GROUP = Reason(
    "NumberInGroup",
    "the provider has an extension of the same internal number in the group of the server",
    "change one of them at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
NUMBER_MULTI_TENANT = Reason(
    "NumberMultiTenant",
    "the server has an extension of a multi-tenant company, and is not multi-tenant",
    "remove the extension at the provider",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
MEDIA_PILLAR_LINKED = Reason(
    "MediaPillarLinked",
    "the provider refuses to delete a server with a WebRTC gateway",
    "remove the gateway at the provider, or set spec.deletionPolicy to Orphan; the deletion is tried again",
    Patience.GRACE,
    shown=FAILED_OR_UNKNOWN,
)
COUNTRY_UNSUPPORTED = Reason(
    "CountryUnsupported",
    "country '{country}' has no ISO 3166-1 alpha-3 code, which the provider demands",
    "write the country that it belongs to",
    Patience.PERSON,
    shown=FAILED_OR_UNKNOWN,
)

REASONS = tuple(value for value in globals().values() if isinstance(value, Reason))
"""All of them."""
