"""Internal numbers: which ones an account accepts, and who holds each.

`resolve` is the whole rule for one account.  Its `held` numbers make the account's dial plan and, through
`offers`, what peers may dial; its `outcomes` become the statuses of the InternalNumbers.  The dial plan follows
the winner of a claim at once, in one write, while the statuses hand the number over in two steps (see `claims`).

A rule that became stricter after a number went into service only warns about it, so that an edit of the account
cannot silence phones; a number that equals an emergency number is the exception and always loses its service.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from pbx_operator.api.reasons import EMERGENCY_NUMBER, NUMBER_OUT_OF_RANGE, RESERVED_PREFIX, Verdict, verdict
from pbx_operator.api.v1alpha1.internalnumber import InternalNumber
from pbx_operator.api.v1alpha1.pbxaccount import PBXAccount
from pbx_operator.domain.claims import Award, Claim, created, settle
from pbx_operator.domain.dialplan import emergency


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the account accepts a number: a refusal, or warnings about a number that serves."""

    refusal: Verdict | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one InternalNumber."""

    number: InternalNumber
    judgement: Judgement | None = None
    """None: the account could not judge it."""
    award: Award | None = None
    """None: it claims nothing, because it is refused, not judged, or being deleted."""

    @property
    def shows(self) -> str | None:
        """What the object's status may show as held."""
        return self.number.spec.number if self.award is not None and self.award.holds else None


@dataclass(frozen=True, slots=True)
class Resolution:
    """All numbers of an account, decided."""

    outcomes: tuple[Outcome, ...] = ()
    held: tuple[InternalNumber, ...] = ()
    """The winner of each number, lowest number first: exactly these are in the dial plan."""


def resolve(
    account: PBXAccount | None,
    numbers: Sequence[InternalNumber],
    claimed: Sequence[Claim] = (),
    servers: Set[str] = frozenset(),
) -> Resolution:
    """Decide all InternalNumbers that name an account; without an account, or with one on its way out, none holds.

    `claimed` are the claims of those that cannot be read: they keep others away, and are in no dial plan.  `servers`
    are the CommServers that are there, by name; a number that rings at another one is warned about.
    """
    if account is None or account.metadata.deleting:
        return Resolution(tuple(Outcome(n) for n in numbers))
    rules = Rules.of(account)
    judged = {
        n.key: _with_destination(rules.judge(n.spec.number, serving=serving(n)), n, servers)
        for n in numbers
        if not n.metadata.deleting
    }
    awards = settle([*(_claim(n, judged.get(n.key)) for n in numbers), *claimed])
    outcomes = tuple(Outcome(n, judged.get(n.key), awards.get(n.key)) for n in numbers)
    held = [o.number for o in outcomes if o.award is not None and o.award.won]
    return Resolution(outcomes, tuple(sorted(held, key=lambda n: n.spec.number)))


def serving(number: InternalNumber) -> bool:
    """Whether the object holds the very number that it wants."""
    return number.status.number == number.spec.number


def server_of(number: InternalNumber) -> str | None:
    """Return the CommServer that a number rings at, by name."""
    destination = number.spec.destination
    return destination.comm_server.name if destination is not None and destination.comm_server is not None else None


def _with_destination(judgement: Judgement | None, number: InternalNumber, servers: Set[str]) -> Judgement | None:
    """Return the judgement, with a warning if the number rings at a CommServer that is not there."""
    server = server_of(number)
    if judgement is None or server is None or server in servers:
        return judgement
    warning = f"spec.destination.commServer.name: there is no CommServer {server} here yet, so calls to it end nowhere"
    return replace(judgement, warnings=(*judgement.warnings, warning))


def protected_numbers(account: PBXAccount) -> frozenset[str]:
    """Return the account's emergency numbers; with an unknown country, those that count everywhere."""
    additional = account.spec.emergency.additional_numbers
    if not emergency.known_country(account.spec.country):
        return emergency.EVERYWHERE.union(additional)
    return emergency.emergency_numbers(account.spec.country, additional)


def sends_digit_by_digit(account: PBXAccount) -> bool:
    """Whether dialling stops at the first emergency number, and the account protects against that."""
    return account.spec.numbering.dialing == "DigitByDigit" and account.spec.emergency.protection == "Enforce"


def _claim(number: InternalNumber, judgement: Judgement | None) -> Claim:
    accepted = judgement is not None and judgement.refusal is None
    wants = number.spec.number if accepted else None
    return Claim(number.key, created(number.metadata), wants, number.status.number)


@dataclass(frozen=True, slots=True)
class Rules:
    """What an account demands of its numbers."""

    account: PBXAccount
    protected: frozenset[str]
    country_known: bool

    @classmethod
    def of(cls, account: PBXAccount) -> Rules:
        """Read the rules out of an account."""
        return cls(account, protected_numbers(account), emergency.known_country(account.spec.country))

    def judge(self, number: str, *, serving: bool) -> Judgement | None:
        """Return whether a number is accepted, or None while an unknown country leaves that open.

        A number that is `serving` is only warned about, unless it equals an emergency number.
        """
        if not self.country_known and not serving:
            return None
        finding = emergency.judge(
            number,
            self.protected,
            protection=self.account.spec.emergency.protection,
            dialing=self.account.spec.numbering.dialing,
            serving=serving,
        )
        if finding is not None and (finding.severity == "Refused" or finding.relation == "Equal"):
            return Judgement(verdict("Accepted", "False", EMERGENCY_NUMBER, finding=finding.message))
        reserved, out_of_range = self._reserved(number), self._out_of_range(number)
        refusal = reserved or (out_of_range if self._rejects else None)
        if refusal is not None and not serving:
            return Judgement(refusal)
        tolerated = tuple(o.message for o in (reserved, out_of_range) if o is not None)
        return Judgement(warnings=(finding.message, *tolerated) if finding is not None else tolerated)

    @property
    def _rejects(self) -> bool:
        return self.account.spec.numbering.out_of_range == "Reject"

    def _reserved(self, number: str) -> Verdict | None:
        """Refuse what a reserved prefix would swallow, or what would cut it off where each digit counts at once."""
        numbering = self.account.spec.numbering
        cuts_off = numbering.dialing == "DigitByDigit"
        prefixes = numbering.reserved_prefixes
        prefix = next((p for p in prefixes if number.startswith(p) or (cuts_off and p.startswith(number))), None)
        if prefix is None:
            return None
        value, account = f"number {number}", self.account.metadata.name
        return verdict("Accepted", "False", RESERVED_PREFIX, value=value, prefix=prefix, account=account)

    def _out_of_range(self, number: str) -> Verdict | None:
        ranges = self.account.spec.numbering.ranges
        if not ranges or any(number in r for r in ranges):
            return None
        return verdict("Accepted", "False", NUMBER_OUT_OF_RANGE, number=number, account=self.account.metadata.name)
