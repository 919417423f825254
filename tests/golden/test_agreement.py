"""`gotr1-eval agreement` against values that independent packages computed on real human studies.

The mappings beside this file are such as a user would write; the data lie in the shared folder. A target's id says what
it is about: ``<study>/<what>/.../<coefficient>``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gotr1_eval.cli.app import make_app
from tests.conftest import SHARED, shared_files, shared_parameters

MAPPINGS = Path(__file__).parent / "agreement"
ANCHORS = ("krippendorff2011", "wikipedia")
"""The matrices that the shared README holds between backquotes, in this order."""
GENEVAL_NAMES = {
    "quality(1-4)": "quality",
    "count pooled": "counts",
    "colorset-0(exact)": "colors-0",
    "colorset-1(exact)": "colors-1",
    "color binary pooled": "each-color",
    "strict0": "correct",
    "strict1": "correct-strict",
}
Answer = float | None


@cache
def run(*arguments: str) -> dict[str, Any]:
    """What the command line prints for these arguments."""
    result = CliRunner().invoke(make_app(), ["agreement", *arguments, "--draws", "0", "--json"])
    assert result.exit_code == 0, result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def people(found: dict[str, Any], dimension: str, category: str = "all") -> dict[str, Any]:
    return next(row for row in found["people"] if (row["dimension"], row["category"]) == (dimension, category))


def judge(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in found["judges"] if row["judge"] == name and row["category"] == "all")


def anchor(data: Path, parts: list[str], folder: Path) -> Answer:
    """Published examples, a row a rater and "." for a missing mark, as a long table."""
    matrices = re.findall(r"`([\d.][\d. /]{20,})`", (SHARED / "README.md").read_text(encoding="utf-8"))
    lines = ["item,rater,value"]
    for rater, row in enumerate(matrices[ANCHORS.index(parts[0])].split("/")):
        lines += [f"u{unit},r{rater},{mark}" for unit, mark in enumerate(row.split()) if mark != "."]
    table = folder / f"{parts[0]}.csv"
    table.write_text("\n".join(lines), encoding="utf-8")
    return people(run(str(table)), "score")["alpha"][parts[1]]["value"]


def tifa(data: Path, parts: list[str], folder: Path) -> Answer:
    found = run(str(data / "tifa/human_annotations_with_scores.json"), "--mapping", str(MAPPINGS / "tifa.toml"))
    if parts[0] == "alpha":
        return people(found, "faithfulness")["alpha"][parts[1]]["value"]
    return judge(found, parts[0])["coefficients"][parts[1]]["value"]


def dsg(data: Path, parts: list[str], folder: Path) -> Answer:
    found = run("--mapping", str(MAPPINGS / "dsg.toml"), "--data", str(data / "dsg"))
    if parts[0] == "alpha":
        return people(found, "consistency")["alpha"][parts[1]]["value"]
    row = judge(found, parts[1])
    name = parts[2].removesuffix("_p")
    return row["p_values"][name] if parts[2].endswith("_p") else row["coefficients"][name]["value"]


def geneval(data: Path, parts: list[str], folder: Path) -> Answer:
    model, kind, *rest = parts
    table = data / f"geneval_mturk/annotations_{model}.csv"
    found = run(str(table), "--mapping", str(MAPPINGS / "geneval.toml"), "--data", str(data.parent))
    if kind == "majority_vote":
        if rest[-1] == "overall":
            return found["people_mean_over_categories"]["correct"]["majority_vote"]
        return people(found, "correct", rest[-1])["majority_vote"]["value"]
    dimension = GENEVAL_NAMES.get(rest[0], rest[0])
    if kind == "alpha":
        return people(found, dimension)["alpha"][rest[1] if len(rest) > 1 else "nominal"]["value"]
    row = people(found, dimension, rest[1] if len(rest) > 2 else "all")
    return row["alpha"]["nominal"]["value"] if rest[-1] == "alpha" else row[rest[-1]]["value"]


def viescore(data: Path, parts: list[str], folder: Path) -> Answer:
    answers = data / f"viescore/answers_{parts[1]}.jsonl.gz"
    raters = sorted(map(str, data.glob("viescore/human_annotations/*/ImagenHub_Text-Guided_IG/*.tsv")))
    dimension, how = parts[2].split("_")
    average = {"nb": "tanh_of_mean", "fz": "fisher"}[how]
    found = run(str(answers), *raters, "--mapping", str(MAPPINGS / "viescore.toml"), "--average", average)
    row = next(row for row in found["averages_over_categories"] if row["dimension"] == dimension)
    return row["coefficients"]["spearman"]["value"]


STUDIES: dict[str, Callable[[Path, list[str], Path], Answer]] = {
    "anchor": anchor,
    "tifa": tifa,
    "dsg": dsg,
    "viescore": viescore,
}


def answer(target: dict[str, Any], data: Path, folder: Path) -> Answer:
    study, *parts = target["id"].split("/")
    if study.startswith("geneval_mturk_"):
        return geneval(data, [study.removeprefix("geneval_mturk_"), *parts], folder)
    return STUDIES[study](data, parts, folder)


@pytest.mark.slow
@pytest.mark.parametrize("path", shared_parameters("data/agreement/targets.json"))
def test_every_target_comes_out_of_the_command_line(path, read_shared, count_shared, tmp_path):
    targets = json.loads(read_shared(path))
    wrong = []
    for target in targets:
        found, wanted = answer(target, SHARED / "data/agreement", tmp_path), target["value"]
        if found is None or wanted is None:
            right = found is None and wanted is None
        else:
            right = math.isclose(found, wanted, rel_tol=0, abs_tol=target["tol"])
        if not right:
            wrong.append(f"{target['id']}: {found}, wanted {wanted}")
    assert not wrong
    assert targets
    for file in shared_files("data/agreement/*/*"):
        if file.suffix in (".csv", ".json", ".gz"):
            count_shared(file)
