"""Keys: what their text is, that a wrong character is noticed, and that nothing ever shows one."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pbx_operator.api.v1alpha1.linkrecord import Contact, InterlinkIdentity, NamespacedName
from pbx_operator.domain.protocol.keys import (
    MAX_TEXT,
    Bundle,
    IssuerAddress,
    MalformedKeyError,
    SigningKey,
    addressed,
    base64url,
    instance_id,
    key_id,
    key_text,
    link_id,
    parse_key,
    verify,
)

SEED = bytes(range(32))
KEY = SigningKey(SEED)
TEXT = key_text(KEY)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

seeds = st.binary(min_size=32, max_size=32)


def bundle(**facts: Any) -> str:
    return base64url(json.dumps({"key": TEXT, **facts}).encode())


def issuer(*endpoints: Any, **changes: Any) -> dict[str, Any]:
    """Return a bundle's entry about its issuer, with these endpoints; what is changed to None is left out."""
    facts = {
        "publicKey": KEY.public,
        "account": {"namespace": "n", "name": "a"},
        "interlink": {"namespace": "n", "name": "x", "uid": "u"},
        "contact": {"endpoints": endpoints, "pins": ["A" * 43]},
    }
    return {name: value for name, value in (facts | changes).items() if value is not None}


class TestText:
    def test_a_key_is_its_version_its_name_and_its_seed(self) -> None:
        version, name, seed = TEXT.split(".")
        assert (version, len(name), len(seed)) == ("pbxk1", 16, 43)
        assert name == key_id(KEY.public)

    def test_the_format_stays(self) -> None:
        assert TEXT == "pbxk1.kzdvvj2umnduyauf.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

    @given(seeds)
    def test_what_is_written_can_be_read(self, seed: bytes) -> None:
        key = SigningKey(seed)
        assert parse_key(key_text(key)) == Bundle(key)

    @given(seeds, st.text(max_size=9), st.sampled_from((None, datetime(2027, 1, 31, 12, tzinfo=UTC))))
    def test_so_can_a_bundle(self, seed: bytes, account: str, expires: datetime | None) -> None:
        written = Bundle(SigningKey(seed), "a" * 26, account, expires)
        assert parse_key(written.text()) == written

    def test_white_space_around_it_does_not_matter(self) -> None:
        assert parse_key(f"  {TEXT}\r\n").key == KEY

    @given(seeds, st.integers(0, 63), st.sampled_from(ALPHABET))
    def test_one_wrong_character_is_noticed(self, seed: bytes, place: int, wrong: str) -> None:
        text = key_text(SigningKey(seed))
        place += len("pb")
        assume(place < len(text) and text[place] != wrong)
        with pytest.raises(MalformedKeyError):
            parse_key(text[:place] + wrong + text[place + 1 :])

    @given(st.data(), st.sampled_from(ALPHABET[:64]))
    def test_one_wrong_character_of_a_bundle_changes_nothing_unnoticed(self, data: st.DataObject, wrong: str) -> None:
        """Not whom to ask, and where: or the key could be spent without a link."""
        contact = Contact(endpoints=("https://pbx.example.com:8443",), pins=("A" * 43,))
        interlink = InterlinkIdentity(namespace="n", name="x", uid="u")
        account = NamespacedName(namespace="n", name="a")
        address = IssuerAddress(public_key=KEY.public, account=account, interlink=interlink, contact=contact)
        written = Bundle(KEY, "a" * 26, "a", issuer=address)
        text = written.text()
        place = data.draw(st.integers(0, len(text) - 1))
        with suppress(MalformedKeyError):
            assert parse_key(text[:place] + wrong + text[place + 1 :]) == written

    def test_an_issuer_may_have_an_ipv6_address(self) -> None:
        read = parse_key(bundle(issuer=issuer("https://[2001:db8::1]:8443"))).issuer
        assert read is not None
        assert read.contact.endpoints == ("https://[2001:db8::1]:8443",)

    def test_a_bundle_that_was_put_together_by_hand_needs_no_checksum(self) -> None:
        assert parse_key(bundle(instance="a" * 26)) == Bundle(KEY, "a" * 26)

    def test_even_one_that_would_leave_the_seed_as_it_is(self) -> None:
        last = base64url(SEED)[-1]
        alias = ALPHABET[ALPHABET.index(last) + 1]
        assert base64.urlsafe_b64decode(TEXT[-43:-1] + alias + "=") == SEED
        with pytest.raises(MalformedKeyError, match="a character is wrong"):
            parse_key(TEXT[:-1] + alias)


