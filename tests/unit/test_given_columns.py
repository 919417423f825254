"""A table's own columns and pictures, from the manifest to the tables of a run."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.files.pictures import open_picture
from gotr1_eval.files.writing import read_parquet, write_parquet
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.sources import GivenPictures
from reports.dataframes import load_run
from reports.run_data import load_run as load_data
from reports.score_export import write_scores


def judged(source: Path | str, run: Path, judges: str = "shapes_prompt_image") -> Path:
    manifest = Manifest(source)
    run_job(
        Job(
            folder=run,
            samples=list(manifest),
            pictures=GivenPictures(manifest.place),
            rewards=Builder().reward_set(judges),
            settings={},
        )
    )
    write_scores(load_data(run))
    return run


def test_own_columns_reach_every_table_of_a_run(tmp_path: Path):
    Image.new("RGB", (8, 8), "red").save(tmp_path / "x.png")
    rows = [
        {"id": "u-7", "caption": "a red circle", "file_name": "x.png", "steps": 3, "tags": ["a", "ü"], "seed": 1},
        {"id": "u-8", "caption": "a \ud800", "file_name": "x.png", "steps": None, "tags": "b", "seed": None},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = judged(tmp_path / "t.jsonl", tmp_path / "run")
    frames = read_parquet(run / "scores.parquet"), pd.read_csv(run / "scores.csv")
    for frame in frames:
        assert frame["given id"].tolist() == ["u-7", "u-8"]
        assert frame["tags"].tolist() == ['["a", "ü"]', "b"]
        assert frame["steps"].tolist()[0] == 3
        assert frame["shapes_prompt_image/why"].notna().any()
    samples = load_run(run).samples
    assert samples["id"].tolist() == ["u-7", "u-8"]
    assert samples["given seed"].tolist()[0] == 1
    assert samples["seed"].isna().all()


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("group", [7, 1000])
def test_pictures_inside_parquet_become_files_of_the_run(tmp_path: Path, group: int):
    (tmp_path / "outside.png").write_bytes(png(99))
    images = [{"bytes": png(number), "path": f"{number}.png"} for number in range(40)]
    images[3] = {"bytes": None, "path": "outside.png"}
    frame = pd.DataFrame({"prompt": [f"p {number}" for number in range(40)], "image": images})
    frame.to_parquet(tmp_path / "hub.parquet", row_group_size=group)
    run = judged(tmp_path / "hub.parquet", tmp_path / "run")
    samples = list(load_data(run).samples.values())
    shades = [np.asarray(open_picture(sample.image))[0, 0, 0] for sample in samples]
    assert shades == [99 if number == 3 else number for number in range(40)]
    assert samples[3].image == tmp_path / "outside.png"
    samples[5].image.unlink()
    again = load_data(judged(tmp_path / "hub.parquet", run)).samples[samples[5].id]
    assert again.image.read_bytes() == png(5)


def test_bytes_without_a_struct_and_texts_that_are_bytes(tmp_path: Path):
    frame = pd.DataFrame({"prompt": [b"caf\xc3\xa9"], "image": [png(3)]})
    write_parquet(frame, tmp_path / "t.parquet")
    (sample,) = Manifest(tmp_path / "t.parquet")
    assert (sample.prompt, sample.image) == ("café", None)
    painter = pickle.loads(pickle.dumps(GivenPictures("t")))
    (made,) = painter.complete([sample], tmp_path / "run")
    assert made.image.read_bytes() == png(3)


def test_reading_rows_reads_no_picture(tmp_path: Path):
    """40 MB of pictures, of which the manifest holds nothing."""
    import tracemalloc

    noise = np.random.default_rng(0).bytes(1 << 20)
    frame = pd.DataFrame({"prompt": ["a"] * 40, "image": [{"bytes": b"\x89" + noise, "path": "x.png"}] * 40})
    frame.to_parquet(tmp_path / "t.parquet")
    del frame
    tracemalloc.start()
    assert sum(1 for _ in Manifest(tmp_path / "t.parquet")) == 40
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def folder_of(tmp_path: Path, *names: str) -> Path:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["metadata.csv", "METADATA.CSV", "captions.tsv", "metadata.jsonl"])
def test_a_table_beside_the_pictures_gives_their_prompts(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture):
    folder = folder_of(tmp_path, "b.png", "sub/a.png", "left.png")
    (tmp_path / "._b.png").write_bytes(b"x")
    rows = [("sub/a.png", "a cat, a dog"), ("b.png", "a cup")]
    if name.endswith("jsonl"):
        text = "".join(json.dumps({"file_name": file, "text": prompt}) + "\n" for file, prompt in rows)
    else:
        mark = "\t" if name.endswith("tsv") else ","
        text = f"file_name{mark}text\n" + "".join(f'{file}{mark}"{prompt}"\n' for file, prompt in rows)
    (folder / name).write_text(text)
    samples = [(sample.prompt, sample.image) for sample in Manifest(folder)]
    assert samples == [("a cat, a dog", folder / "sub/a.png"), ("a cup", folder / "b.png")]
    assert f"prompts are taken from {name}" in caplog.text
    assert "1 pictures beside it are in no row and are not judged, such as left.png" in caplog.text


def test_prompts_that_are_file_names_are_said_to_be(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = folder_of(tmp_path, "a cat_000000.png", "a dog.png")
    for hidden in ("._a cat_000000.png", ".hidden.png", "Thumbs.db", "__MACOSX/x.png"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"x")
    manifest = Manifest(folder)
    assert [sample.prompt for sample in (*manifest, *manifest)] == ["a cat", "a dog"] * 2
    assert caplog.text.count("prompts are taken from the file names, such as 'a cat'") == 1


def test_geneval_folders_give_their_own_prompts(tmp_path: Path):
    folder_of(tmp_path, "00000/samples/0000.png", "00001/samples/0000.png")
    for number, prompt in enumerate(("a photo of a bench", "a photo of a cow")):
        row = {"tag": "single_object", "include": [], "prompt": prompt}
        (tmp_path / f"0000{number}" / "metadata.jsonl").write_text(json.dumps(row))
    assert [sample.prompt for sample in Manifest(tmp_path)] == ["a photo of a bench", "a photo of a cow"]
