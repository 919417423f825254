"""What goes wrong around a training run: full disks, two runs in a folder, gradients that are no numbers, signals."""

from __future__ import annotations

import math
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gotr1_eval.build import Builder
from gotr1_eval.cli import train as command
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.files.writing import lock_folder
from gotr1_eval.settings import read_settings
from gotr1_eval.training_run import prepare_grpo
from rewards.reward_set import RewardSet
from tests.grpo_runs import ChecksumJudge, PictureJudge, ServedJudge, settings, trainer
from training import run_checkpoints
from training.early_judges import EarlyJudges
from training.fitting import fitted
from training.settings import GrpoSettings

SMALL = {
    "ckpt": "tiny-janus", "rewards": "shapes", "prompts": [{"shapes": ["color"]}], "evaluation": "none",
    "device": "cpu", "lora": "none", "beta": 0.0,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["gradient", "memory"])
def test_a_step_that_cannot_be_made_keeps_those_before_it(tmp_path: Path, monkeypatch, fault):
    one = trainer(tmp_path, steps=9, save_every=9, micro_batch=1)

    def broken(*given, **options):
        if one.optimizer.state and next(iter(one.optimizer.state.values()))["step"] >= 2:
            if fault == "memory":
                raise torch.OutOfMemoryError("too large")
            return torch.tensor(math.nan)
        return clip(*given, **options)

    clip = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", broken)
    with pytest.raises(RunError, match=r"gradient of step 3 is nan|out of memory in the update of step 3"):
        one.train()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]


@pytest.mark.slow
def test_half_an_update_is_not_kept(tmp_path: Path, monkeypatch):
    """The second of two updates fails: the weights are between two steps."""
    one = trainer(tmp_path, steps=9, save_every=9, updates=2)
    clip, calls = torch.nn.utils.clip_grad_norm_, []

    def broken(*given, **options):
        calls.append(1)
        return torch.tensor(math.nan) if len(calls) == 4 else clip(*given, **options)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", broken)
    with pytest.raises(RunError, match="gradient of step 2"):
        one.train()
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.slow
def test_a_checkpoint_on_a_full_disk_is_one_line(tmp_path: Path, monkeypatch):
    def full(*given, **options):
        raise RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed")

    monkeypatch.setattr(run_checkpoints.torch, "save", full)
    with pytest.raises(RunError, match=r"step-000001: cannot be written.*file write failed"):
        trainer(tmp_path, steps=1).train()


@pytest.mark.slow
def test_two_runs_do_not_share_a_folder(tmp_path: Path):
    lock = lock_folder(tmp_path)
    with pytest.raises(RunError, match="another process is writing to this run"):
        trainer(tmp_path, steps=1).train()
    os.close(lock)
    assert trainer(tmp_path, steps=1).train() == 1
    os.close(lock_folder(tmp_path))


@pytest.mark.slow
def test_what_changes_no_step_may_change(tmp_path: Path):
    def prepared(**changes: object) -> None:
        asked = {**SMALL, "rewards": "prompt_image", **changes}
        prepare_grpo(GrpoSettings.model_validate(asked), tmp_path).close()

    prepared(judge_model="http://a:1/v1#judge")
    prepared(judge_model="http://b:2/v1#judge", micro_batch=2, max_unscored=0.1, window=3, gradient_checkpointing=True)
    with pytest.raises(UsageError, match="holds a run with judge_model"):
        prepared(judge_model="http://b:2/v1#another")


def test_of_two_names_of_a_setting_the_last_counts():
    given = {"judge_while_generating": False, "overlap": True}
    assert settings(**given).judge_while_generating
    assert not settings(**dict(reversed(given.items()))).judge_while_generating
    assert settings(judge_while_painting=True).judge_while_generating


def test_settings_that_do_not_fit_together_are_named_and_not_shown():
    with pytest.raises(UsageError) as told:
        read_settings(GrpoSettings, {**SMALL, "one_step_off": True}, where="grpo.toml")
    assert str(told.value).startswith("grpo.toml: one_step_off waits for judges")
    assert "tiny-janus" not in str(told.value)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"text_clip": {"high": 0.28}}, "text_clip does nothing with updates = 1"),
        ({"image_clip": {"low": 0.1}}, "image_clip does nothing with updates = 1"),
        ({"beta": 0.0, "kl": "exact"}, "kl = 'exact' does nothing with beta = 0"),
        ({"importance": {"cap": 3.0}}, "importance.cap does nothing"),
        ({"truncated": {"penalty": 2.0}}, "truncated.penalty does nothing"),
    ],
)
def test_settings_that_do_nothing_are_named(changes, word):
    assert [word in line for line in settings(**changes).idle] == [True]
    assert settings().idle == []


@pytest.mark.slow
def test_a_tile_holds_a_whole_chain():
    pictures = {"samples_per_prompt": 140, "pictures_per_chain": 70, "sampling": {"tile": "auto"}}
    one = SimpleNamespace(model=SimpleNamespace(device=torch.device("cpu")))
    assert fitted(settings(**pictures), one)[0] == 70  # type: ignore[arg-type]
    assert fitted(settings(sampling={"tile": "auto"}), one)[0] == 64  # type: ignore[arg-type]


def test_signals_that_come_together_are_one(monkeypatch):
    """A launcher passes on what the terminal has sent already; a second one, seconds later, ends at once."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    one, now = SimpleNamespace(stopping=False), [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    try:
        command._stop_politely(one)  # type: ignore[arg-type]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
            assert one.stopping
            now[0] += 0.5
        now[0] += 5
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_every_judge_that_asks_a_server_begins_early():
    """Also the one that asks through a grounder, and those that are only watched."""
    shop = Builder()
    vlm = {"use": "openai_compatible", "base_url": "http://127.0.0.1:1/v1", "model": "judge"}
    grounding = shop.judge({"use": "reasoning_image", "grounder": {"use": "vlm", "vlm": vlm}})
    computed = shop.judge({"use": "reasoning_image", "grounder": "shapes"})
    early = EarlyJudges(RewardSet({"grounding": grounding, "computed": computed}), RewardSet({"shown": ServedJudge()}))
    assert sorted(early._judges) == ["grounding", "shown"]
    assert sorted(EarlyJudges(RewardSet({"mine": PictureJudge()}), RewardSet({"shown": ServedJudge()}))._judges) == [
        "shown"
    ]
    with pytest.raises(UsageError, match="and none that is watched"):
        EarlyJudges(RewardSet({"checksum": ChecksumJudge()}), RewardSet({"picture": PictureJudge()}))


@pytest.mark.slow
def test_nobody_is_asked_after_the_end(tmp_path: Path):
    one = trainer(tmp_path, overlap=True, steps=1)
    assert one.train() == 1
    assert one.collector._early is not None
    with pytest.raises(RuntimeError, match="after shutdown"):
        one.collector._early._pool.submit(print)
