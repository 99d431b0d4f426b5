"""A proxy between one client (the operator) and the API server that journals every call and injects faults.

It answers the questions that decide whether an operator is correct: how many writes did it make, and what does
it do when it dies before or after the third of them, when an answer gets lost, when a watch breaks or stays
silent?  The proxy takes the place of a kubeconfig: it holds the identity of the client and hands out a kubeconfig
that leads to itself, so what the client may do stays what it is.

    async with FaultProxy(kubeconfig) as proxy:
        operator = start_operator(proxy.kubeconfig(tmp_path / "kubeconfig"))
        crash = proxy.add(Fault(writes(), nth=3, at="after-send", do=operator.kill, then="drop"))
        await crash.hit()
        assert len(proxy.journal.writes(user_agent="pbx-operator")) == 3
        await proxy.close_watches()

The proxy lives in the event loop of the test: a test that blocks the loop blocks the client, too.
"""

from faultproxy.journal import Call, Journal, WatchEvent, calls, events, writes
from faultproxy.proxy import FaultProxy
from faultproxy.rules import Answer, EventDrop, Fault, delay
from strikes import Hold

__all__ = [
    "Answer",
    "Call",
    "EventDrop",
    "Fault",
    "FaultProxy",
    "Hold",
    "Journal",
    "WatchEvent",
    "calls",
    "delay",
    "events",
    "writes",
]
