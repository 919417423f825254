"""The first half of a GRPO step: prompts are sampled, samples are judged, and advantages follow.

`one_step_off` samples the next step's prompts before this step is learned from, so that judges behind a server answer
while the policy samples and learns (Noukhovitch et al., arXiv 2410.18252). The samples of every step but
the first are then a step older than the policy that learns from them; importance weights make up for it, with clips
around the policy that learns (the decoupled objective of Hilton et al., arXiv 2110.00641).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from accelerate.utils import gather_object

from gotr1_eval.core.types import Prompt
from rewards.reward_set import RewardSet
from training.accelerating import computing, fail_together
from training.credit import Credit
from training.early_judges import BegunJudging, EarlyJudges, chains_judged_once
from training.metrics import Clock
from training.prompt_sets import PromptMix
from training.reward_judging import Row, judge_patiently
from training.rollout import JudgedRollout, Rollout, generate, group_seeds
from training.settings import GrpoSettings
from training.sharding import full_weights
from training.step_credit import credit_of
from training.trained_parts import Learner


@dataclass(frozen=True, slots=True)
class SampledRollout:
    """A rollout that waits for its judges.

    Attributes:
        begun: what is asked already; None where all judges are asked afterwards.
        clock: the seconds of these samples, whenever they were made.
    """

    rollout: Rollout
    begun: BegunJudging | None
    clock: Clock


@dataclass(frozen=True, slots=True)
class StepBatch:
    """What a step learns from.

    Attributes:
        judged: this process's samples, refilled groups last.
        credit: of all processes' groups.
        mine: which of those are this process's.
        refilled: groups of further prompts, over all processes.
        clock: of the step's own samples.
    """

    judged: JudgedRollout
    credit: Credit
    mine: slice
    refilled: int
    clock: Clock


class Collector:
    """Samples and judges for a trainer, on this process's share of the prompts.

    Args:
        settings: with numbers in the place of "auto".
        tile: samples made together.
        watched: judges that are scored and logged, and never trained on.
        judging: entered while judges are asked; see `training.offloading`.
    """

    def __init__(
        self, settings: GrpoSettings, learner: Learner, rewards: RewardSet, prompts: PromptMix, *, tile: int,
        watched: RewardSet | None, judging: Callable[[], AbstractContextManager[None]], accelerator: Accelerator,
    ) -> None:  # fmt: skip
        self.settings, self.learner, self.prompts, self._tile = settings, learner, prompts, tile
        self.rewards, self.watched, self.judging = rewards, watched, judging
        self._device = accelerator.device
        self._place, self._processes = accelerator.process_index, accelerator.num_processes
        sets = [rewards] if watched is None else [rewards, watched]
        self._early = EarlyJudges(*sets) if settings.judge_while_generating else None
        self._waiting: dict[int, SampledRollout] = {}

    def collect(self, step: int) -> StepBatch:
        """What step `step` learns from; with `one_step_off` the next step's samples are made on the way."""
        settings, refilled = self.settings, 0
        sampled = self._waiting.get(step) or self.sample(step)
        self._waiting = {step: sampled} if settings.one_step_off else {}
        if settings.one_step_off and step + 1 < settings.steps:
            self._waiting[step + 1] = self.sample(step + 1)
        judged = self.judge(sampled)
        credit, mine = self.credit(judged)
        while (missing := min(settings.prompts_per_step - _learned(credit), settings.refill - refilled)) > 0:
            # Whole groups a process; a few more than are missing where there are several.
            missing += -missing % self._processes
            first = settings.prompts_per_step + refilled
            more = self.judge(self.sample(step, range(first, first + missing), sampled.clock))
            judged = judged.with_more(more, self.learner.policy.pad)
            credit, mine = self.credit(judged)
            refilled += missing
        return StepBatch(judged, credit, mine, refilled, sampled.clock)

    def sample(self, step: int, places: range | None = None, clock: Clock | None = None) -> SampledRollout:
        """Sample this process's share of the prompts of these places of the step, whole groups; all of it by default.

        Judges that begin early are asked on the way.
        """
        settings, clock = self.settings, clock or Clock()
        indices, prompts = self._share(step, places)
        group = settings.samples_per_prompt
        begun = self._early.begin() if self._early else None
        told = {} if begun is None else {"written": begun.chains, "made": begun.pictures}
        with self.sampling():
            rollout = generate(
                self.learner.policy,
                [prompt for prompt in prompts for _ in range(group)],
                group_seeds(settings.seed, step, indices, group),
                chain_cap=settings.sampling.chain_cap, tile=self._tile, per_chain=settings.pictures_per_chain,
                first=indices[0] * group, clock=clock, **told,
            )  # fmt: skip
        return SampledRollout(rollout, begun, clock)

    def _share(self, step: int, places: range | None = None) -> tuple[range, list[Prompt]]:
        settings = self.settings
        places = range(settings.prompts_per_step) if places is None else places
        # Those that a step may refill from are its own, so that the next step's do not depend on how many it took.
        listed = self.prompts.step(step, settings.prompts_per_step + settings.refill)
        indices = places[self._place :: self._processes]
        return indices, [listed[index] for index in indices]

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """The policy as it samples: whole, in the settings' precision, its adapters in place."""
        computed = computing(self.settings.autocast, self._device)
        with computed, full_weights(self.learner.policy), self.learner.folded(), fail_together():
            yield

    def judge(self, sampled: SampledRollout) -> JudgedRollout:
        """Rewards and watched judges of this process's samples; raises on every process when one of them must."""
        samples, per_chain, clock = sampled.rollout.samples, self.settings.pictures_per_chain, sampled.clock
        with fail_together(), self.judging():
            with clock("judge"):
                known = sampled.begun.outcomes(self.rewards) if sampled.begun else {}
                patience = self.settings.judge_patience
                rows = judge_patiently(self.rewards, samples, patience, known=known, per_chain=per_chain)
            with clock("watch"):
                watched: list[Row] = [{} for _ in rows]
                if self.watched:
                    known = sampled.begun.outcomes(self.watched) if sampled.begun else {}
                    known = chains_judged_once(self.watched, samples, per_chain, known)
                    watched = list(self.watched.judge(samples, known))
        return JudgedRollout(sampled.rollout, rows, watched)

    def credit(self, judged: JudgedRollout) -> tuple[Credit, slice]:
        """The advantages of all processes' groups, and which of them are this process's."""
        return credit_of(judged, self.settings, self.rewards, self._place)

    def close(self) -> None:
        """Ask no judge any more."""
        if self._early:
            self._early.close()

    def waiting(self, step: int) -> list[dict[str, Any]] | None:
        """The samples that wait for step `step`, all processes' together, group by group; None where none do."""
        if step not in self._waiting:
            return None
        mine = self._waiting[step].rollout.packed(self.settings.samples_per_prompt)
        everyone: list[tuple[int, dict[str, Any]]] = gather_object(list(zip(self._share(step)[0], mine, strict=True)))
        return [group for _, group in sorted(everyone, key=lambda each: each[0])]

    def load_waiting(self, step: int, groups: list[dict[str, Any]]) -> None:
        """Put back what `waiting` told, whatever the number of processes, and ask the judges about it."""
        indices, prompts = self._share(step)
        policy = self.learner.policy
        first, mine = indices[0] * self.settings.samples_per_prompt, [groups[index] for index in indices]
        rollout = Rollout.unpacked(mine, prompts, policy.pad, policy.model.device, first)
        begun = self._early.begin() if self._early else None
        if begun:
            begun.chains(rollout.samples[:: self.settings.pictures_per_chain])
            begun.pictures(rollout.samples)
        self._waiting = {step: SampledRollout(rollout, begun, Clock())}


def _learned(credit: Credit) -> int:
    """Groups that are learned from."""
    return int(credit.taught.sum())
