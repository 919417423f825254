"""Manifests and folders of pictures, read in a stream."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from gotr1_eval.core.chain import write_chain
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.parquet import write_parquet
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.manifest import Manifest

CHAIN = write_chain([("cat", Box(0, 0.4, 0.2, 0.6)), ("dog", Box(0.8, 0.4, 1, 0.6))])


def manifest_samples(source: Path | str) -> list[Sample]:
    return list(Manifest(source))


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
        ("x.xlsx", "no", UsageError, "expected a folder or a .csv, .jsonl or .parquet file"),
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
