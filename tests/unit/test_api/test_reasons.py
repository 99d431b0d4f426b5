"""The table of reasons is closed, complete and fit for people."""

from __future__ import annotations

import re
import string
from datetime import timedelta
from itertools import product
from typing import Any, get_args

import pytest

from pbx_operator.api import gate_reasons, provider_reasons, rainbow_reasons, reasons
from pbx_operator.api.conditions import CONDITIONS, ConditionType, Place
from pbx_operator.api.facts import FACTS
from pbx_operator.api.meta import ConditionStatus
from pbx_operator.api.reasons import GRACE, REASONS, Patience, Reason, Verdict, verdict
from pbx_operator.domain.conditions import summarize
from support import ROOT

TYPES: tuple[ConditionType, ...] = get_args(ConditionType)
STATUSES: tuple[ConditionStatus, ...] = get_args(ConditionStatus)
EVERY_FACT: dict[str, Any] = {name: f"<{name}>" for name in FACTS}
NOT_READY: set[Place] = {("Ready", "False"), ("Ready", "Unknown")}
COMPANIONS: dict[Patience | None, set[Place]] = {
    None: set(),
    Patience.PROGRESS: {("Reconciling", "True")},
    Patience.GRACE: {("Reconciling", "True"), ("Stalled", "True")},
    Patience.PERSON: {("Stalled", "True")},
}

each_reason = pytest.mark.parametrize("reason", REASONS, ids=lambda reason: reason.name)
each_excuse = pytest.mark.parametrize(
    "reason", [r for r in REASONS if NOT_READY & set(r.shown)], ids=lambda reason: reason.name
)


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the reference page."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    import reason_reference

    return reason_reference.reason_reference()


def section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def prose(reason: Reason) -> list[str]:
    """Return situation and next step as the page has them."""
    return [re.sub(r"\{(\w+)\}", lambda m: f"*{m[1].replace('_', ' ')}*", t) for t in (reason.what, reason.fix)]


def placeholders(text: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]


# --- closed -----------------------------------------------------------------------------------------------------


def test_the_table_has_every_reason_of_the_module() -> None:
    modules = (reasons, gate_reasons, provider_reasons, rainbow_reasons)
    constants = {name: value for m in modules for name, value in vars(m).items() if isinstance(value, Reason)}
    assert len(constants) > 50
    assert list(constants.values()) == list(REASONS)
    assert all(name.isupper() for name in constants)


def test_a_row_has_one_meaning() -> None:
    rows = [(*place, reason.name) for reason in REASONS for place in reason.shown]
    assert sorted(rows) == sorted(set(rows))


@each_reason
def test_a_verdict_is_a_row_of_the_table(reason: Reason) -> None:
    rows = set(reason.shown) | COMPANIONS[reason.patience]
    for type_, status in rows:
        assert verdict(type_, status, reason, **EVERY_FACT).message == reason.message(**EVERY_FACT)
    for type_, status in set(product(TYPES, STATUSES)) - rows:
        with pytest.raises(ValueError, match=f"^{type_}={status} with reason {reason.name} is not in the table"):
            verdict(type_, status, reason, **EVERY_FACT)


def test_a_reason_from_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="Ready=True with reason Serving is not in the table"):
        verdict("Ready", "True", Reason("Serving", "home-made", shown=(("Ready", "True"),)))


# --- complete ---------------------------------------------------------------------------------------------------


@each_reason
def test_patience_is_for_objects_that_are_not_ready(reason: Reason) -> None:
    assert (reason.patience is not None) == bool(NOT_READY & set(reason.shown))


@each_excuse
def test_whoever_must_act_is_told_how(reason: Reason) -> None:
    assert reason.fix or reason.patience is Patience.PROGRESS


@each_reason
def test_whatever_is_not_as_wanted_names_the_next_step(reason: Reason) -> None:
    wanted = {(type_, "True") for type_ in TYPES if type_ != "Conflicted"}
    assert reason.fix or reason.text or set(reason.shown) <= wanted


@each_excuse
def test_what_stands_beside_ready_is_in_the_table_too(reason: Reason) -> None:
    ready = verdict("Ready", "False", reason, **EVERY_FACT)
    for companion in COMPANIONS[reason.patience]:
        beside = summarize(ready, is_stalled=companion == ("Stalled", "True"))
        assert beside == [ready, Verdict(*companion, reason, ready.message)]


def test_the_grace_period_is_the_one_that_people_read() -> None:
    assert f"after {GRACE // timedelta(minutes=1)} minutes" in Patience.GRACE


# --- messages ---------------------------------------------------------------------------------------------------


@each_reason
def test_a_message_has_every_fact_and_no_placeholder_left(reason: Reason) -> None:
    message = reason.message(**EVERY_FACT)
    assert not set("{}") & set(message)
    assert re.findall(r"<(\w+)>", message) == placeholders(reason.template)


@each_reason
def test_a_message_cannot_leave_a_fact_out(reason: Reason) -> None:
    for name in placeholders(reason.template):
        with pytest.raises(KeyError, match=name):
            reason.message(**{fact: value for fact, value in EVERY_FACT.items() if fact != name})


def test_facts_are_not_mistaken_for_placeholders() -> None:
    assert reasons.UNREADABLE.message(problem="{name}") == "the object cannot be read: {name}; correct it"


def test_every_placeholder_is_documented_and_every_documented_one_used() -> None:
    texts = (text for reason in REASONS for text in (reason.what, reason.fix, reason.text))
    assert {name for text in texts for name in placeholders(text)} == set(FACTS)


@each_reason
def test_reasons_are_words_and_messages_are_clauses(reason: Reason) -> None:
    assert re.fullmatch(r"([A-Z][a-z]+)+", reason.name)
    for text in (reason.what, reason.fix, reason.text):
        assert text == text.strip()
        assert not text.endswith(".")
        assert "\n" not in text


# --- the reference ----------------------------------------------------------------------------------------------


def test_every_condition_is_explained(page: str) -> None:
    assert set(CONDITIONS) == set(TYPES)
    assert [section(page, type_).split("\n")[1] for type_ in TYPES] == [CONDITIONS[type_] for type_ in TYPES]


@each_reason
def test_every_row_is_on_the_page(reason: Reason, page: str) -> None:
    for type_, status in reason.shown:
        row = "| {} | `{}` | {} | {} |".format(status, reason.name, *prose(reason))
        if type_ == "Ready":
            row += f" {reason.patience or ''} |"
        assert row in section(page, type_).split("\n")


def test_what_only_events_tell_is_on_the_page(page: str) -> None:
    alone = [reason for reason in REASONS if not reason.shown]
    assert [reason.name for reason in alone] == ["KeyReplay", "DriftCorrected", "Orphaned"]
    for reason in alone:
        assert "| `{}` | {} | {} |".format(reason.name, *prose(reason)) in section(page, "Events")


def test_every_placeholder_is_on_the_page(page: str) -> None:
    rows = [line for line in section(page, "Facts").split("\n") if line.startswith("| *")]
    assert rows == [f"| *{name.replace('_', ' ')}* | {meaning} |" for name, meaning in FACTS.items()]


def test_the_page_has_no_row_too_many(page: str) -> None:
    rows = [line for line in page.split("\n") if re.match(r"\| (True|False|Unknown) \|", line)]
    assert len(rows) == sum(len(reason.shown) for reason in REASONS)
