"""`pbx key`: bring-your-own keys, which are made before any cluster knows of them.

Only standard output ever gets the text of a key, so that it can be piped into an encrypting tool; everything meant
for people goes to standard error.
"""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

import click

from pbx_operator.api.manifest import to_yaml
from pbx_operator.api.v1alpha1.interlink import LAST_YEAR
from pbx_operator.api.v1alpha1.shared import DnsLabel, InstanceID, ObjectName
from pbx_operator.arguments import fits, names_namespace
from pbx_operator.domain.protocol.keys import (
    SECRET_ENTRY,
    SECRET_TYPE,
    SEED_BYTES,
    Bundle,
    SigningKey,
    key_id,
    key_text,
)


def _future_time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """Return a time as the API server takes it: RFC 3339, with an offset."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"'{value}' is not a time: write it like 2027-01-31T12:00:00Z") from error
    if time.tzinfo is None:
        raise click.BadParameter(f"'{value}' lacks its time zone: add Z for UTC, or an offset such as +01:00")
    if time.year > LAST_YEAR:
        raise click.BadParameter(f"'{value}' is too far away: choose a year up to {LAST_YEAR}")
    if time <= datetime.now(UTC):
        raise click.BadParameter(f"'{value}' has passed: choose a later time")
    return time


@click.group()
def key() -> None:
    """Work with keys that are brought along (issueKey.fromSecretRef) instead of generated."""


@key.command()
@click.option("--bundle", is_flag=True, help="Print a bundle: the key with public facts about its issuer.")
@click.option(
    "--account",
    callback=fits(DnsLabel, "is not the name of a PBXAccount: write its metadata.name, for example amsterdam"),
    help="In the bundle: the PBXAccount that issues the key.",
)
@click.option(
    "--instance",
    callback=fits(
        InstanceID,
        "is not an installation: write the 26 characters that status.peer.instance of an established Interlink shows",
    ),
    help="In the bundle: the operator installation that issues the key.",
)
@click.option(
    "--expiration-time",
    callback=_future_time,
    help="In the bundle: when the unused key expires, as in issueKey.expirationTime; for display only.",
)
@click.option(
    "-o", "--output", type=click.Choice(["text", "secret"]), default="text", help="The bare text, or a Secret manifest."
)
@click.option(
    "--name",
    callback=fits(
        ObjectName,
        "is not the name of a Secret: write lower case letters, digits, '-' and '.', for example to-rotterdam-key",
    ),
    help="Name of the Secret.",
)
@click.option(
    "-n",
    "--namespace",
    callback=names_namespace,
    help="Namespace of the Secret; without it, kubectl's current one.",
)
def new(
    bundle: bool,
    account: str | None,
    instance: str | None,
    expiration_time: datetime | None,
    output: str,
    name: str | None,
    namespace: str | None,
) -> None:
    """Make a key, and print it to standard output.

    Both ends of a link can then lie in Git, each with a sealed Secret: the issuer names its Secret in
    issueKey.fromSecretRef, the redeemer in redeemKey.secretRef. The key works once, for one link.
    """
    if not bundle:
        expires = expiration_time.isoformat() if expiration_time is not None else None
        facts = {"--account": account, "--instance": instance, "--expiration-time": expires}
        _refuse("is part of a bundle: add --bundle, or leave it out", facts)
    if output != "secret":
        _refuse("is about a Secret: add -o secret, or leave it out", {"--name": name, "--namespace": namespace})
    elif name is None:
        raise click.UsageError("-o secret needs the name of the Secret: add --name NAME")
    made = SigningKey(secrets.token_bytes(SEED_BYTES))
    text = Bundle(made, instance, account, expiration_time).text() if bundle else key_text(made)
    click.echo(text if name is None else secret_manifest(text, name, namespace), nl=name is None)
    click.echo(
        f"key {key_id(made.public)}: keep it secret, since whoever has it can link to the account that issues it",
        err=True,
    )


def _refuse(problem: str, options: dict[str, str | None]) -> None:
    """Raise UsageError for the first of these options that was given."""
    for option, value in options.items():
        if value is not None:
            raise click.UsageError(f"{option} '{value}' {problem}")


def secret_manifest(text: str, name: str, namespace: str | None) -> str:
    """Return the YAML of a Secret that holds a key.

    It is not immutable, so that the next key can go into the same Secret. The text goes into `data`, since
    `stringData` does not work well with server-side apply.
    """
    metadata = {"name": name} | ({"namespace": namespace} if namespace is not None else {})
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "type": SECRET_TYPE,
        "data": {SECRET_ENTRY: base64.b64encode(text.encode()).decode()},
    }
    return to_yaml(manifest)
