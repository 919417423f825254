"""A run in shards is the run in one piece."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.layouts import NumberedNames, write_layout
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.shards import Shard, merge, read_shard
from gotr1_eval.runs.sources import FolderPictures, GeneratedPictures
from gotr1_eval.runs.store import read_samples
from reports.run_data import load_run
from reports.run_summary import summarise_run
from rewards.reward_set import RewardSet
from tests.fakes import OracleGenerator


def paint(folder: Path, shard: Shard | None = None, rewards: RewardSet | None = None, limit: int = 5) -> Path:
    suite = ShapesSuite()
    plan = list_samples(suite, ["color", "spatial"], images_per_prompt=2, limit=limit, seed=0)
    rewards = rewards or RewardSet({})
    painter = GeneratedPictures(OracleGenerator())
    return run_job(
        Job(folder=folder, samples=plan, pictures=painter, rewards=rewards, settings={"suite": "shapes"}, tile=3),
        shard=shard,
    )


def test_shards_are_whole_tiles_and_all_of_the_plan():
    plan = list_samples(ShapesSuite(), ["color"], images_per_prompt=2, limit=5, seed=0)
    parts = [Shard(number, 3).take(plan, 4) for number in (1, 2, 3)]
    assert [len(part) for part in parts] == [4, 4, 2]
    assert [sample for part in parts for sample in part] == plan


def test_merged_shards_equal_the_run_in_one_piece(tmp_path):
    whole = paint(tmp_path / "whole")
    for number in (2, 1, 3):
        assert paint(tmp_path / "cut", Shard(number, 3)).name == f"cut.shard-{number}-of-3"
    assert merge(tmp_path / "cut") == 20
    one, two = load_run(whole), load_run(tmp_path / "cut")
    assert set(one.samples) == set(two.samples)
    for name, sample in one.samples.items():
        other = two.samples[name]
        assert (sample.prompt, sample.chain, sample.seed, sample.meta) == (
            other.prompt, other.chain, other.seed, other.meta,
        )  # fmt: skip
        assert sample.image.read_bytes() == other.image.read_bytes()
        assert other.image.is_relative_to((tmp_path / "cut").absolute())
    assert one.expected == two.expected
    assert one.info.setup["prompts"] == two.info.setup["prompts"]
    rewards = Builder().reward_set("shapes")
    for folder in ("whole", "cut"):
        paint(tmp_path / folder, rewards=rewards)
    tables = [summarise_run(load_run(tmp_path / folder)) for folder in ("whole", "cut")]
    assert {name: {judge: cell.mean for judge, cell in row.items()} for name, row in tables[0].rows.items()} == {
        name: {judge: cell.mean for judge, cell in row.items()} for name, row in tables[1].rows.items()
    }


def test_judged_shards_merge_too(tmp_path):
    rewards = Builder().reward_set("shapes")
    for number in (1, 2):
        paint(tmp_path / "cut", Shard(number, 2), rewards)
    merge(tmp_path / "cut")
    table = summarise_run(load_run(tmp_path / "cut"))
    assert not table.gaps


def test_shards_that_judged_pictures_of_elsewhere_merge_too(tmp_path):
    """Such shards have no folder of pictures of their own."""
    suite = ShapesSuite()
    plan = list_samples(suite, ["color"], images_per_prompt=1, limit=4, seed=0)
    made = run_job(
        Job(
            folder=tmp_path / "made",
            samples=plan,
            pictures=GeneratedPictures(OracleGenerator()),
            rewards=RewardSet({}),
            settings={},
            tile=2,
        )
    )
    pictures = tmp_path / "pictures"
    assert write_layout(NumberedNames("T2I-CompBench"), plan, list(read_samples(made).values()), pictures) == 4
    rewards = Builder().reward_set("shapes_prompt_image")
    for number in (1, 2):
        shard = Shard(number, 2)
        run_job(
            Job(
                folder=tmp_path / "cut",
                samples=plan,
                pictures=FolderPictures(pictures, plan),
                rewards=rewards,
                settings={},
                tile=2,
            ),
            shard=shard,
        )
    assert merge(tmp_path / "cut") == 4
    assert not summarise_run(load_run(tmp_path / "cut")).gaps


def test_what_cannot_be_merged_is_said(tmp_path):
    with pytest.raises(UsageError, match="no shards beside"):
        merge(tmp_path / "cut")
    paint(tmp_path / "cut", Shard(1, 2))
    with pytest.raises(UsageError, match=r"of the 2 shards of .*cut, 2 are missing"):
        merge(tmp_path / "cut")
    other = paint(tmp_path / "other", Shard(2, 2), limit=4)
    other.rename(tmp_path / "cut.shard-2-of-2")
    with pytest.raises(DataError, match="of another run"):
        merge(tmp_path / "cut")


def test_a_deleted_picture_is_painted_again(tmp_path):
    folder = paint(tmp_path / "run")
    lost = next(iter(load_run(folder).samples.values())).image
    before = lost.read_bytes()
    lost.unlink()
    paint(tmp_path / "run")
    assert lost.read_bytes() == before


@pytest.mark.parametrize("text", ["0/4", "5/4", "x", "1", "1/0", "-1/2"])
def test_bad_shards(text):
    with pytest.raises(UsageError, match="--shard"):
        read_shard(text, {})


def test_a_launcher_says_which_shard():
    assert read_shard(None, {"RANK": "2", "WORLD_SIZE": "4"}) == Shard(3, 4)
    assert read_shard("1/2", {"RANK": "2", "WORLD_SIZE": "4"}) == Shard(1, 2)
    assert read_shard(None, {}) is None
    assert read_shard("1/1", {}) is None
