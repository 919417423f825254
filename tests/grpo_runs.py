"""Small GRPO runs on a random checkpoint, in this process or as one of several (`python -m tests.grpo_runs`)."""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BudgetError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import LooksAt
from gotr1_eval.core.types import Sample
from gotr1_eval.files.pictures import open_picture
from gotr1_eval.training_run import HeldOutEvaluation
from rewards.reward_set import RewardSet
from rewards.total import Total, TotalSettings
from tests.free_port import free_port
from tests.tiny_models import loaded_random
from training.grpo import GrpoTrainer
from training.policies import Policy, Sampling
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix
from training.settings import GrpoSettings
from training.sharding import sharding_asked


class ChecksumJudge:
    """A reward that looks random and depends on the chain alone; one sample in eight goes unscored."""

    name = "checksum"
    range = (0.0, 1.0)
    fingerprint = "checksum-1"
    may_not_apply = False
    looks_at: LooksAt | None = None
    needs = frozenset[str]()
    model_calls = 0

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        return [self._judge(zlib.crc32((sample.chain or "").encode())) for sample in samples]

    def _judge(self, checksum: int) -> Outcome:
        if checksum % 8 == 0:
            return Unscored(why=Why.UNREADABLE, detail="eighth")
        return Score(value=checksum % 1000 / 1000)


class ServedJudge(ChecksumJudge):
    """As `ChecksumJudge`, and says that it asks a server."""

    def ready(self) -> None:
        pass

    def traffic(self) -> str:
        return ""


class PictureJudge(ChecksumJudge):
    """As `ChecksumJudge`, of the picture alone."""

    name, fingerprint = "picture", "picture-1"
    looks_at: LooksAt | None = "picture"

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        pictures = [sample.image for sample in samples]
        return [self._judge(zlib.crc32(open_picture(each).tobytes() if each else b"")) for each in pictures]


def segment_rewards() -> RewardSet:
    """The sum of a judge of the chain and one of the picture."""
    judges: dict[str, ChecksumJudge] = {"chain": ChecksumJudge(), "picture": PictureJudge()}
    judges["chain"].looks_at = "prose"
    facts = {name: (judge.range, judge.may_not_apply) for name, judge in judges.items()}
    how = TotalSettings(rule="weighted", weights=dict.fromkeys(judges, 1.0))
    return RewardSet(judges, Total(how, facts, judges))


def launcher() -> list[str]:
    """The beginning of a command on two processes, which meet at a port that nobody has taken."""
    port = str(free_port())
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]


def settings(**changes: Any) -> GrpoSettings:
    """Two steps of two prompts with four samples each, trained in full with a KL term."""
    values = {
        "ckpt": "random", "rewards": "checksum", "prompts": [{"shapes": ["color"]}], "steps": 2, "prompts_per_step": 2,
        "samples_per_prompt": 4, "micro_batch": 8, "learning_rate": 1e-3, "lora": None, "beta": 0.1,
        "sampling": {"guidance": 3.0, "chain_cap": 12, "tile": 4}, "evaluation": None, "save_every": 1, "device": "cpu",
    }  # fmt: skip
    return GrpoSettings.model_validate(values | changes)


def trainer(
    folder: Path,
    rewards: RewardSet | None = None,
    read: Callable[[Sampling], Policy] = lambda sampling: JanusPolicy(loaded_random(), sampling),
    **changes: Any,
) -> GrpoTrainer:
    """A trainer of the random checkpoint, always the same one; `read` gives it as another family's policy."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = settings(**changes)
    return GrpoTrainer(
        asked,
        folder,
        read(asked.policy_sampling),
        rewards or _rewards(asked),
        PromptMix(asked.prompts, asked.seed, Builder().suite),
    )


def _rewards(asked: GrpoSettings) -> RewardSet:
    if asked.pictures_per_chain > 1:
        return segment_rewards()
    return RewardSet({"checksum": ServedJudge() if asked.judge_while_generating else ChecksumJudge()})


def gradients(one: GrpoTrainer) -> dict[str, torch.Tensor]:
    """The gradients of one step, before they are clipped and used."""
    one.optimizer.step = lambda: None  # type: ignore[method-assign]
    one.step(0)
    return {name: each.grad for name, each in one.learner.policy.named_parameters() if each.grad is not None}


class SpentJudge(ChecksumJudge):
    """Has a budget for one step on the second process, and any number elsewhere."""

    def __init__(self, second: bool) -> None:
        self.left = 1 if second else 99

    def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
        self.left -= 1
        if self.left < 0:
            raise BudgetError("the budget is spent")
        return super().judge(samples)


def first_steps(folder: Path, count: int, **changes: Any) -> None:
    """The first steps of a run, then a stop signal, to the last process only."""
    begun = trainer(folder, **changes)
    one_step, last = begun.step, begun.accelerator.process_index == begun.accelerator.num_processes - 1

    def step(number: int) -> dict[str, float]:
        begun.stopping = last and number == count - 1
        return one_step(number)

    begun.step = step  # type: ignore[method-assign]
    begun.close = lambda: None  # type: ignore[method-assign] - other runs follow in this process group
    assert begun.train() == count


def go_on(folder: Path, **changes: Any) -> None:
    """The rest of a run."""
    rest = trainer(folder, **changes)
    rest.close = lambda: None  # type: ignore[method-assign]
    rest.train()


def _gradients(out: Path) -> None:
    trained = trainer(out, max_grad_norm=1e9, **json.loads(os.environ.get("CHANGES", "{}")))
    found = gradients(trained)
    if trained.accelerator.is_main_process:
        torch.save(found, out / "gradients.pt")
    trained.close()


def evaluate_once(folder: Path, tile: int) -> None:
    """The evaluation before the first step, on twelve held-out prompts."""
    asked = {"suite": "shapes", "prompts_per_category": 2}
    sampling = {"guidance": 3.0, "chain_cap": 12, "tile": tile}
    one = trainer(folder, segment_rewards(), evaluation=asked, sampling=sampling, pictures_per_chain=2)
    assert one.settings.evaluation is not None
    one.evaluate = HeldOutEvaluation(one.settings.evaluation, folder, Builder(), one.rewards)
    one._evaluate(0)


def _evaluations(out: Path) -> None:
    for tile in (4, 12):
        evaluate_once(out / f"two of {tile}", tile)


def _world_sizes(out: Path) -> None:
    """What `test_world_size` compares with one process."""
    changes: dict[str, Any] = {"steps": 2, **json.loads(os.environ.get("CHANGES", "{}"))}
    first_steps(out / "two-then-one", 1, **changes)
    go_on(out / "one-then-two", **changes)
    if sharding_asked() or len(changes) > 1:
        return
    spent = trainer(out / "spent", RewardSet({"checksum": SpentJudge(os.environ["RANK"] == "1")}), steps=3)
    spent.close = lambda: None  # type: ignore[method-assign]
    try:
        spent.train()
    except BudgetError:
        (out / f"spent-{spent.accelerator.process_index}").touch()
    spent.accelerator.wait_for_everyone()


if __name__ == "__main__":
    torch.set_num_threads(1)
    {"gradients": _gradients, "world-sizes": _world_sizes, "evaluations": _evaluations}[sys.argv[2]](Path(sys.argv[1]))
    # What was found is on the disk; gloo's threads now and then abort while the interpreter unloads them.
    os._exit(0)
