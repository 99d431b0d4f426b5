"""The words for what goes wrong in a call: plain, and the same from try to try."""

from __future__ import annotations

import errno
import socket
import ssl
from unittest import mock

import aiohttp
import pytest

from pbx_operator.network.dialling import Failure, TooLongError, answered, failure


def untrusted(doubt: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed (_ssl.c:1)")
    error.verify_message = doubt
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    return error


def no_tls() -> ssl.SSLError:
    error = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1)")
    error.reason = "WRONG_VERSION_NUMBER"
    return error


def at(address: str, number: int) -> OSError:
    return OSError(number, f"Connect call failed ('{address}', 443)")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TimeoutError(), Failure("Connection", "it does not answer in time")),
        (
            at("192.0.2.1", errno.ECONNREFUSED),
            Failure("Connection", "the connection is refused, nobody listens there"),
        ),
        (at("192.0.2.1", errno.EHOSTUNREACH), Failure("Connection", "the connection fails: No route to host")),
        (at("192.0.2.2", errno.EHOSTUNREACH), Failure("Connection", "the connection fails: No route to host")),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
            Failure("Name", "its name cannot be resolved: Temporary failure in name resolution"),
        ),
        (
            untrusted("self-signed certificate"),
            Failure("Certificate", "its certificate is not trusted: self-signed certificate"),
        ),
        (
            untrusted("IP address mismatch, certificate is not valid for '192.0.2.1'."),
            Failure(
                "Certificate",
                "its certificate is not trusted: IP address mismatch, certificate is not valid for '192.0.2.1'",
            ),
        ),
        (ssl.SSLCertVerificationError(1, "not pinned"), Failure("Connection", "TLS fails: not pinned")),
        (no_tls(), Failure("Connection", "TLS fails: wrong version number")),
        (TooLongError("its answer has more than 3 bytes"), Failure("Answer", "its answer has more than 3 bytes")),
        (aiohttp.ServerDisconnectedError(), Failure("Answer", "it closes the connection without an answer")),
        (ValueError("a secret"), Failure("Answer", "the request fails with ValueError")),
    ],
)
def test_words(error: Exception, expected: Failure) -> None:
    assert failure(error) == expected


def test_what_aiohttp_wraps_is_what_counts() -> None:
    inner = aiohttp.ClientConnectorError(mock.Mock(), at("192.0.2.1", errno.ECONNREFUSED))
    outer = aiohttp.ClientConnectionError("again")
    outer.__cause__ = inner
    expected = Failure("Connection", "the connection is refused, nobody listens there")
    assert [failure(inner), failure(outer)] == [expected] * 2


def test_a_status_has_its_name() -> None:
    assert [answered(503), answered(599)] == [
        "it answers with HTTP 503 Service Unavailable",
        "it answers with HTTP 599",
    ]
