"""T2I-CompBench's scoring against what its own scripts answer, `reference` semantics, every vector."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pixels import PixelBox, PixelDetection
from benchmarks.semantics import UndefinedScoreError
from benchmarks.t2i_compbench.attributes import attribute_questions, attribute_score
from benchmarks.t2i_compbench.complex_prompts import PARTS, complex_score, read_kinds
from benchmarks.t2i_compbench.judges.numeracy import ALIASES, same_object, score_numeracy, without_duplicates
from benchmarks.t2i_compbench.judges.spatial_3d import relation_3d, score_3d
from benchmarks.t2i_compbench.labels import PEOPLE
from benchmarks.t2i_compbench.numeracy_prompts import read_counts, read_vocabulary
from benchmarks.t2i_compbench.spatial_2d import relation_2d, score_2d
from benchmarks.t2i_compbench.spatial_prompts import (
    WORDS_2D,
    WORDS_3D,
    find_word,
    first_and_last_noun,
    objects_beside_prepositions,
)
from gotr1_eval.core.coco import NAMES, coco_name
from gotr1_eval.core.perception import Token
from gotr1_eval.files.prompts import read_prompt_list
from reports.published.benchmark import known_benchmarks
from tests.conftest import SHARED, rows, shared_parameters

Read = Callable[[Path], str]
PROMPTS = SHARED / "data/t2i_compbench"


def box(corners: list[float]) -> PixelBox:
    x1, y1, x2, y2 = corners
    return x1, y1, x2, y2


def seen(row: dict[str, Any]) -> list[PixelDetection]:
    return [PixelDetection(found["label"], found["score"], box(found["box"])) for found in row["detections"]]


def tokens(row: dict[str, Any]) -> list[Token]:
    return [Token(text, pos) for text, pos in zip(row["tokens"], row["pos"], strict=True)]


def depths(row: dict[str, Any]) -> Any:
    return np.array(row["depth_u8"], dtype=np.uint8).astype(np.float32) / np.float32(255)


def check(row: dict[str, Any], compute: Callable[[], float]) -> None:
    """The value to 1e-9, or the same exception's name."""
    if row["error"] is None:
        assert compute() == pytest.approx(row["score"], abs=1e-9), row
        return
    with pytest.raises(UndefinedScoreError) as caught:
        compute()
    assert caught.value.official_error == row["error"], row


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_relation_2d_*.jsonl"))
def test_relations_in_the_plane(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):
        check(row, lambda row=row: relation_2d(row["locality"], box(row["box1"]), box(row["box2"])))


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_spatial_2d_images_*.jsonl"))
def test_pictures_of_spatial_and_complex_prompts(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):

        def compute(row: dict[str, Any] = row) -> float:
            parse = objects_beside_prepositions if row["complex"] else first_and_last_noun
            return score_2d(find_word(row["prompt"], WORDS_2D), parse(tokens(row)), seen(row)).value

        check(row, compute)


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_relation_3d_*.jsonl"))
def test_relations_in_depth(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):
        check(row, lambda row=row: relation_3d(row["locality"], box(row["box1"]), box(row["box2"]), depths(row)))


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_spatial_3d_*.jsonl"))
def test_pictures_of_3d_prompts(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):

        def compute(row: dict[str, Any] = row) -> float:
            objects = first_and_last_noun(tokens(row))
            return score_3d(find_word(row["prompt"], WORDS_3D), objects, seen(row), depths(row)).value

        check(row, compute)


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_numeracy_[dh]*.jsonl"))
def test_pictures_of_numeracy_prompts(path: Path, read_shared: Read):
    vocabulary = read_vocabulary(PROMPTS / "new_objects.txt")
    for row in rows(read_shared(path)):

        def compute(row: dict[str, Any] = row) -> float:
            return score_numeracy(row["prompt"], read_counts(row["tokens"], vocabulary), seen(row)).value

        check(row, compute)
        if (after := row["ref_locals"].get("n_after_dedup")) is not None:
            assert len(without_duplicates(seen(row))) == after


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_numeracy_iou_*.jsonl"))
def test_duplicates(path: Path, read_shared: Read):
    for row in rows(read_shared(path)):
        assert same_object(box(row["box1"]), box(row["box2"])) == bool(row["dup"]), row


