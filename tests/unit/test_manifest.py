"""Manifests and folders of pictures, read in a stream."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Why
from gotr1_eval.core.types import Box, Prompt, Sample
from gotr1_eval.files.prompts import read_prompts
from gotr1_eval.files.remote_pictures import at_hand
from gotr1_eval.files.writing import write_parquet
from gotr1_eval.runs.job import Job
from gotr1_eval.runs.manifest import Manifest
from gotr1_eval.runs.run import run_job
from gotr1_eval.runs.sources import GivenPictures
from gotr1_eval.runs.store import read_judgments
from tests.run_rows import picture_manifest

CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def manifest_samples(source: Path | str) -> list[Sample]:
    return list(Manifest(source))


def texts(prompts: Mapping[str, Sequence[Prompt]]) -> dict[str, list[str]]:
    return {category: [prompt.text for prompt in listed] for category, listed in prompts.items()}


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_manifests(tmp_path: Path, kind: str):
    Image.new("RGB", (4, 4)).save(tmp_path / "x.png")
    rows = [
        {"prompt": "a cat", "image": "x.png", "chain": None, "category": "one", "model": "m"},
        {"prompt": "nan", "image": None, "chain": CHAIN, "category": None, "model": "n"},
    ]
    path = tmp_path / f"list.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        frame = pd.DataFrame(rows)
        frame.to_csv(path, index=False) if kind == "csv" else write_parquet(frame, path)
    first, second = manifest_samples(path)
    assert (first.id, first.image, first.chain) == ("list/one/00000/0", tmp_path / "x.png", None)
    assert first.meta == {"model": "m", "category": "one"}
    assert (second.prompt, second.image, second.chain) == ("nan", None, CHAIN)
    assert second.meta["category"] == "no category"


def test_a_folder_gives_prompts_by_file_name(tmp_path: Path):
    for name in ("a cat_000003.png", "a dog.jpg", "sub/a_bird.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [sample.prompt for sample in manifest_samples(tmp_path)] == ["a cat", "a dog", "a_bird"]


@pytest.mark.parametrize(
    ("name", "text", "error", "message"),
    [
        ("x.jsonl", '{"image": "x.png"}\n', DataError, r"x\.jsonl:1: expected a text under 'prompt', got None"),
        ("x.jsonl", '{"prompt": "p"}\n', DataError, r"x\.jsonl:1: the row has neither 'image' nor 'chain'"),
        (
            "x.jsonl",
            '{"prompt": "p", "image": 3}\n',
            DataError,
            r"x\.jsonl:1: expected a text or nothing under 'image'",
        ),
        ("x.jsonl", "{\n", DataError, r"x\.jsonl:1: expected a JSON object"),
        ("x.jsonl", "", UsageError, "holds nothing to score"),
        ("x.csv", "image\nx.png\n", DataError, r"x\.csv:2: expected a text under 'prompt'"),
        ("x.parquet", "no", DataError, r"x\.parquet: cannot be read as \.parquet"),
        ("x.xlsx", "no", UsageError, r"expected a table \(\.csv, .*\) or a folder of them"),
    ],
)
def test_bad_manifests_get_one_line(tmp_path: Path, name: str, text: str, error: type[Exception], message: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(error, match=message) as caught:
        manifest_samples(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_nothing_there(tmp_path: Path):
    with pytest.raises(UsageError, match="no such folder or manifest"):
        manifest_samples(tmp_path / "none")


def test_a_manifest_without_a_last_newline_loses_nothing(tmp_path: Path):
    (tmp_path / "x.jsonl").write_text('{"prompt": "a", "chain": "c"}\n\n{"prompt": "b", "chain": "c", "x": NaN}')
    assert [sample.prompt for sample in manifest_samples(tmp_path / "x.jsonl")] == ["a", "b"]
    (tmp_path / "x.jsonl").write_text('{"prompt": "a", "chain": "c"}\n{"prompt"')
    with pytest.raises(DataError, match=r"x\.jsonl:2: expected a JSON object"):
        manifest_samples(tmp_path / "x.jsonl")


def test_pictures_of_one_prompt_share_its_index(tmp_path: Path):
    rows = [{"prompt": p, "chain": "c"} for p in ("a", "b", "a")]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [sample.id for sample in manifest_samples(tmp_path / "x.jsonl")] == [
        "x/all/00000/0",
        "x/all/00001/0",
        "x/all/00000/1",
    ]


def test_the_whole_tables_row_cannot_be_a_category(tmp_path: Path):
    rows = [{"prompt": "a", "chain": "c", "category": name} for name in ("color", "all")]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"x\.jsonl:2: a category cannot be called 'all'"):
        manifest_samples(tmp_path / "x.jsonl")


def test_odd_columns_are_kept_as_text(tmp_path: Path):
    frame = pd.DataFrame({"prompt": ["a"], "chain": ["c"], "when": [pd.Timestamp("2026-01-02")], "list": [[1, 2]]})
    write_parquet(frame, tmp_path / "x.parquet")
    (sample,) = manifest_samples(tmp_path / "x.parquet")
    assert str(sample.meta["when"]).startswith("2026-01-02")
    json.dumps(dict(sample.meta), allow_nan=False)


def test_a_table_in_shards_is_one_table(tmp_path: Path):
    rows = [{"prompt": f"p{index % 3}", "image": f"{index}.png", "chain": None, "score": index} for index in range(7)]
    (tmp_path / "shards").mkdir()
    for number, start in enumerate(range(0, 7, 3)):
        write_parquet(pd.DataFrame(rows[start : start + 3]), tmp_path / f"shards/list-{number}.parquet")
    (tmp_path / "whole.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = manifest_samples(tmp_path / "whole.jsonl")
    for source in ("shards", "shards/list-*.parquet", f"file://{tmp_path}/shards/list-*.parquet"):
        place = source if "://" in source else str(tmp_path / source)
        samples = manifest_samples(place)
        assert [sample.id.partition("/")[2] for sample in samples] == [sample.id.partition("/")[2] for sample in whole]
        assert [sample.meta["score"] for sample in samples] == list(range(7))
    assert samples[0].meta["image_url"] == f"file://{tmp_path}/shards/0.png"
    assert manifest_samples(tmp_path / "shards")[6].image == tmp_path / "shards/6.png"


def test_pictures_behind_urls_are_judged_from_temporary_files(tmp_path: Path):
    import fsspec

    memory = fsspec.filesystem("memory")
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, format="PNG")
    memory.pipe_file("/bucket/red.png", buffer.getvalue())
    rows = [{"prompt": "a red circle", "image": name} for name in ("red.png", "none.png", "nothing://x/y.png")]
    memory.pipe_file("/bucket/list.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    samples = manifest_samples("memory://bucket/list.jsonl")
    assert [sample.image for sample in samples] == [None, None, None]
    with at_hand(samples) as found:
        first, second, third = found.samples
        assert first.image.read_bytes() == buffer.getvalue()
        assert (second.image.name, second.image.exists()) == ("none.png", False)
        assert list(found.lost) == [third.id]
        assert found.lost[third.id].why is Why.BACKEND
    assert not first.image.exists()


def test_the_same_pictures_behind_urls_get_the_same_scores(tmp_path: Path):
    source = picture_manifest(tmp_path, 5)
    judged = []
    for place in (str(source), f"file://{source}"):
        manifest = Manifest(place)
        rewards = Builder().reward_set("shapes_prompt_image")
        run = tmp_path / f"run{len(judged)}"
        run_job(
            Job(
                folder=run, samples=list(manifest), pictures=GivenPictures(manifest.place), rewards=rewards, settings={}
            )
        )
        judged.append([judgment.outcome for judgment in read_judgments(run).values()])
    assert judged[0] == judged[1]


@pytest.mark.slow
def test_a_table_of_any_length_is_read_in_little_memory(tmp_path: Path):
    """The peak while 20,000 rows are read is that of 2,000, give or take what a prompt's number takes."""
    peaks = []
    for rows in (2000, 20000):
        path = tmp_path / f"{rows}.jsonl"
        path.write_text(
            "".join(json.dumps({"prompt": f"p {index}", "chain": "c" * 200}) + "\n" for index in range(rows))
        )
        tracemalloc.start()
        assert sum(1 for _ in Manifest(path)) == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


def test_prompts_come_from_tables_too(tmp_path: Path):
    frame = pd.DataFrame({"prompt": ["a", "b ", "c"], "category": ["x", None, "x"]})
    write_parquet(frame, tmp_path / "p.parquet")
    assert texts(read_prompts(tmp_path / "p.parquet")) == {"x": ["a", "c"], "prompts": ["b"]}
    assert texts(read_prompts(f"file://{tmp_path}/*.parquet")) == {"x": ["a", "c"], "prompts": ["b"]}
    with pytest.raises(DataError, match="No such file"):
        read_prompts(tmp_path / "none.jsonl")
