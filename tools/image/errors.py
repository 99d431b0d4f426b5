"""The one error of building an image, and how command lines end with it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class ImageError(Exception):
    """The image cannot be built or run here; the text says why and what to do next."""


@contextmanager
def failure_as_exit_code() -> Iterator[None]:
    """End the program with the text of an ImageError."""
    try:
        yield
    except ImageError as error:
        sys.exit(f"image: {error}")
