"""Rewards during training: judges that cannot be reached are waited for, a judge that is being broken is seen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.judging import judge_batch
from gotr1_eval.core.outcome import Outcome, Unscored, Why
from gotr1_eval.core.types import Prompt, Sample
from rewards.reward_set import RewardSet
from training.early_judges import chains_judged_once

Row = Mapping[str, Outcome]
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
REFUSALS = 3


def judge_patiently(
    rewards: RewardSet,
    samples: Sequence[Sample],
    patience: float,
    sleep: Callable[[float], None] = time.sleep,
    known: Mapping[str, Sequence[Outcome]] | None = None,
    per_chain: int = 1,
) -> list[Row]:
    """Every factor of every sample; those whose judge failed (`BACKEND`) are asked again after growing pauses.

    One that was answered is asked again beside them: when the judge answers it `REFUSALS` times and none of the others,
    it is there, and will not take them.

    Args:
        patience: seconds of pauses in all; what still fails then stays `BACKEND`.
        known: outcomes of factors that were judged while the pictures were generated; see `chains_judged_once`.
        per_chain: samples side by side that share a chain, which is asked about again for all of them at once.
    """
    rows: list[Row] = list(rewards.judge(samples, chains_judged_once(rewards, samples, per_chain, known or {})))
    pause, waited, refusals = FIRST_PAUSE, 0.0, 0
    while (failed := _failures(rows)) and waited + pause <= patience and refusals < REFUSALS:
        sleep(pause)
        waited, pause = waited + pause, min(2 * pause, LONGEST_PAUSE)
        trees = {at // per_chain for at in failed}
        places = [at for at in range(len(rows)) if at // per_chain in trees]
        beside = [at for at in range(len(rows)) if at // per_chain not in trees][:per_chain]
        asked = [samples[at] for at in places + beside]
        again = list(rewards.judge(asked, chains_judged_once(rewards, asked, per_chain, {})))
        refusals += (
            bool(beside)
            and [places[at] for at in _failures(again) if at < len(places)] == failed
            and not any(map(_failed, again[len(places) :]))
        )
        for at, row in zip(places, again, strict=False):
            rows[at] = row
    return rows


def _failures(rows: Sequence[Row]) -> list[int]:
    return [at for at, row in enumerate(rows) if _failed(row)]


def _failed(row: Row) -> bool:
    return any(isinstance(outcome, Unscored) and outcome.why is Why.BACKEND for outcome in row.values())


def check_applies(rewards: RewardSet, prompts: Sequence[Prompt]) -> None:
    """See that the reward has something to say about prompts as training makes them.

    Judges tell that a prompt is not theirs before they look for a chain or a picture, so that none is needed here.

    Raises:
        UsageError: no factor of the reward applies to any of the prompts.
    """
    samples = prompt_samples(prompts)
    detail = ""
    for judge in (rewards.judges[factor] for factor in rewards.factors):
        outcomes = judge_batch(judge, samples) if judge.may_not_apply else []
        beside = [each for each in outcomes if isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE]
        if len(beside) < len(samples) or not samples:
            return
        detail = f"{judge.name}: {beside[0].detail}"
    raise UsageError(
        f"the reward applies to none of the first {len(samples)} prompts ({detail}): train on prompts that it is for, "
        "or take a judge that reads the prompt's text"
    )


def prompt_samples(prompts: Sequence[Prompt]) -> list[Sample]:
    """Samples of prompts alone, for questions to a judge that need neither chain nor picture."""
    return [Sample(id=str(at), prompt=prompt.text, meta=prompt.facts) for at, prompt in enumerate(prompts)]


class UnscoredWatch:
    """Stops a run in which too many samples go unscored: a policy may be learning to break its judge.

    A restart forgets what was seen: whoever mended the judge must not be stopped by what it did before.

    Args:
        limit: share of the samples of the last `window` steps.
    """

    def __init__(self, limit: float, window: int) -> None:
        self._limit = limit
        self._counts: deque[tuple[int, int]] = deque(maxlen=window)
        self._beside: Unscored | None = None
        self._last: Unscored | None = None

    def see(self, outcomes: Sequence[Outcome]) -> None:
        """One step's rewards; what a judge does not apply to is no fault of anybody's, and does not count."""
        beside = [each for each in outcomes if isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE]
        self._beside = beside[-1] if beside and len(beside) == len(outcomes) else None
        counted = [each for each in outcomes if not (isinstance(each, Unscored) and each.why is Why.NOT_APPLICABLE)]
        unscored = [each for each in counted if isinstance(each, Unscored)]
        self._counts.append((len(unscored), len(counted)))
        self._last = unscored[-1] if unscored else self._last

    def check(self) -> None:
        """See that the rewards still are some.

        Raises:
            RunError: the last step's reward applied to none of its samples, or the window is full and the share above
                the limit; tells the last reason.
        """
        if self._beside is not None:
            raise RunError(
                f"the reward applies to no sample of this step ({self._beside.detail}): there is nothing to learn from "
                "these prompts"
            )
        share = sum(count for count, _ in self._counts) / max(sum(total for _, total in self._counts), 1)
        if len(self._counts) == self._counts.maxlen and share > self._limit:
            told = f"; the last one: {self._last.why.value}: {self._last.detail}" if self._last else ""
            raise RunError(
                f"{share:.0%} of the rewards of the last {len(self._counts)} steps are unscored (limit "
                f"{self._limit:.0%}): the judge fails, or the policy has learned to break it{told}"
            )