class TestMalformed:
    SECRET = "s3cret-nobody-may-see-this"

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "it is empty"),
            (" \n", "it is empty"),
            (f"pbxk1.{SECRET}", "a key is 'pbxk1.', 16 characters, a dot and 43 characters"),
            (TEXT.replace("pbxk1", "pbxk2"), "a key is 'pbxk1.'"),
            (TEXT.upper().replace("PBXK", "pbxk"), "a key is 'pbxk1.'"),
            (TEXT[:-1], "a key is 'pbxk1.'"),
            (TEXT + "A", "a key is 'pbxk1.'"),
            (f"{TEXT} {SECRET}", "a key is 'pbxk1.'"),
            (TEXT[:6] + "a" * 16 + TEXT[22:], "its two parts do not belong together"),
            (SECRET, "it is neither a key"),
            (base64url(SECRET.encode()), "it is neither a key"),
            (base64url(b"\xff\xfe" + SECRET.encode()), "it is neither a key"),
            (base64url(json.dumps([SECRET]).encode()), "it is neither a key"),
            (base64url(json.dumps({SECRET: SECRET}).encode()), "it is neither a key"),
            (base64url(b"[" * 3000), "it is neither a key"),
            (base64url(b'{"key": ' + b"9" * 2500 + b"}"), "the bundle's entry 'key' is not text"),
            (bundle(key=[SECRET]), "the bundle's entry 'key' is not text"),
            (bundle(key=SECRET), "a key is 'pbxk1.'"),
            (bundle(instance=[SECRET]), "the bundle's entry 'instance' is not text"),
            (bundle(account={"name": SECRET}), "the bundle's entry 'account' is not text"),
            (bundle(expirationTime=17), "the bundle's entry 'expirationTime' is not text"),
            (bundle(expirationTime=SECRET), "the bundle's entry 'expirationTime' is not a time"),
            (bundle(expirationTime="2027-01-31T12:00:00"), "the bundle's entry 'expirationTime' is not a time"),
            (SECRET * 1000, f"it has more than {MAX_TEXT} characters"),
            ("ключ", "it is neither a key"),
        ],
    )
    def test_the_message_says_what_is_wrong_and_never_what_was_there(self, text: str, problem: str) -> None:
        with pytest.raises(MalformedKeyError, match="^" + problem.replace("'.", "'[.]")) as caught:
            parse_key(text)
        assert self.SECRET not in _everything_said_by(caught.value)
        assert base64url(self.SECRET.encode())[:20] not in _everything_said_by(caught.value)

    @pytest.mark.parametrize(
        ("facts", "problem"),
        [
            (SECRET, "entry 'issuer' is not what it should be"),
            ({}, "entry 'issuer.publicKey' is missing"),
            (issuer(account=None), "entry 'issuer.account' is missing"),
            (issuer(account={"namespace": SECRET}), "entry 'issuer.account.name' is missing"),
            (issuer(publicKey=SECRET), "entry 'issuer.publicKey' is not what it should be"),
            (issuer([SECRET]), "entry 'issuer.contact.endpoints.0' is not what it should be"),
            (issuer(*["https://a"] * 5), "entry 'issuer.contact.endpoints' is not what it should be"),
        ],
    )
    def test_of_an_issuer_the_wrong_entry_is_named(self, facts: Any, problem: str) -> None:
        with pytest.raises(MalformedKeyError) as caught:
            parse_key(bundle(issuer=facts))
        assert str(caught.value) == f"the bundle's {problem}"
        assert self.SECRET not in _everything_said_by(caught.value)

    @pytest.mark.parametrize(
        ("endpoint", "problem"),
        [
            ("http://pbx.example.com", "'http://pbx.example.com' does not start with 'https://'"),
            ("https://[2001:db8::1", "'https://[2001:db8::1' has brackets that do not hold an IPv6 address"),
            ("https://pbx.example.com:65536", "'https://pbx.example.com:65536' has a port that is not a number"),
            (f"https://{SECRET}@pbx.example.com", "'…@pbx.example.com' names a user"),
            (f"https://{TEXT}", "has upper-case letters"),
            (TEXT, "does not start with 'https://'"),
            (base64url(SEED), "does not start with 'https://'"),
            (f"https://{SEED.hex()}", "has a host that is not a host name"),
        ],
    )
    def test_a_wrong_endpoint_is_quoted_unless_it_could_hold_a_key(self, endpoint: str, problem: str) -> None:
        with pytest.raises(MalformedKeyError) as caught:
            parse_key(bundle(issuer=issuer("https://pbx.example.com", endpoint)))
        said = _everything_said_by(caught.value)
        assert str(caught.value).startswith(f"the bundle's entry 'issuer.contact.endpoints.1': {problem}")
        assert not [s for s in (self.SECRET, base64url(SEED), SEED.hex(), TEXT[-20:]) if s in said]

    @pytest.mark.parametrize(
        ("endpoint", "problem"),
        [
            ("https://pbx.example.com:99999", "'https://pbx.example.com:99999' has a port that is not a number"),
            ("https://a..b", "'https://a..b' has a host that is not a host name"),
            ("https://1.2.3", "'https://1.2.3' has a number as its host that is not an IPv4 address"),
        ],
    )
    def test_a_wrong_endpoint_of_the_spec_is_named_with_its_field(self, endpoint: str, problem: str) -> None:
        contact = Contact(endpoints=("https://pbx.example.com", endpoint))
        with pytest.raises(MalformedKeyError) as caught:
            addressed(Bundle(KEY), "i" * 26, contact)
        assert str(caught.value).startswith(f"spec.redeemKey.issuer.endpoints[1]: {problem}")

    @given(st.text(max_size=200))
    def test_any_text_is_a_key_or_malformed(self, text: str) -> None:
        with pytest.raises(MalformedKeyError):
            parse_key(text)

    @pytest.mark.parametrize("size", [0, 31, 33])
    def test_a_seed_has_32_bytes(self, size: int) -> None:
        with pytest.raises(MalformedKeyError, match=f"a seed has 32 bytes, not {size}"):
            SigningKey(b"x" * size)


