"""No story of a small world breaks a property; and the exploration would notice a rule that is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from model.cast import Config
from model.explore import Explorer
from model.search import TooLarge
from model.worlds import ONCE, SMALL
from pbx_operator.api.v1alpha1.linkrecord import Closing
from pbx_operator.domain.links import ending, plan
from pbx_operator.domain.records import machine

AGAIN_I, AGAIN_R = Config("I again", (2, 1, 0)), Config("R again", (1, 2, 0))
BROUGHT = replace(AGAIN_I, brought=True, keys=1)
DYING = Config("the operator dies", ONCE, windows=False, kills=1)
RETAIN = Config("Retain", ONCE, retain=True, windows=False)

LET_GO = "the {} was let go with a live link"


@pytest.mark.parametrize("config", SMALL, ids=lambda config: config.name)
def test_all_is_well(config: Config) -> None:
    found = Explorer(config).run()
    assert not found.broken, str(found)


class Broken(NamedTuple):
    """A rule that is replaced, the world that suffers from it, and what is noticed there."""

    story: str
    module: ModuleType
    rule: str
    instead: Callable[..., Any]
    config: Config
    noticed: str


def nothing(*_: Any) -> list[Any]:
    return []


def always(*_: Any) -> bool:
    return True


def never(*_: Any) -> bool:
    return False


def clear_both(spec: Any, change: Any, present: Any, adopt: Callable[..., Any] = machine._adopt) -> Any:
    adopted = adopt(spec, change, present)
    return adopted and adopted.model_copy(update={"closing": Closing()})


BROKEN = (
    Broken("nobody fences", ending, "_fence", nothing, DYING, LET_GO.format("redeemer")),
    Broken("nobody adopts", plan, "_adopt", nothing, AGAIN_R, "an object does not get its link back"),
    Broken("adoption clears both closings", machine, "_adopt", clear_both, AGAIN_I, LET_GO.format("redeemer")),
    Broken(
        "a deletion forgets what it could adopt",
        ending,
        "adoptable",
        nothing,
        replace(AGAIN_I, kills=1),
        LET_GO.format("issuer"),
    ),
    Broken(
        "a deletion ends what a successor holds",
        machine,
        "_may_leave",
        always,
        replace(BROUGHT, two=True, late=1, windows=False),
        "a link goes back to an object that is gone",
    ),
    Broken(
        "vanished Interlinks are forgotten", ending, "interlink_gone", nothing, DYING, "what was deleted is not gone"
    ),
    Broken("no timer runs", ending, "timers", nothing, AGAIN_I, "what was deleted is not gone"),
    Broken("no Secret is swept", plan, "_sweep", nothing, RETAIN, "the Secret of a spent or void key stays"),
    Broken(
        "a new beginning hides the end",
        plan,
        "_must_close_first",
        never,
        replace(RETAIN, raises=True, keys=1),
        "a gate is open without a link",
    ),
    Broken(
        "a deleted account is noticed only through an Interlink",
        ending,
        "_account_deleting",
        never,
        replace(BROUGHT, accounts=2),
        "a deleted account is kept waiting",
    ),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.story)
def test_a_broken_rule_is_noticed(monkeypatch: pytest.MonkeyPatch, broken: Broken) -> None:
    monkeypatch.setattr(broken.module, broken.rule, broken.instead)
    found = Explorer(broken.config).run()
    assert broken.noticed in found.broken, str(found)


def test_a_world_that_is_too_large_says_so() -> None:
    with pytest.raises(TooLarge, match="tiny: more than 10 states"):
        Explorer(Config("tiny", largest=10)).run()
