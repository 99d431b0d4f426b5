"""Become a program that is signalled when its parent ends: `tied.py SIGNAL PARENT COMMAND ARGUMENT...`.

`processes` says why.  It is run by its path, and knows the standard library alone, so that it is over in moments.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # and what is ignored stays so in the program


def main(number: int, parent: int, command: list[str]) -> None:
    """Ask the kernel for the signal, if it is one that can be asked, and become the command with that request."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it ended before the request
        os.kill(os.getpid(), number)
    for ignored in _IGNORED_BY_PYTHON:
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"Error: cannot run {command[0]!r}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
