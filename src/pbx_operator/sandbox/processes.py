"""Child processes that do not outlive their parent.

Closing a pipe tells a cooperating child that its parent is gone; the servers of a control plane do not
cooperate, so on Linux the kernel is asked to signal them.  Each asks for itself, by `tied`, before it becomes the
server.  A `preexec_fn` must not ask: for its sake Python runs the hooks that modules have for a fork, in the parent
too, and what a signal handler raises in one of them is lost, together with the lock that `logging` holds there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

_TIED = Path(__file__).with_name("tied.py")


def tied(command: Sequence[str], signal_number: signal.Signals) -> list[str]:
    """Return the command line of a child of this process that gets the signal when this process ends.

    The child becomes the command, under the same process ID; if it cannot, it says why and ends with exit code 1.
    The signal is tied to the *thread* that starts the child, so start it from one that lasts.
    """
    return [sys.executable, "-I", "-S", str(_TIED), str(int(signal_number)), str(os.getpid()), *command]
