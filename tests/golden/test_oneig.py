"""OneIG-Bench against golden vectors: what its own scripts say of made-up answers and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.checklist.encoding import Grid
from benchmarks.oneig.prompts import ALIGNMENT
from benchmarks.oneig.texts import PromptTexts, answer_tokens, clean, compare, normalise, sum_up
from benchmarks.semantics import UndefinedScoreError
from gotr1_eval.build import Builder
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import Judge, Request
from gotr1_eval.core.types import Sample
from tests.conftest import rows, shared_parameters
from tests.fakes import ScriptedVlm

FILES = shared_parameters("golden/checklists/oneig_*.jsonl")
COLOURS = [(200, 30, 30), (30, 160, 40), (40, 40, 210), (230, 230, 230), (120, 10, 130), (0, 0, 1), (10, 120, 120),
           (250, 200, 0), (90, 60, 30)]  # fmt: skip
SCRIPT = 'class I:\n    def infer_semantic(self, question):\n        return {"text": f"{question}|asked"}\n'
Read = Callable[[Path], str]


def paint(size: Sequence[int], columns: int, lines: int, black: Sequence[int], offset: int = 0) -> Image.Image:
    picture = Image.new("RGB", tuple(size), (128, 128, 128))
    width, height = size[0] // columns, size[1] // lines
    for place in range(columns * lines):
        left, top = place % columns * width, place // columns * height
        colour = (0, 0, 0) if place in black else COLOURS[(place + offset) % len(COLOURS)]
        picture.paste(colour, (left, top, left + width, top + height))
    return picture


def alignment(row: Mapping[str, Any], vlm: ScriptedVlm, judge_of: Callable[[str], Judge]) -> Outcome:
    """The judge on a grid of coloured cells; cells are told apart by the order in which they are asked about."""
    columns, lines = row["grid"]
    kept = [cell for cell in range(columns * lines) if cell not in row["black"]]
    seen: list[Image.Image] = []

    def answer(request: Request) -> str:
        if not any(request.images[0] is one for one in seen):
            seen.append(request.images[0])
        cell = next(place for place, one in enumerate(seen) if one is request.images[0])
        return row["answers"][request.prompt.partition("?|")[0]][kept[cell]]

    vlm.answer = answer
    judge = judge_of(f"{columns}x{lines}")
    fact = {
        "class": "anime", "id": "000", "questions": {str(key): f"{key}?" for key in row["questions"]},
        "dependency": row["dependency"],
    }  # fmt: skip
    picture = paint((columns * 12, lines * 12), columns, lines, row["black"])
    return judge.judge([Sample(id="s", prompt="", image=picture, meta={ALIGNMENT: fact})])[0]


@pytest.fixture
def asked(tmp_path: Path) -> tuple[ScriptedVlm, Callable[[str], Judge]]:
    """A model without an answer yet, and the judge that asks it, by the size of its grid."""
    (tmp_path / "inference.py").write_text(SCRIPT)
    vlm, builder = ScriptedVlm(lambda request: ""), Builder()
    builder.vlm = lambda spec: vlm  # type: ignore[method-assign]

    @cache
    def judge_of(size: str) -> Judge:
        spec = {"use": "oneig_alignment", "vlm": {"use": "x"}, "data": str(tmp_path), "grid": size}
        return builder.judge(spec)

    return vlm, judge_of


@pytest.mark.parametrize("path", FILES)
def test_alignment_is_the_script_s(path: Path, read_shared: Read, asked: Any):
    for row in rows(read_shared(path), "alignment"):
        if row["files_found"] != 1:
            assert row["score"] is None
            continue
        outcome = alignment(row, *asked)
        if row["score"] is None:
            assert not isinstance(outcome, Score), row["id"]
            continue
        assert isinstance(outcome, Score), (row["id"], outcome)
        assert outcome.value == pytest.approx(row["score"], abs=1e-9), row["id"]


@pytest.mark.parametrize("path", FILES)
def test_a_run_of_alignment_is_the_mean_over_prompts(path: Path, read_shared: Read, asked: Any):
    for row in rows(read_shared(path), "alignment_run"):
        assert row["error"] is None
        for model in row["models"]:
            values = []
            for key, scores in row["prompt"].items():
                spec = row["spec"][f"{key}/{model}"]
                if len(spec["files"]) != 1:
                    assert scores[model] is None
                    continue
                questions = {"questions": list(map(int, spec["answers"])), "grid": spec.get("grid", [2, 2])}
                outcome = alignment({**spec, **row["spec"][key], **questions}, *asked)
                value = outcome.value if isinstance(outcome, Score) else None
                assert value == (None if scores[model] is None else pytest.approx(scores[model], abs=1e-9)), key
                values += [] if value is None else [value]
            assert sum(values) / len(values) == pytest.approx(row["score"][model], abs=1e-9)


@pytest.mark.parametrize("path", FILES)
def test_texts_are_compared_as_the_script_does(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "text"):
        assert clean(row["ocr"]) == row["ocr_clean"], row["id"]
        assert (normalise(row["gold"]), normalise(row["ocr_clean"])) == (row["gold_norm"], row["ocr_norm"]), row["id"]
        found = compare(row["gold"], row["ocr"], "reference")
        assert (found.distance, found.match.matched, found.match.wanted) == (
            row["edit_distance"], row["match"], row["gold_count"],
        ), row["id"]  # fmt: skip
        assert found.ratio == pytest.approx(row["ratio"], abs=1e-9)


@pytest.mark.parametrize("path", FILES)
def test_a_run_of_texts_is_added_up_as_the_script_does(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "text_run"):
        prompts = {}
        for key, spec in row["spec"].items():
            cells = [read for cell, read in enumerate(spec["ocr"]) if cell not in spec["black"]]
            prompts[key] = PromptTexts(spec["gold"], cells if len(spec["files"]) == 1 else None)
            if key in row["max_new_tokens"]:
                assert answer_tokens(spec["gold"]) == row["max_new_tokens"][key]
        language = row["mode"].lower()
        if row["error"]:
            with pytest.raises(UndefinedScoreError):
                sum_up(prompts, language, "reference")
            continue
        total = sum_up(prompts, language, "reference")
        found = (total.distance, total.exact, total.accuracy, total.score)
        assert found == pytest.approx((row["ED"], row["CR"], row["WAC"], row["text_score"]), abs=1e-9), row["id"]
        for key, means in row["prompt"].items():
            assert total.prompts[key] == (None if means is None else pytest.approx(means, abs=1e-9)), (row["id"], key)


@pytest.mark.parametrize("path", FILES)
def test_grids_are_cut_as_the_script_cuts_them(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "grid"):
        columns, lines = row["grid"]
        picture = paint(row["size"], columns, lines, row["black"], row["colour_offset"]).convert(row["mode"])
        grid = Grid(columns, lines, quality=75, drop_black=True)
        if row["error"]:
            with pytest.raises(OSError, match="cannot write mode"):
                grid.pictures(picture)
            continue
        cells = grid.pictures(picture)
        assert [list(cell.size) for cell in cells] == row["cell_sizes"], row["id"]
        means = [np.asarray(cell.convert("RGB"), dtype=np.float64).mean(axis=(0, 1)) for cell in cells]
        for mean, expected in zip(means, row["jpeg_mean"], strict=True):
            assert mean == pytest.approx(expected, abs=2), row["id"]
