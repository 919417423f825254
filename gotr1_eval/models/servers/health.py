"""How one server of a fleet is doing: well, or left out until a small question finds it well again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

RECENT = 20
"""Answers that a server is judged by."""

LEAST_UNREAD = 4
"""Unreadable answers below which nothing is concluded."""

LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class Health:
    """Times are seconds of any clock that only goes forward.

    Attributes:
        first_pause_s: between being left out and the first probe; doubled each time, until `RECENT` answers in a row
            were good.
        well: whether it is asked.
        reason: why it is not.
        failures: in a row.
        probe_at: when it is asked again, where it is left out.
        recent: of the last answers, whether they were readable as far as we were told.
    """

    first_pause_s: float
    well: bool = True
    reason: str = ""
    failures: int = 0
    probe_at: float = 0.0
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=RECENT))
    _pause_s: float = 0.0

    def answered(self) -> None:
        """It gave an answer in the right form."""
        self.failures = 0
        self.recent.append(True)
        if len(self.recent) == RECENT and all(self.recent):
            self._pause_s = 0.0

    def complained_of(self) -> None:
        """One of its answers, counted as good before, turned out to be unreadable."""
        if True in self.recent:
            self.recent.remove(True)
        self.recent.append(False)

    def leave_out(self, reason: str, now: float) -> None:
        """Not to be asked until a probe succeeds; also called when a probe has failed."""
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S) if self._pause_s else self.first_pause_s
        self.well, self.reason, self.probe_at = False, reason, now + self._pause_s

    def take_back(self) -> None:
        """A probe has succeeded. The next pause stays long until it has proved itself."""
        self.well, self.reason, self.failures = True, "", 0
        self.recent.clear()


def babbles(own: Sequence[bool], others: Sequence[bool]) -> bool:
    """Whether a server answers nonsense where the others are understood.

    Half of its recent answers are unreadable, and at most a quarter of theirs: where all are unreadable the questions
    or the reader are at fault, and nobody is left out.
    """
    unread = own.count(False)
    if unread < LEAST_UNREAD or len(others) < LEAST_UNREAD:
        return False
    return 2 * unread >= len(own) and 4 * others.count(False) <= len(others)
