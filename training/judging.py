"""Rewards during training: judges that cannot be reached are waited for, and a judge that is being broken is seen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gotr1_eval.core.errors import RunError
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet

Row = Mapping[str, Outcome]
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


def judge_patiently(
    rewards: RewardSet, samples: Sequence[Sample], patience: float, sleep: Callable[[float], None] = time.sleep
) -> list[Row]:
    """Every factor of every sample; those whose judge failed (`BACKEND`) are asked again after growing pauses.

    Args:
        patience: seconds of pauses in all; what still fails then stays `BACKEND`.
    """
    rows: list[Row] = list(rewards.judge(samples))
    pause, waited = FIRST_PAUSE, 0.0
    while (failed := [at for at, row in enumerate(rows) if _failed(row)]) and waited + pause <= patience:
        sleep(pause)
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)
        for at, row in zip(failed, rewards.judge([samples[at] for at in failed]), strict=True):
            rows[at] = row
    return rows


def _failed(row: Row) -> bool:
    return any(isinstance(outcome, Unscored) and outcome.why is Why.BACKEND for outcome in row.values())


class UnscoredWatch:
    """Stops a run in which too many samples go unscored: a policy may be learning to break its judge.

    Args:
        limit: share of the samples of the last `window` steps.
    """

    def __init__(self, limit: float, window: int) -> None:
        self._limit = limit
        self._counts: deque[tuple[int, int]] = deque(maxlen=window)

    def see(self, outcomes: Sequence[Outcome]) -> None:
        """One step's rewards.

        Raises:
            RunError: the window is full and the share above the limit; says which reason was the most frequent.
        """
        unscored = [outcome for outcome in outcomes if isinstance(outcome, Unscored)]
        self._counts.append((len(unscored), len(outcomes)))
        share = sum(count for count, _ in self._counts) / max(sum(total for _, total in self._counts), 1)
        if len(self._counts) == self._counts.maxlen and share > self._limit:
            last = unscored[-1] if unscored else None
            told = f"; the last one: {last.why.value}: {last.detail}" if last else ""
            raise RunError(
                f"{share:.0%} of the rewards of the last {len(self._counts)} steps are unscored (limit "
                f"{self._limit:.0%}): the judge fails, or the policy has learned to break it{told}"
            )
