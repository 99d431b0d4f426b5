"""Redemption: one key, one redeemer, for ever; and nobody learns anything without the key."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import HOUR, MINUTE, NOW, at, digest, identity, interlink, record
from link_builders import STRANGER, closing, end
from pbx_operator.api.v1alpha1.interlink import Interlink
from pbx_operator.api.v1alpha1.linkrecord import LinkRecordSpec, Policy, Redeemer
from pbx_operator.domain.links.facts import account_name
from pbx_operator.domain.protocol.keys import SigningKey, instance_id, key_id, link_id
from pbx_operator.domain.records.redemption import (
    MAX_RECORDS_PER_NAMESPACE,
    Busy,
    Decision,
    Gone,
    IssuerFacts,
    Linked,
    Redemption,
    Refused,
    Result,
    Unknown,
    Used,
    decide,
    sign_redemption,
)
from record_rules import unlawful


def signing_key(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


KEY, HOME, ELSEWHERE = signing_key("the key"), signing_key("this installation"), signing_key("another one")
KEY_ID, INSTANCE = key_id(KEY.public), instance_id(HOME.public)
ISSUER = interlink("i", "a")
ME, RIVAL = interlink("r", "b", redeem="s"), interlink("q", "c", redeem="s")
FINE = IssuerFacts(issuer_present=True, pair_linked=False)


def issued(**options: Any) -> LinkRecordSpec:
    made = record(ISSUER, **options).spec
    issuer = made.issuer.model_copy(update={"instance": INSTANCE, "public_key": HOME.public})
    return made.model_copy(update={"key_id": KEY_ID, "key_public": KEY.public, "issuer": issuer})


def request(link: Interlink = ME, key: SigningKey = KEY, installation: SigningKey = HOME) -> Redemption:
    return sign_redemption(key, KEY_ID, installation, INSTANCE, account_name(link), identity(link))


def redeemed_by(link: Interlink, **options: Any) -> LinkRecordSpec:
    """Return the record after this Interlink won it."""
    made = decide(issued(), request(link), FINE, NOW).spec
    assert made is not None
    return made.model_copy(update=options)


def winner(**options: Any) -> Redeemer:
    redeemer = redeemed_by(ME).redeemer
    assert redeemer is not None
    return redeemer.model_copy(update=options)


ENDED = {"state": "Ended", "end": end("Deleted", "Issuer", at(60))}
MINE, RIVALS = redeemed_by(ME), redeemed_by(RIVAL)
MY_LINK = link_id(INSTANCE, KEY_ID, INSTANCE, ME.metadata.uid)
OVER = Policy(expiration_time=at(0))
NOT_ME = Policy(allowed_redeemers=(STRANGER,))
ABSENT = replace(FINE, issuer_present=False)
RESTORING = replace(FINE, restoring=True)


class TestTable:
    """The table of the design, in order of precedence."""

    @pytest.mark.parametrize(
        ("spec", "facts", "result"),
        [
            pytest.param(None, FINE, Unknown(), id="no record"),
            pytest.param(RIVALS, FINE, Used(NOW, INSTANCE), id="redeemed by another"),
            pytest.param(redeemed_by(RIVAL, **ENDED), FINE, Used(NOW, INSTANCE), id="redeemed by another, and ended"),
            pytest.param(redeemed_by(ME, **ENDED), FINE, Gone("Deleted"), id="my link, ended"),
            pytest.param(issued(end=end("Revoked")), FINE, Gone("Revoked"), id="ended unused"),
            pytest.param(issued(end=end("Revoked")), RESTORING, Gone("Revoked"), id="an end is an end in a restore"),
            pytest.param(issued(), RESTORING, Busy("Restoring", MINUTE), id="restoring"),
            pytest.param(issued(policy=OVER), RESTORING, Busy("Restoring", MINUTE), id="before expiry"),
            pytest.param(issued(fences=(MY_LINK,)), FINE, Gone("Cancelled"), id="cancelled"),
            pytest.param(issued(fences=(MY_LINK,)), ABSENT, Gone("Cancelled"), id="cancelled whatever else"),
            pytest.param(issued(), ABSENT, Busy("IssuerAbsent"), id="issuer absent or deleting"),
            pytest.param(issued(closing=closing("u")), FINE, Busy("Closing"), id="closing"),
            pytest.param(issued(policy=NOT_ME), FINE, Busy("RedeemerNotAllowed"), id="not in allowedRedeemers"),
            pytest.param(issued(policy=NOT_ME), ABSENT, Busy("IssuerAbsent"), id="absence before permission"),
            pytest.param(
                issued(policy=Policy(account_ready="False")), FINE, Busy("AccountNotReady"), id="account not ready"
            ),
            pytest.param(issued(), replace(FINE, pair_linked=True), Busy("DuplicateLink"), id="pair linked already"),
            pytest.param(
                issued(),
                replace(FINE, namespace_records=MAX_RECORDS_PER_NAMESPACE + 1),
                Busy("TooManyRecords", HOUR),
                id="namespace full",
            ),
        ],
    )
    def test_answers_that_change_nothing(self, spec: LinkRecordSpec | None, facts: IssuerFacts, result: Result) -> None:
        decision = decide(spec, request(), facts, NOW)
        assert (decision.result, decision.spec) == (result, None)
        assert decision.replay == isinstance(result, Used), "only a second party is noted"

    def test_a_valid_key_is_spent(self) -> None:
        decision = decide(issued(), request(), replace(FINE, namespace_records=MAX_RECORDS_PER_NAMESPACE), at(0.7))
        redeemer = Redeemer(
            link_id=MY_LINK,
            instance=INSTANCE,
            public_key=HOME.public,
            account=account_name(ME),
            interlink=identity(ME),
            time=NOW,
        )
        assert decision.result == Linked(redeemer)
        assert decision.spec == issued().model_copy(update={"state": "Established", "redeemer": redeemer})

    def test_an_expired_key_ends_when_somebody_asks(self) -> None:
        decision = decide(issued(policy=OVER), request(), FINE, at(0))
        assert decision.result == Gone("KeyExpired")
        assert decision.spec == issued(policy=OVER, end=end("KeyExpired", "Operator", at(0)))

    def test_expiry_goes_before_the_reasons_to_wait(self) -> None:
        assert decide(issued(policy=OVER), request(), ABSENT, NOW).result == Gone("KeyExpired")

    def test_a_key_works_until_the_second_in_which_it_expires(self) -> None:
        assert decide(issued(policy=OVER), request(), FINE, at(-0.001)).result == Linked(winner(time=at(-1)))

    def test_an_account_cannot_link_to_itself(self) -> None:
        mine = interlink("r", "a", redeem="s")
        assert decide(issued(), request(mine), ABSENT, NOW) == Decision(Refused("SelfLink"))

    def test_the_same_names_elsewhere_are_another_account(self) -> None:
        mine = interlink("r", "a", redeem="s")
        assert isinstance(decide(issued(), request(mine, installation=ELSEWHERE), FINE, NOW).result, Linked)

    @pytest.mark.parametrize("facts", [FINE, ABSENT, RESTORING, replace(FINE, pair_linked=True)])
    def test_the_winner_gets_the_same_answer_whenever_it_asks(self, facts: IssuerFacts) -> None:
        assert decide(MINE, request(), facts, at(86_400)) == Decision(Linked(winner()))

    def test_names_are_not_compared_for_that(self) -> None:
        """An adoption changes the recorded uid; the link keeps its id."""
        moved = winner(interlink=identity(interlink("r", "b", redeem="s", uid="new")))
        assert decide(MINE.model_copy(update={"redeemer": moved}), request(), FINE, NOW).result == Linked(moved)


class TestProof:
    """Whoever cannot prove the key learns nothing: every record answers Unknown."""

    @pytest.mark.parametrize("spec", [issued(), MINE, RIVALS, issued(policy=OVER), issued(end=end("Revoked"))])
    @pytest.mark.parametrize(
        "forged",
        [
            pytest.param(request(key=signing_key("another key")), id="signed by another key"),
            pytest.param(replace(request(), key_signature=""), id="not signed by the key"),
            pytest.param(replace(request(), instance_signature=""), id="not signed by the installation"),
            pytest.param(replace(request(), instance_signature=request().key_signature), id="signed by the wrong one"),
            pytest.param(replace(request(), account=account_name(RIVAL)), id="another account"),
            pytest.param(replace(request(), interlink=identity(RIVAL)), id="another Interlink"),
            pytest.param(replace(request(), link_id=digest("chosen", 26)), id="a chosen link id"),
            pytest.param(replace(request(), instance=digest("chosen", 26)), id="a chosen instance"),
            pytest.param(replace(request(), public_key=ELSEWHERE.public), id="another installation's public key"),
            pytest.param(replace(request(), key_id=digest("another", 16)), id="made for another key"),
        ],
    )
    def test_unknown(self, spec: LinkRecordSpec, forged: Redemption) -> None:
        assert decide(spec, forged, FINE, NOW) == Decision(Unknown())

    def test_a_request_for_another_issuer_proves_nothing_here(self) -> None:
        stray = sign_redemption(KEY, KEY_ID, HOME, digest("another issuer", 26), account_name(ME), identity(ME))
        assert decide(issued(), stray, FINE, NOW) == Decision(Unknown())

    def test_a_request_holds_no_secret(self) -> None:
        shown = repr(request()).encode() + request().payload()
        for key in (KEY, HOME):
            assert key.seed not in shown
            assert key.seed.hex().encode() not in shown


# --- one key, one redeemer --------------------------------------------------------------------------------------

parties = [interlink(f"r{n}", f"b{n % 3}", redeem="s", uid=f"uid-{n}") for n in range(4)]
facts = st.builds(IssuerFacts, st.booleans(), st.booleans(), st.sampled_from([0, MAX_RECORDS_PER_NAMESPACE + 1]))
asking = st.lists(st.tuples(st.sampled_from(parties), facts, st.integers(-60, 60)), max_size=12)


class TestAnyOrder:
    @given(asking)
    def test_one_key_has_at_most_one_redeemer_and_the_winner_always_hears_so(
        self, story: list[tuple[Interlink, IssuerFacts, int]]
    ) -> None:
        spec, won = issued(policy=OVER), None
        for link, known, second in story:
            decision = decide(spec, request(link), known, at(second))
            if decision.spec is not None:
                assert not unlawful(spec, decision.spec)
                spec = decision.spec
            if isinstance(decision.result, Linked):
                assert won in (None, link.metadata.uid)
                won = link.metadata.uid
            elif won == link.metadata.uid:
                pytest.fail(f"the winner was told {decision.result}")
            assert (spec.redeemer.interlink.uid if spec.redeemer else None) == won

    @given(asking)
    def test_final_answers_stay(self, story: list[tuple[Interlink, IssuerFacts, int]]) -> None:
        spec = issued(policy=OVER)
        final: dict[str, Result] = {}
        for link, known, second in story:
            decision = decide(spec, request(link), known, at(second))
            spec = decision.spec or spec
            said = final.get(link.metadata.uid)
            assert said is None or type(said) is type(decision.result)
            if isinstance(decision.result, Used | Gone | Refused | Linked):
                final[link.metadata.uid] = decision.result