@pytest.mark.parametrize("path", shared_parameters("golden/compbench_3in1*.json"))
def test_three_in_one(path: Path, read_shared: Read):
    golden = json.loads(read_shared(path))
    kinds = read_kinds(PROMPTS)
    branches = json.loads(read_shared(path.with_name("complex_branches.json")))
    assert [kinds.kind(row["prompt"]) for row in branches] == [row["branch"] for row in branches]
    for place, value in enumerate(golden["result"]):
        kind = branches[place // golden["num_images_per_prompt"]]["branch"]
        parts = {part: golden["inputs"][part][place] for part in PARTS["both"]}
        assert complex_score(kind, parts) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("path", shared_parameters("golden/blip/blip_vqa_product*.json"))
def test_products_of_yes(path: Path, read_shared: Read):
    for case in json.loads(read_shared(path)):
        answers = {result["question_id"]: result["answer"] for result in case["result"]}
        scores = []
        for place, chunks in enumerate(case["noun_chunks"].values()):
            columns = [column[place] for column in case["per_np"]]
            asked = [column["question"] for column in columns if column["question"]]
            assert list(attribute_questions(chunks)[: case["np_num"]]) == asked
            scores.append(attribute_score([float(column["answer"]) for column in columns if column["question"]]))
            assert f"{scores[-1]:.4f}" == answers[place]
        mean = float(case["score_txt"].removeprefix("BLIP-VQA score:"))
        assert sum(scores) / len(scores) == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize("path", shared_parameters("golden/phrases/*.jsonl"))
def test_the_ceilings_are_those_of_perfect_pictures(path: Path, read_shared: Read):
    """Every prompt painted perfectly: what its objects' labels leave of the score, for each detector's labels."""
    parses = {row["prompt"]: [Token(*token) for token in row["tokens"]] for row in rows(read_shared(path))}
    unidet = json.loads((SHARED / "golden/unidet_labels.json").read_text())
    coco = [coco_name(name) for name in NAMES]
    ceilings = {labels.name: labels.ceilings for known in known_benchmarks() for labels in known.labels}
    for source, labels in (("UniDet's labels", unidet), ("COCO's 80 names", coco)):
        mean = {metric: means(metric, labels, parses) for metric in ("spatial", "3d_spatial", "numeracy", "complex")}
        told = {metric: float(re.findall(r"[0-9.]+", line)[0].rstrip(".")) for metric, line in ceilings[source].items()}
        assert {metric: mean[metric] for metric in told} == pytest.approx(told, abs=0.009)
        assert all(mean[metric] == 1.0 for metric in mean.keys() - told.keys())


def means(metric: str, labels: list[str], parses: dict[str, list[Token]]) -> float:
    """The mean score over a list's prompts when all that has a label is found where it belongs."""
    kinds, vocabulary = read_kinds(PROMPTS), read_vocabulary(PROMPTS / "new_objects.txt")
    scores = []
    for prompt in read_prompt_list(PROMPTS / f"{metric}_val.txt"):
        words = parses[prompt]
        if metric == "numeracy":
            counts = read_counts([token.text for token in words], vocabulary)
            found = [any(ALIASES.get(count.name, count.name) in label for label in labels) for count in counts]
            scores.append(sum(found) / len(found))
        elif metric == "3d_spatial":
            held = [any(PEOPLE.get(name, name) in label for label in labels) for name in first_and_last_noun(words)]
            scores.append(1.0 if all(held) else 0.25 * sum(held))
        elif metric == "spatial":
            scores.append(float(all(PEOPLE.get(name, name) in labels for name in first_and_last_noun(words))))
        else:
            pair = objects_beside_prepositions(words)
            both = pair is not None and all(PEOPLE.get(name, name) in labels for name in pair)
            # "on top of" never holds; full confidence in both objects is half a score.
            spatial = both * (0.5 if find_word(prompt, WORDS_2D) == "on top of" else 1.0)
            scores.append(complex_score(kinds.kind(prompt), {"attribute": 1.0, "spatial": spatial, "action": 0.35}))
    return sum(scores) / len(scores)
