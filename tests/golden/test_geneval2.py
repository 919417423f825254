"""GenEval 2 against what its own code answered to vectors of first-token scores: scores, prompts, totals and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from benchmarks.geneval2.judges.geneval2 import Method, soft_tifa
from benchmarks.geneval2.prompts import ATOMS, DATA, FACTS, SKILLS, Row, Wording, forms, read_file, read_row
from benchmarks.geneval2.results import tables
from gotr1_eval.core.checklist import Question, within_picture
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Sample
from tests.conftest import shared_files, shared_parameters
from tests.fakes import ScriptedVlm

Vector = Mapping[str, Any]
Read = Callable[[Path], str]
GOLDEN = shared_parameters("golden/checklists/geneval2_*.jsonl")
VOCABULARY = 151_936
WORDING = Wording("{} One word!", 'Is it "{}"?')
_LOGITS = torch.empty(VOCABULARY)
YES = Question(id="prompt", text="?", answers=("Yes",))
PICTURE = Image.new("RGB", (8, 8))
QWEN = {
    "Yes": (9454, 9693, 9834, 7414),
    "one": (603, 3966, 825, 3776, 16, 220),
    "two": (19789, 11613, 1378, 9043, 17, 220),
    "three": (27856, 19641, 2326, 14513, 18, 220),
    "four": (34024, 26972, 3040, 13322, 19, 220),
    "five": (52670, 37020, 4236, 20924, 20, 220),
    "six": (50364, 41460, 4743, 18680, 21, 220),
    "seven": (80185, 59528, 8094, 29948, 22, 220),
}
"""The ids of the listed forms in Qwen's vocabulary, for the expected answers that the data has."""


def listed(vector: Vector) -> list[float]:
    """The log-probabilities of the ids that the script sums, in float32 as a model in this process has them."""
    logits = _LOGITS.fill_(vector["base"])
    for token, value in vector["logits"].items():
        logits[int(token)] = value
    log_probs: list[float] = logits.log_softmax(dim=-1)[list(vector["ids"])].tolist()
    return log_probs


def judged(method: Method, row: Row, vectors: Sequence[Vector]) -> Outcome:
    """What the judge makes of a picture whose questions are answered by these vectors."""
    pairs = zip(vectors, [YES] if method == "vqascore" else row.questions, strict=True)

    def answer(request: Request) -> Reply:
        vector, question = next(pairs)
        if not request.first_tokens:
            return Reply(text=vector["pred"], model="m", finish="length")
        log_probs = dict(zip(forms(question, "reference"), listed(vector), strict=True))
        return Reply(text="", model="m", first_tokens={form: log_probs[form] for form in request.first_tokens})

    judge = soft_tifa(ScriptedVlm(answer), WORDING, method=method, semantics="reference", renormalised=False, model="m")
    (outcome,) = judge.judge([Sample(id="s", prompt=row.prompt, image=PICTURE, meta={FACTS: dict(row.fact)})])
    return outcome


def score(outcome: Outcome) -> Score:
    assert isinstance(outcome, Score), outcome
    return outcome


@pytest.fixture(scope="module")
def data() -> list[Row]:
    (path,) = shared_files(f"data/geneval2/{DATA}") or [None]
    return pytest.skip("no copy of the prompts") if path is None else read_file(path)


def row_of(prompt: Vector, data: Sequence[Row]) -> Row:
    return data[prompt["index"]] if "index" in prompt else read_row({**prompt, "index": -1})


@pytest.fixture
def vectors(request: pytest.FixtureRequest, read_shared: Read) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_shared(request.param).splitlines()]


