"""Generating and judging: resuming at any point ends where an unbroken run does."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import BackendError, RunError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Generated
from gotr1_eval.core.types import Sample
from gotr1_eval.files.jsonl import read_rows
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import chosen_categories, list_samples
from gotr1_eval.runs.sources import FolderPictures, GeneratedPictures
from gotr1_eval.runs.store import read_judgments, read_samples
from reports.run_data import load_run
from reports.run_summary import summarise_run, table_json
from rewards.reward_set import RewardSet
from tests.fakes import OracleGenerator, ScriptedJudge

SUITE = ShapesSuite()


def plan(limit: int = 3, categories: tuple[str, ...] = ("color", "spatial"), images: int = 2) -> list[Sample]:
    return list_samples(SUITE, categories, images_per_prompt=images, limit=limit, seed=0)


def start(
    folder: Path,
    rewards: RewardSet,
    painter: Any = None,
    samples: list[Sample] | None = None,
    retry: Sequence[Why] = (),
) -> None:
    job = Job(
        folder=folder,
        samples=samples or plan(),
        pictures=GeneratedPictures(painter or OracleGenerator()),
        rewards=rewards,
        settings={"suite": "shapes"},
        tile=4,
        retry=retry,
    )
    run_job(job)


def content(folder: Path) -> tuple[object, object]:
    """What two runs must agree on: everything but the seconds and the order of the lines."""
    samples = {s.id: replace(s, image=None) for s in read_samples(folder).values()}
    judgments = {key: replace(judgment, seconds=0) for key, judgment in read_judgments(folder).items()}
    return samples, judgments


def test_the_plan_does_not_depend_on_the_limit():
    short, long = plan(limit=2), plan(limit=5)
    by_id = {sample.id: sample for sample in long}
    assert all(by_id[sample.id] == sample for sample in short)
    assert [s.id for s in short] == [
        f"shapes/{c}/{p:05d}/{i}" for c in ("color", "spatial") for p in (0, 1) for i in (0, 1)
    ]
    assert len({sample.seed for sample in long}) == len(long)


class MoodyGenerator(OracleGenerator):
    """Makes what the oracle makes, but no picture for some calls' prompts."""

    def __init__(self, missing, *, independent=False, keeps_chain=True):
        super().__init__()
        self.missing, self.independent, self.keeps_chain = missing, independent, keeps_chain

    def generate(self, prompts, seeds):
        made = super().generate(prompts, seeds)
        for place, prompt in enumerate(prompts):
            if (why := self.missing(prompt)) is not None:
                gone = Unscored(why=why, detail=f"{why.value} as planned")
                made[place] = Generated(image=None, chain=made[place].chain if self.keeps_chain else None, missing=gone)
        return made


def refuse_one(why):
    """Says `why` for the second prompt of the plan alone."""
    refused = plan()[2].prompt
    return lambda prompt: why if prompt == refused else None


def test_a_refused_picture_is_an_outcome_of_its_own_and_final(tmp_path):
    painter = MoodyGenerator(refuse_one(Why.NOT_GENERATED))
    judge = ScriptedJudge(lambda sample: Score(value=1.0))
    judge.looks_at = "picture"
    reader = ScriptedJudge(lambda sample: Score(value=float(sample.chain is not None)), name="reader")
    reader.looks_at = "plan"
    rewards = RewardSet({"seen": judge, "read": reader})
    start(tmp_path, rewards, painter)
    samples = read_samples(tmp_path)
    gone = [name for name, sample in samples.items() if sample.image is None]
    assert gone == [sample.id for sample in plan() if sample.prompt == plan()[2].prompt]
    assert len(list((tmp_path / "images").rglob("*.png"))) == len(samples) - len(gone)
    outcomes = {(key[0], key[1]): judgment.outcome for key, judgment in read_judgments(tmp_path).items()}
    for name in gone:
        assert outcomes[name, "scripted"].why is Why.NOT_GENERATED
        assert outcomes[name, "scripted"].detail == "the generator made no picture: not_generated as planned"
        assert outcomes[name, "reader"] == Score(value=1.0)  # its chain is there to be read
    assert not set(gone) & set(judge.asked)
    calls = len(painter.calls)
    start(tmp_path, rewards, painter)
    assert len(painter.calls) == calls


