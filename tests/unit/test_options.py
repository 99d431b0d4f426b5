"""The command line of the operator refuses what cannot work, before it does anything."""

from __future__ import annotations

import gc
from unittest import mock

import pytest
from click.testing import CliRunner

from pbx_operator import logs, operator


@pytest.mark.parametrize(
    "value", ["", "PBX.example", "pbx_example", ".example", "example.", "a..b", "two words", "x" * 64, "a." * 127 + "a"]
)
def test_a_domain_suffix_that_is_no_host_name_is_refused(value: str) -> None:
    result = CliRunner().invoke(operator.main, ["--domain-suffix", value])
    assert result.exit_code == 2
    assert "Invalid value for '--domain-suffix'" in result.stderr
    assert f"{value!r} is not a host name" in result.stderr
    assert "give the domain of your SIP servers, for example pbx.example.com" in result.stderr


@pytest.mark.parametrize("value", ["pbx.local", "a", "sip-1.example.com", "127.example"])
def test_a_host_name_is_taken(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served = mock.Mock(side_effect=OSError("taken"))
    monkeypatch.setattr(operator, "start_http_server", served)
    monkeypatch.setattr(logs, "configure", mock.Mock())
    monkeypatch.setattr(gc, "set_threshold", mock.Mock())
    assert CliRunner().invoke(operator.main, ["--domain-suffix", value]).exit_code == 1
    assert served.called
