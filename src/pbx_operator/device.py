"""A box, as a program: uses an activation code once, then tells the exchange which of its channels are up.

It plays the PBX in demos, and serves as agent beside a real one that speaks no protocol of ours.  All that it must not
lose is its key, which is its login: that is on the disk before the exchange hears of it, so a crash at any moment
leaves a box that only has to start again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from ipaddress import ip_network
from pathlib import Path

from pbx_operator.api.v1alpha1.commserver import Channel
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.domain.protocol.keys import SEED_BYTES, MalformedKeyError, SigningKey, instance_id
from pbx_operator.domain.protocol.succession import Successions
from pbx_operator.domain.servers.equipment import Association, code_key
from pbx_operator.domain.servers.equipment_messages import (
    AssociateAnswer,
    AssociateRequest,
    ReportAnswer,
    ReportRequest,
)
from pbx_operator.exchange.client import RemotePeer
from pbx_operator.links.peer import AnswerT, Draft, Mistake, PeerUnavailable
from pbx_operator.network.addresses import NetworkRules, SystemLookup
from pbx_operator.network.dialling import failure
from pbx_operator.network.pauses import jittered

REPORT_SECONDS = 30.0
"""A report that says nothing new is sent so often; the exchange hears of silence after three minutes."""
PROBE_SECONDS = 3.0
"""How long a channel may take to accept a connection."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds, before jitter, until the exchange is asked again after it did not answer."""

