"""DPG-Bench against golden vectors: what its own script says of made-up answers, through the judge and its totals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmarks.checklist.asking import OneByOne
from benchmarks.checklist.judge import ChecklistJudge
from benchmarks.dpg_bench import answered_file
from benchmarks.dpg_bench.asking import is_yes, procedure
from benchmarks.dpg_bench.crops import OfficialCrops
from benchmarks.dpg_bench.propositions import FACT, Item, make_items
from benchmarks.dpg_bench.results import item_name
from benchmarks.dpg_bench.totals import File, total
from gotr1_eval.core.outcome import Outcome, Score
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from tests.conftest import rows, shared_parameters
from tests.fakes import ScriptedVlm

FILES = shared_parameters("golden/checklists/dpg_*.jsonl")
COLOURS = [(200, 30, 30), (30, 160, 40), (40, 40, 210), (230, 230, 230)]
Read = Callable[[Path], str]


def lines(csv: Sequence[Sequence[Any]]) -> list[dict[str, str]]:
    names = ("item_id", "proposition_id", "dependency", "tuple", "question_natural_language")
    return [dict(zip(names, map(str, row), strict=True)) for row in csv]


def grid(size: Sequence[int], resolution: int) -> Image.Image:
    picture = Image.new("RGB", tuple(size))
    for place, colour in enumerate(COLOURS):
        left, top = place % 2 * resolution, place // 2 * resolution
        picture.paste(colour, (left, top, left + resolution, top + resolution))
    return picture


def judge(item: Item, answers: Mapping[str, Sequence[str]], size: Sequence[int], row: Mapping[str, Any]) -> Outcome:
    """The judge on a grid; the squares that it cuts are told apart by their order."""
    seen: list[Image.Image] = []

    def answer(request: Request) -> str:
        if not any(request.images[0] is one for one in seen):
            seen.append(request.images[0])
        return answers[request.prompt][next(n for n, one in enumerate(seen) if one is request.images[0])]

    asking = OneByOne(write=lambda case, question: Request(prompt=question.text), read=is_yes, reader="exact")
    rules = procedure(
        "dpg", asking, "reference", grid=True, resolution=row.get("resolution", 8), pictures=row["pic_num"]
    )
    sample = Sample(id="s", prompt="", image=grid(size, row.get("resolution", 8)), meta={FACT: item.fact()})
    return ChecklistJudge(ScriptedVlm(answer), rules).judge([sample])[0]


def check_categories(files: Sequence[File], row: Mapping[str, Any]) -> None:
    found = total(files, "reference")
    broad = {} if found is None else {name: 100 * mean.value for name, mean in found.broad.items()}
    detailed = {} if found is None else {name: 100 * mean.value for name, mean in found.detailed.items()}
    assert broad == pytest.approx(row["L1"], abs=1e-9), row["id"]
    assert detailed == pytest.approx(row["L2"], abs=1e-9), row["id"]
    if "L2_n" in row and found is not None:
        assert {name: mean.questions for name, mean in found.detailed.items()} == row["L2_n"]


@pytest.mark.parametrize("path", FILES)
def test_a_picture_is_scored_as_the_script_does(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "sample"):
        asked = [["a", number, dependency, kind, f"{number}?"] for number, dependency, kind in row["propositions"]]
        csv = lines([["first", 1, "0, 1", "entity - whole (x)", "lost?"], *asked])
        item = make_items(csv)[1]
        outcome = judge(item, {f"{number}?": said for number, said in row["answers"].items()}, (16, 16), row)
        if row["failed"]:
            assert not isinstance(outcome, Score), row["id"]
            check_categories([], row)
            continue
        assert isinstance(outcome, Score), (row["id"], outcome)
        assert outcome.value == pytest.approx(row["score"]["mean"], abs=1e-9), row["id"]
        check_categories([answered_file(item.id, [outcome])], row)


@pytest.mark.parametrize("path", FILES)
def test_a_run_is_added_up_as_the_script_does(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "run"):
        items = {item.id: item for item in make_items(lines(row["csv"]))}
        files, failed = {}, []
        for name, size in row["pictures"].items():
            item = items.get(item_name(name))
            outcome = judge(item, row["answers"].get(name, {}), size, row) if item and size != [0, 0] else None
            if isinstance(outcome, Score):
                files[name] = answered_file(name, [outcome])
            else:
                failed.append(name)
        assert sorted(failed) == sorted(row["failed"]), row["id"]
        assert {name: file.score for name, file in files.items()} == pytest.approx(
            {name: one["mean"] for name, one in row["files"].items()}, abs=1e-9
        )
        found = total(list(files.values()), "reference")
        if row["dpg"] == "nan":
            assert found is None
        else:
            assert 100 * found.value == pytest.approx(row["dpg"], abs=1e-9)
        check_categories(list(files.values()), row)


@pytest.mark.parametrize("path", FILES)
def test_squares_are_cut_as_the_script_cuts_them(path: Path, read_shared: Read):
    for row in rows(read_shared(path), "crop"):
        if row["resolution"] is None:  # the script fails on every file; here a cell is then half a file wide
            assert row["dpg"] == "nan"
            assert [cell.size for cell in OfficialCrops().pictures(grid(row["picture"], 16))] == [(16, 16)] * 4
            continue
        cells = OfficialCrops(row["resolution"], row["pic_num"]).pictures(grid(row["picture"], row["resolution"]))
        assert [list(cell.size) for cell in cells] == [one["size"] for one in row["crops_seen"]], row["id"]
        for cell, seen in zip(cells, row["crops_seen"], strict=True):
            colours = cell.getcolors()
            alone = colours[0][1] if colours is not None and len(colours) == 1 else None
            assert (COLOURS.index(alone) if alone in COLOURS else None) == seen["colour"], row["id"]
