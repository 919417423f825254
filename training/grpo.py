"""GRPO for chain and picture in one sequence: GoT-R1's second stage, never released by its authors (paper section 4).

    a step: prompts -> a group of samples each (rollout) -> rewards -> advantages -> one or more updates

Read on in: `policies` (what a model must do, and the families that do it), `collector`, `rollout`, `advantage`,
`credit`, `loss`, `update`.

Departures from the paper:
- An unscored sample leaves its group instead of earning 0, and a group with fewer than two scored members, or with
  rewards that differ by less than `min_spread` of the step's largest, is dropped and counted: a judge's noise is no
  signal.
- 1e-4 is added to the spread that advantages are divided by, so that a nearly even group does not explode.
- The loss is divided by the weighted count of action tokens of the whole step, over all micro-batches and processes:
  otherwise a token's weight would depend on the company it happens to keep.
- The cosine of the learning rate ends at a twentieth, not at zero: the last steps would teach nothing.
- LAION-Aesthetics prompts, which it mixes in, are not brought: a `file` of one's own takes their place.

What it leaves open, and what was chosen:
- An image token's log-probability is that of the guided distribution that sampled it, which alone makes the ratio 1
  before an update; T2I-R1's choice, the conditional row alone, is a setting.
- Chain and picture have clip ranges and weights of their own: guided ratios move `guidance` times as fast, and a
  picture has several times the tokens of its chain.
- An appended `<begin_of_image>` and pads are no actions: nobody drew them.
- The KL is k3 on the sampled tokens, cheap and never negative; exact over the vocabulary on request.
- AdamW with betas (0.9, 0.95), gradients clipped at norm 1, LoRA on all linear layers of the language model: what is
  usual in the field. Chains of at most 600 tokens, as in the release. "Batch 8" is read as 8 prompts.
- Advantages may be divided by the whole step's spread, or by none, instead of the group's; see `advantage`.
- beta, the clip ranges and the guidance while sampling: see `settings`.

Shape suffixes: B sequences, P prompts, G samples of a prompt; 2 stands for (chain, picture).
"""

from __future__ import annotations

import gc
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from gotr1_eval.core.errors import GotR1Error, RunError, UsageError
from gotr1_eval.models.local_model import ieee_float32
from rewards.reward_set import RewardSet
from training import run_checkpoints as checkpoints
from training.accelerating import alone_in, fail_together, start_accelerator, stop_together
from training.collector import Collector
from training.fitting import fitted, least
from training.metrics import (
    Judged,
    Metrics,
    Report,
    group_counts,
    group_diversity,
    group_rewards,
    group_spreads,
    judged_samples,
    rollout_metrics,
    speed_metrics,
    update_metrics,
)
from training.policies import Policy
from training.prompt_sets import PromptMix
from training.reward_judging import UnscoredWatch
from training.rollout import Evaluation, PolicyGenerator, Rollout
from training.run_log import RunLog
from training.schedule import cosine_factor
from training.settings import GrpoSettings
from training.sharding import norm_value, shard_policy, sharding_asked
from training.step_credit import check_credit, check_gdpo
from training.trained_parts import make_learner
from training.update import (
    Work,
    accumulate,
    denominator,
    everything_sampled,
    micro_batches,
    pad_micro_batches,
    with_old_and_reference,
)


