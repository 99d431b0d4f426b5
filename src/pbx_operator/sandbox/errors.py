"""The one error of the sandbox: every module here raises it, and the command line prints it as it stands."""

from __future__ import annotations


class SandboxError(Exception):
    """A sandbox cannot be built, started or reached; the text says why and what to do next."""
