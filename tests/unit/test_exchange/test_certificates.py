"""Certificates: made, renewed with the same key, read from files, and swapped while connections come and go."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from builders import DAY, NOW
from pbx_operator.api.meta import format_time
from pbx_operator.cluster import Unavailable
from pbx_operator.exchange import tls
from pbx_operator.exchange.certificates import (
    CLOCK_SKEW,
    LIFETIME,
    CertificateError,
    KeyPair,
    Mounted,
    SelfMade,
    make_pair,
)
from pbx_operator.exchange.serving import serve
from pbx_operator.exchange.tls import ServedCertificate
from test_exchange.world import HOST, FixedSource, Hands, trusting

NAMES = ("exchange.example", HOST)


class MemoryStore:
    """A store that another replica may write to at the worst moment."""

    def __init__(self, stored: KeyPair | None = None) -> None:
        self.stored = stored
        self.faster: KeyPair | None = None
        self.writes = 0

    async def load(self) -> KeyPair | None:
        return self.stored

    async def store(self, new: KeyPair, replaces: KeyPair | None) -> KeyPair:
        assert replaces == self.stored
        self.writes += 1
        self.stored = self.faster or new
        return self.stored


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, encryption: KeySerializationEncryption) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


async def test_a_certificate_is_made_once() -> None:
    store, hands = MemoryStore(), Hands()
    source = SelfMade(store, NAMES, lambda: hands.wall)
    pair = await source.current()
    assert await source.current() == pair == store.stored
    assert store.writes == 1
    certificate = pair.parse()
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    shown = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert shown.get_values_for_type(x509.DNSName) == ["exchange.example"]
    assert [str(address) for address in shown.get_values_for_type(x509.IPAddress)] == [HOST]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == LIFETIME == timedelta(days=90)
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


async def test_a_renewal_at_two_thirds_of_its_life_keeps_the_pin() -> None:
    store, hands = MemoryStore(), Hands()
    source = SelfMade(store, NAMES, lambda: hands.wall)
    first = await source.current()
    hands.wall = NOW + 59 * DAY
    assert await source.current() == first
    hands.wall = NOW + 60 * DAY
    second = await source.current()
    assert second.certificate != first.certificate
    assert second.pin == first.pin
    assert second.parse().not_valid_after_utc > first.parse().not_valid_after_utc
    assert await source.current() == second
    assert store.writes == 2


async def test_only_a_certificate_that_was_made_is_called_new(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    store, hands = MemoryStore(), Hands()
    source = SelfMade(store, NAMES, lambda: hands.wall)
    await source.current()
    assert caplog.messages == ["a new certificate was made for the exchange, with a new key"]
    caplog.clear()
    await source.current()
    await SelfMade(store, NAMES, lambda: hands.wall).current()
    assert caplog.messages == []
    hands.wall = NOW + 60 * DAY
    await source.current()
    assert caplog.messages == ["a new certificate was made for the exchange, with the same key"]
    caplog.clear()
    store.stored, store.faster = None, make_pair(NAMES, NOW)
    await SelfMade(store, NAMES, lambda: hands.wall).current()
    assert caplog.messages == []


async def test_other_names_need_another_certificate_with_the_same_pin() -> None:
    store = MemoryStore()
    first = await SelfMade(store, NAMES, lambda: NOW).current()
    second = await SelfMade(store, ("moved.example",), lambda: NOW).current()
    assert second.certificate != first.certificate
    assert second.pin == first.pin


async def test_it_is_for_ipv6_addresses_too() -> None:
    store = MemoryStore()
    source = SelfMade(store, ("2001:db8::1",), lambda: NOW)
    pair = await source.current()
    shown = pair.parse().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in shown.get_values_for_type(x509.IPAddress)] == ["2001:db8::1"]
    assert await source.current() == pair
    assert store.writes == 1


async def test_a_pair_that_was_removed_under_a_running_process_is_stored_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    served = ServedCertificate(SelfMade(store, NAMES, lambda: NOW))
    await served.refresh()
    kept, pin, store.stored = store.stored, served.pin, None
    assert await served.refresh() is False
    assert (store.stored, served.pin) == (kept, pin)
    assert caplog.messages == ["the certificate of the exchange was not stored any more, and was stored again"]


async def test_only_a_process_that_starts_without_a_pair_makes_a_key() -> None:
    store = MemoryStore()
    first = await SelfMade(store, NAMES, lambda: NOW).current()
    store.stored = None
    assert (await SelfMade(store, NAMES, lambda: NOW).current()).pin != first.pin


async def test_another_replica_may_store_the_pair_again_first() -> None:
    store = MemoryStore(GOOD)
    source = SelfMade(store, NAMES, lambda: NOW)
    await source.current()
    store.stored, store.faster = None, RENEWED
    assert await source.current() == RENEWED


@pytest.mark.parametrize("faster", [False, True], ids=["it is there", "a replica just made it"])
async def test_a_stored_pair_with_another_key_is_refused_by_a_running_process(faster: bool) -> None:
    """It has told peers the pin that it shows, and would go on telling them that one."""
    store = MemoryStore(GOOD)
    source = SelfMade(store, NAMES, lambda: NOW)
    await source.current()
    store.stored, store.faster = (None, OTHER) if faster else (OTHER, None)
    for _ in range(2):
        with pytest.raises(CertificateError, match=r"another key, by which no peer .* start the operator"):
            await source.current()
    assert store.stored == OTHER
    assert await SelfMade(store, NAMES, lambda: NOW).current() == OTHER
    store.stored = GOOD
    assert await source.current() == GOOD


async def test_all_replicas_show_what_the_fastest_of_them_stored() -> None:
    store = MemoryStore()
    store.faster = make_pair(NAMES, NOW)
    assert await SelfMade(store, NAMES, lambda: NOW).current() == store.faster


def test_the_pin_is_the_digest_of_the_public_key() -> None:
    pair = make_pair(NAMES, NOW)
    info = pair.parse().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert pair.pin == base64.urlsafe_b64encode(hashlib.sha256(info).digest()).decode().rstrip("=")


def test_a_pair_does_not_show_its_key() -> None:
    pair = make_pair(NAMES, NOW)
    assert "PRIVATE KEY" not in repr(pair)
    assert "PRIVATE KEY" not in str(pair)


@pytest.mark.parametrize("names", [(), ("",), ("bücher.example",)])
def test_what_is_not_a_name_gets_no_certificate(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"name|A-label"):
        make_pair(names, NOW)


GOOD, OTHER = make_pair(NAMES, NOW), make_pair(NAMES, NOW)
RENEWED = make_pair(NAMES, NOW + DAY, GOOD.key)
LOCKED = pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"secret"))
UNUSABLE = {
    "no certificate": (KeyPair(b"", GOOD.key), "PEM"),
    "no key": (KeyPair(GOOD.certificate, b"tell-tale"), "PEM"),
    "another key": (KeyPair(GOOD.certificate, OTHER.key), "not the one of the certificate"),
    "a password": (KeyPair(GOOD.certificate, LOCKED), "password"),
}


@pytest.mark.parametrize(("pair", "why"), UNUSABLE.values(), ids=UNUSABLE)
async def test_a_stored_pair_of_no_use_is_never_replaced_silently(pair: KeyPair, why: str) -> None:
    store = MemoryStore(pair)
    with pytest.raises(CertificateError, match=f"{why}.*; remove it and its key") as caught:
        await SelfMade(store, NAMES, lambda: NOW).current()
    assert "tell-tale" not in str(caught.value)
    assert store.writes == 0


async def test_a_stored_certificate_of_another_kind_is_not_renewed() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    store = MemoryStore(KeyPair(certificate, pem(key, NoEncryption())))
    with pytest.raises(CertificateError, match="remove both"):
        await SelfMade(store, NAMES, lambda: NOW).current()


def mount(directory: Path, pair: KeyPair, generation: str) -> None:
    """Write a pair as the kubelet does: into a new directory, to which links then point."""
    target = directory / generation
    target.mkdir()
    (target / "tls.crt").write_bytes(pair.certificate)
    (target / "tls.key").write_bytes(pair.key)
    for name in ("tls.crt", "tls.key"):
        link = directory / f"{name}.new"
        link.symlink_to(target / name)
        link.replace(directory / name)


async def test_mounted_files_are_read_again(tmp_path: Path) -> None:
    source = Mounted(tmp_path)
    with pytest.raises(CertificateError, match=r"tls\.crt: No such file or directory; mount a Secret with tls.crt and"):
        await source.current()
    mount(tmp_path, GOOD, "1")
    assert await source.current() == GOOD
    mount(tmp_path, RENEWED, "2")
    assert await source.current() == RENEWED


async def test_mounted_files_keep_their_key(tmp_path: Path) -> None:
    source = Mounted(tmp_path)
    mount(tmp_path, GOOD, "1")
    await source.current()
    mount(tmp_path, OTHER, "2")
    with pytest.raises(CertificateError, match="rotationPolicy: Never"):
        await source.current()
    assert await Mounted(tmp_path).current() == OTHER


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


def greeting() -> web.Application:
    app = web.Application()
    app.router.add_get("/", hello)
    return app


def credulous() -> ssl.SSLContext:
    """Return the context of a client that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def shown(port: int, context: ssl.SSLContext) -> bytes:
    """Return the certificate, in DER, that a new connection is shown."""
    _, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=HOST)
    certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return certificate


