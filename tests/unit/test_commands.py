"""The command lines explain themselves; that of the operator refuses what cannot work, before it does anything."""

from __future__ import annotations

import gc
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click import Command
from click.testing import CliRunner, Result

from pbx_operator import logs
from pbx_operator.cli.main import main as pbx
from pbx_operator.cluster import Cluster, Conflict, Forbidden, Unavailable
from pbx_operator.commands import operator, rotate_identity, serving
from pbx_operator.commands.exchange import exchange
from pbx_operator.domain.protocol.endpoints import EXAMPLES
from pbx_operator.domain.protocol.keys import base64url
from pbx_operator.engine.identity import Identity
from pbx_operator.sandbox.__main__ import main as sandbox
from rotated import chain, keys


@pytest.mark.parametrize(
    "value", ["", "PBX.example", "pbx_example", ".example", "example.", "a..b", "two words", "x" * 64, "a." * 65 + "aa"]
)
def test_a_domain_suffix_that_is_no_host_name_is_refused(value: str) -> None:
    result = CliRunner().invoke(operator.main, ["--domain-suffix", value])
    assert result.exit_code == 2
    assert "Invalid value for '--domain-suffix'" in result.stderr
    assert f"{value!r} is not a host name" in result.stderr
    assert "give the domain of your SIP servers, for example pbx.example.com" in result.stderr


@pytest.mark.parametrize("value", ["pbx.local", "a", "sip-1.example.com", "127.example", "a." * 65 + "a"])
def test_a_host_name_is_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = mock.Mock(side_effect=OSError("taken"))
    monkeypatch.setattr(serving, "start_http_server", served)
    monkeypatch.setattr(logs, "configure", mock.Mock())
    monkeypatch.setattr(gc, "set_threshold", mock.Mock())
    assert CliRunner().invoke(operator.main, ["--domain-suffix", value]).exit_code == 1
    assert served.called


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (pbx, ()),
        (pbx, ("dial",)),
        (pbx, ("key", "new")),
        (operator.main, ()),
        (operator.main, ("exchange",)),
        (operator.main, ("check",)),
        (sandbox, ()),
        (sandbox, ("up",)),
        (sandbox, ("run",)),
    ],
)
def test_the_short_help_is_the_long_help(command: Command, words: tuple[str, ...]) -> None:
    short, long = (CliRunner().invoke(command, [*words, option]) for option in ("-h", "--help"))
    assert (short.exit_code, short.output) == (0, long.output)
    assert short.output.startswith("Usage: ")


@pytest.mark.parametrize("command", [pbx, operator.main])
def test_the_version_is_that_of_the_package(command: Command) -> None:
    result = CliRunner().invoke(command, ["--version"])
    assert (result.exit_code, result.output.endswith(f"version {version('pbx-operator')}\n")) == (0, True)


def test_an_exchange_port_without_an_endpoint_is_refused() -> None:
    result = CliRunner().invoke(operator.main, ["--exchange-port", "8443"])
    assert result.exit_code == 2
    assert "--exchange-port needs --exchange-endpoint" in result.stderr


def test_a_certificate_without_an_endpoint_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(operator.main, ["--exchange-certificate", str(tmp_path)])
    assert result.exit_code == 2
    assert "--exchange-certificate needs --exchange-endpoint" in result.stderr


@pytest.mark.parametrize(
    ("command", "option"),
    [(operator.main, ("--exchange-endpoint",)), (operator.main, ("exchange", "--endpoint"))],
)
@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("http://pbx.example.com", "does not start with 'https://'"),
        ("https://pbx.example.com:x", "has a port that is not a number from 1 to 65535"),
        ("https://pbx.example.com/v1", "has a path, a query or a fragment: leave out what follows"),
        ("https://2001:db8::1:8443", "has an IPv6 address without brackets"),
    ],
)
def test_a_wrong_endpoint_is_refused_with_its_mistake(
    command: Command, option: tuple[str, ...], value: str, problem: str
) -> None:
    result = CliRunner().invoke(command, [*option, value])
    assert result.exit_code == 2
    assert f"Invalid value for '{option[-1]}': {value!r} {problem}" in result.stderr
    assert result.stderr.rstrip().endswith(f"an endpoint looks like {EXAMPLES}")


