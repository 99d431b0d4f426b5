"""Texts on a command line that no field would take are refused with the text and what to write instead."""

from __future__ import annotations

import click
import pytest

from pbx_operator.api.v1alpha1.shared import DnsLabel
from pbx_operator.arguments import Check, each_fits, fits, names_namespace

CONTEXT = click.Context(click.Command("pbx"))
OPTION = click.Option(["--account"])
names_account = fits(DnsLabel, "is not the name of a PBXAccount: write its metadata.name, for example paris")


@pytest.mark.parametrize(
    ("check", "value"), [(names_account, "paris"), (names_account, None), (names_namespace, "pbx-system")]
)
def test_what_a_field_takes_is_taken_as_it_is(check: Check, value: str | None) -> None:
    assert check(CONTEXT, OPTION, value) == value


@pytest.mark.parametrize(
    ("check", "value", "said"),
    [
        (names_account, "Paris", "'Paris' is not the name of a PBXAccount: write its metadata.name, for example paris"),
        (names_account, "", "'' is not the name of a PBXAccount: write"),
        (names_account, "a\nb", r"'a\nb' is not the name of a PBXAccount: write"),
        (names_namespace, "a.b", "'a.b' is not the name of a namespace: write lower case letters, digits and '-'"),
    ],
)
def test_what_it_does_not_take_is_quoted_with_the_next_step(check: Check, value: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        check(CONTEXT, OPTION, value)
    assert caught.value.message.startswith(said)
    assert caught.value.__suppress_context__


def test_of_many_texts_the_wrong_one_is_quoted() -> None:
    name_accounts = each_fits(DnsLabel, "is not the name of a PBXAccount", "accounts")
    assert name_accounts(CONTEXT, OPTION, ("paris", "rome")) == ("paris", "rome")
    with pytest.raises(click.BadParameter, match=r"^'Rome' is not the name of a PBXAccount$"):
        name_accounts(CONTEXT, OPTION, ("paris", "Rome"))
    with pytest.raises(click.BadParameter, match=r"^5 accounts are too many: give at most 4$"):
        name_accounts(CONTEXT, OPTION, tuple("abcde"))
