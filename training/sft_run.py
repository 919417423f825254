"""A supervised run in a folder, which resumes where it stopped."""

from __future__ import annotations

from pathlib import Path

from gotr1_eval.core.errors import GotR1Error
from gotr1_eval.files.jsonl import append_rows
from gotr1_eval.models.local_model import ieee_float32
from training import run_checkpoints as checkpoints
from training.accelerating import alone_in, fail_together, start_accelerator, stop_together
from training.metrics import Report
from training.policies import Policy
from training.run_log import forget_after
from training.settings import SftSettings
from training.sft import Losses, SftModel, SftOptions, adamw, train_sft
from training.sft_data import read_examples
from training.sharding import shard_layers, sharding_asked
from training.trained_parts import make_learner


class SftTrainer:
    """Trains a policy on the rows of the settings' data files.

    Attributes:
        stopping: set it to end after the step under way, saved.
    """

    def __init__(
        self, settings: SftSettings, folder: Path, policy: Policy, report: Report = lambda metrics: None
    ) -> None:
        """Reads the data, on the first process while others wait; see `training.sft_data` for its errors.

        Of several processes each has a copy of the model, or a shard where accelerate is configured for FSDP2.
        """
        self.settings, self.folder, self.report = settings, folder, report
        self.accelerator = start_accelerator(settings.device, settings.trackers, folder)
        sharded = self.accelerator.num_processes > 1 and sharding_asked()
        kept = folder / "examples"
        with fail_together():
            if self.accelerator.is_main_process:
                read_examples(settings.data, policy, kept, settings.columns)
        self.examples = read_examples(settings.data, policy, kept, settings.columns)
        self.learner = make_learner(
            policy,
            settings.lora,
            ckpt=settings.ckpt,
            seed=settings.seed,
            gradient_checkpointing=settings.gradient_checkpointing,
        )
        self.options = SftOptions.of(settings)
        self.model = SftModel(policy)
        if sharded:
            shard_layers(self.model, policy, self.accelerator, bfloat16=settings.autocast)
        self.optimizer = adamw([each for each in policy.parameters() if each.requires_grad], self.options)
        self.stopping = False
        self.done = self.saved = 0

    @ieee_float32()
    def train(self) -> int:
        """Run until the last step or until `stopping` is set; returns the number of steps done.

        Raises:
            GotR1Error: it cannot go on; what was learned is saved.
        """
        with alone_in(self.folder, self.accelerator):
            return self._train()

    def _train(self) -> int:
        self.done = self.saved = checkpoints.resume(self.folder / "checkpoints", self.learner, self.optimizer).step
        if self.accelerator.is_main_process:
            forget_after(self.folder, self.done)
        self.accelerator.wait_for_everyone()
        try:
            train_sft(
                self.learner.policy, self.examples, self.options,
                start=self.done, optimizer=self.optimizer, model=self.model, after_step=self._after_step,
                share=slice(self.accelerator.process_index, None, self.accelerator.num_processes),
            )  # fmt: skip
        except GotR1Error:
            self._save()
            raise
        finally:
            self.accelerator.end_training()
        return self.done

    def _after_step(self, done: int, losses: Losses) -> bool:
        self.done = done
        metrics = {
            "step": done,
            "text/loss": losses.text.item(),
            "image/loss": losses.image.item(),
            "grad_norm": losses.grad_norm,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
        }
        with fail_together():
            if self.accelerator.is_main_process:
                append_rows(self.folder / "metrics.jsonl", [metrics])
                self.accelerator.log(metrics, step=done)
                self.report(metrics)
        stopping = stop_together(self.stopping)
        if done % self.settings.save_every == 0 or done == self.settings.steps or stopping:
            self._save()
        return not stopping

    def _save(self) -> None:
        """A checkpoint, unless there is one of this step."""
        if self.done != self.saved:
            writes, folder = self.accelerator.is_main_process, self.folder / "checkpoints"
            with fail_together():
                checkpoints.save(folder, self.done, self.learner, self.optimizer, self.settings.keep, writes=writes)
            self.saved = self.done
