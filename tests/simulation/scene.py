"""The place of stories with a provider: a cluster, one process of the operator at a time, and the time that passes."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import timedelta

from builders import NAMESPACE, NOW
from pbx_operator.api.meta import SECRETS
from pbx_operator.domain.links.facts import ClusterFacts
from pbx_operator.engine.customers import CustomerProviders
from pbx_operator.engine.identity import Identity
from pbx_operator.engine.servers import Providers
from simulation.api import Api
from simulation.process import ADDRESS, NoPeer, Process, Request, Task
from simulation.world import HOME, INSTANCE, MAX_STEPS


class Scene(ABC):
    """A cluster, and one process of the operator at a time."""

    def __init__(self) -> None:
        self.now = NOW
        self.api = Api(lambda: self.now, lambda resource, old, new: None)
        self.address: Mapping[str, str] = ADDRESS
        """What the next process tells boxes of its exchange; nothing: it has none."""
        self.calls = 0
        """Calls that have arrived, or were to arrive, since the last process started."""
        self.start()

    @abstractmethod
    def begin(self) -> Process:
        """Return a new process, which remembers nothing."""

    def new_process(self, providers: Providers | None = None, customers: CustomerProviders | None = None) -> Process:
        """Return a process with these providers."""
        identity = Identity(INSTANCE, HOME.public, HOME, confirmed=True)
        facts = ClusterFacts(INSTANCE, started=self.now)
        return Process(self.api, identity, facts, lambda: self.now, NoPeer(), providers, customers, self.address)

    def start(self) -> None:
        """Start a process."""
        self.process = self.begin()
        self.calls = 0

    def close(self) -> None:
        """Stop the process."""
        self.process.die()

    def restart(self) -> None:
        """Let the process die and start another one."""
        self.process.die()
        self.start()

    def keep(self, name: str, **entries: str) -> None:
        """Create a Secret."""
        data = {entry: base64.b64encode(text.encode()).decode() for entry, text in entries.items()}
        self.api.create(SECRETS, {"metadata": {"name": name, "namespace": NAMESPACE}, "data": data})

    def settle(self, stop: Callable[[Task], bool] = lambda task: False) -> bool:
        """Go on until nothing is left to do now, or until `stop` says so before a call; return whether it did."""
        for _ in range(MAX_STEPS):
            if requests := self.process.requests():
                if stop(requests[0]):
                    return True
                self.serve(requests[0])
            elif unseen := self.process.unseen():
                self.process.watch(unseen[0])
            elif idle := self.process.idle():
                idle[0].resume()
            else:
                return False
        raise AssertionError(f"still at work after {MAX_STEPS} steps")

    def work_beside(self, waiting: Task) -> None:
        """Let everything happen that does not need an answer to this call."""
        while True:
            others = [task for task in self.process.requests() if task is not waiting]
            if others:
                self.serve(others[0])
            elif unseen := self.process.unseen():
                self.process.watch(unseen[0])
            elif idle := self.process.idle():
                idle[0].resume()
            else:
                return

    def serve(self, task: Task) -> None:
        """Let a call arrive and be answered."""
        assert isinstance(task.waiting, Request)
        self.calls += 1
        task.waiting.arrive()
        task.resume()

    def settle_for(self, period: timedelta) -> None:
        """Go on until that much time has passed, keeping every appointment."""
        end = self.now + period
        self.settle()
        while (due := self.process.queue.next_appointment()) is not None:
            moment = NOW + timedelta(seconds=due, microseconds=1)
            if moment > end:
                break
            self.now = max(self.now, moment)
            self.settle()
        self.now = end
        self.settle()
