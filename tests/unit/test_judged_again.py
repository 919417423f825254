"""Judging a run's samples once more, or by more judges, sees the pictures that the first judging saw."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.judge_more import judge_more
from gotr1_eval.runs.retest import retest
from gotr1_eval.runs.stages import Work, work_on
from gotr1_eval.runs.store import RunInfo, RunStore, read_info
from rewards.reward_set import RewardSet
from tests.grpo_runs import PictureJudge


class OtherPictureJudge(PictureJudge):
    name, fingerprint = "other", "other-1"


def judged_run(folder: Path, samples: list[Sample], rewards: RewardSet) -> None:
    listed = [{"factor": name, "name": judge.name, "fingerprint": judge.fingerprint} for name, judge in
              rewards.judges.items()]  # fmt: skip
    info = RunInfo(identity={"seed": 0}, setup={"judges": listed})
    with RunStore.open(folder, info) as store:
        store.append_samples(samples)
        work_on(store, samples, Work(pictures=None, rewards=rewards, tile=32))


def outcomes(folder: Path, name: str, repeat: int = 0) -> dict[str, Outcome]:
    with RunStore.open(folder, read_info(folder)) as store:
        made = store.judgments().values()
        return {each.sample: each.outcome for each in made if (each.judge, each.repeat) == (name, repeat)}


def test_a_picture_at_an_address_is_fetched_again(tmp_path: Path):
    for place, colour in enumerate(("red", "green", "blue")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / f"{place}.png")
    samples = [
        Sample(id=f"a cat/{place}", prompt="a cat", meta={"image_url": f"file://{tmp_path}/{place}.png"})
        for place in range(3)
    ]
    judge = PictureJudge()
    judged_run(tmp_path / "run", samples, RewardSet({"picture": judge}))
    first = outcomes(tmp_path / "run", "picture")
    assert any(isinstance(outcome, Score) for outcome in first.values())
    assert retest(tmp_path / "run", {1: [judge]}) == 3
    assert outcomes(tmp_path / "run", "picture", 1) == first
    assert judge_more(tmp_path / "run", RewardSet({"other": OtherPictureJudge()})) == ["other"]
    assert outcomes(tmp_path / "run", "other") == first
