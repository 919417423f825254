"""GRPO for chain and picture in one sequence: GoT-R1's second stage, never released by its authors (paper section 4).

    a step: prompts -> a group of samples each (rollout) -> rewards -> advantages -> one or more updates

Read on in: `policy` (what the model says of sampled tokens), `rollout`, `advantage`, `loss`, `update`.

Departures from the paper, and what it leaves open:
- An unscored sample leaves its group instead of earning 0, and a group with fewer than two scored members, or with
  rewards that differ by less than `min_spread`, is dropped and counted: the noise of a judge is no signal.
- The loss is divided by the weighted count of action tokens of the whole step, over all micro-batches and processes.
- An image token's log-probability is that of the guided distribution that sampled it; T2I-R1's choice, the
  conditional row alone, is a setting. Chain and picture have clip ranges of their own.
- An appended `<begin_of_image>` and pads are no actions: they carry no loss.
- beta, the clip ranges and the guidance while sampling are not stated there; see `settings`.

Shape suffixes: B sequences, P prompts, G samples of a prompt.
"""

from __future__ import annotations

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from gotr1_eval.core.errors import BudgetError, UsageError
from gotr1_eval.core.jsonl import append_rows, read_rows
from gotr1_eval.models.janus.loading import Checkpoint
from rewards.reward_set import RewardSet
from training import checkpoint as checkpoints
from training.accelerating import start_accelerator
from training.advantage import Advantages, group_advantages
from training.judging import EarlyJudges, Row, UnscoredWatch, judge_patiently
from training.metrics import Judged, Metrics, Report, group_counts, judged_samples, rollout_metrics, update_metrics
from training.policy import Policy, Sampling
from training.prompt_sets import PromptMix
from training.rollout import PolicyGenerator, Rollout, group_seeds, paint, rewards_of
from training.schedule import cosine_factor
from training.settings import GrpoSettings
from training.sharding import gathered, norm_value, sharding_asked, spread
from training.trained_parts import make_learner
from training.trend import TrendWatch
from training.update import Work, accumulate, action_weight, cut, filled_up, with_old_and_reference

Evaluate = Callable[[PolicyGenerator, int], Metrics]
"""Given the policy as it is and the number of steps done, measures it on held-out prompts."""


