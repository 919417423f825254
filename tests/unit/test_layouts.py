"""The official evaluators' folders: what is written is found again, and names follow from the plan alone."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.types import Sample
from gotr1_eval.runs.layouts import NumberedNames, PromptFolders, write_layout
from gotr1_eval.runs.picture_folders import match_pictures


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


NAMES, FOLDERS = NumberedNames("T2I-CompBench"), PromptFolders("GenEval", "geneval")
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
    names = [str(path) for path in NAMES.paths(COMPBENCH).values()]
    assert names[:5] == [
        "color/samples/a red cat._000000.png",
        "color/samples/a red cat._000001.png",
        "color/samples/naïve 日本_000002.png",
        "color/samples/naïve 日本_000003.png",
        "3d_spatial/samples/a red cat._000000.png",
    ]


@pytest.mark.parametrize(("layout", "plan"), [(NAMES, COMPBENCH), (FOLDERS, GENEVAL)])
def test_what_is_written_is_found_again(layout, plan, tmp_path: Path):
    (tmp_path / "run").mkdir()
    made = painted(tmp_path / "run", plan)
    assert write_layout(layout, plan, made[3:], tmp_path / "out") == len(plan) - 3
    assert write_layout(layout, plan, made, tmp_path / "out") == len(plan)
    found = match_pictures(tmp_path / "out", plan)
    for sample in made:
        assert found.paths[sample.id].read_bytes() == sample.image.read_bytes()
    assert found.remarks == ()


def test_geneval_folders_by_hand(tmp_path: Path):
    (tmp_path / "run").mkdir()
    write_layout(FOLDERS, GENEVAL, painted(tmp_path / "run", GENEVAL), tmp_path / "out")
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    each = ["metadata.jsonl", "samples/0000.png", "samples/0001.png"]
    assert files == [f"{number}/{name}" for number in ("00000", "00001") for name in each]
    assert json.loads((tmp_path / "out/00001/metadata.jsonl").read_text()) == {**ROW, "tag": "counting"}


def test_one_category_alone_is_found_in_its_folder(tmp_path: Path):
    (tmp_path / "run").mkdir()
    made = painted(tmp_path / "run", COMPBENCH[:4])
    write_layout(NAMES, COMPBENCH, made, tmp_path / "out")
    for folder in ("out", "out/color", "out/color/samples"):
        found = match_pictures(tmp_path / folder, COMPBENCH)
        assert found.paths[COMPBENCH[3].id].read_bytes() == made[3].image.read_bytes()


def test_a_picture_painted_anew_replaces_its_link(tmp_path: Path):
    (tmp_path / "run").mkdir()
    made = painted(tmp_path / "run", COMPBENCH[:1])
    write_layout(NAMES, COMPBENCH, made, tmp_path / "out")
    made[0].image.unlink()
    Image.new("RGB", (3, 3)).save(made[0].image)
    write_layout(NAMES, COMPBENCH, made, tmp_path / "out")
    found = match_pictures(tmp_path / "out", COMPBENCH[:1])
    assert found.paths[made[0].id].read_bytes() == made[0].image.read_bytes()


@pytest.mark.parametrize("prompt", ["a/b", "snake_case", "", "x" * 250, "\0"])
def test_a_prompt_that_cannot_be_a_name(prompt: str):
    with pytest.raises(UsageError, match="cannot be a file name"):
        NAMES.paths([planned(prompt)])


def test_geneval_needs_its_metadata():
    with pytest.raises(UsageError, match="no row of GenEval's metadata"):
        FOLDERS.paths(COMPBENCH)


@pytest.mark.parametrize("text", ["", "{}\n", "[1]\n", '{"prompt": "a"}\n{"prompt": "b"}\n'])
def test_metadata_of_another_kind(text: str, tmp_path: Path):
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "metadata.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"metadata\.jsonl"):
        match_pictures(tmp_path, GENEVAL)


def touched(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return [folder / name for name in names]


def geneval_folder(folder: Path, prompt: str, *names: str) -> list[Path]:
    paths = touched(folder, *(f"samples/{name}" for name in names))
    (folder / "metadata.jsonl").write_text(json.dumps({**ROW, "prompt": prompt}))
    return paths


def bench(prompt_index: int = 0, image_index: int = 0) -> Sample:
    return planned("a bench", "colors", prompt_index, image_index, geneval={**ROW, "prompt": "a bench"})


def test_several_folders_of_one_prompt_are_one_prompts_pictures(tmp_path: Path):
    paths = [path for number in range(4) for path in geneval_folder(tmp_path / f"{number:05d}", "a bench", "0000.png")]
    plan = [bench(0, image) for image in range(4)]
    assert list(match_pictures(tmp_path, plan).paths.values()) == paths
    found = match_pictures(tmp_path, plan[:1])
    assert list(found.paths.values()) == paths[:1]
    assert found.remarks[0].endswith("and not judged, such as 00001/samples/0000.png")


def test_a_prompt_that_is_planned_twice_has_each_folder_once(tmp_path: Path):
    first = geneval_folder(tmp_path / "00000", "a bench", "0000.png", "0001.png")
    second = geneval_folder(tmp_path / "00007", "a bench", "0000.png")
    found = match_pictures(tmp_path, [bench(0, 0), bench(0, 1), bench(1, 0), bench(1, 1)])
    assert list(found.paths.values()) == [*first, *second]
    assert "1 planned sample has no picture, such as 'a bench', picture 2" in found.remarks[0]


def test_prompts_that_repeat_in_a_flat_folder_share_no_picture(tmp_path: Path):
    paths = touched(tmp_path, *(f"a cat_{number:06d}.png" for number in range(4)))
    plan = [planned("a cat", "color", index, image) for index in (0, 1) for image in (0, 1)]
    assert list(match_pictures(tmp_path, plan).paths.values()) == paths


@pytest.mark.parametrize("name", ["a cat.", "a cat ", "A cat", "a ‘cat’"])
def test_a_prompt_that_is_almost_planned_is_named(tmp_path: Path, name: str):
    touched(tmp_path, f"{name}_000000.png", "._a cat_000000.png")
    found = match_pictures(tmp_path, [planned("a cat")])
    assert found.paths == {}
    unplanned, missing = found.remarks
    assert "1 picture is of a prompt that is not asked for and not judged" in unplanned
    assert unplanned.endswith(f"; {name!r} is not the planned 'a cat'")
    assert "1 planned sample has no picture, such as 'a cat', picture 1" in missing


def test_an_accent_taken_apart_is_the_same_accent(tmp_path: Path):
    (path,) = touched(tmp_path, unicodedata.normalize("NFD", "a café_000000.png"))
    plan = [planned("a café")]
    assert match_pictures(tmp_path, plan).paths == {plan[0].id: path}


def test_a_number_that_stands_there_twice_is_one_picture(tmp_path: Path):
    touched(tmp_path, "a cat_000000.jpg", "a cat_000000.png", "a cat_000001.png")
    found = match_pictures(tmp_path, [planned("a cat", image_index=image) for image in (0, 1)])
    assert [path.name for path in found.paths.values()] == ["a cat_000000.jpg", "a cat_000001.png"]
    assert "1 picture is of the same prompt and number as another" in found.remarks[0]
