"""The one error of a node."""

from __future__ import annotations


class NodeError(Exception):
    """A node cannot be started here; the text says why and what to do next."""
