"""What may go wrong while a policy learns: it stops in one line, keeps what was learned, and tells no number twice."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from gotr1_eval.build import Builder
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.outcome import Unscored, Why
from gotr1_eval.core.types import Prompt
from gotr1_eval.files.jsonl import append_rows
from gotr1_eval.training_run import prepare_grpo
from rewards.reward_set import RewardSet
from tests.grpo_runs import ChecksumJudge, trainer
from training.metrics import Clock
from training.reward_judging import check_applies
from training.settings import GrpoSettings

pytestmark = pytest.mark.slow


class Failing(ChecksumJudge):
    """Judges so many steps, and then cannot be asked at all."""

    def __init__(self, steps):
        self.left = steps

    def judge(self, samples):
        self.left -= 1
        if self.left < 0:
            raise UsageError("the server knows no such model")
        return super().judge(samples)


def steps_in(folder, name="metrics.jsonl"):
    return [json.loads(line)["step"] for line in (folder / name).read_text().splitlines()]


def test_what_was_learned_is_saved_before_the_run_ends(tmp_path):
    with pytest.raises(UsageError, match="no such model"):
        trainer(tmp_path, RewardSet({"checksum": Failing(2)}), steps=9, save_every=9).train()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]
    assert trainer(tmp_path, steps=3, save_every=9).train() == 3
    assert steps_in(tmp_path) == [1, 2, 3]


def test_a_run_whose_judge_is_broken_keeps_its_last_step(tmp_path):
    run = trainer(tmp_path, steps=9, save_every=9, max_unscored=0.0, window=1)
    with pytest.raises(RunError, match="of the rewards of the last 1 steps are unscored"):
        run.train()
    done = steps_in(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"step-{len(done):06}"]


def test_a_stop_during_an_evaluation_saves(tmp_path):
    asked = {"every": 1, "prompts_per_category": 1}
    run = trainer(tmp_path, steps=9, save_every=9, evaluation=asked)

    class Stopping:
        def judge(self, policy, step, tile, place, count):
            run.stopping = step == 2

        def measure(self, step, count):
            return {"total/mean": 0.5}

    run.evaluate = Stopping()
    assert run.train() == 2
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]
    assert steps_in(tmp_path, "evaluations.jsonl") == [0, 1, 2]


def test_an_evaluation_that_a_stop_or_a_kill_took_is_made_up_for(tmp_path):
    asked = {"every": 2, "prompts_per_category": 1}

    class Measured:
        def judge(self, policy, step, tile, place, count):
            pass

        def measure(self, step, count):
            return {"total/mean": 0.5}

    def run(**changes):
        made = trainer(tmp_path, steps=4, evaluation=asked, **changes)
        made.evaluate = Measured()
        return made

    stopped = run()
    stopped.log.report = lambda metrics: setattr(stopped, "stopping", metrics["step"] >= 2)
    assert stopped.train() == 2
    assert steps_in(tmp_path, "evaluations.jsonl") == [0]
    assert run().train() == 4
    assert steps_in(tmp_path, "evaluations.jsonl") == [0, 2, 4]
    rows = (tmp_path / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "evaluations.jsonl").write_text("".join(rows[:-1]))
    assert run().train() == 4
    assert run().train() == 4
    assert steps_in(tmp_path, "evaluations.jsonl") == [0, 2, 4]


def test_steps_of_a_killed_run_are_not_told_twice(tmp_path):
    first = trainer(tmp_path, steps=2)
    assert first.train() == 2
    told = (tmp_path / "metrics.jsonl").read_text()
    append_rows(tmp_path / "metrics.jsonl", [{"step": 3, "reward/checksum/mean": 0.1}])
    append_rows(tmp_path / "evaluations.jsonl", [{"step": 0}, {"step": 3}])
    for step in (0, 3):
        (tmp_path / f"evaluations/step-{step:06}").mkdir(parents=True)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "rew')
    assert trainer(tmp_path, steps=2).train() == 2
    assert (tmp_path / "metrics.jsonl").read_text() == told
    assert steps_in(tmp_path, "evaluations.jsonl") == [0]
    assert [path.name for path in (tmp_path / "evaluations").iterdir()] == ["step-000000"]


def test_a_gradient_that_is_no_number_is_not_followed(tmp_path, monkeypatch):
    run = trainer(tmp_path, steps=3, save_every=9)
    weights = [each.clone() for each in run.trained]
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(torch.nan))
    with pytest.raises(RunError, match=r"the gradient of step 1 is nan.*lower learning_rate"):
        run.train()
    assert all(torch.equal(one, two) for one, two in zip(weights, run.trained, strict=True))
    assert not (tmp_path / "checkpoints").exists()


def test_a_seed_is_its_adapters_seed(tmp_path):
    def adapters(seed, drawn):
        torch.rand(drawn)
        run = trainer(tmp_path / f"{seed} {drawn}", lora={"rank": 4, "alpha": 4}, seed=seed)
        return torch.cat([each.detach().flatten() for each in run.trained])

    assert torch.equal(adapters(0, 0), adapters(0, 5))
    assert not torch.equal(adapters(0, 0), adapters(1, 0))


SMALL = {
    "ckpt": "tiny-janus", "rewards": "without_models", "prompts": [{"shapes": ["spatial"]}], "steps": 1,
    "prompts_per_step": 1, "samples_per_prompt": 2, "evaluation": "none", "beta": 0.0, "device": "cpu",
}  # fmt: skip


def test_a_folder_is_claimed_by_settings_that_can_be_met(tmp_path):
    def prepared(**changes):
        return prepare_grpo(GrpoSettings.model_validate(SMALL | changes), tmp_path)

    with pytest.raises(UsageError, match="no_such_set"):
        prepared(rewards="no_such_set")
    assert not (tmp_path / "training.json").exists()
    prepared()
    prepared(keep=7, judge_patience=1.0)
    assert json.loads((tmp_path / "training.json").read_text())["keep"] == 7
    with pytest.raises(UsageError, match="holds a run with seed = 0, now 1"):
        prepared(seed=1)
    # As a version wrote it that did not have these settings: what it did is the default.
    known = json.loads((tmp_path / "training.json").read_text())
    del known["objective"], known["compute"], known["text_clip"]["two_sided"]
    (tmp_path / "training.json").write_text(json.dumps(known))
    prepared()
    del known["seed"]
    (tmp_path / "training.json").write_text(json.dumps({**known, "text_clip": {"low": 0.1, "high": 0.2}}))
    with pytest.raises(UsageError, match="holds a run with text_clip"):
        prepared()


def test_watched_judges_have_settings_of_their_own(tmp_path):
    def prepared(name, **watch):
        return prepare_grpo(GrpoSettings.model_validate({**SMALL, "watch": watch}), tmp_path / name)

    watched = prepared("own", boxes={"use": "reasoning_image", "grounder": "shapes"}).collector.watched
    assert [judge.name for judge in watched.judges.values()] == ["reasoning_image[shapes]"]
    with pytest.raises(UsageError, match="'layout' is geometric, a part of the reward"):
        prepared("part", layout="geometric")
    with pytest.raises(UsageError, match="'semantic' asks a language-vision model; name one"):
        prepared("model", chain="semantic")


def test_the_panel_is_watched_without_what_is_trained_on(tmp_path, monkeypatch):
    """Members without weights are watched as empty columns; the settings name the set, whatever the machine has."""
    monkeypatch.setenv("GOTR1_EVAL_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "watched.toml").write_text(
        'absent = "empty"\n[judges]\nimage_reward = "image_reward"\nshown = "shapes_prompt_image"\n'
        'boxes = { use = "reasoning_image", grounder = "shapes" }\n'
    )
    settings = {**SMALL, "rewards": "shapes_prompt_image", "watch": str(tmp_path / "watched.toml")}
    notes: list[str] = []
    trainer = prepare_grpo(GrpoSettings.model_validate(settings), tmp_path / "run", note=notes.append)
    assert [*trainer.collector.watched.judges] == ["image_reward", "boxes"]
    assert len(notes) == 1
    assert notes[0].startswith("image_reward[ImageReward-v1.0] is an empty column: ")
    assert '"watch": "' in (tmp_path / "run" / "training.json").read_text()
    clash = {**SMALL, "rewards": "shapes_prompt_image", "watch": {"shapes_prompt_image": "geometric"}}
    with pytest.raises(UsageError, match="give it another name"):
        prepare_grpo(GrpoSettings.model_validate(clash), tmp_path / "clash")


def test_time_is_told_by_part(tmp_path):
    metrics = trainer(tmp_path).step(0)
    parts = {"chain", "image", "decode", "judge", "watch", "update"}
    assert {name for name in metrics if name.startswith("seconds/")} == {f"seconds/{part}" for part in (*parts, "step")}
    whole = metrics["seconds/step"]
    assert whole >= sum(metrics[f"seconds/{part}"] for part in parts)
    assert metrics["speed/samples"] == pytest.approx(8 / whole)
    tokens = 8 * metrics["chain/tokens"] + metrics["image/tokens"]
    assert metrics["speed/tokens"] >= tokens / whole * 0.99


class ElsewhereJudge(ChecksumJudge):
    """As an official metric: it has nothing to say about prompts but its own."""

    may_not_apply = True

    def judge(self, samples):
        return [Unscored(why=Why.NOT_APPLICABLE, detail="a metric of its own prompts") for _ in samples]


def test_a_reward_that_applies_to_nothing_stops_the_training(tmp_path):
    one = trainer(tmp_path, RewardSet({"elsewhere": ElsewhereJudge()}), steps=12)
    with pytest.raises(RunError, match=r"applies to no sample of this step \(a metric of its own prompts\)"):
        one.train()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1
    assert (tmp_path / "checkpoints/step-000001").is_dir()


def test_a_reward_that_applies_to_nothing_is_refused_before_anything_is_sampled(tmp_path):
    rewards = tmp_path / "official.toml"
    detector = '{ use = "tests.plugins.fake_eyes" }'
    for judge, told in (
        ("geneval", "needs the fact 'geneval' of a prompt, and no prompt has it"),
        ("spatial_2d", r"applies to none of the first \d+ prompts .*official|metric"),
    ):
        rewards.write_text(f'[judges]\nofficial = {{ use = "{judge}", detector = {detector} }}\n')
        with pytest.raises(UsageError, match=told):
            prepare_grpo(
                GrpoSettings.model_validate({**SMALL, "prompts": [{"shapes": ["color"]}], "rewards": str(rewards)}),
                tmp_path / "run",
            )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("prompts", "fits"), [(["a cat", "a dog"], False), (["a cat", "a cat on the left of a dog"], True)]
)
def test_one_prompt_that_the_reward_applies_to_is_enough(prompts, fits):
    rewards = Builder().reward_set("geometric")
    prompts = [Prompt(text) for text in prompts]
    if fits:
        check_applies(rewards, prompts)
    else:
        with pytest.raises(UsageError, match="none of the first 2 prompts"):
            check_applies(rewards, prompts)


def test_a_total_may_do_without_a_factor(tmp_path):
    check_applies(Builder().reward_set("shapes"), [Prompt("a red circle")])
    check_applies(RewardSet({"checksum": ChecksumJudge()}), [Prompt("a cat")])


def test_a_profile_is_a_trace_of_one_step(tmp_path):
    one = trainer(tmp_path, steps=3)
    one.profile = True
    steps = []
    step = one.step
    one.step = lambda number: steps.append((number, one.profile)) or step(number)
    one.train()
    assert steps == [(0, True), (1, False), (2, False)], "the second step, and only that"
    trace = json.loads((tmp_path / "profile.json").read_text())
    names = {event.get("name") for event in trace["traceEvents"]}
    assert {"aten::linear", "Optimizer.step#AdamW.step"} <= names
    trainer(tmp_path / "without", steps=1).train()
    assert not (tmp_path / "without" / "profile.json").exists()


def test_memory_is_told_by_part(monkeypatch):
    """Of the fullest GPU, the most of all times that a part ran."""
    peaks = iter([3, 5, 2, 1])
    told: list[int] = []
    cuda = SimpleNamespace(
        device_count=lambda: 3, memory_allocated=lambda device: device < 2, synchronize=lambda device: None,
        reset_peak_memory_stats=told.append, max_memory_allocated=lambda device: next(peaks) * 2**30,
    )  # fmt: skip
    monkeypatch.setattr("training.metrics.torch", SimpleNamespace(cuda=cuda))
    clock = Clock()
    for _ in range(2):
        with clock("image"):
            pass
    assert clock.memory == {"image": 5.0}
    assert told == [0, 1, 0, 1], "GPUs that hold nothing are left alone"