class GrpoTrainer:
    """Trains a policy against a reward set, into a folder; picks up where a run in that folder stopped.

    Args:
        policy: on the device of this process, sampling as the settings say; its weights are changed in place.
        rewards: with one headline; see `RewardSet`.
        prompts: of the settings' sources and seed.
        watched: judges that are scored and logged, and never trained on.
        evaluate: asked every `settings.evaluation.every` steps, and before the first.
        judging: entered while judges are asked; see `training.offloading`.

    Attributes:
        settings: with numbers in the place of "auto".
        tile, micro_batch: these numbers; the second falls where memory does not suffice.
        stopping: set it to end after the step under way, saved.
        profile: set it to have one step traced.
        half_done: an update has moved the weights, and others of the same rollout are to come.

    Raises:
        UsageError: the prompts of a step cannot be divided over the processes, or settings and judges do not fit.
    """

    def __init__(
        self, settings: GrpoSettings, folder: Path, policy: Policy, rewards: RewardSet, prompts: PromptMix, *,
        watched: RewardSet | None = None, evaluate: Evaluation | None = None,
        judging: Callable[[], AbstractContextManager[None]] = nullcontext, report: Report = lambda metrics: None,
        accelerator: Accelerator | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.rewards, self.evaluate = folder, rewards, evaluate
        self.accelerator = accelerator or start_accelerator(settings.device, settings.trackers, folder)
        if settings.prompts_per_step % self.accelerator.num_processes:
            raise UsageError(
                f"prompts_per_step is {settings.prompts_per_step}: {self.accelerator.num_processes} processes need a "
                "multiple of their number, since a group stays on one"
            )
        if self.accelerator.num_processes > 1 and sharding_asked() and settings.kl == "exact" and settings.lora:
            raise UsageError("kl = 'exact' with adapters reads the reference's states past FSDP's hooks: use 'sampled'")
        if settings.refill % self.accelerator.num_processes:
            raise UsageError(f"refill is {settings.refill}: expected a multiple of the processes' number")
        check_gdpo(settings, rewards)
        check_credit(settings, rewards)
        self.learner = make_learner(
            policy, settings.lora, ckpt=settings.ckpt, seed=settings.seed, keep_first=settings.beta > 0,
            gradient_checkpointing=settings.gradient_checkpointing,
        )  # fmt: skip
        shards = self.accelerator.num_processes if sharding_asked() else 1
        self.tile, self.micro_batch = least(gather_object([fitted(settings, policy, shards)]))
        self.settings = settings = settings.with_fitted(self.tile, self.micro_batch)
        self.policy = shard_policy(self.learner.policy, self.accelerator, bfloat16=settings.autocast)
        self.trained = [each for each in self.learner.policy.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.trained, lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay
        )
        self.collector = Collector(
            settings, self.learner, rewards, prompts, tile=self.tile, watched=watched, judging=judging,
            accelerator=self.accelerator,
        )  # fmt: skip
        self.log = RunLog(folder, self.accelerator, rewards.headline, report, settings.sample_table)
        self.watch = UnscoredWatch(settings.max_unscored, settings.window)
        self.stopping = False
        self.profile = False
        self.saved = self.first = 0
        self.half_done = False
        self.whole_micro_batch = self.micro_batch
        self.spreads: list[float] = []

    @ieee_float32()
    def train(self) -> int:
        """Run until the last step or until `stopping` is set; returns the number of steps done.

        Raises:
            GotR1Error: on every process, when one of them cannot go on; the steps that are done are saved.
        """
        with alone_in(self.folder, self.accelerator):
            return self._train()

    def _train(self) -> int:
        done = self.saved = self.first = self._resume()
        self.log.go_on_from(done)
        try:
            if done not in self.log.evaluated():
                self._evaluate(done)
            while done < self.settings.steps and not self._stop_asked():
                with self._profiled(done):
                    metrics = self.step(done)
                done += 1
                with fail_together():
                    self.log.step(done, metrics, self.spreads)
                self.watch.check()
                if self._stop_asked() or done % self.settings.save_every == 0 or done == self.settings.steps:
                    self._save(done)
                if not self._stop_asked():
                    self._evaluate(done)
            self._save(done)
        except GotR1Error:
            self._save(done)
            raise
        finally:
            self.close()
        return done

    def _resume(self) -> int:
        """The number of steps that are done, everything of the last checkpoint in its place."""
        resumed = checkpoints.resume(self.folder / "checkpoints", self.learner, self.optimizer)
        if resumed.waiting is not None and self.settings.one_step_off:
            self.collector.load_waiting(resumed.step, resumed.waiting)
        return resumed.step

    @contextmanager
    def _profiled(self, step: int) -> Iterator[None]:
        """Once a start, the second step (the first one warms up) or a run's last: a trace of all its operations."""
        begun = self.profile and (step == self.first + 1 or step + 1 == self.settings.steps)
        if not begun or not self.accelerator.is_main_process:
            yield
            return
        self.profile = False
        with torch.profiler.profile() as profiler:
            yield
        profiler.export_chrome_trace(str(self.folder / "profile.json"))

    def _stop_asked(self) -> bool:
        return stop_together(self.stopping)

    def close(self) -> None:
        """End trackers and the process group, after whatever holds on to it: its threads must not outlive Python."""
        self.collector.close()
        self.policy = self.learner.policy
        gc.collect()
        self.accelerator.end_training()

    def step(self, step: int) -> Metrics:
        """One rollout and its updates; what is worth watching comes back."""
        start = time.perf_counter()
        settings, batch = self.settings, self.collector.collect(step)
        rollout, clock, headline = batch.judged.rollout, batch.clock, self.rewards.headline
        with clock("update"):
            updated = self._update(step, rollout, *batch.credit.of(batch.mine))
            follows = settings.reference
            if follows is not None and (step + 1) % follows.every == 0:
                self.learner.follow(follows.mix)
        judged: list[Judged] = gather_object(judged_samples(batch.judged))
        self.watch.see([sample.row[headline] for sample in judged])
        within = group_rewards(judged, headline, settings.samples_per_prompt)
        self.spreads = group_spreads(within)
        with fail_together():
            self.log.samples(step + 1, batch.judged)
        metrics = rollout_metrics(judged, group_counts(batch.credit), within)
        metrics |= group_diversity(judged, settings.samples_per_prompt, settings.pictures_per_chain)
        if settings.refill:
            metrics["groups/refilled"] = batch.refilled
        whole = time.perf_counter() - start
        speed = speed_metrics(judged, rollout, clock, whole, settings.pictures_per_chain)
        return {**metrics, **updated, **speed}

    @staticmethod
    def _sum(mine: Counter[str]) -> Counter[str]:
        """The sums over all processes; unlike `+`, which drops what is 0."""
        total: Counter[str] = Counter()
        for counts in gather_object([mine]):
            total.update(counts)
        return total

    def _update(self, step: int, rollout: Rollout, values_2B: Tensor, learned_2B: Tensor) -> Metrics:
        """The optimizer steps of one rollout; none where no group of any process teaches anything."""
        device = rollout.actions.image_BT.device
        values_2B, learned_2B = values_2B.to(device), learned_2B.to(device)
        while True:
            try:
                return self._learn(step, rollout, values_2B, learned_2B)
            except torch.OutOfMemoryError:
                self.optimizer.zero_grad()
                if self.micro_batch == 1 or self.accelerator.num_processes > 1 or self.half_done:
                    raise RunError(
                        f"out of memory in the update of step {step + 1} with micro_batch = {self.micro_batch}: the "
                        "same command goes on with fewer (--set micro_batch=...), or gradient_checkpointing = true"
                    ) from None
            # Outside the handler: the exception holds every tensor of the failed pass.
            self.micro_batch = (self.micro_batch + 1) // 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _learn(self, step: int, rollout: Rollout, values_2B: Tensor, learned_2B: Tensor) -> Metrics:
        settings = self.settings
        work = micro_batches(rollout.actions, values_2B, learned_2B, self.micro_batch)
        count, weight = self._over_all(work, rollout)
        if count == 0 or weight == 0:
            return {"updates": 0, "grad_norm": 0.0}
        work = with_old_and_reference(pad_micro_batches(work, count, rollout.actions), self.learner, settings)
        rate = settings.learning_rate * cosine_factor(step, settings.steps, settings.warmup_steps)
        self.optimizer.param_groups[0]["lr"] = rate
        norms, sums = [], Counter[str]()
        for _ in range(settings.updates):
            self.optimizer.zero_grad()
            sums = accumulate(self.policy, work, settings, self.learner, self.accelerator.num_processes / weight)
            norms.append(norm_value(torch.nn.utils.clip_grad_norm_(self.trained, settings.max_grad_norm)))
            if not math.isfinite(norms[-1]):
                raise RunError(
                    f"the gradient of step {step + 1} is {norms[-1]}, and was not followed: begin another --out with "
                    "ckpt = the last checkpoint and a lower learning_rate"
                )
            self.half_done = True
            self.optimizer.step()
        self.half_done = False
        halved = {"micro_batch": self.micro_batch} if self.micro_batch < self.whole_micro_batch else {}
        return {**update_metrics(self._sum(sums), norms, rate), **halved}

    def _over_all(self, work: list[Work], rollout: Rollout) -> tuple[int, float]:
        """(the most micro-batches of any process, D of all of them together)."""
        counted = [everything_sampled(rollout.actions)] if self.settings.denominator == "all" else work
        mine = (len(work), denominator(counted, self.settings))
        everyone: list[tuple[int, float]] = gather_object([mine])
        return max(count for count, _ in everyone), sum(weight for _, weight in everyone)

    def _evaluate(self, done: int) -> None:
        """Every so many steps, before the first and after the last; each process generates and judges a share."""
        asked, evaluation = self.settings.evaluation, self.evaluate
        if evaluation is None or asked is None or (done % asked.every and done != self.settings.steps):
            return
        place, count = self.accelerator.process_index, self.accelerator.num_processes
        policy = PolicyGenerator(self.learner.policy, self.settings.sampling.chain_cap, f"{self.folder.name}@{done}")
        with self.collector.sampling(), self.learner.policy.same_weights(), self.collector.judging():
            evaluation.judge(policy, done, self.tile, place, count)
        with fail_together():
            if self.accelerator.is_main_process:
                self.log.evaluation(done, evaluation.measure(done, count))

    def _save(self, done: int) -> None:
        """A checkpoint, unless there is one of this step, or the weights are between two."""
        if done == self.saved or self.half_done:
            return
        writes, folder = self.accelerator.is_main_process, self.folder / "checkpoints"
        waiting = self.collector.waiting(done)
        with fail_together():
            checkpoints.save(
                folder, done, self.learner, self.optimizer, self.settings.keep,
                writes=writes, follows=self.settings.reference is not None, waiting=waiting,
            )  # fmt: skip
        self.saved = done
