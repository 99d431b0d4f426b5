"""Child processes that do not outlive their parent.

Closing a pipe tells a cooperating child that its parent is gone; the servers of a control plane do not
cooperate, so on Linux the kernel is asked to signal them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def signal_with_parent(signal_number: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` for children of this process, or None where the kernel has no such request.

    The signal is tied to the *thread* that starts the child, so only a process with a single thread may use it.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded here: little is safe between fork and exec
    parent = os.getpid()

    def request() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent:  # it died before the request
            os.kill(os.getpid(), signal_number)

    return request