def der(pair: KeyPair) -> bytes:
    return pair.parse().public_bytes(Encoding.DER)


async def test_the_certificate_is_swapped_while_serving() -> None:
    source = FixedSource(make_pair(NAMES, datetime.now(UTC)))
    served = ServedCertificate(source)
    assert served.pin == ""
    assert await served.refresh() is True
    assert await served.refresh() is False
    async with serve(greeting(), served.context, HOST, 0) as port:
        assert await shown(port, trusting(source.pair)) == der(source.pair)
        assert served.pin == source.pair.pin
        reader, writer = await asyncio.open_connection(HOST, port, ssl=trusting(source.pair))
        source.pair = make_pair(NAMES, datetime.now(UTC))
        assert await served.refresh() is True
        assert served.pin == source.pair.pin
        assert await shown(port, trusting(source.pair)) == der(source.pair)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        writer.close()


async def test_only_a_certificate_that_replaces_another_is_shown_as_new(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    source = FixedSource(GOOD)
    served = ServedCertificate(source)
    assert served.summary == ""
    await served.refresh()
    await served.refresh()
    assert caplog.messages == []
    assert served.summary == f"the pin {GOOD.pin} and is valid until {format_time(NOW - CLOCK_SKEW + LIFETIME)}"
    source.pair = make_pair(NAMES, NOW + DAY)
    await served.refresh()
    assert caplog.messages == [f"the exchange shows a new certificate, which has {served.summary}"]
    assert (
        served.summary
        == f"the pin {source.pair.pin} and is valid until {format_time(NOW + DAY - CLOCK_SKEW + LIFETIME)}"
    )


async def test_there_are_no_tickets_to_resume_a_connection_with_its_old_certificate() -> None:
    source = FixedSource(make_pair(NAMES, datetime.now(UTC)))
    served = ServedCertificate(source)
    await served.refresh()
    async with serve(greeting(), served.context, HOST, 0) as port:
        reader, writer = await asyncio.open_connection(HOST, port, ssl=trusting(source.pair))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"hello")  # tickets would come before it
        connection = writer.get_extra_info("ssl_object")
        assert connection.version() == "TLSv1.3"
        assert not connection.session.has_ticket
        writer.close()


