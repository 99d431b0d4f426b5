"""`pbx translate`: what a CommServer's PBX gets and calls if somebody dials this number, step by step.

Reads the declared rules and asks the function that fills `status.translations`, so it also answers for a spec that the
operator has not carried out, or refuses; that is told beside the answer.
"""

from __future__ import annotations

import json
import re
from typing import Any

import click

from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import CommServer, PBXAccount
from pbx_operator.api.v1alpha1.shared import DnsLabel
from pbx_operator.arguments import fits
from pbx_operator.cli.failures import CannotAnswerError, Needs
from pbx_operator.cli.questions import Place, options, parse, read
from pbx_operator.cli.tables import make_console, print_steps
from pbx_operator.cluster import Cluster, Gone
from pbx_operator.domain.numbering.explanation import Explanation
from pbx_operator.domain.numbering.rules import MAX_NUMBER
from pbx_operator.domain.servers.checks import Judgement, explain_number, judge_spec
from pbx_operator.domain.servers.status import in_force

NEEDS = Needs("commservers", "get on commservers and pbxaccounts")
EXIT_NOTHING_DIALLED = 1

_NUMBER = re.compile(rf"[0-9*#+]{{1,{MAX_NUMBER}}}")


def _number(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not _NUMBER.fullmatch(value):
        raise click.BadParameter(f"'{value}' is not dialled: write 1 to {MAX_NUMBER} characters out of 0-9, *, # and +")
    return value


@click.command()
@click.argument(
    "server", callback=fits(DnsLabel, "is not the name of a CommServer: write its metadata.name, for example hotel")
)
@click.argument("number", callback=_number)
@options("the server")
@click.pass_context
def translate(
    context: click.Context,
    server: str,
    number: str,
    namespace: str | None,
    kubeconfig: str | None,
    context_name: str | None,
    output: str,
) -> None:
    """Show what the PBX of CommServer SERVER makes of NUMBER, dialled in the provider's applications, step by step.

    Exit code 0: the PBX gets a number; 1: nothing is dialled; 2: the question could not be asked.
    """

    async def look(cluster: Cluster, namespace: str) -> tuple[CommServer, PBXAccount | None]:
        return await _read_server(cluster, ObjectKey(namespace, server))

    found, account = Place(namespace, kubeconfig, context_name).ask(look, NEEDS)
    judgement = judge_spec(found, account)
    try:
        explanation = explain_number(found, account, number)
    except ValueError as error:
        problem = f"{judgement.accepted.reason.name}: {judgement.accepted.message}"
        raise CannotAnswerError(f"the spec of CommServer {found.key} cannot be applied, {problem}") from error
    if output == "json":
        click.echo(json.dumps(explanation_json(explanation), indent=2))
    else:
        print_steps(make_console(), explanation.steps)
    if note := _not_in_force(found, judgement):
        click.echo(note, err=True)
    context.exit(EXIT_NOTHING_DIALLED if explanation.outcome.dialled is None else 0)


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation for programs: the fields that are set, named as in `status.translations`."""
    outcome = explanation.outcome
    facts = {
        "number": outcome.number,
        "result": outcome.dialled,
        "by": outcome.by,
        "called": explanation.called,
        "emergencyNumber": explanation.emergency,
        "steps": [{"by": s.by, "effect": s.effect, "explanation": s.explanation} for s in explanation.steps],
    }
    return {name: value for name, value in facts.items() if value is not None}


def _not_in_force(server: CommServer, judgement: Judgement) -> str:
    """Return why calls may go another way now; empty if the provider has these rules, and they are accepted."""
    if (refusal := judgement.refusal) is not None:
        now = in_force(server, server.status)
        return f"This spec is refused, {refusal.reason.name}: {refusal.message}; {now}."
    if server.status.applied_generation != server.metadata.generation:
        return f"The provider has not got this spec yet: {in_force(server, server.status)}. Does the operator run?"
    return ""


async def _read_server(cluster: Cluster, key: ObjectKey) -> tuple[CommServer, PBXAccount | None]:
    """Read a server and the account that it names, if that exists. Raises ApiError or CannotAnswerError."""
    server = await read(cluster, CommServer, key)
    if server.spec.account_ref is None:
        return server, None
    try:
        account = await cluster.get(PBXAccount.resource, ObjectKey(key.namespace, server.spec.account_ref.name))
    except Gone:
        return server, None
    return server, parse(PBXAccount, account)