@pytest.mark.parametrize(("independent", "again"), [(False, 4), (True, 2)])
def test_what_a_generator_failed_on_is_made_on_resume(tmp_path, independent, again):
    judge = ScriptedJudge(lambda sample: Score(value=1.0))
    rewards = RewardSet({"seen": judge})
    start(tmp_path, rewards, MoodyGenerator(refuse_one(Why.BACKEND), independent=independent, keeps_chain=False))
    open_ones = [judgment.outcome for judgment in read_judgments(tmp_path).values() if not judgment.final]
    assert [outcome.why for outcome in open_ones] == [Why.BACKEND] * 2
    healed = MoodyGenerator(lambda prompt: None, independent=independent)
    start(tmp_path, rewards, healed)
    assert [len(call) for call in healed.calls] == [again]
    start(tmp_path / "unbroken", rewards)
    assert content(tmp_path) == content(tmp_path / "unbroken")


def test_a_generator_that_fails_on_everything_stops_the_run(tmp_path):
    painter = MoodyGenerator(lambda prompt: Why.BACKEND, keeps_chain=False)
    with pytest.raises(RunError, match=r"8 pictures in a row were not made.*backend as planned"):
        start(tmp_path, RewardSet({"seen": ScriptedJudge(lambda sample: Score(value=1.0))}), painter)
    assert len(painter.calls) == 2


def test_a_picture_or_the_reason_why_there_is_none():
    for wrong in ({"image": None}, {"image": Image.new("RGB", (1, 1)), "missing": Unscored(why=Why.NOT_GENERATED)}):
        with pytest.raises(ValueError, match="a picture, or the reason"):
            Generated(**wrong)


def test_unknown_categories_are_named():
    with pytest.raises(UsageError, match="no category 'colour'; did you mean 'color'"):
        chosen_categories(SUITE, ["colour"])
    assert chosen_categories(SUITE, ["spatial", "color"]) == ("color", "spatial")


def test_a_second_start_does_nothing(tmp_path: Path):
    rewards = Builder().reward_set("shapes")
    start(tmp_path / "run", rewards)
    before = content(tmp_path / "run")
    size = (tmp_path / "run" / "judgments.jsonl").stat().st_size
    painter = OracleGenerator()
    start(tmp_path / "run", rewards, painter)
    assert painter.calls == []
    assert content(tmp_path / "run") == before
    assert (tmp_path / "run" / "judgments.jsonl").stat().st_size == size


def test_a_partly_lost_tile_is_made_again_whole(tmp_path: Path):
    rewards = Builder().reward_set("shapes")
    start(tmp_path / "run", rewards)
    before = content(tmp_path / "run")
    file = tmp_path / "run" / "samples.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:6]))
    painter = OracleGenerator()
    start(tmp_path / "run", rewards, painter)
    assert [len(call) for call in painter.calls] == [4, 4]
    assert content(tmp_path / "run") == before


def test_a_failed_backend_is_asked_again_and_nothing_else_is(tmp_path: Path):
    ids = [sample.id for sample in plan()]
    answers: dict[str, Outcome] = dict.fromkeys(ids, Score(value=0.5))
    answers[ids[1]] = Unscored(why=Why.BACKEND, detail="timeout")
    answers[ids[2]] = Unscored(why=Why.UNREADABLE, detail="prose")
    judge = ScriptedJudge(lambda sample: answers[sample.id])
    start(tmp_path / "run", RewardSet({"x": judge}))
    assert judge.asked == ids
    answers[ids[1]] = Score(value=1.0)
    judge.asked.clear()
    start(tmp_path / "run", RewardSet({"x": judge}))
    assert judge.asked == [ids[1]]
    answers[ids[2]] = Score(value=0.0)
    judge.asked.clear()
    start(tmp_path / "run", RewardSet({"x": judge}))
    assert judge.asked == []
    start(tmp_path / "run", RewardSet({"x": judge}), retry=[Why.UNREADABLE])
    assert judge.asked == [ids[2]]
    table = summarise_run(load_run(tmp_path / "run"))
    assert table.rows["all"]["scripted"].scored == len(ids)
    assert table.gaps == []


def test_a_raising_backend_leaves_its_tile_unscored_and_the_run_goes_on(tmp_path: Path):
    def fail_on_second_prompt(sample: Sample) -> Outcome:
        if sample.id == "shapes/color/00002/0":
            raise BackendError("server gone")
        return Score(value=1.0)

    start(tmp_path / "run", RewardSet({"x": ScriptedJudge(fail_on_second_prompt)}))
    table = summarise_run(load_run(tmp_path / "run"))
    cell = table.rows["all"]["scripted"]
    assert (cell.mean, cell.scored, cell.unscored) == (1.0, 8, 4)
    assert table.gaps
    assert table_json(table)["complete"] is False


