"""Ports for servers beside a sandbox."""

from __future__ import annotations

import socket
from collections import deque
from unittest import mock

import pytest

from pbx_operator.sandbox import ports
from pbx_operator.sandbox.ports import LOOPBACK, unused_port


def test_a_server_can_listen_there_and_nobody_else_does() -> None:
    found = [unused_port() for _ in range(200)]
    assert len(set(found)) == 200, "none comes twice: its server may not listen yet"
    for port in found:
        with socket.create_server((LOOPBACK, port)):
            assert 10_000 <= port < 32_768


def test_a_port_that_is_taken_is_not_given() -> None:
    with socket.create_server((LOOPBACK, unused_port())) as taken:
        port: int = taken.getsockname()[1]
        with mock.patch.object(ports, "_untried", deque([port])), pytest.raises(OSError, match="no unused port"):
            unused_port()
