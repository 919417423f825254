"""A run in parts: laid out, worked on, read back, summed up; without any cluster."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gotr1_eval.build import Builder
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.statistics import intervals
from gotr1_eval.engines import open_engine
from gotr1_eval.engines.ray import RayEngine, RaySettings
from gotr1_eval.engines.ray_worker import PartWorker, PoolWork, check_address
from gotr1_eval.engines.worker_recipe import Recipe
from gotr1_eval.files.writing import read_parquet
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.runs.parquet_parts import PartFolder, parts_of
from gotr1_eval.runs.parquet_work import MOST_PARTS, lay_out, part_size, write_view
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.sources import GivenPictures
from gotr1_eval.runs.store import RunInfo, RunStore, read_info, read_judgments
from reports import run_report
from reports.run_data import load_run
from reports.run_summary import summarise_run
from reports.score_export import remark_lines, unscored_lines
from rewards.reward_set import RewardSet
from tests.run_rows import picture_manifest, run_rows

JUDGES = "geometric,shapes_prompt_image"


def local_run(folder: Path, source: Path) -> Path:
    manifest = Manifest(source)
    rewards = Builder().reward_set(JUDGES)
    return run_job(
        Job(
            folder=folder,
            samples=list(manifest),
            pictures=GivenPictures(manifest.place),
            rewards=rewards,
            settings={},
            tile=8,
        )
    )


def work_on_parts(run: Path, source: Path, parts: PartFolder, size: int = 16) -> list[dict[str, list[object]]]:
    """What the workers of a pool do, here one after the other."""
    manifest = Manifest(source)
    run.mkdir(exist_ok=True)
    count = lay_out(parts, manifest, sum(1 for _ in manifest), size)
    worker = part_worker(parts, source)
    return [worker({"part": [number], "fault": [""], "code": [0]}) for number in range(count)]


def part_worker(parts: PartFolder, source: Path) -> PartWorker:
    builder = Builder()
    rewards = builder.reward_set(JUDGES)
    recipe = Recipe.of(builder, GivenPictures(str(source)), rewards)
    return PartWorker(PoolWork(recipe, parts, rewards.makers, 8, (), Path.cwd()), generates=True, judges=True)


def test_a_worker_whose_judges_fall_silent_over_many_parts_stops(tmp_path: Path, source: Path):
    run = tmp_path / "run"
    run.mkdir()
    parts = PartFolder(str(tmp_path / "parts"), run)
    count = lay_out(parts, Manifest(source), 50, 8)
    builder = Builder()
    rewards = RewardSet({"silent": builder.judge({"use": "tests.dying_judge", "graves": str(run), "silent": True})})
    recipe = Recipe.of(builder, GivenPictures(str(source)), rewards)
    worker = PartWorker(PoolWork(recipe, parts, rewards.makers, 8, (), Path.cwd()), generates=True, judges=True)
    rows = [worker({"part": [number], "fault": [""], "code": [0]}) for number in range(count)]
    assert [row["samples"] for row in rows[:2]] == [[8], [0]]
    assert rows[1]["fault"][0].startswith("8 samples in a row were not judged, and the run was stopped: judge dying: ")
    assert len(parts.read(0).judgments) == 8


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_manifest(tmp_path / "pictures", 50)


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_parts_hold_what_a_run_of_one_process_writes(tmp_path: Path, source: Path, scheme: str):
    parts = PartFolder(f"{scheme}{tmp_path / 'parts'}", tmp_path / "run")
    done = work_on_parts(tmp_path / "run", source, parts)
    assert [row["samples"] for row in done] == [[16], [16], [16], [2]]
    assert write_view(parts) == 50
    assert run_rows(tmp_path / "run") == run_rows(local_run(tmp_path / "local", source))


def test_a_part_that_is_done_is_left_alone(tmp_path: Path, source: Path):
    parts = PartFolder(str(tmp_path / "parts"), tmp_path / "run")
    work_on_parts(tmp_path / "run", source, parts)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    (tmp_path / "pictures/0.png").write_bytes(b"")
    work_on_parts(tmp_path / "run", source, parts)
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    changed = {path.name for path in before if before[path] != after[path]}
    assert changed <= {"part-00000.parquet"}  # its tile with a missing picture is looked at again
    assert len(after) == 4


def test_a_part_has_columns_to_work_with(tmp_path: Path, source: Path):
    parts = PartFolder(str(tmp_path / "parts"), tmp_path / "run")
    work_on_parts(tmp_path / "run", source, parts)
    table = read_parquet(tmp_path / "parts" / "part-00000.parquet")
    assert table["shapes_prompt_image/why"].tolist()[2:6] == ["", "no_input", "no_input", ""]
    assert table["shapes_prompt_image"].isna().tolist()[2:6] == [False, True, True, False]
    assert table["category"].tolist()[:3] == ["red", "green", "blue"]


def test_rows_of_a_local_run_go_into_its_parts(tmp_path: Path, source: Path):
    run = local_run(tmp_path / "run", source)
    rows = run_rows(run)
    parts = PartFolder(str(run / "parts"), run)
    assert lay_out(parts, Manifest(source), 50, 16, Builder().reward_set(JUDGES).makers) == 4
    assert len(parts.read(1).judgments) == 32
    assert read_parquet(run / "parts/part-00001.parquet")["geometric"].notna().all()
    (run / "samples.jsonl").unlink()
    write_view(parts)
    assert run_rows(run) == rows


def test_one_process_goes_on_with_a_run_in_parts(tmp_path: Path, source: Path):
    run = local_run(tmp_path / "run", source)
    parts = PartFolder(str(run / "parts"), run)
    lay_out(parts, Manifest(source), 50, 16)
    mark_as_parts(run, parts)
    judgments = read_judgments(run)
    (run / "judgments.jsonl").unlink()
    local_run(run, source)
    assert read_judgments(run) == judgments  # seconds and all: nothing was judged again
    assert parts_of(run) is None


def mark_as_parts(run: Path, parts: PartFolder) -> None:
    """As the Ray engine leaves run.json."""
    info = read_info(run)
    setup = {**info.setup, "parts": {"place": parts.place, "samples": 16}}
    with RunStore.open(run, RunInfo(identity=info.identity, setup=setup)):
        pass


def test_the_digest_of_a_run_in_parts_is_the_table_of_the_run(tmp_path: Path, source: Path, monkeypatch):
    run = local_run(tmp_path / "run", source)
    whole = load_run(run)
    parts = PartFolder(str(run / "parts"), run)
    lay_out(parts, Manifest(source), 50, 16)
    mark_as_parts(run, parts)
    monkeypatch.setattr(run_report, "KEPT", 20)
    monkeypatch.setattr(run_report, "LINES", 1)
    told = run_report.digest(run, parts, 0.95)
    assert told.table == summarise_run(whole, 0.95)
    assert [name for place, name in enumerate(whole.samples) if place % 3 == 0] == list(told.run.samples)
    assert told.run.left_out == 33
    assert told.remarks.count == len(remark_lines(whole))
    lines = unscored_lines(whole)
    assert (told.unscored.first, told.unscored.count) == ([line for _, line in lines[:1]], len(lines))


def test_an_unfinished_run_misses_what_it_lacks(tmp_path: Path, source: Path):
    run = local_run(tmp_path / "run", source)
    parts = PartFolder(str(run / "parts"), run)
    lay_out(parts, Manifest(source), 50, 16)
    mark_as_parts(run, parts)
    part = parts.read(0)
    part.samples = [replace(sample, generator=None) for sample in part.samples]
    parts.write(0, part)
    cell = run_report.digest(run, parts, 0.95).table.rows["all"]["geometric"]
    assert (cell.missing, cell.scored) == (16, 34)
    assert write_view(parts) == 34


def test_draws_in_pieces_are_the_same_draws(monkeypatch):
    groups = [list(group) for group in np.random.default_rng(0).random((40, 3))]
    whole = intervals.prompt_bootstrap(groups)
    monkeypatch.setattr(intervals, "CELLS", 40 * 7)
    assert intervals.prompt_bootstrap(groups) == pytest.approx(whole, abs=1e-12)
    monkeypatch.setattr(intervals, "MANY", 40)
    assert intervals.prompt_bootstrap(groups) == intervals.prompt_analytic(groups)


def test_parts_are_whole_tiles_and_never_too_many():
    assert part_size(100, 32, generates=True) == 32
    assert part_size(100, 32, generates=False) == 1024
    assert part_size(100, 3000, generates=False) == 3000
    assert part_size(10_000_000, 30, generates=False) == 1020
    for count in (10**6, 10**8):
        size = part_size(count, 32, generates=True)
        assert size % 32 == 0
        assert -(-count // size) <= MOST_PARTS


def test_a_part_that_kills_its_workers_is_given_up(tmp_path: Path, source: Path):
    parts = PartFolder(str(tmp_path / "parts"), tmp_path / "run")
    worker = part_worker(parts, source)
    lay_out(parts, Manifest(source), 50, 16)
    assert [parts.begin(2) for _ in range(3)] == [0, 1, 2]
    row = worker({"part": [2], "fault": [""], "code": [0]})
    assert row["fault"] == ["part 2 of the run has killed 3 workers; see what its samples have in common"]
    assert worker({"part": [3], "fault": [""], "code": [0]})["fault"] == [""]
    parts.tidy()  # another start counts anew
    assert worker({"part": [2], "fault": [""], "code": [0]})["samples"] == [16]


def test_a_broken_part_is_named(tmp_path: Path):
    parts = PartFolder(str(tmp_path / "parts"), tmp_path)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/part-00000.parquet").write_text("no")
    with pytest.raises(DataError, match=r"part-00000\.parquet: cannot be read as a part of a run"):
        parts.read(0)
    with pytest.raises(UsageError, match="cannot hold the parts"):
        PartFolder("nothing://x", tmp_path)


@pytest.mark.parametrize(
    ("spec", "shard", "message"),
    [
        ({"use": "rays"}, None, "no engine 'rays'; did you mean 'ray'"),
        ({"use": "local", "workers": 2}, None, "--engine local: takes no settings, got workers"),
        ({"use": "ray", "workers": 0}, None, "setting 'workers': Input should be greater than or equal to 1, got 0"),
        ({"use": "ray", "worker_gpus": -1}, None, "setting 'worker_gpus'"),
        ({"use": "ray", "wrokers": 2}, None, "unknown setting 'wrokers'; did you mean 'workers'"),
        ({"use": "ray", "painters": 2}, None, "--engine ray: the setting painters= is called generators= now"),
        ({"use": "ray"}, "1/4", "--shard 1/4: --engine ray divides the run"),
    ],
)
def test_bad_engines_get_one_line(spec, shard, message):
    with pytest.raises(UsageError, match=message) as caught:
        open_engine(spec, Builder(), shard)
    assert "\n" not in str(caught.value)


def test_without_ray_the_command_says_what_to_install(tmp_path: Path, source: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"--engine ray needs Ray, .*: pip install 'ray\[data\]'") as caught:
        run(["score", str(source), "--engine", "ray,workers=2", "--out", str(tmp_path / "run")])
    assert "\n" not in str(caught.value)


def test_an_engine_is_looked_at_first(tmp_path: Path, source: Path):
    for command in (["score", str(source)], ["generate", "--ckpt", "tiny-janus", "--suite", "shapes"]):
        with pytest.raises(UsageError, match="no engine 'raay'; did you mean 'ray'"):
            run([*command, "--engine", "raay"])


@pytest.mark.slow
def test_ray_is_not_imported_before_it_is_needed():
    check = "import gotr1_eval.engines.ray, gotr1_eval.cli.app, sys; assert 'ray' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_parts_of_another_run_are_not_touched(tmp_path: Path, source: Path):
    place = tmp_path / "bucket"
    other = PartFolder(str(place), tmp_path / "other")
    lay_out(other, Manifest(source), 50, 16)
    engine = RayEngine(RaySettings(parts=str(place)), Builder())
    with pytest.raises(UsageError, match="holds parts already, of another run"):
        engine._parts(tmp_path / "run", 50, 8, generates=False)
    assert other.numbers() == [0, 1, 2, 3]


def test_an_address_where_nobody_answers():
    with pytest.raises(Exception, match=r"RAY_ADDRESS=127\.0\.0\.1:1: no Ray cluster answers there") as caught:
        check_address("127.0.0.1:1")
    assert "\n" not in str(caught.value)
    check_address("auto")
