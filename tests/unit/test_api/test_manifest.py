"""Manifests are read as they were meant, by readers of either version of YAML."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from pbx_operator.api.manifest import to_yaml

TREACHEROUS = ("Yes", "No", "NO", "on", "Off", "y", "true", "null", "~", "", "010", "0o17", "1_000", "1:20", "1e3", "=")
"""Texts that one version of YAML or the other takes for something else if they stand bare."""
texts = st.sampled_from(TREACHEROUS) | st.text(st.characters(codec="ascii", exclude_categories=["Cc"]))


def read(text: str, version: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    return yaml.load(text)


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@given(document=st.dictionaries(texts, texts | st.integers() | st.lists(texts)))
def test_what_is_read_is_what_was_written(version: str, document: dict[str, Any]) -> None:
    assert read(to_yaml(document), version) == document


def test_the_values_of_an_enum_stay_text() -> None:
    assert to_yaml({"enum": ["Yes", "No", "None"]}) == "enum:\n  - 'Yes'\n  - 'No'\n  - None\n"


def test_no_text_is_folded() -> None:
    assert to_yaml({"description": "word " * 1000 + "end"}).count("\n") == 1
