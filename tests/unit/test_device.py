"""The box program against an exchange on loopback: what survives a crash, what ends it, and what it says."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
import pytest_asyncio
from click.testing import CliRunner
from test_exchange.world import HOST, US, FakeDesk, FixedSource, Hands

from builders import NOW, digest
from equipment_builders import CODE, DOWN, EQUIPMENT, PLACE, UP, derived
from pbx_operator.api.meta import ObjectKey
from pbx_operator.api.v1alpha1 import EquipmentRecord
from pbx_operator.api.v1alpha1.commserver import Channel
from pbx_operator.api.v1alpha1.equipmentrecord import EquipmentRecordStatus
from pbx_operator.api.v1alpha1.linkrecord import Contact
from pbx_operator.commands.device import device as command
from pbx_operator.device import DeviceError, DeviceProgram, DeviceSettings, Probe, load_key
from pbx_operator.domain.servers.equipment import Report, hear, record_name
from pbx_operator.domain.servers.systems import SystemOwner, SystemSettings, SystemWish
from pbx_operator.exchange.certificates import make_pair
from pbx_operator.exchange.server import make_app
from pbx_operator.exchange.serving import serve
from pbx_operator.exchange.tls import ServedCertificate
from pbx_operator.providers.association import EquipmentDesk
from pbx_operator.providers.builtin import Builtin
from pbx_operator.sandbox.ports import unused_port
from simulation.api import Api
from simulation.site import Direct

WISH = SystemWish(SystemOwner(PLACE, "uid of pbx"), EQUIPMENT, "OXOConnect", SystemSettings("pbx", "FR"))
DEADLINE = 30.0
OTHER_PIN = derived().public


class Exchange:
    """An exchange that knows one box, and the settings of that box."""

    def __init__(self, contact: Contact, api: Api, changed: asyncio.Event, directory: Path) -> None:
        self.api = api
        self._changed = changed
        code = directory / "code"
        code.write_text(f"{CODE}\n")
        self.provider = Builtin(Direct(api), US.instance, lambda: NOW)
        self.settings = DeviceSettings(contact, US.instance, EQUIPMENT, code, directory / "key", interval=0.01)

    @property
    def record(self) -> EquipmentRecord:
        key = ObjectKey("", record_name(EQUIPMENT))
        return EquipmentRecord.model_validate(self.api.get(EquipmentRecord.resource, key))

    def box(self, **changes: Any) -> DeviceProgram:
        return DeviceProgram(replace(self.settings, **changes))

    async def until_reported(self, *channels: Channel) -> None:
        """Wait until the record tells these channels."""
        async with asyncio.timeout(DEADLINE):
            while (report := self.record.status.report) is None or report.channels != channels:
                self._changed.clear()
                await self._changed.wait()


@pytest_asyncio.fixture
async def exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Exchange]:
    monkeypatch.setattr("pbx_operator.domain.servers.equipment.CHANGE_PERIOD", NOW - NOW)
    changed = asyncio.Event()
    api = Api(lambda: NOW, lambda *_: changed.set())
    certificate = ServedCertificate(FixedSource(make_pair([HOST], datetime.now(UTC))))
    await certificate.refresh()
    desk = EquipmentDesk(Direct(api), US.instance, lambda: NOW)
    app = make_app(US, FakeDesk(), desk, lambda: NOW, Hands(step=60.0).monotonic)
    async with serve(app, certificate.context, HOST, 0) as port:
        contact = Contact(endpoints=(f"https://{HOST}:{port}",), pins=(certificate.pin,))
        exchange = Exchange(contact, api, changed, tmp_path)
        await exchange.provider.create(WISH, CODE)
        yield exchange


@pytest_asyncio.fixture
async def line() -> AsyncIterator[asyncio.Server]:
    async with await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0) as server:
        yield server


def pinned(exchange: Exchange, pin: str) -> Contact:
    """Return the contact of the exchange with another pin."""
    return exchange.settings.contact.model_copy(update={"pins": (pin,)})


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def running(box: DeviceProgram) -> AsyncIterator[None]:
    """Let a box run meanwhile."""
    task = asyncio.create_task(box.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class TestAssociation:
    async def test_a_box_that_starts_again_is_the_same(self, exchange: Exchange) -> None:
        await exchange.box().associate()
        first = exchange.record
        await exchange.box().associate()
        assert exchange.record == first
        assert first.spec.device is not None
        assert first.spec.device.public_key == load_key(exchange.settings.state).public

    async def test_the_key_is_on_the_disk_before_the_exchange_hears_of_it(self, exchange: Exchange) -> None:
        exchange.box()
        key = load_key(exchange.settings.state)
        assert exchange.record.spec.state == "Declared"
        await exchange.box().associate()
        assert exchange.record.spec.device is not None
        assert exchange.record.spec.device.public_key == key.public

    async def test_another_box_is_told_what_to_do(self, exchange: Exchange, tmp_path: Path) -> None:
        await exchange.box().associate()
        with pytest.raises(DeviceError, match=r"another box has used .* raise spec\.activation\.revision"):
            await exchange.box(state=tmp_path / "other").associate()

    async def test_a_wrong_code_is_told_without_the_code(self, exchange: Exchange) -> None:
        exchange.settings.activation_code_file.write_text("WRONG-CODE")
        with pytest.raises(DeviceError, match=f"knows no equipment {EQUIPMENT}") as error:
            await exchange.box().associate()
        assert "WRONG-CODE" not in str(error.value)

    async def test_until_its_first_reset_the_code_of_a_box_from_stock_is_its_references(
        self, exchange: Exchange
    ) -> None:
        exchange.settings.activation_code_file.write_text("WRONG-CODE")
        with pytest.raises(DeviceError, match="from stock, until its first reset, both are its references"):
            await exchange.box().associate()

    @pytest.mark.parametrize("name", ["EV4V-TGM2-RQOD-KX2A", "EV4V" * 100])
    def test_a_code_in_place_of_its_file_is_not_told(
        self, exchange: Exchange, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(DeviceError, match="file") as error:
            exchange.box(activation_code_file=Path(name))
        assert name not in str(error.value)
        assert error.value.__cause__ is None

    async def test_a_code_is_taken_as_people_type_it(self, exchange: Exchange) -> None:
        exchange.settings.activation_code_file.write_text(f" {CODE.replace('-', ' ').lower()}\n")
        await exchange.box().associate()
        assert exchange.record.spec.state == "Associated"


class TestMistakes:
    async def test_nothing_is_said_to_an_exchange_that_is_not_pinned(self, exchange: Exchange) -> None:
        with pytest.raises(DeviceError, match=f"has another key than {OTHER_PIN}: compare --pin with"):
            await exchange.box(contact=pinned(exchange, OTHER_PIN)).run()
        assert exchange.record.spec.state == "Declared"

    async def test_an_exchange_of_another_installation_is_told(self, exchange: Exchange) -> None:
        other = digest("other", 26)
        with pytest.raises(DeviceError, match=f"another installation than {other}: compare --instance with"):
            await exchange.box(instance=other).run()
        assert exchange.record.spec.state == "Declared"

    async def test_what_fits_no_more_may_fit_again(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        box = exchange.box()
        await box.associate()
        right, box._settings = box._settings, replace(box._settings, contact=pinned(exchange, OTHER_PIN))

        def mended(_pause: float) -> float:
            box._settings = right
            return 0.0

        monkeypatch.setattr("pbx_operator.device.jittered", mended)
        assert await box.report((UP,))
        (told,) = [said for said in caplog.messages if "compare --pin" in said]
        assert told.endswith("; trying again")


class TestReports:
    async def test_the_record_follows_the_line(self, exchange: Exchange, line: asyncio.Server) -> None:
        async with running(exchange.box(probes=(Probe("sip", HOST, port_of(line)),))):
            await exchange.until_reported(UP)
            line.close()
            await exchange.until_reported(Channel(name="sip", state="Down"))

    async def test_a_change_that_came_too_soon_is_told_again(
        self, exchange: Exchange, line: asyncio.Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        too_soon: list[Report] = []

        def hear_later(record: EquipmentRecord, report: Report, now: datetime) -> EquipmentRecordStatus | None:
            if report.channels != (UP,) and not too_soon:
                too_soon.append(report)
                return None
            return hear(record, report, now)

        monkeypatch.setattr("pbx_operator.providers.association.hear", hear_later)
        async with running(exchange.box(probes=(Probe("sip", HOST, port_of(line)),))):
            await exchange.until_reported(UP)
            line.close()
            await exchange.until_reported(Channel(name="sip", state="Down"))
        assert len(too_soon) == 1

    async def test_a_clock_that_was_set_back_does_not_silence_it(self, exchange: Exchange) -> None:
        await exchange.box().associate()
        late = DeviceProgram(exchange.settings, clock=lambda: datetime(2036, 1, 1, tzinfo=UTC))
        assert await late.report((UP,))
        early = DeviceProgram(exchange.settings, clock=lambda: datetime(2001, 1, 1, tzinfo=UTC))
        down = Channel(name="sip", state="Down")
        assert not await early.report((down,))
        assert await early.report((down,))
        assert exchange.record.status.report is not None
        assert exchange.record.status.report.channels == (down,)

    async def test_it_ends_when_it_is_put_out(self, exchange: Exchange) -> None:
        box = exchange.box()
        await box.associate()
        await exchange.provider.reset(WISH, record_name(EQUIPMENT), "another code")
        with pytest.raises(DeviceError, match=r"does not know .* start it again; if that fails, put .* new activation"):
            await box.report((UP,))

    async def test_a_box_whose_server_was_made_again_with_its_code_only_has_to_be_started_again(
        self, exchange: Exchange
    ) -> None:
        box = exchange.box()
        await box.associate()
        await exchange.provider.delete(WISH, record_name(EQUIPMENT))
        await exchange.provider.create(WISH, CODE)
        with pytest.raises(DeviceError, match="start it again"):
            await box.report((UP,))
        again = exchange.box()
        await again.associate()
        assert await again.report((UP,))

    async def test_an_exchange_that_cannot_be_reached_is_called_so_and_its_answer_is_told_once(
        self, exchange: Exchange, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        box = exchange.box()
        right = exchange.settings.contact
        nobody = right.model_copy(update={"endpoints": (f"https://{HOST}:{unused_port()}",)})
        box._settings = replace(box._settings, contact=nobody)

        def mended(_pause: float) -> float:
            box._settings = exchange.settings
            return 0.0

        caplog.set_level("INFO", "pbx_operator")
        monkeypatch.setattr("pbx_operator.device.jittered", mended)
        await box.associate()
        await box.report((UP,))
        exchange_of = f"the exchange of installation {US.instance} "
        told = [said for said in caplog.messages if said.startswith(exchange_of)]
        assert [said.removeprefix(exchange_of).partition(": ")[0] for said in told] == [
            "cannot be reached",
            "answers again",
        ]


class TestChannels:
    @pytest.mark.parametrize(("watched", "warnings"), [(False, 1), (True, 0)])
    async def test_a_box_that_watches_no_channel_warns(
        self, exchange: Exchange, line: asyncio.Server, caplog: pytest.LogCaptureFixture, watched: bool, warnings: int
    ) -> None:
        channels = (UP,) if watched else ()
        async with running(exchange.box(probes=(Probe("sip", HOST, port_of(line)),) * len(channels))):
            await exchange.until_reported(*channels)
        told = [said for said in caplog.messages if "no channel is watched" in said]
        assert len(told) == warnings

    async def test_each_change_is_one_line_in_the_log(
        self, exchange: Exchange, line: asyncio.Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO", "pbx_operator.device")
        box = exchange.box(probes=(Probe("sip", HOST, port_of(line)),))
        up = [await box.probe() for _ in range(2)]
        port = port_of(line)
        line.close()
        down = [await box.probe() for _ in range(2)]
        assert up == [(UP,)] * 2
        assert down == [(DOWN,)] * 2
        refused = f"channel sip is Down, {HOST} port {port}: the connection is refused, nobody listens there"
        assert caplog.messages == ["channel sip is Up", refused]

    @pytest.mark.parametrize(
        ("problem", "said"),
        [
            (
                socket.gaierror(-2, "Name or service not known"),
                "its name cannot be resolved: Name or service not known",
            ),
            (UnicodeError("label empty or too long"), "its name cannot be resolved: it is not a host name"),
            (TimeoutError(), "it does not answer in time"),
            (OSError("Multiple exceptions: [Errno 111], [Errno 111]"), "none of its addresses accepts a connection"),
        ],
    )
    async def test_the_log_says_why_a_channel_is_down(
        self,
        exchange: Exchange,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        problem: Exception,
        said: str,
    ) -> None:
        monkeypatch.setattr(asyncio, "open_connection", mock.AsyncMock(side_effect=problem))
        assert await exchange.box(probes=(Probe("sip", "pbx.lan", 5060),)).probe() == (DOWN,)
        assert caplog.messages == [f"channel sip is Down, pbx.lan port 5060: {said}"]


class TestState:
    def test_a_key_is_kept_and_readable_by_nobody_else(self, tmp_path: Path) -> None:
        key = load_key(tmp_path / "key")
        assert load_key(tmp_path / "key") == key
        assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
        assert [*tmp_path.iterdir()] == [tmp_path / "key"]

    @pytest.mark.parametrize("moment", ["fsync", "rename"])
    def test_a_crash_while_it_is_written_leaves_no_half_key(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        def power_cut(*_: object) -> None:
            raise SystemExit

        with monkeypatch.context() as cut:
            cut.setattr(*((os, "fsync", power_cut) if moment == "fsync" else (Path, "rename", power_cut)))
            with pytest.raises(SystemExit):
                load_key(tmp_path / "key")
        assert not (tmp_path / "key").exists()
        assert load_key(tmp_path / "key") == load_key(tmp_path / "key")

    @pytest.mark.parametrize("content", ["", "00", "x" * 64, "00" * 31])
    def test_what_is_no_key_is_left_alone_and_not_quoted(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "key").write_text(content)
        with pytest.raises(DeviceError, match="holds no key of a device: give another --state"):
            load_key(tmp_path / "key")
        assert (tmp_path / "key").read_text() == content

    def test_a_directory_that_is_not_there_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DeviceError, match=r"none/key cannot be written: No such file or directory"):
            load_key(tmp_path / "none" / "key")


class TestCommand:
    GOOD: ClassVar = {
        "--endpoint": "https://pbx.example.com:8443",
        "--pin": derived().public,
        "--instance": digest("us", 26),
        "--equipment-id": EQUIPMENT,
        "--activation-code-file": "code",
        "--state": "key",
    }

    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("pbx_operator.logs.configure", lambda level: None)

    def invoke(self, **changes: str) -> tuple[int, str]:
        options = self.GOOD | {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
        result = CliRunner().invoke(command, [part for option in options.items() for part in option])
        return result.exit_code, " ".join(result.output.replace("│", " ").split())

    @pytest.mark.parametrize(
        ("option", "value", "advice"),
        [
            ("endpoint", "http://pbx.example.com", "'http://pbx.example.com' does not start with 'https://'"),
            ("pin", "aaa", "'aaa' is not the public key of an exchange: it has 43 letters"),
            ("instance", "Paris", "'Paris' is not the name of an installation: it has 26 letters"),
            ("equipment_id", "a b", "'a b' is not an equipment ID: write letters, digits"),
            ("channel", "sip", "'sip' must look like sip=127.0.0.1:5060"),
            ("channel", "SIP=localhost:5060", "'SIP=localhost:5060' must look like"),
            ("channel", "sip=localhost:0", "'sip=localhost:0' must look like"),
            ("channel", "sip=localhost:x", "'sip=localhost:x' must look like"),
            ("channel", "sip=:5060", "'sip=:5060' must look like"),
        ],
    )
    def test_a_wrong_option_is_named_with_the_next_step(self, option: str, value: str, advice: str) -> None:
        status, output = self.invoke(**{option: value})
        assert status == 2
        assert advice in output

    @pytest.mark.parametrize("option", ["endpoint", "pin", "instance", "equipment_id"])
    def test_an_example_is_of_its_option_and_would_be_taken(self, option: str) -> None:
        _, output = self.invoke(**{option: "a/b"})
        (example,) = re.findall(r"(?:for example|looks like) (\S+)", output)
        assert f"Invalid value for '--{option.replace('_', '-')}'" in output
        status, output = self.invoke(**{option: example})
        assert (status, "Invalid value" in output) == (2, False)

    def test_five_pins_are_too_many(self) -> None:
        pins = [word for _ in range(4) for word in ("--pin", self.GOOD["--pin"])]
        result = CliRunner().invoke(command, [*pins, *(part for option in self.GOOD.items() for part in option)])
        assert (result.exit_code, "5 pins are too many: give at most 4" in result.output) == (2, True)

    @pytest.mark.parametrize("content", [None, "", " \n"])
    def test_without_a_code_it_does_not_start(self, content: str | None, tmp_path: Path) -> None:
        if content is not None:
            (tmp_path / "code").write_text(content)
        assert self.invoke()[0] == 2
