"""The reference page of all conditions, reasons and Events, rendered from the table in `pbx_operator.api.reasons`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pbx_operator.api.conditions import CONDITIONS, ConditionType, Reason
from pbx_operator.api.facts import FACTS
from pbx_operator.api.meta import ConditionStatus
from pbx_operator.api.reasons import REASONS

INTRODUCTION = """\
# Conditions and reasons

<!-- Generated from the table of reasons by tools/generate.py; do not edit. -->

Every object that people write has `status.conditions`. A reason is one word for programs and alerts; the message
beside it says in full what is the case and what to do. Each row below is the message of one reason; words in
*italics* stand for facts, which the [last table](#facts) explains.

Unless the object is being deleted, exactly one of these holds, so that `kubectl wait`, Flux and Argo CD agree:

| Ready | beside it | kstatus | Argo CD |
|---|---|---|---|
| `True` | neither | Current | Healthy |
| `False` or `Unknown` | `Reconciling=True` | InProgress | Progressing |
| `False` | `Stalled=True` | Failed | Degraded |

The operator reacts to the change that a stalled object waits for, be it in this object or in another one. The
column *patience* says which of the two stands beside Ready.
"""
EVENTS = """\
## Events

Kubernetes Events, which `kubectl describe` and `kubectl events` show, tell once what a status shows for as long as it
lasts. They have the reasons and messages of the conditions, and each is also a line of the operator's log. A status
that stays as it is tells nothing, nor does a restart of the operator.

What is told of a peer's installation concerns each link with it. So these Events come after all others, at most 10 a
second in all, and the log has one line about the peer instead of one for each link.

| type | reason | when |
|---|---|---|
| Warning | that of Ready | the object becomes Stalled, or is Stalled for another reason |
| Normal | that of Ready | the object becomes Ready, or is Ready for another reason than the next two |
| Warning | `Degraded` | a channel of a CommServer goes down, or its box falls silent, whatever Ready says |
| Warning | `Activated` | the box of a CommServer is not connected any more, whatever Ready says |
| Warning | `PeerUnavailable` | a redeemer begins to wait for an issuer that cannot be reached |
| Normal | that of Ready | it waits for another reason now, of which no Warning tells |
| Warning | `PeerSilent` | the peer of a link does not answer any more |
| Normal | `PeerAnswers` | it answers again |
| Warning | that of CallsAllowed | calls may not pass any more, while the link lives |
| Normal | that of CallsAllowed | calls may pass again |
| Warning | that of Accepted | a dialPrefix is refused, or accepted with a warning |
| Warning | `AcceptedWithWarnings` | the spec of a CommServer is accepted with warnings, or with others than before |
| Normal | `RevisionWaits` | a raised `spec.issueKey.revision` begins to wait for the end of the link |
| Warning | `Drifted` | somebody changed something at a provider, and `spec.driftPolicy` is Report |
| Warning | `EndedByPeer` | the peer ended the link and the Interlink goes, too, so that no status can say so |

No condition shows these. What leaves something to do is a Warning, the others are Normal:

| reason | when | what to do |
|---|---|---|"""
FACTS_HEAD = """\
## Facts

| in a message | stands for |
|---|---|"""
_STATUSES: tuple[ConditionStatus, ...] = ("True", "Unknown", "False")
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def reason_reference() -> str:
    """Return the Markdown page."""
    sections = [_section(type_, meaning) for type_, meaning in CONDITIONS.items()]
    facts = [_row(_fact(name), meaning) for name, meaning in FACTS.items()]
    events = [_row(f"`{r.name}`", _prose(r.what), _prose(r.fix)) for r in REASONS if not r.shown]
    return "\n".join([INTRODUCTION, *sections, EVENTS, *events, "", FACTS_HEAD, *facts, ""])


def _section(type_: ConditionType, meaning: str) -> str:
    rows = list(_reasons(type_))
    patience = ["patience"] if type_ == "Ready" else []
    head = [_row("status", "reason", "when", "what to do", *patience), "|" + "---|" * (4 + len(patience))]
    body = [_reason_row(status, reason, with_patience=bool(patience)) for status, reason in rows]
    return "\n".join([f"## {type_}", "", meaning, "", *([*head, *body, ""] if rows else [])])


def _reasons(type_: ConditionType) -> Iterator[tuple[ConditionStatus, Reason]]:
    """Yield what the rules may put on a condition, in the order of the table."""
    for status in _STATUSES:
        for reason in REASONS:
            if (type_, status) in reason.shown:
                yield status, reason


def _reason_row(status: ConditionStatus, reason: Reason, *, with_patience: bool) -> str:
    patience = [reason.patience or ""] if with_patience else []
    return _row(status, f"`{reason.name}`", _prose(reason.what), _prose(reason.fix), *patience)


def _prose(text: str) -> str:
    """Show each placeholder as a word in italics."""
    return _PLACEHOLDER.sub(lambda found: _fact(found[1]), text)


def _fact(name: str) -> str:
    return f"*{name.replace('_', ' ')}*"


def _row(*cells: str) -> str:
    """Join cells; a pipe inside one would start another, so it is escaped."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
