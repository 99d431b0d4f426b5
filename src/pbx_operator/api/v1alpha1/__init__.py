"""The kinds of `pbx-operator.io/v1alpha1`, one module each."""

from pbx_operator.api.v1alpha1.commserver import CommServer
from pbx_operator.api.v1alpha1.dialplanslice import DialPlanSlice
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecord
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.internalnumber import InternalNumber
from pbx_operator.api.v1alpha1.linkrecord import LinkRecord
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount

KINDS = (PBXAccount, Interlink, InternalNumber, CommServer, LinkRecord, EquipmentRecord, DialPlanSlice)
"""Every kind of this version, in the order in which the reference presents them."""

__all__ = [
    "KINDS",
    "CommServer",
    "DialPlanSlice",
    "EquipmentRecord",
    "Interlink",
    "InternalNumber",
    "LinkRecord",
    "PBXAccount",
]
