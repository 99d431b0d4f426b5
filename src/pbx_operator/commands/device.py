"""`pbx-operator device`: the command line in front of `pbx_operator.device`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click

from pbx_operator import logs
from pbx_operator.api.v1alpha1.commserver import Channel, EquipmentID
from pbx_operator.api.v1alpha1.equipmentrecord import MAX_CHANNELS
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.api.v1alpha1.shared import InstanceID, Pin
from pbx_operator.arguments import each_fits, fits, names_endpoints
from pbx_operator.commands.options import log_level_option
from pbx_operator.device import DeviceError, DeviceProgram, DeviceSettings, Probe
from pbx_operator.domain.protocol.endpoints import EXAMPLES
from pbx_operator.domain.servers.typed import canonical_equipment_id

REFUSED = 2
"""The exit status when a person is needed, mostly to change something before another start can help."""

_log = logging.getLogger(__name__)

_FILE = click.Path(path_type=Path, dir_okay=False)


def _probes(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Probe, ...]:
    probes = tuple(map(_probe, values))
    if len({probe.name for probe in probes}) != len(probes):
        raise click.BadParameter("a channel is named twice: give each its own name")
    if len(probes) > MAX_CHANNELS:
        raise click.BadParameter(f"{len(probes)} channels are too many: give at most {MAX_CHANNELS}")
    return probes


def _probe(value: str) -> Probe:
    name, _, target = value.partition("=")
    host, _, port = target.rpartition(":")
    try:
        Channel(name=name, state="Down")
        if not host or not 0 < int(port) < 2**16:
            raise ValueError
    except ValueError:
        raise click.BadParameter(
            f"{value!r} must look like sip=127.0.0.1:5060 or sip=[::1]:5060, the name of lower case letters and digits"
        ) from None
    return Probe(name, host.strip("[]"), int(port))


_is_equipment_id = fits(
    EquipmentID,
    "is not an equipment ID: write letters, digits, '.', '_' and '-', for example PBX6TGM-RQOD-KX2A-Y4LZ",
)


def _equipment_id(context: click.Context, parameter: click.Parameter, value: str) -> str | None:
    return _is_equipment_id(context, parameter, canonical_equipment_id(value))


@click.command()
@click.option(
    "--endpoint",
    "endpoints",
    multiple=True,
    required=True,
    callback=names_endpoints,
    help=f"Where the exchange is, for example {EXAMPLES}; may be repeated.",
)
@click.option(
    "--pin",
    "pins",
    multiple=True,
    required=True,
    callback=each_fits(
        Pin,
        "is not the public key of an exchange: it has 43 letters, digits, '-' and '_', for example"
        " 3mUJxWq0eh60fOcdSZLbG0G8H7S5CdJ2dpEx4VnMSI5",
        "pins",
    ),
    help="Public key of its certificate; may be repeated.",
)
@click.option(
    "--instance",
    required=True,
    callback=fits(
        InstanceID,
        "is not the name of an installation: it has 26 letters and digits, for example k5e6c4xw3mtbq2dzuy7onvrfha",
    ),
    help="Installation that the exchange belongs to.",
)
@click.option(
    "--equipment-id",
    required=True,
    callback=_equipment_id,
    help="Name of this box, as its CommServer shows it.",
)
@click.option("--activation-code-file", required=True, type=_FILE, help="File that holds the activation code.")
@click.option(
    "--state", required=True, type=_FILE, help="File that keeps the key of this box, made if it is not there."
)
@click.option(
    "--channel",
    "probes",
    multiple=True,
    callback=_probes,
    metavar="NAME=HOST:PORT",
    help="A channel that is Up while a TCP connection can be made to this address; may be repeated.",
)
@click.option(
    "--interval",
    default=10.0,
    show_default=True,
    type=click.FloatRange(0.1, 60),
    help="Seconds between two looks at the channels.",
)
@log_level_option
def device(
    endpoints: tuple[str, ...],
    pins: tuple[str, ...],
    instance: str,
    equipment_id: str,
    activation_code_file: Path,
    state: Path,
    probes: tuple[Probe, ...],
    interval: float,
    log_level: str,
) -> None:
    """Connect a box to its CommServer of provider Builtin, and tell which of its channels are up.

    The values are in the CommServer's activation Secret. The exit status is 2 if a person is needed: the last line of
    the log says what for.
    """
    logs.configure(log_level)
    contact = Contact(endpoints=endpoints, pins=pins)
    settings = DeviceSettings(contact, instance, equipment_id, activation_code_file, state, probes, interval)
    try:
        asyncio.run(_until_signal(settings))
    except asyncio.CancelledError:
        return  # a signal asked for the end
    except DeviceError as error:
        _log.critical("%s", error)
        sys.exit(REFUSED)


async def _until_signal(settings: DeviceSettings) -> None:
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await DeviceProgram(settings).run()
