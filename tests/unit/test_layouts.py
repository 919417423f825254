"""The official evaluators' folders: what is written is found again, and names follow from the plan alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.layouts import open_pictures, paths_of, write_layout
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.types import Sample


def planned(prompt: str, category: str = "color", prompt_index: int = 0, image_index: int = 0, **meta) -> Sample:
    facts = {"category": category, "prompt_index": prompt_index, "image_index": image_index, **meta}
    return Sample(id=f"suite/{category}/{prompt_index:05d}/{image_index}", prompt=prompt, meta=facts)


def painted(folder: Path, samples: list[Sample]) -> list[Sample]:
    made = []
    for number, sample in enumerate(samples):
        path = folder / f"{number}.png"
        Image.new("RGB", (2, 2), (number, 0, 0)).save(path)
        made.append(replace(sample, image=path))
    return made


COMPBENCH = [
    planned(prompt, category, index, image)
    for category in ("color", "3d_spatial")
    for index, prompt in enumerate(("a red cat.", "naïve 日本"))
    for image in (0, 1)
]
ROW = {"tag": "colors", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"}
GENEVAL = [
    planned("a photo of a bench", tag, 0, image, geneval={**ROW, "tag": tag})
    for tag in ("colors", "counting")
    for image in (0, 1)
]


def test_compbench_names_by_hand():
    names = [str(path) for path in paths_of("t2i-compbench", COMPBENCH).values()]
    assert names[:5] == [
        "color/samples/a red cat._000000.png",
        "color/samples/a red cat._000001.png",
        "color/samples/naïve 日本_000002.png",
        "color/samples/naïve 日本_000003.png",
        "3d_spatial/samples/a red cat._000000.png",
    ]


@pytest.mark.parametrize(("layout", "plan"), [("t2i-compbench", COMPBENCH), ("geneval", GENEVAL)])
def test_what_is_written_is_found_again(layout, plan, tmp_path: Path):
    (tmp_path / "run").mkdir()
    made = painted(tmp_path / "run", plan)
    assert write_layout(layout, plan, made[3:], tmp_path / "out") == len(plan) - 3
    assert write_layout(layout, plan, made, tmp_path / "out") == len(plan)
    pictures = open_pictures(tmp_path / "out")
    for sample in made:
        assert pictures.find(replace(sample, image=None)).read_bytes() == sample.image.read_bytes()
    assert len(pictures.files()) == len(plan)
    assert pictures.find(planned("another", "color")) is None
    assert pictures.find(replace(plan[0], meta={**plan[0].meta, "image_index": 2})) is None


def test_geneval_folders_by_hand(tmp_path: Path):
    (tmp_path / "run").mkdir()
    write_layout("geneval", GENEVAL, painted(tmp_path / "run", GENEVAL), tmp_path / "out")
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    each = ["metadata.jsonl", "samples/0000.png", "samples/0001.png"]
    assert files == [f"{number}/{name}" for number in ("00000", "00001") for name in each]
    assert json.loads((tmp_path / "out/00001/metadata.jsonl").read_text()) == {**ROW, "tag": "counting"}


def test_one_category_alone_is_found_in_its_folder(tmp_path: Path):
    (tmp_path / "run").mkdir()
    made = painted(tmp_path / "run", COMPBENCH[:4])
    write_layout("t2i-compbench", COMPBENCH, made, tmp_path / "out")
    for folder in ("out", "out/color", "out/color/samples"):
        found = open_pictures(tmp_path / folder).find(COMPBENCH[3])
        assert found is not None
        assert found.read_bytes() == made[3].image.read_bytes()


def test_a_picture_painted_anew_replaces_its_link(tmp_path: Path):
    (tmp_path / "run").mkdir()
    made = painted(tmp_path / "run", COMPBENCH[:1])
    write_layout("t2i-compbench", COMPBENCH, made, tmp_path / "out")
    made[0].image.unlink()
    Image.new("RGB", (3, 3)).save(made[0].image)
    write_layout("t2i-compbench", COMPBENCH, made, tmp_path / "out")
    assert open_pictures(tmp_path / "out").find(made[0]).read_bytes() == made[0].image.read_bytes()


@pytest.mark.parametrize("prompt", ["a/b", "snake_case", "", "x" * 250, "\0"])
def test_a_prompt_that_cannot_be_a_name(prompt: str):
    with pytest.raises(UsageError, match="cannot be a file name"):
        paths_of("t2i-compbench", [planned(prompt)])


def test_geneval_needs_its_metadata():
    with pytest.raises(UsageError, match="no row of GenEval's metadata"):
        paths_of("geneval", COMPBENCH)


@pytest.mark.parametrize("text", ["", "{}\n", "[1]\n", '{"prompt": "a"}\n{"prompt": "b"}\n'])
def test_metadata_of_another_kind(text: str, tmp_path: Path):
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "metadata.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"metadata\.jsonl"):
        open_pictures(tmp_path)
