"""From a work key to its plan: gather, then let the rules of the key's kind decide."""

from __future__ import annotations

from datetime import datetime

from pbx_operator.api.meta import ObjectKey
from pbx_operator.domain.accounts.plan import plan_account, show_unreadable_account
from pbx_operator.domain.customers.plan import plan_customer
from pbx_operator.domain.impact import WorkKey
from pbx_operator.domain.links.plan import plan_link, plan_unreadable
from pbx_operator.domain.plan import Plan, StatusUpdate
from pbx_operator.domain.records.scope import Scope
from pbx_operator.domain.servers.plan import plan_server
from pbx_operator.domain.servers.plan import plan_unreadable as plan_unreadable_server
from pbx_operator.domain.unreadable import show_unreadable
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store


class Planner:
    """Makes plans from what the Store holds at that moment."""

    def __init__(self, store: Store, snapshots: Snapshots, scope: Scope) -> None:
        self._store = store
        self._snapshots = snapshots
        self._scope = scope

    def plan(self, work: WorkKey, now: datetime) -> Plan:
        """Return the plan of a work key: nothing for a side of a record in a namespace that is not watched any more."""
        if not self._scope.covers(work.key.namespace):
            return Plan()
        if work.kind == "Link":
            unreadable = self._store.interlinks.unreadable(work.key)
            if unreadable is not None:
                return plan_unreadable(self._snapshots.link(work.key), unreadable, now)
            return plan_link(self._snapshots.link(work.key), now)
        if work.kind == "Server":
            return self._server(work.key, now)
        if work.kind == "Customer":
            return plan_customer(self._snapshots.customer(work.key), now)
        plan = plan_account(self._snapshots.account(work.key), now)
        return Plan(plan.actions, (*plan.statuses, *self._unreadables(work.key, now)), plan.requeue)

    def _server(self, key: ObjectKey, now: datetime) -> Plan:
        unreadable = self._store.servers.unreadable(key)
        if unreadable is not None:
            return plan_unreadable_server(unreadable, now)
        return plan_server(self._snapshots.server(key), now)

    def _unreadables(self, account: ObjectKey, now: datetime) -> list[StatusUpdate]:
        own = self._store.accounts.unreadable(account)
        numbers = self._store.numbers.unreadables(account)
        shown = [show_unreadable_account(own, now)] if own is not None else []
        return shown + [show_unreadable(number, now) for number in numbers]
