"""`pbx-operator rotate-identity`: another key for the same installation."""

from __future__ import annotations

import asyncio

import click

from pbx_operator.cluster import ApiError, Cluster, Conflict, CredentialsError, Unavailable
from pbx_operator.commands.options import kubeconfig_option, namespace_option
from pbx_operator.engine.identity import Identity, rotate_identity

_ROTATED = """\
Installation {identity.instance} has a new identity key, {identity.public_key}: rotation {number}, {left} are left.
- The operator and its exchange servers take it up within a minute, peers with the next sync. Links stay.
- Back up the Secret now: an older copy holds a former key, which peers stop believing.
- If the former key leaked, raise spec.issueKey.revision of all unused keys, and carry the new ones."""


@click.command("rotate-identity")
@namespace_option
@kubeconfig_option
def rotate(namespace: str, kubeconfig: str | None) -> None:
    """Replace the key by which this installation signs what it says to others; no link breaks.

    Running operators and exchange servers take the new key up within a minute. Do this at once when the Secret
    may have been read by others: what the former key signs counts no more where the new one was heard.
    """
    try:
        identity = asyncio.run(_rotate(kubeconfig, namespace))
    except Conflict as error:
        raise click.ClickException("somebody else changed the identity: nothing was rotated, try again") from error
    except Unavailable as error:
        text = f"nobody knows whether the identity was rotated ({error}): try again, two rotations do no harm"
        raise click.ClickException(text) from error
    except (ApiError, CredentialsError, ValueError) as error:
        raise click.ClickException(f"the identity was not rotated: {error}") from error
    click.echo(_ROTATED.format(identity=identity, number=len(identity.successions), left=identity.rotations_left))


async def _rotate(kubeconfig: str | None, namespace: str) -> Identity:
    async with Cluster.connect(kubeconfig) as cluster:
        return await rotate_identity(cluster, namespace)