def test_five_endpoints_are_too_many() -> None:
    values = [word for n in range(5) for word in ("--exchange-endpoint", f"https://[2001:db8::{n}]")]
    result = CliRunner().invoke(operator.main, values)
    assert (result.exit_code, "5 endpoints are too many: give at most 4" in result.stderr) == (2, True)


def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    taken = mock.Mock(side_effect=OSError(98, "Address already in use"))
    monkeypatch.setattr(serving, "start_http_server", taken)
    monkeypatch.setattr(logs, "configure", mock.Mock())
    monkeypatch.setattr(gc, "set_threshold", mock.Mock())
    assert CliRunner().invoke(operator.main, ["--metrics-port", "9123"]).exit_code == 1
    assert "cannot listen: [Errno 98] port 9123: Address already in use; choose other ports with" in caplog.text


def test_every_option_of_the_operator_is_explained() -> None:
    commands = [operator.main, exchange]
    assert [p.name for c in commands for p in c.params if not getattr(p, "help", None)] == []


@pytest.mark.parametrize(
    ("option", "value", "bounds"),
    [
        ("--workers", "0", "1<=x<=256"),
        ("--workers", "257", "1<=x<=256"),
        ("--health-port", "65536", "0<=x<=65535"),
        ("--metrics-port", "-1", "0<=x<=65535"),
        ("--exchange-port", "65536", "0<=x<=65535"),
        ("--sync-interval", "61.0", "1<=x<=60.0"),
    ],
)
def test_a_number_out_of_bounds_is_refused_with_the_bounds(option: str, value: str, bounds: str) -> None:
    result = CliRunner().invoke(operator.main, [option, value])
    assert result.exit_code == 2
    assert f"Invalid value for '{option}': {value} is not in the range {bounds}" in result.stderr


class TestRotateIdentity:
    def rotate(self, monkeypatch: pytest.MonkeyPatch, **outcome: Any) -> Result:
        rotated = mock.AsyncMock(**outcome)
        monkeypatch.setattr(rotate_identity, "rotate_identity", rotated)
        monkeypatch.setattr(Cluster, "connect", mock.MagicMock())
        result = CliRunner().invoke(operator.main, ["rotate-identity", "--namespace", "elsewhere"])
        assert rotated.await_args is not None
        assert rotated.await_args.args[1] == "elsewhere"
        return result

    def test_it_says_what_follows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        line = keys("we", 3)
        identity = Identity("i" * 26, line[-1].public, line[-1], confirmed=True, successions=chain(line))
        result = self.rotate(monkeypatch, return_value=identity)
        assert result.exit_code == 0
        first = f"Installation {'i' * 26} has a new identity key, {line[-1].public}: rotation 2, 14 are left."
        assert result.stdout.startswith(first)
        assert "Back up the Secret now" in result.stdout
        assert base64url(line[-1].seed) not in result.output

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            (Conflict("no", status=409), "somebody else changed the identity: nothing was rotated, try again"),
            (
                Unavailable("PUT: no answer"),
                "nobody knows whether the identity was rotated (PUT: no answer): try again",
            ),
            (ValueError("do this"), "the identity was not rotated: do this"),
            (Forbidden("forbidden", status=403), "the identity was not rotated: forbidden"),
        ],
    )
    def test_it_says_why_it_did_not(self, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
        result = self.rotate(monkeypatch, side_effect=error)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr


@pytest.mark.parametrize(("words", "option"), [((), "--exchange-endpoint"), (("exchange",), "--endpoint")])
def test_the_help_says_that_boxes_connect_to_the_exchange_too(words: tuple[str, ...], option: str) -> None:
    text = " ".join(CliRunner().invoke(operator.main, [*words, "--help"]).output.split())
    assert "operators of other clusters and boxes" in text.partition(option)[2].partition(" --")[0]
