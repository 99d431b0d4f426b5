"""Messages of an Interlink that depend on the case: they name the next step, and are true in each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from builders import INSTANCE, NOW, at, interlink, record
from link_builders import (
    ISSUER,
    LINK,
    REDEEMER,
    answered,
    around,
    closing,
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
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import Interlink, LinkRecord
from pbx_operator.commands.options import RESTORE_PERIOD
from pbx_operator.domain.conditions import find
from pbx_operator.domain.links.facts import ClusterFacts, LinkSnapshot, RedeemTry
from pbx_operator.domain.links.plan import redemption_basis
from pbx_operator.domain.records.redemption import Busy, Refused, Used

RESTORING = ClusterFacts(INSTANCE, started=NOW, restoring_until=NOW + RESTORE_PERIOD)
DUPLICATE = "another link joins the two accounts; delete this Interlink"
ENDED_AS_DUPLICATE = (
    "the link has ended, since there was an older one of the same accounts or Interlink; delete this Interlink"
)
RAISE = "raise spec.issueKey.revision for a new key"


def message(s: LinkSnapshot, type_: str = "Ready") -> str:
    condition = find(status_of(swept(s)).conditions, type_)
    assert condition is not None
    return condition.message


# --- a revision that waits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "protection", "outcome"),
    [
        ("Retain", "Disabled", "then its key is made"),
        ("Delete", "Enabled", "then its key is made"),
        (
            "Delete",
            "Disabled",
            "if the peer ends it, this Interlink goes, too, and the revision with it;"
            " with spec.onPeerDeletion Retain it stays and gets its key",
        ),
    ],
)
def test_a_raised_revision_may_never_come(choice: str, protection: str, outcome: str) -> None:
    raised = with_spec(wants(ISSUER, revision=2), on_peer_deletion=choice, deletion_protection=protection)
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
    assert message(s) == f"{ENDED_AS_DUPLICATE}; or delete Interlink i2, and {RAISE}"
    alone = around(ISSUER, lost, peers=[REDEEMER])
    assert message(alone) == f"{ENDED_AS_DUPLICATE}; or delete the other one, and {RAISE}"


# --- what an installation needs ---------------------------------------------------------------------------------

IDENTITY = ObjectKey("phones", "pbx-operator-identity")
LOST = ClusterFacts(INSTANCE, identity_lost=True, identity=IDENTITY)
UNCONFIRMED = ClusterFacts(INSTANCE, confirmed=False, identity=IDENTITY)


@pytest.mark.parametrize("s", [around(ISSUER), around(REDEEMER, attempts=looked("k" * 16))], ids=["issuer", "redeemer"])
def test_who_needs_the_lost_identity_is_told_where_it_was(s: LinkSnapshot) -> None:
    assert message(replace(s, cluster=LOST)) == (
        "Secret phones/pbx-operator-identity, without which the operator issues and redeems no key, is gone;"
        " restore it from a backup, or start the operator with the right --namespace; links that exist go on"
    )


def test_in_a_cluster_of_others_both_conditions_name_the_identity() -> None:
    said = (
        "the operator's identity, in Secret phones/pbx-operator-identity, was made in another cluster;"
        " an administrator confirms it as the operator's log explains"
    )
    assert message(around(ISSUER, cluster=UNCONFIRMED)) == said
    assert message(around(ISSUER, LINK, peers=[REDEEMER], cluster=UNCONFIRMED), "CallsAllowed") == said


def test_who_is_not_admitted_is_told_what_the_issuer_must_write() -> None:
    s = around(REDEEMER, attempts=answered("k" * 16, Busy("RedeemerNotAllowed"), basis=(None, False)))
    assert f"with instance {INSTANCE}, to its spec.issueKey.allowedRedeemers" in message(s)


# --- a key that is of no use ------------------------------------------------------------------------------------


def test_where_a_new_key_comes_from_depends_on_the_side() -> None:
    key = key_of(LINK)
    used = f"the key {key} was used before and cannot be used again; "
    ask = "ask the issuing side for a new key and put it into Secret s"
    brought = interlink("i", "a", uid="u", issue={"from_secret_ref": {"name": "own"}, "revision": 2})
    again = around(brought, record(brought, revision=1, end=end("Revoked", "Issuer")), attempts=looked(key))
    assert message(again) == f"{used}put a new key into Secret own"
    late = around(REDEEMER, attempts=answered(key, Used(NOW, INSTANCE), basis=(None, False)))
    assert message(late) == f"{used}{ask}"
    assert message(around(REDEEMER, attempts=looked(key), spent_elsewhere=True)) == f"{used}{ask}"


def test_an_own_key_is_replaced_in_its_secret() -> None:
    s = around(REDEEMER, attempts=answered("k" * 16, Refused("SelfLink"), basis=(None, False)))
    assert message(s).endswith("; put a key of another account into Secret s")


# --- a gate that is closed --------------------------------------------------------------------------------------


def test_what_is_missing_is_named_on_this_side_alone() -> None:
    ours, theirs = [ready_account("a")], [ready_account("b")]
    step = "is missing; re-create it within the hour to keep the link"
    here = record(ISSUER, REDEEMER, closing=closing(ISSUER.metadata.uid, reason="Orphaned"))
    s = around(ISSUER, here, peers=[REDEEMER], accounts=theirs)
    assert message(s, "CallsAllowed") == f"PBXAccount a {step}"
    s = around(ISSUER, LINK, peers=[REDEEMER], accounts=ours)
    assert message(s, "CallsAllowed") == f"the peer's Interlink or PBXAccount {step}"


# --- a peer that ended the link ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "protection", "step"),
    [
        ("Retain", "Disabled", RAISE),
        ("Retain", "Enabled", RAISE),
        ("Delete", "Enabled", f"set spec.deletionProtection to Disabled and delete this Interlink, or {RAISE}"),
    ],
)
def test_what_keeps_an_interlink_after_its_peer_is_told(choice: str, protection: str, step: str) -> None:
    kept = with_spec(ISSUER, on_peer_deletion=choice, deletion_protection=protection)
    over = record(kept, REDEEMER, end=end("Deleted", "Redeemer"))
    assert message(swept(around(kept, over))) == f"the peer ended the link; {step}"


# --- an account that was deleted --------------------------------------------------------------------------------

ENDED = "PBXAccount a was deleted, or missing for an hour, which ends its links; delete this Interlink"


def test_what_a_new_link_needs_depends_on_whether_the_account_is_there_again() -> None:
    kept = with_spec(ISSUER, on_peer_deletion="Retain")
    over = record(kept, REDEEMER, end=end("AccountDeleted", "Issuer"))
    absent = around(kept, over, accounts=[ready_account("b")])
    assert message(absent) == f"{ENDED}, or create PBXAccount a again and {RAISE}"
    again = around(kept, over)
    assert message(again) == f"{ENDED}, or {RAISE}"
    raised = wants(showing(kept, key_id=key_of(over), key_revision=1), revision=2)
    assert message(around(raised, over, cluster=RESTORING)).startswith("a backup is being restored"), "a new wish"


def test_an_interlink_that_was_never_linked_is_told_nothing_of_a_link_of_its_own() -> None:
    going = [ready_account("b", deleting=True)]
    said = message(around(REDEEMER, accounts=going, attempts=looked("k" * 16)))
    assert said == ENDED.replace("PBXAccount a", "PBXAccount b")
