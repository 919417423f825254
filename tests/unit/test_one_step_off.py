"""Rollouts that are a step old: who sampled what, what is learned from it, and that a stopped run goes on exactly."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from gotr1_eval.core.errors import RunError
from gotr1_eval.core.outcome import Outcome
from gotr1_eval.core.types import Sample
from rewards.reward_set import RewardSet
from tests.grpo_runs import ServedJudge, settings, trainer
from training.advantage import group_advantages
from training.grpo import GrpoTrainer
from training.policies import Actions
from training.rollout import rewards_of

OLD = {"one_step_off": True, "overlap": True, "beta": 0.0, "learning_rate": 3e-3, "steps": 4}


def weights(one: GrpoTrainer) -> dict[str, torch.Tensor]:
    return {name: each.detach().clone() for name, each in one.learner.policy.named_parameters()}


def told(folder: Path) -> list[dict[str, float]]:
    """Metrics of every step, without seconds."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: row[name] for name in row if not name.startswith(("seconds/", "speed/"))} for row in rows]


@pytest.mark.slow
def test_samples_are_those_of_the_policy_a_step_ago(tmp_path: Path):
    one, before, samples = trainer(tmp_path / "one", **OLD), [], []
    for step in range(4):
        before.append(weights(one))
        collect = one.collector.collect

        def noted(step, collect=collect):
            batch = collect(step)
            samples.append(batch.judged.rollout.actions)
            return batch

        one.collector.collect = noted  # type: ignore[method-assign]
        one.step(step)
        one.collector.collect = collect  # type: ignore[method-assign]
    other = trainer(tmp_path / "other", beta=0.0)
    for step in range(4):
        # The first step's samples are its own policy's; there was none before.
        other.learner.policy.load_state_dict(before[max(step - 1, 0)], strict=False)
        wanted = other.collector.sample(step).rollout.actions
        assert torch.equal(samples[step].image_BT, wanted.image_BT), step
        assert torch.equal(samples[step].sampled_image_BT, wanted.sampled_image_BT), step
        assert torch.equal(samples[step].sampled_text_BL, wanted.sampled_text_BL), step


@pytest.mark.slow
@pytest.mark.parametrize("cap", [1.05, None])
def test_the_gradient_is_weighed_by_what_the_policy_says_now(tmp_path: Path, cap: float | None):
    """The decoupled objective at its first update, token by token: A * p(now) / p(then) * gradient of log p."""
    asked = {**OLD, "importance": {"cap": cap}, "learning_rate": 1e-2, "max_grad_norm": 1e9}
    one = trainer(tmp_path, **asked)
    one.step(0)
    actions = one.collector._waiting[1].rollout.actions
    rows = one.rewards.judge(one.collector._waiting[1].rollout.samples)
    advantages = group_advantages(*rewards_of([row["checksum"] for row in rows], 4))
    learned = advantages.learned_PG.flatten()
    wanted = _gradient(one, actions, advantages.values_PG.flatten(), learned, cap)
    without = _gradient(one, actions, advantages.values_PG.flatten(), learned, 0.0)
    one.optimizer.step = lambda: None  # type: ignore[method-assign]
    found = one.step(1)
    assert found["image/drift"] > 1e-3, "the policy has moved since"
    grads = {name: each.grad for name, each in one.learner.policy.named_parameters() if each.grad is not None}
    largest = max(float(each.abs().max()) for each in wanted.values())
    assert all(torch.allclose(grads[name], each, atol=1e-4 * largest, rtol=1e-3) for name, each in wanted.items())
    assert any((grads[name] - each).abs().max() > 1e-2 * largest for name, each in without.items()), "weights matter"


def _gradient(
    one: GrpoTrainer, actions: Actions, advantages: torch.Tensor, learned: torch.Tensor, cap: float | None
) -> dict[str, torch.Tensor]:
    """By loops over tokens; a cap of 0 weighs nothing."""
    scores, policy = one.learner.policy(actions), one.learner.policy
    pairs = [
        (scores.text.log_probs_BS, actions.sampled_text_BL, actions.chain_BL),
        (scores.image.log_probs_BS, actions.sampled_image_BT, torch.ones_like(actions.image_BT, dtype=torch.bool)),
    ]
    total, count = torch.zeros(()), 0
    for now, then, acted in pairs:
        for row in learned.nonzero()[:, 0].tolist():
            for at in acted[row].nonzero()[:, 0].tolist():
                weight = float((now[row, at] - then[row, at]).detach().exp())
                weight = 1.0 if cap == 0 else weight if cap is None else min(weight, cap)
                total = total - weight * advantages[row] * now[row, at]
                count += 1
    named = [(name, each) for name, each in policy.named_parameters() if each.requires_grad]
    found = torch.autograd.grad(total / count, [each for _, each in named], allow_unused=True)
    return {name: each for (name, _), each in zip(named, found, strict=True) if each is not None}


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"refill": 2, "lora": {"rank": 2, "alpha": 2}, "beta": 0.1}], ids=str)
def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path: Path, changes):
    asked = {**OLD, **changes, "save_every": 2}
    trainer(tmp_path / "unbroken", **asked).train()
    stopped = trainer(tmp_path / "stopped", **asked)
    stopped.log.report = lambda metrics: setattr(stopped, "stopping", metrics["step"] == 1)
    assert stopped.train() == 1
    # Killed after the third step: the fourth begins from the second one's checkpoint.
    killed = trainer(tmp_path / "stopped", **asked)
    step = killed.step

    def dying(number):
        if number == 3:
            raise KeyboardInterrupt
        return step(number)

    killed.step = dying  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.train()
    assert trainer(tmp_path / "stopped", **asked).train() == 4
    assert told(tmp_path / "stopped") == told(tmp_path / "unbroken")
    assert told(tmp_path / "stopped")[-1]["image/importance"] != 1


@pytest.mark.slow
def test_a_step_that_fails_keeps_the_samples_it_was_to_learn_from(tmp_path: Path):
    trainer(tmp_path / "unbroken", **OLD).train()
    failing = trainer(tmp_path / "failed", **OLD)
    judge = failing.collector.judge

    def fail(sampled):
        if failing.saved == 2:
            raise RunError("the judge is gone")
        return judge(sampled)

    failing.collector.judge = fail  # type: ignore[method-assign]
    with pytest.raises(RunError, match="gone"):
        failing.train()
    assert trainer(tmp_path / "failed", **OLD).train() == 4
    assert told(tmp_path / "failed") == told(tmp_path / "unbroken")


@pytest.mark.slow
def test_judges_answer_while_the_next_step_is_sampled(tmp_path: Path):
    """The judge waits for the next step's sampling: it would wait for ever if that began after its answer."""
    sampling_again = threading.Event()

    class Waiting(ServedJudge):
        def judge(self, samples: Sequence[Sample]) -> list[Outcome]:
            assert sampling_again.wait(10)
            return super().judge(samples)

    one = trainer(tmp_path, RewardSet({"checksum": Waiting()}), **OLD)
    sample = one.collector.sample

    def noted(step, *given):
        if step == 1:
            sampling_again.set()
        return sample(step, *given)

    one.collector.sample = noted  # type: ignore[method-assign]
    assert one.step(0)["reward/checksum/scored"] > 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"overlap": False}, "set judge_while_generating"),
        ({"importance": {"form": "none"}}, "older samples need their weights"),
        ({"image_logprob": "conditional"}, "would have no weights"),
    ],
)
def test_what_does_not_fit_is_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        settings(**{**OLD, **changes})
    assert settings(**OLD).importance_form == "token"
    assert settings().importance_form == "none"
