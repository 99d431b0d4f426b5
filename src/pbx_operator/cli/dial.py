"""`pbx dial`: what happens if a phone of an account dials these digits, and why.

Reads what a SIP server reads, the published slices and the gates, so the answer is that of the living system and
not of the manifests that it was made from.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.api.v1alpha1 import DialPlanSlice, Interlink, InternalNumber, PBXAccount
from pbx_operator.api.v1alpha1.shared import DnsLabel
from pbx_operator.arguments import fits
from pbx_operator.cli.failures import CannotAnswerError, Needs
from pbx_operator.cli.questions import Place, options, parse, read
from pbx_operator.cli.tables import make_console, print_answers
from pbx_operator.cluster import Cluster, Forbidden
from pbx_operator.domain.dialplan.changes import is_ours
from pbx_operator.domain.dialplan.reader import Answer, DialPlan

R = TypeVar("R", bound=Resource)

_DIGITS = re.compile(r"[0-9*#]{1,8}")
EXIT_NO_MATCH = 1
NAMED = 5
"""How many objects a note names."""
NEEDS = Needs("pbxaccounts", "get on pbxaccounts, and list on interlinks and dialplanslices")


@dataclass(frozen=True, slots=True)
class Published:
    """What a SIP server of one account can see."""

    account: PBXAccount
    slices: list[DialPlanSlice]
    interlinks: list[Interlink]
    numbers: list[InternalNumber]
    """Only to tell what the operator has not published yet; none if they may not be read."""


def _digits(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _DIGITS.fullmatch(value):
            raise click.BadParameter(f"'{value}' is not dialled: write 1 to 8 characters out of 0-9, * and #")
    return values


@click.command()
@click.argument(
    "account", callback=fits(DnsLabel, "is not the name of a PBXAccount: write its metadata.name, for example paris")
)
@click.argument("digits", nargs=-1, required=True, callback=_digits)
@options("the account")
@click.pass_context
def dial(
    context: click.Context,
    account: str,
    digits: tuple[str, ...],
    namespace: str | None,
    kubeconfig: str | None,
    context_name: str | None,
    output: str,
) -> None:
    """Tell what happens if a phone of ACCOUNT dials DIGITS, and why.

    Exit code 0: numbers or the emergency service are reached; 1: some digits have no match; 2: the question could
    not be asked.
    """

    async def look(cluster: Cluster, namespace: str) -> Published:
        return await read_published(cluster, ObjectKey(namespace, account))

    published = Place(namespace, kubeconfig, context_name).ask(look, NEEDS)
    plan = DialPlan(published.account, published.slices, published.interlinks)
    answers = [plan.answer(dialed) for dialed in digits]
    if output == "json":
        click.echo(json.dumps([answer_json(answer) for answer in answers], indent=2))
    else:
        print_answers(make_console(), answers)
    if late := under_way(published):
        more = f" and {len(late) - NAMED} more" if len(late) > NAMED else ""
        named = ", ".join(late[:NAMED]) + more
        click.echo(f"A change is under way, so this may change: {named}. Does the operator run?", err=True)
    context.exit(EXIT_NO_MATCH if any(answer.outcome == "NoMatch" for answer in answers) else 0)


def under_way(published: Published) -> list[str]:
    """Return the objects of the account whose latest change, or deletion, the operator has not carried out."""
    objects: list[PBXAccount | Interlink | InternalNumber] = [published.account]
    objects += [*published.interlinks, *published.numbers]
    return [
        f"{one.resource.kind} {one.metadata.name}"
        for one in objects
        if one.metadata.deleting or one.status.observed_generation < one.metadata.generation
    ]


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer for programs: the fields that are set, in camel case."""
    facts = {
        "digits": answer.digits,
        "outcome": answer.outcome,
        "explanation": answer.explanation,
        "number": answer.number,
        "displayName": answer.display_name,
        "destination": answer.destination.to_json() if answer.destination is not None else None,
        "interlink": answer.interlink,
        "target": answer.target,
        "passedOver": [
            {"interlink": p.interlink, "target": p.target, "why": p.why, "detail": p.detail} for p in answer.passed_over
        ],
        "prefixProblems": [
            {"interlink": p.interlink, "dialPrefix": p.prefix, "detail": p.detail} for p in answer.prefix_problems
        ],
    }
    return {name: value for name, value in facts.items() if value is not None}


async def read_published(cluster: Cluster, key: ObjectKey) -> Published:
    """Read an account with what is published for it.

    Raises ApiError, or CannotAnswerError if there is nothing to read.
    """
    account = await read(cluster, PBXAccount, key)
    slices = await cluster.list(DialPlanSlice.resource, key.namespace)
    interlinks = await cluster.list(Interlink.resource, key.namespace)
    published = Published(
        account,
        _parse_all(DialPlanSlice, slices.items, key.name),
        _parse_all(Interlink, interlinks.items, key.name),
        _parse_all(InternalNumber, await _numbers(cluster, key.namespace), key.name),
    )
    if not any(is_ours(s, account) for s in published.slices):
        raise CannotAnswerError(
            f"no dial plan is published for PBXAccount {key}: look why with "
            f"`kubectl describe pbxaccount {key.name} -n {key.namespace}`, and whether the operator runs"
        )
    return published


async def _numbers(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Return the InternalNumbers of a namespace; nothing if they may not be read, since no answer comes from them."""
    try:
        return (await cluster.list(InternalNumber.resource, namespace)).items
    except Forbidden:
        return []


def _parse_all(model: type[R], items: list[dict[str, Any]], account: str) -> list[R]:
    """Read the objects that name this account."""
    return [parse(model, item) for item in items if item["spec"]["accountRef"]["name"] == account]
