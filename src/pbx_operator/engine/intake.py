"""The door of the engine: whatever was seen of an object enters the Store here and makes work.

Lists, watches and the responses to our own writes all come this way, so that the next plan never sees less than
the last one did.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from pbx_operator.api.meta import ObjectKey, ObjectMeta, ResourceType
from pbx_operator.api.v1alpha1 import (
    CommServer,
    EquipmentRecord,
    Interlink,
    PBXAccount,
)
from pbx_operator.domain.customers.facts import place_of
from pbx_operator.domain.impact import WorkKey, affected
from pbx_operator.domain.plan import Target
from pbx_operator.domain.records.facts import places_of
from pbx_operator.domain.servers.impact import servers_of_record
from pbx_operator.domain.unreadable import Unreadable
from pbx_operator.engine.memory import Memory
from pbx_operator.engine.queue import WorkQueue
from pbx_operator.engine.store import Store
from pbx_operator.engine.store_index import StoreIndex
from pbx_operator.engine.tables import Observation

_log = logging.getLogger(__name__)


class Intake:
    """Takes objects into the Store, queues what they affect, and shows every change to an observer."""

    def __init__(
        self,
        store: Store,
        queue: WorkQueue[WorkKey],
        memory: Memory,
        observer: Callable[[Observation], None],
    ) -> None:
        self._store = store
        self._queue = queue
        self._memory = memory
        self._observer = observer
        self._index = StoreIndex(store)
        self._open = False

    def open(self) -> None:
        """Look at everything, and make work from now on.

        Not before the first lists are complete: a plan would take absence for deletion.
        """
        self._open = True
        for table in self._store.tables.values():
            for key in table.metadata():
                self._enqueue_all(table.model.resource, key)

    def saw(self, resource: ResourceType, raw: dict[str, Any]) -> None:
        """Take an object as the API server just showed it."""
        observation = self._store.tables[resource.plural].put(raw)
        if observation is not None:
            _log_unreadable(observation)
            self._follow(observation)

    def deleted(self, resource: ResourceType, key: ObjectKey, uid: str) -> None:
        """Take note that an object in this life is gone for good."""
        observation = self._store.tables[resource.plural].remove(key, uid)
        self._memory.forget(Target(resource, key, uid))
        if observation is not None:
            self._follow(observation)

    def missed(self, resource: ResourceType, key: ObjectKey) -> None:
        """Take note that the API server has no such object now; a successor may still come."""
        table = self._store.tables[resource.plural]
        known = table.metadata_of(key)
        observation = table.forget(key, known.uid) if known is not None else None
        if observation is not None:
            self._follow(observation)

    def secret_written(self, secret: ObjectKey) -> None:
        """Take note that the operator wrote a Secret, which somebody may be waiting for."""
        for link in self._store.interlinks.select("secret", secret):
            self._memory.hurry(link.metadata.uid)
            self._queue.add(WorkKey("Link", link.key))

    def answered(self, interlink: ObjectKey) -> None:
        """Take note that another installation answered about the key of an Interlink."""
        self._queue.add(WorkKey("Link", interlink))

    def server_stepped(self, server: Target) -> None:
        """Take note that a step of a CommServer has ended."""
        self._forget_if_gone(server)
        self._queue.add(WorkKey("Server", server.key))

    def customer_stepped(self, account: Target) -> None:
        """Take note that a step of an account's customer has ended: there may be another, and the account shows it."""
        self._forget_if_gone(account)
        self._queue.add(WorkKey("Customer", account.key))
        self._queue.add(WorkKey("Account", account.key))

    def _forget_if_gone(self, target: Target) -> None:
        """Drop the outcome of a look that no deletion waited for."""
        metadata = self._store.tables[target.resource.plural].metadata_of(target.key)
        if metadata is None or metadata.uid != target.uid:
            self._memory.forget(target)

    def found_out(self, peer: str, answered: bool) -> None:
        """Take note that an installation in another cluster answered, or did not."""
        if self._memory.note_reach(peer, answered=answered):
            for record in self._store.records.select("peer", peer):
                for place in places_of(record.spec):
                    self._queue.add(WorkKey("Link", place))

    def _follow(self, observation: Observation) -> None:
        if not self._open:
            return
        self._notice_request(observation)
        self._notice_equipment(observation)
        self._observer(observation)
        for work in affected(observation.old, observation.new, self._index):
            self._queue.add(work)

    def _notice_request(self, observation: Observation) -> None:
        """Another spec or a new reconcile-requested token makes everything due that waits for its time."""
        old, new = observation.old, observation.new
        if new is None or old is None or _wish(new.metadata) == _wish(old.metadata):
            return
        if isinstance(new, Interlink):
            self._memory.hurry(new.metadata.uid)
        elif isinstance(new, CommServer) or (isinstance(new, PBXAccount) and place_of(new) is not None):
            self._memory.hurry_steps(new.metadata.uid)

    def _notice_equipment(self, observation: Observation) -> None:
        """What happened to a box makes a look at it due; a step that fails may have done it itself."""
        old, new = observation.old, observation.new
        if isinstance(old, EquipmentRecord) or isinstance(new, EquipmentRecord):
            for place in servers_of_record(old, new):
                server = self._store.servers.get(place)
                if server is not None:
                    self._memory.try_again(server.metadata.uid)

    def _enqueue_all(self, resource: ResourceType, key: ObjectKey) -> None:
        for work in self._initial_work(resource, key):
            self._queue.add(work)

    def _initial_work(self, resource: ResourceType, key: ObjectKey) -> Iterable[WorkKey]:
        if resource is Interlink.resource:
            return [WorkKey("Link", key)]
        if resource is PBXAccount.resource:
            account = self._store.accounts.get(key)
            has_customer = account is not None and place_of(account) is not None
            return [WorkKey("Account", key), *([WorkKey("Customer", key)] if has_customer else [])]
        if resource is CommServer.resource:
            return [WorkKey("Server", key)]
        observed = self._store.tables[resource.plural].find(key)
        return affected(None, observed, self._index)


def _log_unreadable(observation: Observation) -> None:
    """Tell of an object once: some have no status that could, and nobody may look at those that have one."""
    new = observation.new
    if isinstance(new, Unreadable) and not isinstance(observation.old, Unreadable):
        _log.warning("%s %s cannot be read: %s", new.resource.kind, new.key, new.problem)


def _wish(metadata: ObjectMeta) -> object:
    return metadata.generation, metadata.reconcile_requested_at
