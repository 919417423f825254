"""The shapes world as a checklist: questions of every prompt, answers from the drawing, and the audit's part."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.audit import run_audit
from benchmarks.audit.cases import Looks
from benchmarks.audit.examined import looks_at
from benchmarks.audit.questions import FALSE, PART, TRUE
from benchmarks.shapes import ShapesSuite
from gotr1_eval import run_benchmark
from gotr1_eval.build import Builder, read_judge_model
from gotr1_eval.core.checklist import read_questions
from gotr1_eval.core.outcome import Outcome, Reply, Score, Unscored
from gotr1_eval.core.protocols import Request
from gotr1_eval.core.types import Box, Sample
from gotr1_eval.models.vlms import shapes
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import Fault, scene_for
from gotr1_eval.shapes.questions import answer_question, statement_questions
from gotr1_eval.shapes.scene import Kind, Placed, Scene
from gotr1_eval.shapes.statements import read_prompt
from tests.fakes import OracleGenerator, ScriptedJudge

pytestmark = pytest.mark.slow

SCENE = Scene(
    (
        Placed(Kind("circle", "red", "solid"), Box(0.0, 0.25, 0.25, 0.5)),
        Placed(Kind("square", "blue", "striped"), Box(0.625, 0.25, 0.875, 0.5)),
        Placed(Kind("square", "blue", "solid"), Box(0.625, 0.625, 0.875, 0.875)),
    )
)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there a circle in the picture?", "yes"),
        ("Is there an orange circle in the picture?", "no"),
        ("Are there blue squares in the picture?", "yes"),
        ("Is a square blue?", "yes"),
        ("Is a blue square striped?", "yes"),
        ("Is a circle blue?", "no"),
        ("How many blue squares are in the picture?", "two"),
        ("How many squares are in the picture?", "two"),
        ("How many crosses are in the picture?", "zero"),
        ("Is the red circle on the left of the blue square?", "yes"),
        ("Is the blue square above the red circle?", "no"),
        ("Look.\nIs there a circle in the picture? One word.", "yes"),
        ("Is there a cat in the picture?", None),
        ("Is there a circle in the picture? Is a circle blue?", None),
        ("", None),
    ],
)
def test_answers_by_hand(question: str, answer: str | None):
    assert answer_question(question, draw_scene(SCENE)) == answer


@pytest.mark.parametrize("category", ShapesSuite.categories)
def test_a_true_drawing_answers_every_question_as_expected_and_a_false_one_does_not(category: str):
    suite = ShapesSuite()
    told = 0
    for place in range(4):
        statement = read_prompt(suite.prompts(category)[place])
        assert statement is not None
        questions = read_questions(suite.facts(category, place)["questions"])
        assert questions == statement_questions(statement)
        true = draw_scene(scene_for(statement, random.Random(place)), 128)
        assert [answer_question(one.text, true) for one in questions] == [one.answers[0] for one in questions]
        false = draw_scene(scene_for(statement, random.Random(place), frozenset({Fault.ATTRIBUTE})), 128)
        told += any(answer_question(one.text, false) not in one.answers for one in questions)
    assert told >= 3


def test_the_answerer_speaks_as_models_do():
    vlm = Builder().vlm(read_judge_model("shapes"))
    asked = Request(prompt="Is a circle red?", images=(draw_scene(SCENE),), first_tokens=("yes", "Yes", "no"))
    counted = replace(asked, prompt="How many squares are in the picture?", first_tokens=("two", "2", "3"))
    first, second, third = vlm.reply([asked, counted, replace(asked, prompt="A cat?")])
    assert isinstance(first, Reply)
    assert isinstance(second, Reply)
    assert first.first_tokens == {"yes": math.log(0.5), "Yes": math.log(0.5), "no": -100.0}
    assert second.first_tokens["3"] == -100.0
    assert isinstance(third, Unscored)
    (spoken,) = shapes.ShapesVlm().reply([Request(prompt="Is a circle blue?", images=asked.images)])
    assert isinstance(spoken, Reply)
    assert spoken.text == "no"


def test_a_run_without_any_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Prompts, drawings, questions, verdicts and table, on the path of every checklist benchmark."""
    monkeypatch.setattr(Builder, "generator", lambda self, spec: OracleGenerator())
    frames = run_benchmark(
        suite="shapes", ckpt="tiny-janus", limit=2, judges="soft_tifa", judge_model="shapes", out=tmp_path / "run"
    )
    assert set(frames.judgments["judge"]) == {"checklist[shapes, first tokens, mean, as it is]"}
    assert frames.judgments["value"].min() == pytest.approx(1.0)


def always(value: float) -> Callable[[Sample], Outcome]:
    return lambda sample: Score(value=value)


def test_the_audit_tells_answerers_from_liars(tmp_path: Path):
    honest = Builder().judge({"use": "checklist", "vlm": {"use": "shapes"}})
    assert looks_at(honest, None) is Looks.QUESTIONS
    liars = {"yes": ScriptedJudge(always(1.0), "yes"), "no": ScriptedJudge(always(0.0), "no")}
    judges = {"honest": (honest, Looks.QUESTIONS), **{name: (judge, Looks.QUESTIONS) for name, judge in liars.items()}}
    cards = {card.factor: card for card in run_audit(tmp_path / "audit", judges, size="small")}  # type: ignore[arg-type]
    graded = {name: {part.name: part for part in card.parts} for name, card in cards.items()}
    assert {name: part.grade for name, part in graded["honest"].items() if not part.why_not} == {
        "questions": "A",
        "robustness": "A",
        "attacks": "A",
    }
    for name, right in (("yes", TRUE), ("no", FALSE)):
        rates = {check.name.partition(":")[0]: check.rate for check in graded[name]["questions"].checks}
        assert rates == {role: float(role in right) for role in (*TRUE, *FALSE)}
        assert graded[name]["questions"].grade == "F"


def test_what_is_asked_in_a_case():
    (case,) = PART.make("seed", 1)
    assert set(case.variants) == {*TRUE, *FALSE}
    for role, variant in case.variants.items():
        (question,) = read_questions(variant.facts["questions"])
        assert variant.picture is not None
        answer = answer_question(question.text, variant.picture())
        assert (answer in question.answers) is (role in TRUE), role
