"""What is told of a trouble that lasts: that it began, that it is another one by now, and that it ended.

Whoever asks a peer or a provider again and again fails again and again, and a log that says so each time hides what is
new in it.
"""

from __future__ import annotations

from dataclasses import dataclass

LOG_INTERVAL = 60.0
"""Seconds from one warning to the next: what comes and goes all the time does not fill the log."""


@dataclass(slots=True)
class Trouble:
    """One thing that may be in trouble, and what the log said of it last."""

    problem: str = ""
    """What is wrong, as it was told last; empty if nothing is."""
    quiet_until: float = float("-inf")

    def is_news(self, problem: str, now: float) -> bool:
        """Whether to tell of a problem: it has just begun, or is another one; who mends one looks for the next.

        `now` is monotonic, in seconds.
        """
        if problem == self.problem or now < self.quiet_until:
            return False
        self.problem, self.quiet_until = problem, now + LOG_INTERVAL
        return True

    def end(self) -> bool:
        """Take note that all is well; return whether to tell that a problem ended."""
        told, self.problem = bool(self.problem), ""
        return told
