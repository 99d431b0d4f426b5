"""The page about numbering rules: its patterns do what it says, and its specs are judged as it shows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest
from ruamel.yaml import YAML

from contract.rows_commserver import ROWS
from pbx_operator.api.v1alpha1 import CommServer, PBXAccount
from pbx_operator.cli.tables import make_console, print_steps
from pbx_operator.domain.dialplan.emergency import emergency_numbers
from pbx_operator.domain.numbering.checks import MAX_STEPS_TOGETHER
from pbx_operator.domain.numbering.patterns import MAX_PATTERN, MAX_STEPS, PatternError, compile_pattern
from pbx_operator.domain.numbering.rules import Dialing, NumberingRule, translate
from pbx_operator.domain.servers.checks import Judgement, explain_number, judge_spec
from pbx_operator.domain.servers.status import in_force
from server_builders import commserver
from support import ROOT

PAGE = (ROOT / "docs" / "numbering.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(yaml|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def stories() -> Iterator[tuple[CommServer, str]]:
    """Yield each server of the page, or one with its part of a spec, with what is shown below it."""
    server: CommServer | None = None
    for language, content in BLOCK.findall(PAGE):
        if language == "yaml" and "kind: PBXAccount" not in content:
            assert server is None, "something is shown below each spec"
            read = YAML(typ="safe").load(content)
            server = CommServer.model_validate(read) if "kind" in read else commserver(**read)
        elif language == "text" and server is not None:
            yield server, content
            server = None
    assert server is None, "something is shown below each spec"


def page_account() -> PBXAccount:
    """Return the one account of the page."""
    (found,) = [content for _, content in BLOCK.findall(PAGE) if "kind: PBXAccount" in content]
    return PBXAccount.model_validate(YAML(typ="safe").load(found))


def table(header: str) -> list[list[str]]:
    """Return the rows of the table with this header, without the quotes of code."""
    lines = iter(PAGE[PAGE.index(header) :].splitlines()[2:])
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split(" | ")])
    assert rows
    return rows


def words(text: str) -> str:
    return " ".join(text.split())


def told(judged: Judgement) -> str:
    return f"{judged.accepted.reason.name}: {judged.accepted.message}"


@pytest.mark.parametrize(("server", "shown"), list(stories()))
def test_a_spec_is_judged_as_the_page_shows(server: CommServer, shown: str) -> None:
    judged = judge_spec(server, page_account() if server.spec.account_ref else None)
    if shown[0].isdigit():
        rows = [f"{row.number} {row.kind} {row.result} {row.by}" for row in judged.translations]
        assert [words(row) for row in rows] == [words(line) for line in shown.splitlines()]
        assert told(judged) == "Accepted: the spec is valid"
    else:
        assert words(told(judged)) == words(shown)


def test_a_number_is_explained_as_the_page_shows() -> None:
    (listing,) = re.finditer(
        r"^pbx translate hotel (\S+) -n hotel\n```\n\n```text\n(.+?)```", PAGE, re.MULTILINE | re.DOTALL
    )
    server, _ = next(stories())
    printed = io.StringIO()
    print_steps(make_console(printed), explain_number(server, None, listing[1]).steps)
    assert [line.rstrip() for line in printed.getvalue().splitlines()] == listing[2].splitlines()


@pytest.mark.parametrize(("match", "replace", "number", "becomes"), table("| `match` | `replace` |"))
def test_a_pattern_does_what_the_page_says(match: str, replace: str, number: str, becomes: str) -> None:
    rule = NumberingRule(match, "Rewrite", replace)
    outcome = translate(number, [rule], Dialing("FR", "0", "00", "0"))
    assert (outcome.rule, outcome.dialled) == (0, becomes)


@pytest.mark.parametrize(("match", "answer"), table("| written | answer |"))
def test_a_pattern_is_refused_as_the_page_says(match: str, answer: str) -> None:
    with pytest.raises(PatternError, match=f"^{re.escape(answer)}$"):
        compile_pattern(match)


def test_the_limits_are_those_of_the_code() -> None:
    limits = " ".join(limit for _, limit in table("| | at most |"))
    numbers = [int(number) for number in re.findall(r"\d+", limits)]
    assert numbers == [100, MAX_PATTERN, 255, MAX_STEPS, MAX_STEPS_TOGETHER]


def test_the_answer_to_a_prefix_without_quotes_is_the_one_of_the_api_server() -> None:
    (refusal,) = next(row.refusals for row in ROWS if row.id == "a prefix without quotes")
    assert f"\n{refusal.field}: {refusal.answer}\n" in PAGE


def test_the_emergency_numbers_are_listed_as_the_page_shows(capsys: pytest.CaptureFixture[str]) -> None:
    (listing,) = re.finditer(r"^\.venv/bin/python -c '(.+)'\n```\n\n```text\n(.+\n)```", PAGE, re.MULTILINE)
    exec(listing[1], {})
    assert capsys.readouterr().out == listing[2]


def test_the_special_services_that_the_page_names_are_not_in_the_data() -> None:
    named = page_account().spec.emergency.additional_numbers
    assert emergency_numbers("FR").isdisjoint(named)
    sentence = re.search(r"of the French ones these are: (.+?)\. A", PAGE, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"\d+", sentence[1]) == [*named]


def test_the_message_about_what_is_in_force_is_the_one_of_the_status() -> None:
    server = commserver(generation=4)
    shown = server.status.model_copy(update={"applied_generation": 3})
    assert f"`{in_force(server, shown)}`" in PAGE