def test_the_total_follows_a_retried_factor(tmp_path: Path):
    shapes = Builder().reward_set("shapes")
    answer: Outcome = Unscored(why=Why.BACKEND, detail="down")
    judges = {**shapes.judges, "prompt_image": ScriptedJudge(lambda sample: answer)}
    rewards = RewardSet(judges, shapes.total)
    with pytest.raises(RunError, match="in a row were not judged"):  # two tiles without an answer end a run
        start(tmp_path / "run", rewards)
    name = rewards.total.name if rewards.total else ""
    assert load_run(tmp_path / "run").outcomes[name]["shapes/color/00000/0"].why is Why.BACKEND  # type: ignore[union-attr]
    answer = Score(value=0.5)
    start(tmp_path / "run", rewards)
    outcome = load_run(tmp_path / "run").outcomes[name]["shapes/color/00000/0"]
    assert isinstance(outcome, Score)
    assert outcome.parts["prompt_image"] == 0.5


def test_more_judges_on_the_same_samples(tmp_path: Path):
    start(tmp_path / "run", Builder().reward_set("geometric"))
    painter = OracleGenerator()
    start(tmp_path / "run", Builder().reward_set("shapes"), painter)
    assert painter.calls == []
    run = load_run(tmp_path / "run")
    assert {column.factor for column in run.judges} == {
        "semantic",
        "spatial",
        "reasoning_image",
        "prompt_image",
        "total",
    }
    lines = [row for _, row in read_rows(tmp_path / "run" / "judgments.jsonl") if row["judge"] == "geometric"]
    assert len(lines) == len(plan())


def test_another_plan_needs_another_folder(tmp_path: Path):
    rewards = Builder().reward_set("geometric")
    start(tmp_path / "run", rewards)
    with pytest.raises(UsageError, match="the prompts of color, spatial are no longer the same"):
        start(tmp_path / "run", rewards, samples=plan(limit=2))


def test_pictures_from_a_folder(tmp_path: Path):
    samples = plan(limit=2, categories=("color",))
    (tmp_path / "samples").mkdir()
    oracle = OracleGenerator()
    for number, sample in enumerate(samples[:3]):
        (made,) = oracle.generate([sample.prompt], [number])
        made.image.save(tmp_path / "samples" / f"{sample.prompt}_{number:06d}.png")
    (tmp_path / "samples" / ".DS_Store").write_bytes(b"x")
    rewards = Builder().reward_set("shapes_prompt_image")
    run_job(
        Job(
            folder=tmp_path / "run",
            samples=samples,
            pictures=FolderPictures(tmp_path, samples),
            rewards=rewards,
            settings={},
            tile=4,
        )
    )
    cell = summarise_run(load_run(tmp_path / "run")).rows["color"]["shapes_prompt_image"]
    assert (cell.mean, cell.scored, cell.unscored) == (1.0, 3, 1)
    with pytest.raises(UsageError, match="no picture named like"):
        FolderPictures(tmp_path / "run", samples)
    with pytest.raises(UsageError, match="not a folder"):
        FolderPictures(tmp_path / "nowhere", samples)


KILLED_RUN = """
import sys
from pathlib import Path
from tests.unit.test_stages import plan, start
from tests.fakes import OracleGenerator
from gotr1_eval.build import Builder
start(Path(sys.argv[1]), Builder().reward_set("shapes"), OracleGenerator(0.02), plan(limit=8))
"""


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_like_an_unbroken_run(tmp_path: Path):
    rewards = Builder().reward_set("shapes")
    start(tmp_path / "whole", rewards, OracleGenerator(), plan(limit=8))
    rng = random.Random(0)
    kills = 0
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", KILLED_RUN, str(tmp_path / "killed")], cwd=Path.cwd())
        made = tmp_path / "killed" / "samples.jsonl"
        size = made.stat().st_size if made.exists() else -1
        while process.poll() is None and (not made.exists() or made.stat().st_size == size):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kills >= 2
    start(tmp_path / "killed", rewards, OracleGenerator(), plan(limit=8))
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    for name in ("samples.jsonl", "judgments.jsonl"):
        lines = {folder: sum(1 for _ in read_rows(tmp_path / folder / name)) for folder in ("whole", "killed")}
        most_again = 4 * (5 if name == "judgments.jsonl" else 1)
        assert lines["killed"] <= lines["whole"] + kills * most_again
