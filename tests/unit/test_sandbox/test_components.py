"""Ports that a sandbox keeps for its servers."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pbx_operator.sandbox.components import LOOPBACK, ReservedPort

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def port() -> Iterator[ReservedPort]:
    port = ReservedPort()
    yield port
    port.release()


def test_a_reserved_port_refuses_connections_until_its_server_listens(port: ReservedPort) -> None:
    address = (LOOPBACK, port.number)
    for _ in range(2):  # a server may come back
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        with closing(socket.socket()) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind(address)
            server.listen()
            with socket.create_connection(address) as client, server.accept()[0] as accepted:
                client.sendall(b"x")
                assert accepted.recv(1) == b"x"


def test_nobody_else_binds_a_reserved_port(port: ReservedPort) -> None:
    with closing(socket.socket()) as other, pytest.raises(OSError, match="in use"):
        other.bind((LOOPBACK, port.number))


def test_a_released_port_is_free(port: ReservedPort) -> None:
    port.release()
    with closing(socket.socket()) as other:
        other.bind((LOOPBACK, port.number))