EXCHANGE = "the exchange of installation"
"""What the log calls it, before the name: to a box it is no peer."""
ANYWHERE = NetworkRules(allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")))
"""Whoever starts the program names the exchange, and nobody else does: there is nothing to protect it from."""

_log = logging.getLogger(__name__)


class DeviceError(Exception):
    """The program cannot go on until somebody changes something; the text says what."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A channel, and what must accept a TCP connection for it to be Up."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """The command line."""

    contact: Contact
    """Where the exchange is."""
    instance: str
    """The installation that the exchange belongs to."""
    equipment_id: str
    activation_code_file: Path
    state: Path
    """Where the box keeps its key."""
    probes: tuple[Probe, ...] = ()
    interval: float = 10.0
    """Seconds between two looks at the channels."""


class _Box:
    """Who speaks: implements `links.peer.Voice`."""

    def __init__(self, key: SigningKey) -> None:
        self.key: SigningKey | None = key
        self.public_key = key.public
        self.instance = instance_id(key.public)
        self.successions: Successions = ()


class DeviceProgram:
    """One box and its exchange."""

    def __init__(self, settings: DeviceSettings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Raises DeviceError if the state or the activation code cannot be used."""
        self._settings = settings
        self._clock = clock
        self._box = _Box(load_key(settings.state))
        self._code = _read_code(settings.activation_code_file)
        self._lookup = SystemLookup()
        self._known_rev = 0
        self._answered = False
        self._faults: dict[str, str] = {}
        """What was wrong with each channel at the last look, by its name; empty if nothing was."""

    async def run(self) -> None:
        """Associate, then report until cancelled. Raises DeviceError."""
        if not self._settings.probes:
            _log.warning(
                "no channel is watched, so a line that is down is not told: name each one, for example"
                " --channel sip=127.0.0.1:5060"
            )
        await self.associate()
        told: tuple[Channel, ...] | None = None
        due = 0.0
        while True:
            channels = await self.probe()
            if channels != told or time.monotonic() >= due:
                if await self.report(channels):  # a change that comes too soon after another is told again
                    told = channels
                due = time.monotonic() + jittered(REPORT_SECONDS)
            await asyncio.sleep(jittered(self._settings.interval))

    async def associate(self) -> None:
        """Use the activation code, or find out that this box has used it. Raises DeviceError."""
        s = self._settings
        proving = await asyncio.to_thread(code_key, s.equipment_id, self._code)
        wish = Association(s.instance, s.equipment_id, self._box.public_key)
        draft = partial(AssociateRequest, equipment_id=s.equipment_id, proof=proving.sign(wish.payload()))
        answer = await self._ask(draft, AssociateAnswer)
        if answer.result == "Used":
            raise DeviceError(
                f"another box has used the activation code of equipment {s.equipment_id}, or this one has lost"
                f" {s.state}: raise spec.activation.revision of the CommServer and put the new code into"
                f" {s.activation_code_file}"
            )
        if answer.result == "Unknown":
            raise DeviceError(
                f"installation {s.instance} knows no equipment {s.equipment_id} with the activation code of"
                f" {s.activation_code_file}: compare both with the CommServer's activation Secret; from stock, until"
                " its first reset, both are its references, joined by a dash, with capitals and dots as written there"
            )
        _log.info("equipment %s is associated with installation %s", s.equipment_id, s.instance)

    async def report(self, channels: tuple[Channel, ...]) -> bool:
        """Tell the channels; return whether the exchange has written them down now. Raises DeviceError."""
        s = self._settings
        rev = max(int(self._clock().timestamp() * 1000), self._known_rev + 1)
        draft = partial(ReportRequest, equipment_id=s.equipment_id, rev=rev, channels=channels)
        answer = await self._ask(draft, ReportAnswer)
        if answer.result == "Unknown":
            raise DeviceError(
                f"installation {s.instance} does not know this box as equipment {s.equipment_id} any more: start it"
                f" again; if that fails, put the CommServer's new activation code into {s.activation_code_file} first"
            )
        self._known_rev = max(answer.known_rev, rev)
        return answer.known_rev == rev

    async def probe(self) -> tuple[Channel, ...]:
        """Look at all channels at once, and log what is new about each."""
        return tuple(await asyncio.gather(*map(self._look_at, self._settings.probes)))

    async def _look_at(self, probe: Probe) -> Channel:
        fault = await _fault(probe)
        if fault != self._faults.get(probe.name):
            self._faults[probe.name] = fault
            if fault:
                _log.warning("channel %s is Down, %s port %d: %s", probe.name, probe.host, probe.port, fault)
            else:
                _log.info("channel %s is Up", probe.name)
        return Channel(name=probe.name, state="Down" if fault else "Up")

    async def _ask(self, draft: Draft, answer: type[AnswerT]) -> AnswerT:
        """Ask until there is an answer, and tell of one that comes after failures, of which the peer has told.

        Each question goes through a peer of its own: the circuit of one, which spares many callers, would make a single
        one wait for minutes.  Raises DeviceError if the exchange is not the one that was named, and this program never
        had an answer; later that may pass, as when a certificate is replaced in two steps.
        """
        pause, told = FIRST_PAUSE, False
        while True:
            peer = RemotePeer(self._box, ANYWHERE, self._clock, lookup=self._lookup, called=EXCHANGE)
            try:
                read = await peer.ask(self._settings.contact, self._settings.instance, draft, answer)
            except PeerUnavailable as error:
                told = True
                if error.mistake is not None:
                    self._tell_mistake(error.mistake)
                await asyncio.sleep(jittered(pause))
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._answered = True
                if told:
                    _log.info("%s %s answers again", EXCHANGE, self._settings.instance)
                return read

    def _tell_mistake(self, mistake: Mistake) -> None:
        """Say which option does not fit. Raises DeviceError if it never did."""
        s = self._settings
        said = (
            f"belongs to another installation than {s.instance}: compare --instance"
            if mistake == "Instance"
            else f"has another key than {' or '.join(s.contact.pins)}: compare --pin"
        )
        text = (
            f"the exchange at {' or '.join(s.contact.endpoints)} {said} with the CommServer's activation Secret, or"
            " with the line 'this is installation …' that the operator logs when it starts"
        )
        if not self._answered:
            raise DeviceError(text)
        _log.warning("%s; trying again", text)


async def _fault(probe: Probe) -> str:
    """Return what is wrong with a channel; empty if nothing is."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(probe.host, probe.port)
    except UnicodeError:  # of a name that no resolver is asked for, such as "a..b"
        return "its name cannot be resolved: it is not a host name"
    except OSError as error:
        several = type(error) is OSError and error.strerror is None
        return "none of its addresses accepts a connection" if several else failure(error).text
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return ""


# --- files ------------------------------------------------------------------------------------------------------


def load_key(state: Path) -> SigningKey:
    """Return the key of this box, made and on the disk already if there was none. Raises DeviceError."""
    try:
        return SigningKey(bytes.fromhex(state.read_text(encoding="ascii")))
    except FileNotFoundError:
        return _make_key(state)
    except OSError as error:
        raise DeviceError(f"the state {state} cannot be read: {error.strerror}") from error
    except (ValueError, MalformedKeyError):  # not the cause: its text may quote the key
        raise DeviceError(
            f"{state} holds no key of a device: give another --state, or restore it; without its key the box needs a"
            " new activation code"
        ) from None


def _make_key(state: Path) -> SigningKey:
    """Write a new key, readable by nobody else, under its name only when it is whole."""
    key = SigningKey(secrets.token_bytes(SEED_BYTES))
    draft = state.with_name(state.name + ".new")
    try:
        draft.unlink(missing_ok=True)  # left by a crash; its permissions may be others
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key.seed.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(state)
        _sync_directory(state.parent)
    except OSError as error:
        raise DeviceError(f"the state {state} cannot be written: {error.strerror}") from error
    return key


def _sync_directory(directory: Path) -> None:
    """Make a rename last."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_code(path: Path) -> str:
    """Return the activation code. Raises DeviceError, without the file's name: it may be the code, given by mistake."""
    try:
        code = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise DeviceError(
            "--activation-code-file takes the name of a file, and there is none of the name that was given: put the"
            " activation code into a file, and give its name"
        ) from None
    except OSError as error:
        raise DeviceError(f"the file of --activation-code-file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DeviceError("the file of --activation-code-file is not plain text") from None
    if not code:
        raise DeviceError("the file of --activation-code-file is empty: put the activation code into it")
    return code
