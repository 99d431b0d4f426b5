"""`pbx dial`: what happens if a phone of an account dials these digits, and why.

Reads what a SIP server reads, the published slices and the gates, so the answer is that of the living system and
not of the manifests that it was made from.
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import click
from pydantic import ValidationError

from pbx_operator.api.meta import ObjectKey, Resource
from pbx_operator.api.v1alpha1 import DialPlanSlice, Interlink, PBXAccount
from pbx_operator.cli.tables import make_console, print_answers
from pbx_operator.cluster import ApiError, Cluster, CredentialsError, Forbidden, Gone
from pbx_operator.domain.dialplan import Answer, DialPlan
from pbx_operator.domain.slice_changes import is_ours

R = TypeVar("R", bound=Resource)

_DIGITS = re.compile(r"[0-9*#]{1,8}")
EXIT_NO_MATCH = 1


class CannotAnswerError(click.ClickException):
    """The question could not be asked; the message ends with the next step."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Published:
    """What a SIP server of one account can see."""

    account: PBXAccount
    slices: list[DialPlanSlice]
    interlinks: list[Interlink]


def _digits(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _DIGITS.fullmatch(value):
            raise click.BadParameter(f"'{value}' is not dialled: write 1 to 8 characters out of 0-9, * and #")
    return values


@click.command()
@click.argument("account")
@click.argument("digits", nargs=-1, required=True, callback=_digits)
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the account.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="Form of the answer.")
@click.pass_context
def dial(context: click.Context, account: str, digits: tuple[str, ...], namespace: str, output: str) -> None:
    """Tell what happens if a phone of ACCOUNT dials DIGITS, and why.

    Exit code 0: numbers or the emergency service are reached; 1: some digits have no match; 2: the question could
    not be asked.
    """
    published = asyncio.run(_ask(ObjectKey(namespace, account)))
    plan = DialPlan(published.account, published.slices, published.interlinks)
    answers = [plan.answer(dialed) for dialed in digits]
    if output == "json":
        click.echo(json.dumps([answer_json(answer) for answer in answers], indent=2))
    else:
        print_answers(make_console(), answers)
    context.exit(EXIT_NO_MATCH if any(answer.outcome == "NoMatch" for answer in answers) else 0)


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
    }
    return {name: value for name, value in facts.items() if value is not None}


async def _ask(key: ObjectKey) -> Published:
    try:
        async with Cluster.connect(user_agent="pbx") as cluster:
            return await read_published(cluster, key)
    except CredentialsError as error:
        raise CannotAnswerError(f"{error}. Set KUBECONFIG to the file that kubectl uses.") from error
    except ApiError as error:
        _explain(error, key)


async def read_published(cluster: Cluster, key: ObjectKey) -> Published:
    """Read an account with what is published for it.

    Raises ApiError, or CannotAnswerError if there is nothing to read.
    """
    account = _parse(PBXAccount, await cluster.get(PBXAccount.resource, key))
    slices = await cluster.list(DialPlanSlice.resource, key.namespace)
    interlinks = await cluster.list(Interlink.resource, key.namespace)
    published = Published(
        account, _parse_all(DialPlanSlice, slices.items, key.name), _parse_all(Interlink, interlinks.items, key.name)
    )
    if not any(is_ours(s, account) for s in published.slices):
        raise CannotAnswerError(
            f"no dial plan is published for PBXAccount {key}: look why with "
            f"`kubectl describe pbxaccount {key.name} -n {key.namespace}`, and whether the operator runs"
        )
    return published


def _parse_all(model: type[R], items: list[dict[str, Any]], account: str) -> list[R]:
    """Read the objects that name this account."""
    return [_parse(model, item) for item in items if item["spec"]["accountRef"]["name"] == account]


def _parse(model: type[R], item: dict[str, Any]) -> R:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        name = f"{model.resource.kind} {item['metadata']['name']}"
        raise CannotAnswerError(f"{name} does not fit this version of pbx: use the operator's version") from error


def _explain(error: ApiError, key: ObjectKey) -> NoReturn:
    if isinstance(error, Gone):
        step = f"see `kubectl get pbxaccounts -n {key.namespace}`, or choose a namespace with -n"
        raise CannotAnswerError(f"PBXAccount {key} does not exist: {step}") from error
    if isinstance(error, Forbidden):
        step = "ask for get and list on pbxaccounts, interlinks and dialplanslices"
        raise CannotAnswerError(f"{error}: {step}") from error
    raise CannotAnswerError(f"{error}: check with `kubectl get pbxaccounts` that the cluster answers") from error