@dataclass(slots=True)
class Clock:
    """Where the seconds of a step go."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Counts what happens inside under `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start


class GrpoTrainer:
    """Trains a checkpoint against a reward set, into a folder; picks up where a run in that folder stopped.

    Args:
        checkpoint: on the device of this process; its weights are changed in place.
        rewards: with one headline; see `RewardSet`.
        watched: judges that are scored and logged, and never trained on.
        evaluate: called every `settings.evaluation.every` steps, and before the first.

    Raises:
        UsageError: the prompts of a step cannot be divided over the processes.
    """

    def __init__(
        self, settings: GrpoSettings, folder: Path, checkpoint: Checkpoint, rewards: RewardSet, *,
        watched: RewardSet | None = None, evaluate: Evaluate | None = None, report: Report = lambda metrics: None,
        accelerator: Accelerator | None = None,
    ) -> None:  # fmt: skip
        self.settings, self.folder, self.rewards, self.watched = settings, folder, rewards, watched
        self.evaluate, self.report = evaluate, report
        self.accelerator = accelerator or start_accelerator(settings.device, settings.trackers, folder)
        if settings.prompts_per_step % self.accelerator.num_processes:
            raise UsageError(
                f"prompts_per_step is {settings.prompts_per_step}: {self.accelerator.num_processes} processes need a "
                "multiple of their number, since a group stays on one"
            )
        if self.accelerator.num_processes > 1 and sharding_asked() and settings.kl == "exact" and settings.lora:
            raise UsageError("kl = 'exact' with adapters reads the reference's states past FSDP's hooks: use 'sampled'")
        self.headline = rewards.headline
        self.prompts = PromptMix(settings.prompts, settings.seed)
        asked = settings.sampling
        self.sampling = Sampling(
            guidance=asked.guidance,
            text_temperature=asked.text_temperature,
            image_temperature=asked.image_temperature,
            image_logprob=settings.image_logprob,
        )
        self.learner = make_learner(
            checkpoint,
            Policy(checkpoint.model, self.sampling, checkpoint.special.pad),
            settings.lora,
            ckpt=settings.ckpt,
            seed=settings.seed,
            keep_first=settings.beta > 0,
            gradient_checkpointing=settings.gradient_checkpointing,
        )
        self.policy = spread(self.learner.policy, self.accelerator)
        self.trained = [each for each in self.learner.policy.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
        )
        self.early = EarlyJudges(rewards) if settings.judge_while_painting else None
        self.trends = TrendWatch(self.headline)
        self.watch = UnscoredWatch(settings.max_unscored, settings.window)
        self.stopping = False

    def train(self) -> int:
        """Run until the last step or until `stopping` is set; returns the number of steps done."""
        done = checkpoints.resume(self.folder / "checkpoints", self.learner, self.optimizer)
        self.trends = TrendWatch(self.headline, self._logged(done))
        if done == 0:
            self._evaluate(0)
        stopping = False
        while done < self.settings.steps and not stopping:
            try:
                metrics = self.step(done)
            except BudgetError:
                if done:
                    self._save(done)
                raise
            done += 1
            self._log({"step": done, **metrics})
            self._evaluate(done)
            # A signal reaches the processes at different moments: they stop after the same step, or wait for ever.
            stopping = any(gather_object([self.stopping]))
            if done % self.settings.save_every == 0 or done == self.settings.steps or stopping:
                self._save(done)
        self.close()
        return done

    def close(self) -> None:
        """End trackers and the process group, after whatever holds on to it: its threads must not outlive Python."""
        self.policy = self.learner.policy
        gc.collect()
        self.accelerator.end_training()

    def step(self, step: int) -> Metrics:
        """One rollout and its updates; what is worth watching comes back."""
        clock = Clock()
        with clock("sample"), gathered(self.policy):
            rollout = self._roll_out(step)
        with clock("judge"):
            rows, watched = self._judge(rollout)
        values_PG, scored_PG = rewards_of([row[self.headline] for row in rows], self.settings.samples_per_prompt)
        advantages = group_advantages(
            values_PG, scored_PG, scale=self.settings.scale, min_spread=self.settings.min_spread
        )
        with clock("update"):
            updated = self._update(step, rollout, advantages)
        judged: list[Judged] = gather_object(judged_samples(rollout, rows, watched))
        self.watch.see([sample.row[self.headline] for sample in judged])
        metrics = rollout_metrics(judged, self._sum(group_counts(advantages)))
        return {**metrics, **updated, **{f"seconds/{name}": value for name, value in clock.seconds.items()}}

    def _judge(self, rollout: Rollout) -> tuple[list[Row], list[Row]]:
        """Rewards and watched judges of this process's samples.

        Raises:
            BudgetError: on every process, when a model's budget is spent on any of them: none waits for another.
        """
        spent, rows, watched = "", list[Row](), list[Row]()
        try:
            known = self.early.outcomes() if self.early else None
            rows = judge_patiently(self.rewards, rollout.samples, self.settings.judge_patience, known=known)
            watched = list(self.watched.judge(rollout.samples)) if self.watched else [{} for _ in rows]
        except BudgetError as error:
            spent = str(error)
        if told := next(filter(None, gather_object([spent])), None):
            raise BudgetError(told)
        return rows, watched

    @staticmethod
    def _sum(mine: Counter[str]) -> Counter[str]:
        """The sums over all processes; unlike `+`, which drops what is 0."""
        total: Counter[str] = Counter()
        for counts in gather_object([mine]):
            total.update(counts)
        return total

    def _roll_out(self, step: int) -> Rollout:
        """This process's share of the step's prompts, whole groups."""
        settings, group = self.settings, self.settings.samples_per_prompt
        mine = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        indices = range(settings.prompts_per_step)[mine]
        prompts = self.prompts.step(step, settings.prompts_per_step)[mine]
        seeds = group_seeds(settings.seed, step, indices, group)
        repeated = [prompt for prompt in prompts for _ in range(group)]
        self.learner.checkpoint.model.eval()
        return paint(
            self.learner.checkpoint, repeated, seeds, self.sampling,
            chain_cap=settings.sampling.chain_cap, tile=settings.sampling.tile,
            written=self.early.begin if self.early else lambda samples: None,
        )  # fmt: skip

    def _update(self, step: int, rollout: Rollout, advantages: Advantages) -> Metrics:
        """The optimizer steps of one rollout; none where no group of any process teaches anything."""
        settings, device = self.settings, rollout.actions.image_BT.device
        learned_B = advantages.learned_PG.flatten().to(device)
        values_B = advantages.values_PG.flatten().to(device)
        work = cut(rollout.actions, values_B, learned_B, settings.micro_batch)
        count, weight = self._over_all(work)
        if weight == 0:
            return {"updates": 0}
        work = with_old_and_reference(filled_up(work, count, rollout.actions), self.learner, settings)
        rate = settings.learning_rate * cosine_factor(step, settings.steps, settings.warmup_steps)
        self.optimizer.param_groups[0]["lr"] = rate
        norms, sums = [], Counter[str]()
        for _ in range(settings.updates):
            self.optimizer.zero_grad()
            sums = accumulate(self.policy, work, settings, self.learner, self.accelerator.num_processes / weight)
            norms.append(norm_value(torch.nn.utils.clip_grad_norm_(self.trained, settings.max_grad_norm)))
            self.optimizer.step()
        return update_metrics(self._sum(sums), norms, rate)

    def _over_all(self, work: list[Work]) -> tuple[int, float]:
        """(the most micro-batches of any process, D of all of them together)."""
        mine = (len(work), action_weight(work, self.settings))
        everyone: list[tuple[int, float]] = gather_object([mine])
        return max(count for count, _ in everyone), sum(weight for _, weight in everyone)

    def _logged(self, done: int) -> list[dict[str, float]]:
        """The metrics of the steps that are done, as a run before this one wrote them."""
        path = self.folder / "metrics.jsonl"
        rows = [row for _, row in read_rows(path)] if path.exists() else []
        return [row for row in rows if row["step"] <= done]

    def _log(self, metrics: Mapping[str, float]) -> None:
        if self.accelerator.is_main_process:
            metrics = {**metrics, **self.trends.see(metrics)}
            append_rows(self.folder / "metrics.jsonl", [metrics])
            self.accelerator.log(dict(metrics), step=int(metrics["step"]))
            self.report(dict(metrics))

    def _evaluate(self, done: int) -> None:
        """Every so many steps, before the first and after the last; on the main process while the others wait."""
        asked = self.settings.evaluation
        if self.evaluate is None or asked is None or (done % asked.every and done != self.settings.steps):
            return
        with gathered(self.policy):
            if self.accelerator.is_main_process:
                self._measure(self.evaluate, done)
            self.accelerator.wait_for_everyone()

    def _measure(self, evaluate: Evaluate, done: int) -> None:
        name = f"{self.folder.name}@{done}"
        policy = PolicyGenerator(self.learner.checkpoint, self.sampling, self.settings.sampling.chain_cap, name)
        measured = evaluate(policy, done)
        append_rows(self.folder / "evaluations.jsonl", [{"step": done, **measured}])
        named = {f"held out/{name}": value for name, value in measured.items()}
        self.accelerator.log(named, step=done)
        self.report({"step": done, **named})

    def _save(self, done: int) -> None:
        writes, folder = self.accelerator.is_main_process, self.folder / "checkpoints"
        checkpoints.save(folder, done, self.learner, self.optimizer, self.settings.keep, writes=writes)
        self.accelerator.wait_for_everyone()
