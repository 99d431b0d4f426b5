"""The one error of building an image."""

from __future__ import annotations


class ImageError(Exception):
    """The image cannot be built or run here; the text says why and what to do next."""
