"""No story of two installations breaks a property; and the exploration would notice a rule that is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from model.federation.explore import Explorer
from model.federation.state import Config
from model.federation.worlds import NEVER, ONLY_A, ONLY_B, SMALL
from pbx_operator.api.v1alpha1 import LinkRecord
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec
from pbx_operator.domain.links import ending, gate, plan, told
from pbx_operator.domain.plan import RemoveFinalizer
from pbx_operator.domain.protocol.envelope import envelope_of
from pbx_operator.domain.protocol.messages import CancelAnswer, CancelRequest, LinkReport
from pbx_operator.domain.records import machine, redemption, reports
from pbx_operator.domain.records.machine import Heal, HearEnd
from pbx_operator.domain.records.redemption import Decision, Linked, Used
from pbx_operator.domain.records.reports import Heard
from pbx_operator.engine import conversations
from pbx_operator.links import authority
from simulation import api

NAT = Config("behind NAT", nat=True)
STILL = replace(NAT, deletes=NEVER)
GOES = replace(NAT, deletes=ONLY_B)
RESTORED = Config("the issuer is restored", restores="A", nat=True, slow=0)
LOST = replace(RESTORED, partly=True, carefully=False, deletes=ONLY_B)

APART = "the two sides stay apart"
UNSURE = "a cancel counts as confirmed that is not"
OUTLIVED = "an object outlives its peer"


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.name)
def test_all_is_well(config: Config) -> None:
    found = Explorer(config).run()
    assert not found.broken, str(found)


# --- rules that are replaced ------------------------------------------------------------------------------------


def decide_without_fences(spec: LinkRecordSpec | None, *facts: Any, decide: Any = redemption.decide) -> Decision:
    open_spec = spec.model_copy(update={"fences": ()}) if spec is not None else None
    decision: Decision = decide(open_spec, *facts)
    if spec is None or decision.spec is None:
        return decision
    return replace(decision, spec=decision.spec.model_copy(update={"fences": spec.fences}))


def decide_for_the_last(spec: LinkRecordSpec | None, request: Any, *facts: Any, decide: Any = redemption.decide) -> Any:
    taken = spec is not None and spec.redeemer is not None and spec.redeemer.link_id != request.link_id
    if spec is None or not taken or spec.state != "Established":
        return decide(spec, request, *facts)
    return decide(spec.model_copy(update={"state": "Issued", "redeemer": None}), request, *facts)


def decide_once(spec: LinkRecordSpec | None, *facts: Any, decide: Any = redemption.decide) -> Any:
    decision: Decision = decide(spec, *facts)
    match decision:
        case Decision(Linked(redeemer), None):
            return Decision(Used(redeemer.time, redeemer.instance))
    return decision


def decide_without_the_end(spec: LinkRecordSpec | None, *facts: Any, decide: Any = redemption.decide) -> Any:
    if spec is None or spec.redeemer is None or spec.end is None:
        return decide(spec, *facts)
    living = spec.model_copy(update={"state": "Established", "end": None})
    return replace(decide(living, *facts), spec=living)


def hear_what_is_older(made: Any, report: LinkReport, *contact: Any, hear: Any = reports.hear, **how: Any) -> Any:
    heard = made.status.heard
    if heard is None or made.spec.state == "Ended":
        return hear(made, report, *contact, **how)
    status = made.status.model_copy(update={"heard": heard.model_copy(update={"rev": 0})})
    found = hear(made.model_copy(update={"status": status}), report, *contact, **how)
    return Heard() if found.status == made.status else found


def take_back_by_the_same_rev(spec: Any, status: Any, report: LinkReport, is_news: Any = reports._is_news) -> bool:
    heard = status.heard
    return (heard is not None and report.rev == heard.rev) or bool(is_news(spec, status, report))


def tell_without_a_uid(*facts: Any, report: Any = told._report) -> Any:
    return report(*facts).model_copy(update={"interlink_uid": None})


def hear_no_end(made: Any, report: LinkReport, *contact: Any, hear: Any = reports.hear, **how: Any) -> Any:
    ends = report.state == "Ended" and made.spec.state != "Ended"
    return Heard() if ends else hear(made, report, *contact, **how)


def hear_end_in_unknown(made: Any, report: LinkReport, *contact: Any, hear: Any = reports.hear, **how: Any) -> Any:
    forgot = report.state == "Unknown" and made.spec.state != "Ended"
    return Heard(change=HearEnd("Deleted")) if forgot else hear(made, report, *contact, **how)


async def cancel_once(self: Any, made: LinkRecord) -> None:
    """Take any answer to a cancel for an acknowledgement."""
    spec = made.spec
    assert spec.cancel is not None
    assert spec.redeemer is not None
    request = partial(CancelRequest, cancel=envelope_of(spec.cancel))
    await self._peer.ask(spec.contact, spec.issuer.instance, request, CancelAnswer)
    done = LinkReport(key_id=spec.key_id, link_id=spec.redeemer.link_id, state="Ended")
    await self._authority.hear(made.metadata.name, spec.issuer.instance, done)


def heal_whatever_ended(spec: LinkRecordSpec, change: Any, *facts: Any, go_on: Any = machine.transition) -> Any:
    if isinstance(change, Heal) and spec.end is not None:
        return spec.model_copy(update={"state": "Established", "redeemer": change.redeemer, "end": None})
    return go_on(spec, change, *facts)


def leave_when_acknowledged(s: Any, link: Any, now: Any, delete: Any = ending.delete) -> Any:
    todo = delete(s, link, now)
    known = all(made.status.peer_knows == "End" for made in s.records)
    return [action for action in todo if known or not isinstance(action, RemoveFinalizer)]


def nothing(*_: Any) -> list[Any]:
    return []


def always(*_: Any) -> bool:
    return True


def never(*_: Any) -> bool:
    return False


def not_at_all(*_: Any) -> None:
    return None


class Broken(NamedTuple):
    """A rule that is replaced, the world that suffers from it, and what is noticed there."""

    story: str
    where: Any
    rule: str
    instead: Callable[..., Any]
    config: Config
    noticed: str


BROKEN = (
    Broken("fences are ignored", authority, "decide", decide_without_fences, GOES, "a fenced redeemer redeems"),
    Broken(
        "what a cancel made sure does not hold",
        authority,
        "decide",
        decide_without_fences,
        GOES,
        "a link is made after its cancel was confirmed",
    ),
    Broken(
        "the last one wins",
        authority,
        "decide",
        decide_for_the_last,
        replace(STILL, rival=True, slow=0),
        "a key has two redeemers",
    ),
    Broken("who won hears so once", authority, "decide", decide_once, STILL, "a redeemer that won cannot finish"),
    Broken(
        "who won wins again",
        authority,
        "decide",
        decide_without_the_end,
        replace(NAT, deletes=ONLY_A),
        "an ended link comes back",
    ),
    Broken(
        "a lower rev is news",
        authority,
        "hear",
        hear_what_is_older,
        replace(STILL, nat=False, toggles=1),
        "what was heard is taken back",
    ),
    Broken(
        "an end is taken back by the same rev",
        reports,
        "_is_news",
        take_back_by_the_same_rev,
        replace(NAT, window=True),
        "an announced end is taken back",
    ),
    Broken(
        "who takes an end back does not say so anew",
        told,
        "_report",
        tell_without_a_uid,
        replace(NAT, window=True, lives=(2, 1), slow=0, deletes=ONLY_A),
        "calls do not pass over a link that lives",
    ),
    Broken(
        "an account's links end before their gates close",
        plan,
        "_must_close_first",
        never,
        replace(NAT, accounts=True, deletes=NEVER, slow=0),
        "calls pass over a link whose end is recorded",
    ),
    Broken("nobody hears an end", authority, "hear", hear_no_end, replace(NAT, slow=0), APART),
    Broken(
        "a peer that forgot ends the link",
        authority,
        "hear",
        hear_end_in_unknown,
        replace(RESTORED, deletes=NEVER),
        "a peer that forgot ends a link",
    ),
    Broken("nobody cancels", conversations, "cancel_is_due", never, GOES, APART),
    Broken("any answer acknowledges a cancel", conversations.Conversations, "_cancel", cancel_once, LOST, UNSURE),
    Broken(
        "a receipt heals what ended",
        authority,
        "transition",
        heal_whatever_ended,
        RESTORED,
        "an ended link changes",
    ),
    Broken("no receipt heals", machine, "_heal", not_at_all, replace(RESTORED, deletes=NEVER), APART),
    Broken(
        "a deletion waits until the peer knows",
        ending,
        "delete",
        leave_when_acknowledged,
        replace(NAT, slow=0),
        "a deletion waits for the peer of A",
    ),
    Broken("nobody follows", ending, "follow_peer", nothing, replace(NAT, slow=0), OUTLIVED),
    Broken(
        "the gate does not mind the peer",
        gate,
        "_closed_elsewhere",
        not_at_all,
        replace(NAT, window=True, slow=0, deletes=ONLY_A),
        "the gate of B is open without a link",
    ),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.story)
def test_a_broken_rule_is_noticed(monkeypatch: pytest.MonkeyPatch, broken: Broken) -> None:
    """The rules of the API server, which would refuse some of it, are lifted."""
    monkeypatch.setattr(api, "unlawful", nothing)
    monkeypatch.setattr(broken.where, broken.rule, broken.instead)
    found = Explorer(broken.config).run()
    assert broken.noticed in found.broken, str(found)


def test_the_api_server_refuses_what_a_broken_rule_would_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "transition", heal_whatever_ended)
    assert "the API server refuses a write" in Explorer(RESTORED).run().broken