@pytest.mark.parametrize("vectors", GOLDEN, indirect=True)
def test_scores_prompts_totals_and_tables(vectors: list[dict[str, Any]], data: list[Row]):
    rows: list[Row] = []
    scores: list[list[float]] = []
    single: dict[str, list[float]] = {"tifa": [], "vqascore": []}
    waiting: list[Vector] = []
    for vector in vectors:
        if vector["type"] == "question":
            waiting.append(vector)
        elif vector["type"] == "prompt":
            rows.append(row_of(vector, data))
            assert len(waiting) == len(rows[-1].pairs)
            for question, asked in zip(rows[-1].questions, waiting, strict=True):
                expected = question.answers[0]
                assert tuple(asked["ids"]) == QWEN.get(
                    expected if question.text.startswith("How many") else "Yes", (*asked["ids"],)
                )
            geometric = score(judged("soft_tifa_gm", rows[-1], waiting))
            assert [one.verdict for one in geometric.questions] == pytest.approx(
                [asked["score"] for asked in waiting], abs=1e-6
            )
            assert geometric.value == pytest.approx(vector["gm"], abs=1e-6)
            assert geometric.parts["arithmetic mean"] == pytest.approx(vector["am"], abs=1e-6)
            if len(rows) < 5:
                assert score(judged("soft_tifa_am", rows[-1], waiting)).value == geometric.parts["arithmetic mean"]
            word = score(judged("tifa", rows[-1], waiting))
            assert [one.verdict for one in word.questions] == [asked["tifa"] for asked in waiting]
            assert word.value == pytest.approx(vector["tifa"], abs=1e-9)
            yes = {**waiting[0], "ids": QWEN["Yes"]}
            whole = score(judged("vqascore", rows[-1], [yes])).value
            assert whole == pytest.approx(vector["vqascore_of_first_logits"], abs=1e-6)
            single["tifa"].append(word.value)
            single["vqascore"].append(whole)
            scores.append([float(one.verdict or 0) for one in geometric.questions])
            waiting = []
    (total,) = [vector for vector in vectors if vector["type"] == "total"]
    found = tables(rows, scores)
    assert (len(rows), found.gm.pictures) == (total["prompts"], total["prompts"])
    assert 100 * (found.am.value or 0) == pytest.approx(total["soft_tifa_am"], abs=1e-4)
    assert 100 * (found.gm.value or 0) == pytest.approx(total["soft_tifa_gm"], abs=1e-4)
    for method, values in single.items():
        assert 100 * sum(values) / len(values) == pytest.approx(total[method], abs=1e-4)
    for vector in vectors:
        if vector["type"] == "analysis":
            whose = rows if "of" in vector else [data[index] for index in vector["indexes"]]
            check_tables(vector, whose, scores if "of" in vector else vector["scores"])


def check_tables(vector: Vector, rows: Sequence[Row], scores: Sequence[Sequence[float]]) -> None:
    found = tables(rows, scores)
    if "total_gm" in vector:
        assert 100 * (found.am.value or 0) == pytest.approx(vector["total_am"], abs=1e-9)
        assert 100 * (found.gm.value or 0) == pytest.approx(vector["total_gm"], abs=1e-9)
    numbers = [mean.value for mean in (*found.skills.values(), *found.atoms.values())]
    if "error" in vector:
        assert vector["error"] == "ZeroDivisionError"
        assert None in numbers
        return
    assert [str(round(100 * (number or 0), 2)) for number in numbers] == vector["printed"]
    for skill in SKILLS:
        assert 100 * (found.skills[skill].value or 0) == pytest.approx(vector["skills"][skill], abs=1e-4)
    for number in ATOMS:
        mean, expected = found.atoms[number], vector["atoms"][str(number)]
        assert mean.pictures == expected["total"]
        assert 100 * (mean.value or 0) == pytest.approx(expected["gm"], abs=1e-4)


@pytest.mark.parametrize("vectors", GOLDEN, indirect=True)
def test_edges(vectors: list[dict[str, Any]]):
    for vector in vectors:
        if vector["type"] == "gmean":
            for values, expected in zip(vector["lists"], vector["gm"], strict=True):
                asked = [Question(id=str(place), text="?") for place in range(len(values))]
                found = within_picture(asked, values, "geometric_mean")
                assert found == (None if expected == "nan" else pytest.approx(expected, rel=1e-9))
        elif vector["type"] == "vqascore_braces":
            row = Row(0, vector["prompt"], 3, (("?", "Yes"),), ("object",))
            outcome = judged("vqascore", row, [{**vector, "ids": QWEN["Yes"]}])
            if vector["error"]:
                assert isinstance(outcome, Unscored)
                assert outcome.detail.endswith(f"(the official script ends with {vector['error']})")
            else:
                assert score(outcome).value == pytest.approx(vector["score"], abs=1e-6)
                asked_as_it_is = score(outcome).questions[0].text == f'Is it "{vector["prompt"]}"?'
                assert asked_as_it_is is vector["prompt_reaches_judge_unchanged"]
