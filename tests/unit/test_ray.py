"""The Ray engine gives what the local one gives, whatever dies on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.shapes import ShapesSuite
from gotr1_eval.build import Builder
from gotr1_eval.core.errors import GotR1Error, UsageError
from gotr1_eval.engines import open_engine
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.runs.samples import list_samples
from gotr1_eval.runs.sources import GeneratedPictures, GivenPictures
from gotr1_eval.runs.stages import Silent
from gotr1_eval.runs.store import read_info, read_judgments, read_samples
from rewards.reward_set import RewardSet
from tests.run_rows import picture_manifest, run_rows

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray copies its own settings, old ones too
]
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Two processors, shared by the tests here; its files are removed with it."""
    folder = tempfile.mkdtemp(prefix="ray-")  # Ray's sockets need a short path, which tmp_path is not
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # on a busy machine Ray's own 15 is next to nothing
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
        ray.init(address="local", num_cpus=2, object_store_memory=80 * 2**20, _temp_dir=folder, **quiet)
        yield
        ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def score(engine: str, source: Path, folder: Path, judge: dict[str, Any] | None = None, **settings: Any) -> Path:
    """Score a manifest by cheap judges, and by the judge of these settings where there are any."""
    builder, manifest = Builder(), Manifest(source)
    judges = dict(builder.reward_set("geometric,shapes_prompt_image").judges)
    if judge is not None:
        graves = folder.with_name("graves")
        graves.mkdir(exist_ok=True)
        judges["dying"] = builder.judge({"use": "tests.dying_judge", "graves": str(graves), **judge})
    runs = open_engine({"use": engine, **settings}, builder)
    painter = GivenPictures(manifest.place)
    asked = {"source": manifest.place}
    job = Job(folder=folder, samples=manifest, pictures=painter, rewards=RewardSet(judges), settings=asked, tile=8)
    return runs.run(job, Silent())


def test_dying_workers_lose_nothing_and_the_rows_equal_the_local_ones(cluster: None, tmp_path: Path):
    source = picture_manifest(tmp_path / "pictures", 50)
    local = score("local", source, tmp_path / "local", {})
    there = score("ray", source, tmp_path / "ray", {"deadly": "green", "deaths": 2}, part=16, workers=2)
    assert len(list((tmp_path / "graves").iterdir())) == 2
    assert run_rows(there) == run_rows(local)
    assert len(list((there / "parts").glob("*.parquet"))) == 4


