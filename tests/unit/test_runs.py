"""The run folder: commits, torn lines, resuming, names that try to escape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.core.errors import DataError, RunError, UsageError
from gotr1_eval.core.outcome import Score
from gotr1_eval.core.types import Sample
from gotr1_eval.files.jsonl import append_rows, cut_torn_line, read_rows
from gotr1_eval.runs.judgments import Judgment
from gotr1_eval.runs.store import RunInfo, RunStore, read_info, read_samples, save_image, tiles

INFO = RunInfo(identity={"seed": 0, "suite": "x"}, setup={"judges": [], "expected": {}})


def test_tiles_depend_on_the_plan_alone():
    assert tiles([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert tiles([], 2) == []


def test_samples_and_judgments_come_back(tmp_path: Path):
    sample = Sample(
        id="x/y/00000/0", prompt='a "quoted" 🦊\nprompt \ud800', chain=None, seed=2**64 - 1, meta={"a": [1, None]}
    )
    judgment = Judgment(sample=sample.id, judge="j", fingerprint="f", outcome=Score(value=0.5))
    with RunStore.open(tmp_path / "run", INFO) as store:
        path = save_image(store.folder, sample.id, Image.new("RGB", (4, 4), "red"))
        store.append_samples(
            [Sample(id=sample.id, prompt=sample.prompt, seed=sample.seed, meta=sample.meta, image=path)]
        )
        store.append_judgments([judgment])
    with RunStore.open(tmp_path / "run", INFO) as store:
        (read,) = store.samples().values()
        assert (read.prompt, read.seed, read.meta) == (sample.prompt, sample.seed, sample.meta)
        assert read.image == path
        assert list(store.judgments().values()) == [judgment]


def test_a_run_folder_can_be_moved(tmp_path: Path):
    with RunStore.open(tmp_path / "run", INFO) as store:
        image = save_image(store.folder, "a/b/0/0", Image.new("RGB", (4, 4)))
        store.append_samples([Sample(id="a/b/0/0", prompt="p", image=image)])
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = read_samples(tmp_path / "moved")["a/b/0/0"].image
    assert moved is not None
    assert moved.is_file()


@pytest.mark.parametrize("name", ["../../etc/x", "/abs/x", "a/../../b", "a\0b/c", ".", "..", "🦊/\n", "x" * 5000, ""])
def test_pictures_stay_inside_the_run(tmp_path: Path, name: str):
    with RunStore.open(tmp_path / "run", INFO) as store:
        path = save_image(store.folder, name, Image.new("RGB", (1, 1)))
    assert path.resolve().is_relative_to((tmp_path / "run" / "images").resolve())
    assert path.is_file()


def test_a_torn_line_is_cut_off_and_its_tile_written_again(tmp_path: Path):
    with RunStore.open(tmp_path / "run", INFO) as store:
        store.append_samples([Sample(id=f"s/c/{i}/0", prompt="p") for i in range(3)])
    file = tmp_path / "run" / "samples.jsonl"
    whole = file.read_bytes()
    for cut in range(len(whole) - 60, len(whole) + 1, 7):
        file.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        assert len(read_samples(tmp_path / "run")) == complete
        with RunStore.open(tmp_path / "run", INFO) as store:
            store.append_samples([Sample(id="s/c/9/0", prompt="q")])
        assert len(read_samples(tmp_path / "run")) == complete + 1


def test_cutting_torn_lines_longer_than_a_block(tmp_path: Path):
    file = tmp_path / "x.jsonl"
    file.write_bytes(b'{"a":1}\n' + b"x" * 200_000)
    cut_torn_line(file)
    assert file.read_bytes() == b'{"a":1}\n'
    file.write_bytes(b"x" * 200_000)
    cut_torn_line(file)
    assert file.read_bytes() == b""


def test_a_damaged_line_is_named(tmp_path: Path):
    with RunStore.open(tmp_path / "run", INFO):
        pass
    (tmp_path / "run" / "samples.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"samples\.jsonl:1: not a sample"):
        read_samples(tmp_path / "run")
    (tmp_path / "run" / "samples.jsonl").write_text("[]\n")
    with pytest.raises(DataError, match=r"samples\.jsonl:1: expected a JSON object, got list"):
        read_samples(tmp_path / "run")


def test_strict_json(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_rows(tmp_path / "x.jsonl", [{"a": float("nan")}])
    append_rows(tmp_path / "y.jsonl", [{"a": "\ud800"}, {"a": "é"}])
    assert [row["a"] for _, row in read_rows(tmp_path / "y.jsonl")] == ["\ud800", "é"]


def test_resuming_needs_the_same_settings(tmp_path: Path):
    with RunStore.open(tmp_path / "run", INFO):
        pass
    other = RunInfo(identity={"seed": 1, "suite": "x"}, setup=INFO.setup)
    with pytest.raises(UsageError, match=r"other settings \(--seed was 0, now 1\); choose another --out or delete it"):
        RunStore.open(tmp_path / "run", other)
    assert read_info(tmp_path / "run").identity["seed"] == 0


def test_a_foreign_folder_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="not empty and holds no run"):
        RunStore.open(tmp_path, INFO)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(UsageError, match="cannot make the run folder"):
        RunStore.open(tmp_path / "thesis.tex" / "run", INFO)


def test_two_writers_are_refused(tmp_path: Path):
    with RunStore.open(tmp_path / "run", INFO), pytest.raises(RunError, match="another process is writing"):
        RunStore.open(tmp_path / "run", INFO)


def test_not_a_run(tmp_path: Path):
    with pytest.raises(DataError, match="not a run folder"):
        read_info(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(DataError, match="run format 99, this version reads 1"):
        read_info(tmp_path)
