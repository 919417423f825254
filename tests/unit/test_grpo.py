"""The trainer as a whole: batches, processes, restarts and adapters change nothing they should not."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections import Counter

import pytest
import torch

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import DataError, RunError, UsageError
from gotr1_eval.core.outcome import Score, Unscored, Why
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.models.generators.janus import Settings as JanusSettings
from gotr1_eval.models.generators.janus import build
from gotr1_eval.models.janus.loading import load_checkpoint
from rewards.reward_set import RewardSet
from rewards.total import RAW
from tests.grpo_runs import ChecksumJudge, evaluate_once, gradients, launcher, settings, trainer
from tests.tiny_models import loaded_random, random_checkpoint
from training.metrics import Judged, group_rewards, group_spreads, rollout_metrics
from training.policies.janus import JanusPolicy
from training.prompt_sets import PromptMix
from training.reward_judging import UnscoredWatch, judge_patiently
from training.settings import PromptSource

pytestmark = pytest.mark.slow

TIMED = ("seconds/", "speed/")


def same(one, two, tolerance):
    assert set(one) == set(two)
    for name, gradient in one.items():
        scale = gradient.abs().max().clamp(min=1e-8)
        assert ((two[name] - gradient).abs().max() / scale).item() <= tolerance, name


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return gradients(trainer(tmp_path_factory.mktemp("whole"), max_grad_norm=1e9))


@pytest.mark.parametrize("size", [1, 3, 4])
def test_micro_batches_give_the_same_gradients(tmp_path, whole, size):
    same(whole, gradients(trainer(tmp_path, micro_batch=size, max_grad_norm=1e9)), 1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"scale": "group"},
        {"scale": "batch"},
        {"scale": "batch", "pictures_per_chain": 2, "credit": "segment", "denominator": "all"},
    ],
)
def test_two_processes_give_the_same_gradients(tmp_path, changes):
    whole = gradients(trainer(tmp_path / "whole", max_grad_norm=1e9, **changes))
    command = [*launcher(), "-m", "tests.grpo_runs", str(tmp_path), "gradients"]
    known = {**os.environ, "CHANGES": json.dumps(changes)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=known)
    assert done.returncode == 0, done.stderr[-2000:]
    same(whole, torch.load(tmp_path / "gradients.pt", weights_only=True), 1e-5)


def test_two_processes_evaluate_as_one(tmp_path):
    """Also where there are fewer tiles than processes; and nothing is left of the shares."""
    command = [*launcher(), "-m", "tests.grpo_runs", str(tmp_path), "evaluations"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for tile in (4, 12):
        evaluate_once(tmp_path / f"one of {tile}", tile)
        one, two = (tmp_path / f"{count} of {tile}" for count in ("one", "two"))
        told = json.loads((one / "evaluations.jsonl").read_text())
        assert json.loads((two / "evaluations.jsonl").read_text()) == told
        assert told["total/scored"] > 5
        assert [path.name for path in (two / "evaluations").iterdir()] == ["step-000000"]
        samples = [(each / "evaluations/step-000000/samples.jsonl").read_text() for each in (one, two)]
        assert samples[0].replace(one.name, "") == samples[1].replace(two.name, ""), "in the same order"


def test_recomputed_layers_give_the_same_gradients(tmp_path, whole):
    def counted(**changes):
        one, calls = trainer(tmp_path / str(len(changes)), max_grad_norm=1e9, **changes), []
        layer = one.learner.policy.model.model.language_model.layers[0]
        # Before and not after: what is run again ends as soon as the last tensor that is needed is there.
        layer.mlp.register_forward_pre_hook(lambda *_: calls.append(torch.is_grad_enabled()))
        return gradients(one), sum(calls)

    (found, often), (_, once) = counted(gradient_checkpointing=True), counted()
    same(whole, found, 1e-5)
    assert often > once, "the layers ran again in the backward pass"


@pytest.mark.parametrize("changes", [{}, {"updates": 2, "kl": "exact"}, {"lora": {"rank": 4, "alpha": 4}}])
def test_a_resumed_run_is_an_unbroken_one(tmp_path, changes):
    trainer(tmp_path / "unbroken", steps=3, **changes).train()
    broken = trainer(tmp_path / "broken", steps=3, **changes)
    broken.log.report = lambda metrics: setattr(broken, "stopping", True)
    assert broken.train() == 1
    assert trainer(tmp_path / "broken", steps=3, **changes).train() == 3

    def rows(name):
        read = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return [{key: value for key, value in row.items() if not key.startswith(TIMED)} for row in read]

    assert rows("broken") == rows("unbroken")
    one, two = (
        torch.load(tmp_path / name / "checkpoints/step-000003/trainer.pt", weights_only=True)["weights"]
        for name in ("broken", "unbroken")
    )
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_only_the_last_checkpoints_are_kept_and_a_partial_one_is_no_checkpoint(tmp_path):
    trainer(tmp_path, steps=3, keep=2).train()
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-000002", "step-000003"]
    (tmp_path / "checkpoints/step-000009.partial").mkdir()
    again = trainer(tmp_path, steps=3)
    assert again.train() == 3
    (tmp_path / "checkpoints/step-000003/trainer.pt").write_bytes(b"x")
    with pytest.raises(DataError, match=r"trainer\.pt.*cannot be read"):
        trainer(tmp_path, steps=4).train()


def test_adapters_off_is_the_model_before(tmp_path):
    plain = trainer(tmp_path / "plain", beta=0.0)
    adapted = trainer(tmp_path / "adapted", lora={"rank": 4, "alpha": 8})
    adapted.train()
    rollout = plain.collector.sample(0).rollout
    with torch.no_grad():
        before = plain.learner.policy(rollout.actions)
        with adapted.learner.reference() as first:
            off = first(rollout.actions)
        on = adapted.learner.policy(rollout.actions)
    assert torch.equal(off.image.log_probs_BS, before.image.log_probs_BS)
    assert torch.equal(off.text.log_probs_BS, before.text.log_probs_BS)
    assert not torch.equal(on.image.log_probs_BS, before.image.log_probs_BS)
    trained = [name for name, each in adapted.learner.policy.named_parameters() if each.requires_grad]
    assert trained
    assert all("lora" in name and "language_model" in name for name in trained)


def test_adapters_are_made_and_read_in_silence(tmp_path, recwarn):
    base = random_checkpoint(tmp_path / "base")
    trainer(tmp_path / "run", lora={"rank": 4, "alpha": 8}, ckpt=str(base), steps=1).train()
    load_checkpoint(tmp_path / "run/checkpoints/step-000001", device=torch.device("cpu"), dtype=torch.float32)
    assert [str(each.message) for each in recwarn] == []


def test_saved_adapters_are_a_checkpoint(tmp_path):
    base = random_checkpoint(tmp_path / "base")
    trained = trainer(tmp_path / "run", lora={"rank": 4, "alpha": 8}, ckpt=str(base), steps=1, learning_rate=1e-2)
    trained.train()
    saved = tmp_path / "run/checkpoints/step-000001"
    found = load_checkpoint(saved, device=torch.device("cpu"), dtype=torch.float32)
    rollout = trained.collector.sample(0).rollout
    with torch.no_grad():
        before, after, read = (
            policy(rollout.actions).image.log_probs_BS
            for policy in (
                JanusPolicy(loaded_random(), trained.learner.policy.sampling),
                trained.learner.policy,
                JanusPolicy(found, trained.learner.policy.sampling),
            )
        )
    assert torch.allclose(read, after, atol=1e-5)
    assert not torch.allclose(read, before, atol=1e-3)
    one, other = (build(JanusSettings(ckpt=str(path)), workshop=None).fingerprint for path in (saved, base))
    assert one != other
    (saved / "adapter_config.json").write_text("{}")
    with pytest.raises(DataError, match=r"adapter_config.json.*does not name the checkpoint"):
        load_checkpoint(saved, device=torch.device("cpu"), dtype=torch.float32)


def test_a_rewarded_token_becomes_likelier(tmp_path):
    learning = trainer(tmp_path, beta=0.0, learning_rate=3e-3)
    rollout = learning.collector.sample(0).rollout
    policy = learning.learner.policy
    with torch.no_grad():
        before = policy(rollout.actions)
    rewards = learning.rewards.judge(rollout.samples)
    learning.step(0)
    with torch.no_grad():
        after = policy(rollout.actions)
    moved = (after.text.log_probs_BS - before.text.log_probs_BS).sum(1)
    values = torch.tensor([row["checksum"].value if isinstance(row["checksum"], Score) else -1 for row in rewards])
    best, worst = values.argmax(), torch.where(values < 0, 2, values).argmin()
    assert moved[best] > moved[worst]


class Flaky(ChecksumJudge):
    """Fails twice for every sample, then answers."""

    def __init__(self):
        self.calls = 0

    def judge(self, samples):
        self.calls += 1
        if self.calls <= 2:
            return [Unscored(why=Why.BACKEND, detail="no answer") for _ in samples]
        return super().judge(samples)


def test_a_failing_judge_is_waited_for():
    samples = [Sample(id="0", prompt="a", chain="b"), Sample(id="1", prompt="a", chain="c")]
    pauses = []
    rows = judge_patiently(RewardSet({"checksum": Flaky()}), samples, 600, pauses.append)
    assert pauses == [1.0, 2.0]
    assert rows == RewardSet({"checksum": ChecksumJudge()}).judge(samples)
    rows = judge_patiently(RewardSet({"checksum": Flaky()}), samples, 2.5, pauses.append)
    assert [row["checksum"].why for row in rows] == [Why.BACKEND] * 2


def test_a_chain_that_pictures_share_is_asked_about_again_once(tmp_path):
    class Drawn(ChecksumJudge):
        """A judge of chains that never answers the same twice, and fails at first."""

        looks_at = "prose"

        def __init__(self):
            self.asked = []

        def judge(self, samples):
            self.asked.append([sample.id for sample in samples])
            if len(self.asked) == 1:
                return [Unscored(why=Why.BACKEND, detail="no answer") for _ in samples]
            return [Score(value=len(self.asked) / 10 + int(sample.id) / 100) for sample in samples]

    samples = [Sample(id=str(number), prompt="a", chain="b") for number in range(4)]
    judge = Drawn()
    rows = judge_patiently(RewardSet({"checksum": judge}), samples, 600, lambda pause: None, per_chain=2)
    assert judge.asked == [["0", "2"], ["0", "2"]]
    assert [row["checksum"].value for row in rows] == [0.2, 0.2, 0.22, 0.22]


def test_a_sample_that_a_judge_will_never_take_holds_nothing_up():
    class Choosy(ChecksumJudge):
        def judge(self, samples):
            lost = Unscored(why=Why.BACKEND, detail="400: too long")
            return [lost if sample.id == "1" else Score(value=0.5) for sample in samples]

    samples, pauses = [Sample(id=str(number), prompt="a", chain="b") for number in range(3)], []
    rows = judge_patiently(RewardSet({"checksum": Choosy()}), samples, 600, pauses.append)
    assert pauses == [1.0, 2.0, 4.0]
    assert [isinstance(row["checksum"], Score) for row in rows] == [True, False, True]


def test_a_policy_that_breaks_its_judge_stops_the_run():
    watch = UnscoredWatch(limit=0.5, window=2)
    good, bad = Score(value=1.0), Unscored(why=Why.UNREADABLE, detail="word salad")
    watch.see([bad, bad])
    watch.see([good, good])
    watch.see([bad, good])
    watch.check()
    watch.see([bad, bad])
    with pytest.raises(RunError, match=r"75% of the rewards of the last 2 steps.*unreadable: word salad"):
        watch.check()
    for _ in range(2):
        watch.see([Unscored(why=Why.NOT_APPLICABLE), good])
    watch.check()


def test_even_rewards_teach_nothing_and_are_counted(tmp_path):
    class Even(ChecksumJudge):
        def judge(self, samples):
            return [Score(value=0.5) for _ in samples]

    even = trainer(tmp_path, RewardSet({"checksum": Even()}))
    weights = [each.clone() for each in even.trained]
    metrics = even.step(0)
    assert metrics["groups/too_even"] == 2
    assert metrics["updates"] == metrics["grad_norm"] == 0
    assert all(torch.equal(one, two) for one, two in zip(weights, even.trained, strict=True))


def test_metrics_by_hand():
    chains = [write_chain([("a cat", Box(0.0, 0.0, 0.5, 0.5))]), "no plan"]
    outcomes = [Score(value=0.0), Score(value=1.0), Unscored(why=Why.UNREADABLE), Unscored(why=Why.NOT_APPLICABLE)]
    judged = [
        Judged({"a": outcome}, {"b": outcome}, chains[place % 2], tokens=place, truncated=place == 3)
        for place, outcome in enumerate(outcomes)
    ]
    metrics = rollout_metrics(judged, Counter(learned=1, too_few=0))
    assert metrics == {
        "reward/a/mean": 0.5, "reward/a/spread": 0.5, "reward/a/zeros": 0.5,
        "reward/a/unscored": 0.25, "reward/a/scored": 0.5,
        "watched/b/mean": 0.5, "watched/b/spread": 0.5, "watched/b/zeros": 0.5,
        "watched/b/unscored": 0.25, "watched/b/scored": 0.5,
        "groups/learned": 1, "groups/too_few": 0, "chain/tokens": 1.5, "chain/truncated": 0.25,
        "plan/boxes": 0.5, "plan/area": pytest.approx(0.25),
    }  # fmt: skip


def test_tensorboard_gets_every_metric(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(tmp_path / "run", steps=2, trackers=["tensorboard"]).train()
    events = EventAccumulator(str(next((tmp_path / "run").rglob("events.*")).parent))
    events.Reload()
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    logged = [scalar.value for scalar in events.Scalars("reward/checksum/mean")]
    assert logged == pytest.approx([row["reward/checksum/mean"] for row in rows])
    assert set(rows[0]) <= set(events.Tags()["scalars"]) | {"step"}


def test_prompts_depend_on_seed_and_step_alone(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo\nthree\n")
    (tmp_path / "b.jsonl").write_text('{"prompt": " x "}\n')
    sources = [PromptSource(file=tmp_path / "a.txt", share=3.0), PromptSource(file=tmp_path / "b.jsonl")]
    mix = PromptMix(sources, 0, Builder().suite)
    steps = [mix.step(step, 4) for step in range(200)]
    assert steps == [PromptMix(sources, 0, Builder().suite).step(step, 4) for step in range(200)]
    assert steps != [PromptMix(sources, 1, Builder().suite).step(step, 4) for step in range(200)]
    flat = [prompt.text for step in steps for prompt in step]
    assert set(flat) == {"one", "two", "three", "x"}
    assert 0.2 < flat.count("x") / len(flat) < 0.3
    counts = [flat.count(prompt) for prompt in ("one", "two", "three")]
    assert max(counts) - min(counts) <= 1, "a source is gone through whole before it begins anew"
    (tmp_path / "c.jsonl").write_text('{"prompt": 3}\n')
    with pytest.raises(DataError, match=r"c\.jsonl:1: expected a text under 'prompt'"):
        PromptMix([PromptSource(file=tmp_path / "c.jsonl")], 0, Builder().suite)
    with pytest.raises(UsageError, match="no category 'colour'"):
        PromptMix([PromptSource(shapes=("colour",))], 0, Builder().suite)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"samples_per_prompt": 1}, "samples_per_prompt"),
        ({"sampling": {"text_temperature": 0}}, "text_temperature"),
        ({"sampling": {"top_k": 5}}, "top_k"),
        ({"prompts": [{"share": 1}]}, "shapes"),
        ({"text_clip": {"low": 1.0}}, "low"),
        ({"dtype": "bfloat16"}, "needs adapters"),
        ({"text_weight": 0, "image_weight": 0}, "nothing would be learned"),
    ],
)
def test_settings_that_cannot_train_are_refused(changes, word):
    with pytest.raises(ValueError, match=word):
        settings(**changes)


def mapped(value: float, raw: float, other: float) -> Judged:
    """A sample with a total of two factors, one of which a map brought to `value`."""
    total = Score(value=value * other, parts={"a": value, f"a{RAW}": raw, "b": other})
    return Judged({"total": total}, {}, chain="", tokens=1, truncated=False)


def test_ends_of_maps_ties_and_spreads_within_groups_are_told():
    """Two groups of three: 0, 1, 1 and 0.5, 0.5, unscored."""
    rows = [mapped(0.0, -2.0, 0.4), mapped(1.0, 3.0, 1.0), mapped(1.0, 1.0, 1.0), mapped(0.5, 0.5, 1.0)]
    rows += [rows[-1], Judged({"total": Unscored(why=Why.BACKEND)}, {}, chain="", tokens=1, truncated=False)]
    within = group_rewards(rows, "total", 3)
    assert within == [[0.0, 1.0, 1.0], [0.5, 0.5]]
    assert group_spreads(within) == [pytest.approx(math.sqrt(1 / 3)), 0.0]
    metrics = rollout_metrics(rows, Counter(), within)
    assert metrics["within_groups/spread"] == pytest.approx(math.sqrt(1 / 3) / 2)
    assert metrics["within_groups/ties"] == 2 / 4
    assert {name: value for name, value in metrics.items() if name.startswith("maps/")} == {
        "maps/a/low": 1 / 5, "maps/a/high": 2 / 5
    }  # fmt: skip
    assert "within_groups/ties" not in rollout_metrics(rows, Counter(), [])
