"""Manifests as YAML that every reader takes for the same thing.

kubectl and most tools read YAML 1.1, where a bare `No`, `on` or `1:20` is no text; others read 1.2, where `0o17` is
a number.  A text that either of them would take for something else is written in quotes.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver

UNFOLDED = 2**16
"""Every text on one line: a folded one hides what a diff changes, and a key must stay whole."""

_YAML_1_1 = VersionedResolver("1.1")


class _AnyVersion(VersionedResolver):
    """Takes a bare word for text only if YAML 1.1 and 1.2 both do."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """Return the tag that a reader may give to a node."""
        tag = super().resolve(kind, value, implicit)
        is_text = kind is ScalarNode and tag == self.DEFAULT_SCALAR_TAG
        return _YAML_1_1.resolve(kind, value, implicit) if is_text else tag


def to_yaml(document: dict[str, Any]) -> str:
    """Render one document, keys in the order of the dictionary."""
    yaml = YAML()
    yaml.Resolver = _AnyVersion
    yaml.width = UNFOLDED
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    yaml.dump(document, text)
    return text.getvalue()