def test_ray_goes_on_with_a_local_run(cluster: None, tmp_path: Path):
    source = picture_manifest(tmp_path / "pictures", 24)
    log = tmp_path / "log"
    folder = score("local", source, tmp_path / "run", {"log": str(log)})
    lines = (folder / "judgments.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "judgments.jsonl").write_bytes(b"".join(lines[:-20]))  # the last tile, but for a judge and a bit
    score("ray", source, tmp_path / "run", {"log": str(log)}, part=8)
    assert len(read_judgments(folder)) == 72
    assert Counter(log.read_text().split()).total() == 24 + 8


KILLED = """
import os, sys
from pathlib import Path
from tests.unit.test_ray import score
import ray
source, folder, log = map(Path, sys.argv[1:])
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20,
         _temp_dir=os.environ["FOLDER"])
score("ray", source, folder, {"log": str(log), "seconds": 0.1}, part=8, workers=2)
"""


def test_a_killed_driver_is_gone_on_with(cluster: None, tmp_path: Path):
    source, log = picture_manifest(tmp_path / "pictures", 80), tmp_path / "log"
    temporary = tempfile.mkdtemp(prefix="ray-")
    environment = {
        "FOLDER": temporary,
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "PYTHONPATH": str(Path.cwd()),
    }
    command = [sys.executable, "-c", KILLED, str(source), str(tmp_path / "run"), str(log)]
    with subprocess.Popen(command, env=os.environ | environment, stderr=subprocess.DEVNULL) as driver:
        while driver.poll() is None and (not log.exists() or len(log.read_text().split()) < 24):
            time.sleep(0.02)
        assert driver.poll() is None
        driver.send_signal(signal.SIGKILL)
    wait_until_gone(temporary)
    before = Counter(log.read_text().split())
    score("ray", source, tmp_path / "run", {"log": str(log), "seconds": 0.1}, part=8)
    judged = Counter(log.read_text().split())
    assert len(judged) == 80
    assert judged.total() <= 80 + 3 * 8  # what the two workers held, and a part that was judged but not written yet
    assert before.total() >= 24
    assert max(judged.values()) <= 2
    samples, judgments = run_rows(tmp_path / "run")
    assert len(samples) == 80
    assert len(judgments) == 240


def wait_until_gone(marker: str) -> None:
    """Until no process has this text in its command line; the cluster of a killed driver ends by itself."""
    for _ in range(1800):
        commands = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
        if not any(marker.encode() in command for command in commands):
            shutil.rmtree(marker, ignore_errors=True)
            return
        time.sleep(0.1)
    raise AssertionError(f"processes of {marker} are still there")


def generate_and_judge(engine: str, folder: Path, judges: str | None, limit: int = 2, **settings: Any) -> Path:
    """Pictures of the tiny Janus, four a tile."""
    plan = list_samples(ShapesSuite(), ["color", "spatial"], images_per_prompt=2, limit=limit, seed=0)
    builder = Builder()
    generator = builder.generator({"use": "janus", "ckpt": "tiny-janus", "guidance": 2.0, "chain_cap": 60})
    job = Job(
        folder=folder,
        samples=plan,
        pictures=GeneratedPictures(generator),
        rewards=builder.reward_set(judges) if judges else RewardSet({}),
        settings={"suite": "shapes", "images_per_prompt": 2, "limit": limit},
        tile=4,
    )
    return open_engine({"use": engine, **settings}, builder).run(job, Silent())


def pictures_of(folder: Path) -> dict[str, bytes]:
    return {name: sample.image.read_bytes() for name, sample in read_samples(folder).items()}


def test_pictures_and_judgments_of_a_generator_equal_the_local_ones(cluster: None, tmp_path: Path):
    for judges in (None, "shapes"):
        local, there = (generate_and_judge(engine, tmp_path / engine, judges, 1) for engine in ("local", "ray"))
        assert run_rows(there) == run_rows(local)
    assert pictures_of(there) == pictures_of(local)


def test_a_run_grows_on_ray_as_in_one_process(cluster: None, tmp_path: Path):
    for limit in (1, 2):
        local = generate_and_judge("local", tmp_path / "grown", "shapes", limit)
    generate_and_judge("ray", tmp_path / "run", "shapes", 1)
    before = pictures_of(tmp_path / "run")
    there = generate_and_judge("ray", tmp_path / "run", "shapes", 2)
    assert len(before) == 4
    assert pictures_of(there) == pictures_of(local)
    assert run_rows(there) == run_rows(local)
    assert read_info(there).identity == read_info(local).identity
    judged = (there / "judgments.jsonl").read_bytes()
    generate_and_judge("local", tmp_path / "run", "shapes", 2)
    assert (there / "judgments.jsonl").read_bytes() == judged  # seconds and all: nothing was done again


def test_a_table_grows_on_ray_and_its_old_rows_are_not_judged_again(cluster: None, tmp_path: Path):
    source, log = picture_manifest(tmp_path / "pictures", 20), tmp_path / "log"
    lines = source.read_text().splitlines(keepends=True)
    for count in (11, 20):
        source.write_text("".join(lines[:count]))
        folder = score("ray", source, tmp_path / "run", {"log": str(log)}, part=8)
    assert Counter(log.read_text().split()).most_common(1)[0][1] == 1
    assert len(list((folder / "parts").glob("*.parquet"))) == 2 + 2
    assert len(read_judgments(folder)) == 60
    (folder / "parts/part-00000.parquet").unlink()
    source.write_text("".join([*lines, lines[0]]))
    with pytest.raises(UsageError, match="1 of its 4 parts are not laid out; give the command that made it once more"):
        score("ray", source, tmp_path / "run", part=8)


def test_judges_that_do_not_answer_are_told_before_anything_is_done(cluster: None, tmp_path: Path):
    source = picture_manifest(tmp_path / "pictures", 8)
    builder, manifest = Builder(), Manifest(source)
    model = {"use": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "model": "none"}
    job = Job(
        folder=tmp_path / "run",
        samples=manifest,
        pictures=GivenPictures(manifest.place),
        rewards=builder.reward_set("prompt_image", model),
        settings={},
        tile=8,
    )
    with pytest.raises(GotR1Error, match=r"127\.0\.0\.1:9") as caught:
        open_engine({"use": "ray"}, builder).run(job, Silent())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run" / "samples.jsonl").exists()


def test_what_the_cluster_lacks_is_said(cluster: None, tmp_path: Path):
    source = picture_manifest(tmp_path / "pictures", 8)
    with pytest.raises(UsageError, match="and the cluster has 0; set worker_gpus="):
        score("ray", source, tmp_path / "run", worker_gpus=1)
