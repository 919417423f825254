"""The Ray engine gives what the local one gives, whatever dies on the way."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.painters import AsTheyAre, GeneratorPainter, Painter
from benchmarks.plan import plan_samples
from benchmarks.shapes import ShapesSuite
from benchmarks.stages import Silent
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import RunError, UsageError
from gotr1_eval.core.jsonl import append_rows, read_rows
from gotr1_eval.core.runs import read_judgments, read_samples
from gotr1_eval.engines import open_engine
from gotr1_eval.manifest import Manifest
from reports.run_data import load_run
from reports.tables import summarise_run, table_json
from rewards.reward_set import RewardSet

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray copies its own settings, old ones too
]

CHAIN = "A red circle (0,400),(200,600) and a blue square (800,400),(1000,600)"


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster of two processors for all tests here; its files are removed with it."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'gotr1-eval[ray]'")
    folder = tempfile.mkdtemp(prefix="ray-")  # Ray's sockets need a short path, which tmp_path is not
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=80 * 2**20,
            _temp_dir=folder,
            logging_level="ERROR",
        )
        yield ray
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def pictures(folder: Path, count: int) -> Path:
    """A manifest of so many small pictures: prompts repeat, one picture is missing, one is none."""
    folder.mkdir(exist_ok=True)
    colours = ("red", "green", "blue")
    rows = []
    for index in range(count):
        colour = colours[index % 3]
        name = f"{index}.png"
        if index not in (3, 4):
            Image.new("RGB", (16, 16), colour).save(folder / name)
        prompt = f"a {colour} circle on the left of a blue square"
        rows.append({"prompt": prompt, "image": name, "chain": CHAIN, "category": colour, "row": index})
    (folder / "4.png").write_bytes(b"no picture")
    append_rows(folder / "list.jsonl", rows)
    return folder / "list.jsonl"


def run(
    engine: dict[str, Any],
    folder: Path,
    plan: Any,
    painter: Painter,
    builder: Builder,
    rewards: RewardSet,
    tile: int | None = 8,
) -> Path:
    runs = open_engine(engine, builder)
    return runs.run(folder, plan, painter, rewards, asked={}, tile=tile, progress=Silent())


def score(
    engine: str, source: Path, folder: Path, judges: str = "geometric,shapes_prompt_image", **settings: Any
) -> Path:
    builder = Builder()
    manifest = Manifest(source)
    rewards = builder.reward_set(judges)
    return run({"use": engine, **settings}, folder, manifest, AsTheyAre(manifest.place), builder, rewards)


def rows(folder: Path) -> tuple[list[Any], list[Any]]:
    """The lines of a run without what differs between two runs of one engine: seconds."""
    samples = [row for _, row in read_rows(folder / "samples.jsonl")]
    judged = [{**row, "seconds": 0} for _, row in read_rows(folder / "judgments.jsonl")]
    assert len({row["id"] for row in samples}) == len(samples)
    key = lambda row: (row["sample"], row["judge"], row["fingerprint"])  # noqa: E731
    assert len({key(row) for row in judged}) == len(judged)
    return samples, sorted(judged, key=key)


def test_score_equals_the_local_engine_row_for_row(ray: Any, tmp_path: Path):
    source = pictures(tmp_path / "pictures", 50)
    local = score("local", source, tmp_path / "local")
    there = score("ray", source, tmp_path / "ray", part=16)
    assert rows(there) == rows(local)
    assert len(list((there / "parts").glob("*.parquet"))) == 4
    tables = [table_json(summarise_run(load_run(folder))) for folder in (local, there)]
    assert tables[0] == tables[1]


def test_the_engines_go_on_with_each_others_runs(ray: Any, tmp_path: Path):
    source = pictures(tmp_path / "pictures", 24)
    folder = score("local", source, tmp_path / "run", "geometric")
    score("ray", source, tmp_path / "run", "geometric,shapes_prompt_image", part=8)
    assert len(read_judgments(folder)) == 48
    seconds = {key: judgment.seconds for key, judgment in read_judgments(folder).items()}
    (folder / "samples.jsonl").unlink()
    (folder / "judgments.jsonl").unlink()
    score("local", source, tmp_path / "run", "geometric,shapes_prompt_image")
    assert {key: judgment.seconds for key, judgment in read_judgments(folder).items()} == seconds
    assert rows(folder) == rows(score("local", source, tmp_path / "fresh"))


def test_pictures_and_judgments_of_a_generator_equal_the_local_ones(ray: Any, tmp_path: Path):
    plan = plan_samples(ShapesSuite(), ["color", "spatial"], images_per_prompt=2, limit=2, seed=0)
    spec = {"use": "janus", "ckpt": "tiny-janus", "guidance": 2.0, "chain_cap": 60}

    def paint(engine: str, judges: str | None, **settings: Any) -> Path:
        builder = Builder()
        rewards = builder.reward_set(judges) if judges else RewardSet({})
        painter = GeneratorPainter(builder.generator(spec))
        return run({"use": engine, **settings}, tmp_path / engine, plan, painter, builder, rewards, tile=4)

    for judges in (None, "shapes"):
        local, there = paint("local", judges), paint("ray", judges, worker_cpus=0.5)
        assert rows(there) == rows(local)
    samples = read_samples(there)
    for name, sample in read_samples(local).items():
        assert sample.image.read_bytes() == samples[name].image.read_bytes()


def dying(folder: Path, source: Path, graves: Path, deaths: int) -> Path:
    builder = Builder()
    spec = {"use": "tests.dying_judge", "graves": str(graves), "deadly": "green", "deaths": deaths}
    graves.mkdir(exist_ok=True)
    judges = {"dying": builder.judge(spec), "geometric": builder.judge({"use": "geometric"})}
    manifest = Manifest(source)
    engine = {"use": "ray", "part": 8, "workers": 2}
    return run(engine, folder, manifest, AsTheyAre(manifest.place), builder, RewardSet(judges))


def test_a_worker_that_dies_loses_nothing_and_repeats_nothing(ray: Any, tmp_path: Path):
    source = pictures(tmp_path / "pictures", 40)
    folder = dying(tmp_path / "run", source, tmp_path / "graves", deaths=2)
    assert len(list((tmp_path / "graves").iterdir())) == 2
    samples, judged = rows(folder)
    assert len(samples) == 40
    assert len(judged) == 80
    assert {row["id"] for row in samples} == {sample.id for sample in Manifest(source)}


def test_a_part_that_kills_every_worker_ends_the_run(ray: Any, tmp_path: Path):
    source = pictures(tmp_path / "pictures", 8)
    with pytest.raises(RunError, match="part 0 of the run has killed 3 workers"):
        dying(tmp_path / "run", source, tmp_path / "graves", deaths=100)


def test_what_cannot_be_is_one_line(ray: Any, tmp_path: Path):
    source = pictures(tmp_path / "pictures", 8)
    with pytest.raises(UsageError, match="cluster has 0; set worker_gpus="):
        score("ray", source, tmp_path / "run", worker_gpus=1)