def _everything_said_by(error: BaseException | None) -> str:
    """What a log of the error with its causes would hold."""
    said = ""
    while error is not None:
        said += f"{error} {error!r} {vars(error)}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return said


class TestSilence:
    @pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format])
    @pytest.mark.parametrize("holder", [KEY, Bundle(KEY, "a" * 26, "rotterdam"), [KEY], {"k": KEY}])
    def test_a_key_does_not_show_itself(self, show: Any, holder: object) -> None:
        shown = show(holder)
        assert base64url(SEED) not in shown
        assert repr(SEED)[2:-1] not in shown
        assert SEED.hex() not in shown


class TestNames:
    def test_ids_are_object_names_of_fixed_length(self) -> None:
        names = (key_id(KEY.public), instance_id(KEY.public), link_id("i" * 26, "k" * 16, "r" * 26, "uid"))
        assert [len(n) for n in names] == [16, 26, 26]
        assert set("".join(names)) <= set("abcdefghijklmnopqrstuvwxyz234567")

    def test_every_part_of_a_link_counts(self) -> None:
        parts = ["i" * 26, "k" * 16, "r" * 26, "uid"]
        others = [["x" * len(p) if n == changed else p for n, p in enumerate(parts)] for changed in range(4)]
        assert len({link_id(*p) for p in (parts, *others)}) == 5


class TestSignature:
    @given(seeds, st.binary(max_size=50), st.binary(max_size=50))
    def test_only_what_was_signed_verifies(self, seed: bytes, message: bytes, other: bytes) -> None:
        key = SigningKey(seed)
        assert verify(key.public, key.sign(message), message)
        assert verify(key.public, key.sign(message), other) == (message == other)

    @pytest.mark.parametrize("broken", ["", "not base64!", base64url(b"short"), base64url(b"x" * 64)])
    def test_what_is_no_signature_does_not_verify(self, broken: str) -> None:
        assert not verify(KEY.public, broken, b"")
        assert not verify(broken, KEY.sign(b""), b"")
