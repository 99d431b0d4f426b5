"""`pbx key new`: keys that are made before any cluster knows of them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from pbx_operator.cli.main import main
from pbx_operator.domain.protocol.keys import Bundle, key_id, key_text, parse_key

ACCOUNT = ("--account", "amsterdam")
INSTANCE = ("--instance", "a" * 26)
EXPIRES = ("--expiration-time", "2999-01-31T12:00:00+01:00")


def new(*options: str) -> Result:
    return CliRunner().invoke(main, ["key", "new", *options])


def made(*options: str) -> Result:
    result = new(*options)
    assert result.exit_code == 0, result.output
    return result


def refusal(*options: str) -> str:
    result = new(*options)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr.splitlines()[-1]


def manifest(*options: str) -> Any:
    return YAML(typ="safe").load(made("-o", "secret", *options).stdout)


def key_in(secret: Any) -> Bundle:
    return parse_key(base64.b64decode(secret["data"]["key"], validate=True).decode())


def test_prints_the_bare_key_and_nothing_else() -> None:
    stdout = made().stdout
    assert stdout == key_text(parse_key(stdout).key) + "\n"


def test_every_key_is_another_one() -> None:
    assert made().stdout != made().stdout


@pytest.mark.parametrize("options", [(), ("--bundle",), ("-o", "secret", "--name", "k")], ids=" ".join)
def test_people_get_a_hint_that_does_not_show_the_key(options: tuple[str, ...]) -> None:
    result = made(*options)
    bundle = key_in(YAML(typ="safe").load(result.stdout)) if "secret" in options else parse_key(result.stdout)
    name, hint = result.stderr.removesuffix("\n").split(": ", 1)
    assert name == f"key {key_id(bundle.key.public)}"
    assert hint.startswith("keep it secret")
    assert "\n" not in hint
    assert key_text(bundle.key).rpartition(".")[2] not in result.stderr


def test_a_bundle_has_what_was_said_about_the_issuer() -> None:
    bundle = parse_key(made("--bundle", *ACCOUNT, *INSTANCE, *EXPIRES).stdout)
    assert (bundle.account, bundle.instance) == ("amsterdam", "a" * 26)
    assert bundle.expiration_time == datetime(2999, 1, 31, 11, 0, tzinfo=UTC)


def test_a_bundle_may_leave_everything_open() -> None:
    bundle = parse_key(made("--bundle").stdout)
    assert (bundle.account, bundle.instance, bundle.expiration_time) == (None, None, None)


def test_a_secret_is_what_the_operator_reads() -> None:
    secret = manifest("--name", "to-rotterdam.v1", "-n", "tenant-2")
    assert secret.pop("data").keys() == {"key"}
    assert secret == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "to-rotterdam.v1", "namespace": "tenant-2"},
        "type": "pbx-operator.io/key",
    }


def test_a_secret_holds_a_bare_key_or_a_bundle() -> None:
    assert key_in(manifest("--name", "k")).account is None
    assert key_in(manifest("--name", "k", "--bundle", *ACCOUNT)).account == "amsterdam"


def test_without_a_namespace_kubectl_chooses() -> None:
    assert manifest("--name", "k")["metadata"] == {"name": "k"}


def test_the_text_stays_on_one_line() -> None:
    """A folded scalar is a trap for tools that seal line by line."""
    stdout = made("-o", "secret", "--name", "k", "--bundle", *ACCOUNT, *INSTANCE, *EXPIRES).stdout
    assert len(stdout.splitlines()) == 7
    assert [line for line in stdout.splitlines() if line.endswith(" ")] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ACCOUNT, "Error: --account 'amsterdam' is part of a bundle: add --bundle, or leave it out"),
        (INSTANCE, f"Error: --instance '{'a' * 26}' is part of a bundle: add --bundle, or leave it out"),
        (
            EXPIRES,
            "Error: --expiration-time '2999-01-31T12:00:00+01:00' is part of a bundle: add --bundle, or leave it out",
        ),
        (("--name", "k"), "Error: --name 'k' is about a Secret: add -o secret, or leave it out"),
        (("-n", "default"), "Error: --namespace 'default' is about a Secret: add -o secret, or leave it out"),
        (("-o", "secret"), "Error: -o secret needs the name of the Secret: add --name NAME"),
        (
            ("--bundle", "--account", "Amsterdam"),
            "Error: Invalid value for '--account': 'Amsterdam' is not the name of a PBXAccount:"
            " write its metadata.name, for example amsterdam",
        ),
        (
            ("--bundle", "--instance", "here"),
            "Error: Invalid value for '--instance': 'here' is not an installation:"
            " write the 26 characters that status.peer.instance of an established Interlink shows",
        ),
        (
            ("--bundle", "--expiration-time", "tomorrow"),
            "Error: Invalid value for '--expiration-time': 'tomorrow' is not a time:"
            " write it like 2027-01-31T12:00:00Z",
        ),
        (
            ("--bundle", "--expiration-time", "2999-01-31"),
            "Error: Invalid value for '--expiration-time': '2999-01-31' lacks its time zone:"
            " add Z for UTC, or an offset such as +01:00",
        ),
        (
            ("--bundle", "--expiration-time", "9999-12-31T23:00:00-05:00"),
            "Error: Invalid value for '--expiration-time': '9999-12-31T23:00:00-05:00' is too far away:"
            " choose a year up to 8999",
        ),
        (
            ("--bundle", "--expiration-time", "2001-01-31T12:00:00Z"),
            "Error: Invalid value for '--expiration-time': '2001-01-31T12:00:00Z' has passed: choose a later time",
        ),
        (
            ("-o", "secret", "--name", "My_Key"),
            "Error: Invalid value for '--name': 'My_Key' is not the name of a Secret:"
            " write lower case letters, digits, '-' and '.', for example to-rotterdam-key",
        ),
        (
            ("-o", "secret", "--name", "k", "-n", "a.b"),
            "Error: Invalid value for '-n' / '--namespace': 'a.b' is not the name of a namespace:"
            " write lower case letters, digits and '-', for example tenant-2",
        ),
        (("-o", "yaml"), "Error: Invalid value for '-o' / '--output': 'yaml' is not one of 'text', 'secret'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_options_are_explained(options: tuple[str, ...], message: str) -> None:
    assert refusal(*options) == message
