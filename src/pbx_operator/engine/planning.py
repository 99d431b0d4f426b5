"""From a work key to its plan: gather, then let the rules of the key's kind decide."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

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
from pbx_operator.engine.drafts import Drafts
from pbx_operator.engine.snapshots import Snapshots
from pbx_operator.engine.store import Store

NEIGHBOUR_PERIOD = timedelta(minutes=1)
"""Between two looks at whether a namespace is still another installation's."""

_log = logging.getLogger(__name__)


class Planner:
    """Makes plans from what the Store holds at that moment."""

    def __init__(self, store: Store, snapshots: Snapshots, scope: Scope) -> None:
        self._store = store
        self._snapshots = snapshots
        self._scope = scope
        self._drafts = Drafts()
        self.left: dict[str, str] = {}
        """The namespaces that are left to other installations, and to which."""

    def plan(self, work: WorkKey, now: datetime) -> Plan:
        """Return the plan of a work key: nothing in a namespace that is not watched any more, or that is another's."""
        namespace = work.key.namespace
        if not self._scope.covers(namespace):
            return Plan()
        if self._is_anothers(namespace):
            return Plan(requeue=now + NEIGHBOUR_PERIOD)
        if work.kind == "Link":
            unreadable = self._store.interlinks.unreadable(work.key)
            if unreadable is not None:
                return plan_unreadable(self._snapshots.link(work.key), unreadable, now)
            return plan_link(self._snapshots.link(work.key), now)
        if work.kind == "Server":
            return self._server(work.key, now)
        if work.kind == "Customer":
            return plan_customer(self._snapshots.customer(work.key), now)
        plan = plan_account(self._snapshots.account(work.key), now, self._drafts.of(work.key))
        return Plan(plan.actions, (*plan.statuses, *self._unreadables(work.key, now)), plan.requeue)

    def _is_anothers(self, namespace: str) -> bool:
        """Whether a namespace is left to another installation; log it when that changes."""
        neighbour, before = self._store.neighbour(namespace), self.left.get(namespace)
        if neighbour is None:
            if self.left.pop(namespace, None) is not None:
                _log.info("namespace %s is looked after by this operator again", namespace)
            return False
        self.left[namespace] = neighbour
        if neighbour != before:
            _log.error(
                "namespace %s is looked after by installation %s, whose records there are older: this operator leaves"
                " it alone; let only one of the two watch it",
                *(namespace, neighbour),
            )
        return True

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