@pytest.mark.parametrize(("pair", "why"), UNUSABLE.values(), ids=UNUSABLE)
async def test_an_unusable_pair_leaves_the_old_one_in_place(pair: KeyPair, why: str) -> None:
    source = FixedSource(GOOD)
    served = ServedCertificate(source)
    await served.refresh()
    source.pair = pair
    with pytest.raises(CertificateError, match=why):
        await served.refresh()
    async with serve(greeting(), served.context, HOST, 0) as port:
        assert await shown(port, credulous()) == der(GOOD)
    assert served.pin == GOOD.pin


def weak_pair() -> KeyPair:
    """Return a pair whose key is too short for OpenSSL's rules."""
    key = rsa.generate_private_key(65537, 1024)
    builder = x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), 1, NOW - DAY, NOW + DAY)
    return KeyPair(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), pem(key, NoEncryption()))


BROKEN_CHAIN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("pair", [weak_pair(), KeyPair(OTHER.certificate + BROKEN_CHAIN, OTHER.key)])
async def test_what_only_openssl_refuses_leaves_the_old_one_in_place(pair: KeyPair) -> None:
    source = FixedSource(GOOD)
    served = ServedCertificate(source)
    await served.refresh()
    source.pair = pair
    with pytest.raises(CertificateError, match="OpenSSL refuses the certificate"):
        await served.refresh()
    async with serve(greeting(), served.context, HOST, 0) as port:
        assert await shown(port, credulous()) == der(GOOD)


async def test_older_tls_is_refused() -> None:
    served = ServedCertificate(FixedSource(GOOD))
    await served.refresh()
    async with serve(greeting(), served.context, HOST, 0) as port:
        client = credulous()
        assert await shown(port, client) == der(GOOD)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(port, client)


async def test_a_failing_source_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls, "REFRESH_SECONDS", 0.0)
    failures = [Unavailable("get secrets/x: 500"), ValueError("it is bad"), FileNotFoundError("tls.crt")]
    asked_again = asyncio.Event()

    class Failing:
        async def current(self) -> KeyPair:
            if failures:
                raise failures.pop(0)
            if served.pin:
                asked_again.set()
            return GOOD

    served = ServedCertificate(Failing())
    async with asyncio.timeout(30), served.kept_fresh():
        await asked_again.wait()
    assert served.pin == GOOD.pin
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        f"the certificate of the exchange cannot be refreshed: {why}"
        for why in ("get secrets/x: 500", "it is bad", "tls.crt")
    ]
