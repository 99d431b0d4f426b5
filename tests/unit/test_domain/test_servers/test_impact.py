"""Which CommServers are planned anew when something changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest

from builders import NAMESPACE, account
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer
from pbx_operator.api.v1alpha1.commserver import CommServerStatus
from pbx_operator.domain.servers.facts import equipment_of
from pbx_operator.domain.servers.impact import servers_of_change, servers_of_changed_account
from pbx_operator.domain.unreadable import Observed, OpaqueStatus, Unreadable
from server_builders import STOCK, commserver

BOX = "ALE12-1234.5678.90"


@dataclass(frozen=True, slots=True)
class Index:
    """The lookups, on a plain list."""

    servers: Sequence[CommServer]

    def servers_of_account(self, account: ObjectKey) -> Iterable[CommServer]:
        named = ((s, s.spec.account_ref) for s in self.servers)
        return [s for s, ref in named if ref is not None and ObjectKey(s.key.namespace, ref.name) == account]

    def servers_of_equipment(self, equipment: str) -> Iterable[CommServer]:
        return [s for s in self.servers if equipment in equipment_of(s)]


HOLDER = commserver("holder", status=CommServerStatus(equipment_id=BOX), **STOCK)
WANTING = commserver("holder", **STOCK)
RENAMED = commserver("holder", displayName="new", status=HOLDER.status, **STOCK)
RIVAL = commserver("rival", **STOCK)
OTHER = commserver("other", accountRef={"name": "a"})
UNREADABLE = Unreadable(
    CommServer.resource, HOLDER.metadata, "spec", status=OpaqueStatus.model_validate({"equipmentID": BOX})
)
INDEX = Index([HOLDER, RIVAL, OTHER])


@pytest.mark.parametrize(
    ("old", "new", "woken"),
    [
        pytest.param(HOLDER, None, {"holder", "rival"}, id="the holder is gone"),
        pytest.param(None, RIVAL, {"holder", "rival"}, id="a rival comes"),
        pytest.param(OTHER, None, {"other"}, id="one without rivals is gone"),
        pytest.param(WANTING, HOLDER, {"holder", "rival"}, id="it holds what the rival may have been awarded, too"),
        pytest.param(HOLDER, RENAMED, {"holder"}, id="another spec"),
        pytest.param(HOLDER, UNREADABLE, {"holder"}, id="it cannot be read, and keeps its box"),
        pytest.param(UNREADABLE, None, {"holder", "rival"}, id="one that could not be read is gone"),
    ],
)
def test_whoever_waits_for_a_box_hears_of_it(old: Observed, new: Observed, woken: set[str]) -> None:
    assert servers_of_change(old, new, INDEX) == {ObjectKey(NAMESPACE, name) for name in woken}


@pytest.mark.parametrize(
    ("old", "new", "woken"),
    [
        pytest.param(None, account("a"), {"other"}, id="its account comes"),
        pytest.param(account("a"), None, {"other"}, id="its account goes"),
        pytest.param(account("b"), None, set(), id="another account goes"),
        pytest.param(account("a"), account("a", display_name="new"), set(), id="its account has another name"),
        pytest.param(
            account("a"),
            account("a", emergency={"additionalNumbers": ["1999"]}),
            {"other"},
            id="its account guards another number",
        ),
    ],
)
def test_a_server_follows_its_account(old: Observed, new: Observed, woken: set[str]) -> None:
    assert servers_of_changed_account(old, new, INDEX) == {ObjectKey(NAMESPACE, name) for name in woken}
