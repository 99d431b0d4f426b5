"""What an endpoint is, and that each mistake in one is told by its name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pbx_operator.api.v1alpha1.shared import Endpoint
from pbx_operator.domain.protocol.endpoints import EXAMPLES, MAX_ENDPOINT, EndpointError, HostPort, parse_endpoint

FIELD: TypeAdapter[str] = TypeAdapter(Endpoint)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("https://pbx.example.com", "pbx.example.com", 443),
        ("https://pbx.example.com:8443", "pbx.example.com", 8443),
        ("https://pbx", "pbx", 443),
        ("https://192.0.2.7:1", "192.0.2.7", 1),
        ("https://7.example:65535", "7.example", 65535),
        ("https://[2001:db8::1]:8443", "2001:db8::1", 8443),
        ("https://[2001:db8:0:0::1]", "2001:db8::1", 443),
        ("https://[::1]", "::1", 443),
    ],
)
def test_an_endpoint_is_a_host_and_perhaps_a_port(text: str, host: str, port: int) -> None:
    assert parse_endpoint(text) == HostPort(host, port)
    assert FIELD.validate_python(text) == text


@pytest.mark.parametrize("example", EXAMPLES.split(" or "))
def test_the_examples_are_right(example: str) -> None:
    assert parse_endpoint(example).port == 8443


SCHEME = "does not start with 'https://'"
USER = "names a user"
MORE = "has a path, a query or a fragment"
PORT = "has a port that is not a number from 1 to 65535"
NAME = "has a host that is not a host name"
NUMBER = "has a number as its host that is not an IPv4 address"
BRACKETS = "has brackets that do not hold an IPv6 address"
COLONS = "has an IPv6 address without brackets, or more than one ':' after the host"
ALL = "stands for all addresses of a machine"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", SCHEME),
        ("pbx.example.com", SCHEME),
        ("http://pbx.example.com", SCHEME),
        ("HTTPS://pbx.example.com", SCHEME),
        ("https://", "names no host"),
        ("https://:8443", "names no host"),
        ("https://pbx.example.com/", MORE),
        ("https://pbx.example.com/path", MORE),
        ("https://pbx.example.com:8443/path", MORE),
        ("https://pbx.example.com?query", MORE),
        ("https://pbx.example.com#fragment", MORE),
        ("https://pbx.example.com:", PORT),
        ("https://pbx.example.com:0", PORT),
        ("https://pbx.example.com:65536", PORT),
        ("https://pbx.example.com:008443", PORT),
        ("https://pbx.example.com:x", PORT),
        ("https://pbx.example.com:٣", PORT),
        ("https://[::1]:", PORT),
        ("https://*.example.com", "has a wildcard"),
        ("https://PBX.example.com", "has upper-case letters"),
        ("https://[2001:DB8::1]", "has upper-case letters"),
        ("https://pbx..example.com", NAME),
        ("https://pbx.example.com.", NAME),
        ("https://-pbx.example.com", NAME),
        ("https://pbx_1.example.com", NAME),
        ("https://pbx.example.com\n", NAME),
        (" https://pbx.example.com", SCHEME),
        ("https://pbx.example.com ", NAME),
        ("https://bücher.example", NAME),
        (f"https://{'a' * 64}.example", NAME),
        ("https://127.1", NUMBER),
        ("https://2130706433", NUMBER),
        ("https://0x7f000001", NUMBER),
        ("https://0x7f.1", NUMBER),
        ("https://0177.0.0.1", NUMBER),
        ("https://1.2.3.256", NUMBER),
        ("https://2001:db8::1", COLONS),
        ("https://2001:db8::1:8443", COLONS),
        ("https://[::1", BRACKETS),
        ("https://[::1]x", BRACKETS),
        ("https://[]", BRACKETS),
        ("https://[192.0.2.7]", BRACKETS),
        ("https://[pbx.example.com]", BRACKETS),
        ("https://[2001:db8::1::2]", BRACKETS),
        ("https://[fe80::1%eth0]", "has an IPv6 address with a zone"),
        ("https://0.0.0.0:8443", ALL),
        ("https://[::]:8443", ALL),
    ],
)
def test_a_mistake_is_told_by_its_name(text: str, problem: str) -> None:
    with pytest.raises(EndpointError) as caught:
        parse_endpoint(text)
    said = str(caught.value)
    assert said.startswith(f"{text!r} {problem}")
    assert said.endswith(f"; an endpoint looks like {EXAMPLES}")
    assert said == f"{text!r} {caught.value.problem}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user@pbx.example.com", "'…@pbx.example.com' names a user"),
        ("https://user:tell-tale@pbx.example.com:8443", "'…@pbx.example.com:8443' names a user"),
        ("https://user:tell-tale@", "'…@' names a user"),
        ("https://user:tell-tale/more@pbx.example.com", f"'…@pbx.example.com' {MORE}"),
        ("https://pbx.example.com\\@evil", "'…@evil' names a user"),
        ("user:tell-tale@pbx.example.com", f"'…@pbx.example.com' {SCHEME}"),
    ],
)
def test_a_password_is_not_quoted(text: str, shown: str) -> None:
    with pytest.raises(EndpointError) as caught:
        parse_endpoint(text)
    assert str(caught.value).startswith(shown)
    assert "tell-tale" not in str(caught.value)


def test_of_a_text_that_is_far_too_long_the_beginning_is_quoted() -> None:
    longest = f"https://{'a.' * 122}a"
    assert parse_endpoint(longest).host == longest.removeprefix("https://")
    text = f"https://{'a.' * 123}a"
    with pytest.raises(EndpointError, match=rf"^'https://[a.]{{52}}…' has more than {MAX_ENDPOINT} characters; "):
        parse_endpoint(text)


@given(st.text(max_size=300))
def test_any_text_is_an_endpoint_or_refused_in_one_way(text: str) -> None:
    with pytest.raises(EndpointError):
        parse_endpoint(text)


@given(
    st.from_regex(r"https://(\[[0-9a-f:.]{1,40}\]|[-a-zA-Z0-9.:*\[\]]{1,40})(:[0-9]{0,6})?", fullmatch=True)
    | st.ip_addresses(v=4).map("https://{}".format)
    | st.ip_addresses(v=6).map("https://[{}]:1".format)
)
def test_what_is_an_endpoint_fits_into_the_field(text: str) -> None:
    """The other way round it does not hold: a pattern cannot count, and is for the API server to check."""
    try:
        parse_endpoint(text)
    except EndpointError:
        return
    assert FIELD.validate_python(text) == text


@given(st.ip_addresses())
def test_every_address_but_two_can_be_an_endpoint(address: IPv4Address | IPv6Address) -> None:
    text = f"https://[{address}]:8443" if address.version == 6 else f"https://{address}:8443"
    if address.is_unspecified:
        with pytest.raises(EndpointError, match=ALL):
            parse_endpoint(text)
    else:
        assert parse_endpoint(text) == HostPort(str(address), 8443)


@pytest.mark.parametrize("text", ["https://[::1", "https://[]", "https://[g::1]", "https://[::1]:x", "https://[::1%1]"])
def test_the_field_takes_ipv6_addresses_in_brackets_only(text: str) -> None:
    with pytest.raises(ValidationError):
        FIELD.validate_python(text)
