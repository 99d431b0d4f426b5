"""Messages of an Interlink that depend on the case: they name the next step, and are true in each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest

from builders import INSTANCE, NOW, at, interlink, record
from link_builders import (
    ISSUER,
    LINK,
    REDEEMER,
    around,
    end,
    key_of,
    looked,
    ready_account,
    showing,
    status_of,
    swept,
    wants,
    with_spec,
)
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.domain.conditions import find
from pbx_operator.domain.interlink import redemption_basis
from pbx_operator.domain.link_facts import ClusterFacts, LinkSnapshot, RedeemTry
from pbx_operator.domain.redemption import Busy
from pbx_operator.engine.engine import RESTORE_PERIOD

RESTORING = ClusterFacts(INSTANCE, started=NOW, restoring_until=NOW + RESTORE_PERIOD)
DUPLICATE = "another link joins, or joined, the two accounts; delete this Interlink"


def message(s: LinkSnapshot, type_: str = "Ready") -> str:
    condition = find(status_of(swept(s)).conditions, type_)
    assert condition is not None
    return condition.message


# --- a revision that waits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "outcome"),
    [
        ("Retain", "then its key is made"),
        (
            "Delete",
            "if the peer ends it, this Interlink goes, too, and the revision with it;"
            " with spec.onPeerDeletion Retain it stays and gets its key",
        ),
    ],
)
def test_a_raised_revision_may_never_come(choice: Literal["Delete", "Retain"], outcome: str) -> None:
    raised = with_spec(wants(ISSUER, revision=2), on_peer_deletion=choice)
    said = message(around(raised, LINK, peers=[REDEEMER]), "KeyIssued")
    assert said == f"the key was issued; revision 2 waits until the link has ended: {outcome}"


def test_an_unused_key_that_a_restore_keeps_from_being_replaced_waits_for_no_link() -> None:
    s = around(wants(ISSUER, revision=2), record(ISSUER), cluster=RESTORING)
    assert message(s, "KeyIssued") == "the key was issued"


# --- a restore --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("s", "what"),
    [(around(ISSUER), "issued"), (around(REDEEMER, attempts=looked("k" * 16)), "redeemed")],
    ids=["issuer", "redeemer"],
)
def test_who_waits_for_a_restore_is_told_what_lifts_it(s: LinkSnapshot, what: str) -> None:
    restoring = replace(s, cluster=RESTORING)
    minutes = RESTORE_PERIOD // timedelta(minutes=1)
    assert message(restoring) == (
        f"a backup is being restored: the key is {what} {minutes} minutes after the operator was started"
        " with --after-restore"
    )


# --- a pair that is linked already ------------------------------------------------------------------------------

OTHER_ISSUER, OTHER_REDEEMER = interlink("i2", "a", uid="u3"), interlink("r2", "b", redeem="t", uid="v3")
RIVAL = record(OTHER_ISSUER, OTHER_REDEEMER)
REVERSE = record(interlink("i3", "b", uid="u4"), interlink("r3", "a", redeem="t", uid="v4"))


def refused(*rivals: LinkRecord, link: Interlink = REDEEMER, issuer: Interlink = ISSUER) -> LinkSnapshot:
    """Return what the redeemer knows that was told DuplicateLink."""
    unused = record(issuer)
    s = around(link, unused, *rivals, peers=[issuer], attempts=looked(key_of(unused)))
    s = replace(s, rivals=rivals)
    tried = RedeemTry(key_of(unused), Busy("DuplicateLink"), redemption_basis(s), at(900))
    return replace(s, attempts=replace(s.attempts, redeem=tried))


@pytest.mark.parametrize(
    ("rivals", "other"), [((RIVAL,), "Interlink r2"), ((REVERSE,), "Interlink i3"), ((), "the other one")]
)
def test_a_redeemer_is_told_which_of_its_own_links_is_in_the_way(rivals: Any, other: str) -> None:
    assert message(refused(*rivals)) == f"{DUPLICATE}, or {other} first"


def test_nothing_of_the_other_namespace_is_named() -> None:
    away = interlink("hidden-issuer", "a", "elsewhere", uid="u5")
    rival = record(away, interlink("r2", "b", redeem="t", uid="v3"))
    said = message(refused(rival, issuer=interlink("i", "a", "elsewhere", uid="u2")))
    assert said == f"{DUPLICATE}, or Interlink r2 first"


def test_a_link_of_another_pair_is_not_in_the_way() -> None:
    stranger = record(interlink("i9", "z", uid="u9"), interlink("r9", "b", redeem="t", uid="v9"))
    assert message(refused(stranger)) == f"{DUPLICATE}, or the other one first"


def test_the_side_that_lost_is_told_which_link_stayed() -> None:
    lost = record(ISSUER, REDEEMER, end=end("DuplicateLink", "Operator"))
    s = around(ISSUER, lost, RIVAL, peers=[REDEEMER, OTHER_ISSUER, OTHER_REDEEMER])
    s = replace(s, rivals=(RIVAL,), records=(lost,))
    assert message(s) == f"{DUPLICATE}; or delete Interlink i2, and raise spec.issueKey.revision for a new key"
    alone = around(ISSUER, lost, peers=[REDEEMER])
    assert message(alone) == f"{DUPLICATE}; or delete the other one, and raise spec.issueKey.revision for a new key"


# --- an account that was deleted --------------------------------------------------------------------------------

ENDED = "PBXAccount a was deleted, or missing for an hour, which ends its links; delete this Interlink"


def test_what_a_new_link_needs_depends_on_whether_the_account_is_there_again() -> None:
    kept = with_spec(ISSUER, on_peer_deletion="Retain")
    over = record(kept, REDEEMER, end=end("AccountDeleted", "Issuer"))
    raise_revision = "raise spec.issueKey.revision for a new key"
    absent = around(kept, over, accounts=[ready_account("b")])
    assert message(absent) == f"{ENDED}, or create PBXAccount a again and {raise_revision}"
    again = around(kept, over)
    assert message(again) == f"{ENDED}, or {raise_revision}"
    raised = wants(showing(kept, key_id=key_of(over), key_revision=1), revision=2)
    assert message(around(raised, over, cluster=RESTORING)).startswith("a backup is being restored"), "a new wish"


def test_an_interlink_that_was_never_linked_is_told_nothing_of_a_link_of_its_own() -> None:
    going = [ready_account("b", deleting=True)]
    said = message(around(REDEEMER, accounts=going, attempts=looked("k" * 16)))
    assert said == ENDED.replace("PBXAccount a", "PBXAccount b")
