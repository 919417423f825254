"""Audits of judges whose faults are known: honest ones pass every answer, liars fail exactly where they lie.

One run holds them all, so that every picture is drawn once.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from benchmarks.audit import run_audit
from benchmarks.audit.card import Card
from benchmarks.audit.cases import Looks
from benchmarks.audit.examined import looks_at
from gotr1_eval.build import Builder
from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.protocols import Judge
from gotr1_eval.core.types import Sample
from gotr1_eval.shapes.detecting import ShapesDetector
from gotr1_eval.shapes.statements import read_prompt
from rewards.inputs import require_picture
from tests.fakes import ScriptedJudge

pytestmark = pytest.mark.slow

HONEST: Mapping[Looks, Mapping[str, object]] = {
    Looks.PROSE: {"use": "shapes_semantic"},
    Looks.PLAN: {"use": "geometric"},
    Looks.GROUNDING: {"use": "reasoning_image", "grounder": {"use": "shapes"}},
    Looks.PICTURE: {"use": "shapes_prompt_image"},
    Looks.QUESTIONS: {"use": "checklist", "vlm": {"use": "shapes"}},
}
ASKED = {
    Looks.PROSE: {"semantic", "robustness"},
    Looks.PLAN: {"spatial", "metamorphic", "robustness"},
    Looks.GROUNDING: {"metamorphic", "grounding", "attacks", "robustness"},
    Looks.PICTURE: {"metamorphic", "prompt-image", "attacks", "robustness"},
    Looks.QUESTIONS: {"questions", "attacks", "robustness"},
}
BLIND = (Looks.PLAN, Looks.GROUNDING, Looks.PICTURE)
"""The kinds of judge that have positions to be blind to."""


def honest(looks: Looks) -> Judge:
    return Builder().judge(dict(HONEST[looks]))


def seen_names(sample: Sample, names: list[str]) -> float:
    """Share of the names that the picture holds, wherever."""
    (found,) = ShapesDetector().detect([require_picture(sample)], [names])
    return len({seen.label for seen in found}) / len(names)


def blind(looks: Looks) -> Callable[[Sample], Outcome]:
    """Looks at what there is, never at where it is."""

    def answer(sample: Sample) -> Outcome:
        planned = [one.name for one in parse_chain(sample.chain or "").objects]
        if looks is Looks.PLAN:
            return Score(value=float(sum(name in sample.prompt for name in planned) == 2))
        if looks is Looks.GROUNDING:
            return Score(value=seen_names(sample, planned))
        statement = read_prompt(sample.prompt)
        if statement is None:
            return Unscored(why=Why.NO_INPUT, detail="not a sentence of the shapes world")
        return Score(value=seen_names(sample, [kind.name for kind in statement.kinds]))

    return answer


def flattered(looks: Looks) -> Callable[[Sample], Outcome]:
    """Judges honestly until someone calls the work flawless."""
    judge = honest(looks)

    def answer(sample: Sample) -> Outcome:
        if "flawless" in f"{sample.prompt} {sample.chain}".lower():
            return Score(value=1.0)
        return judge.judge([sample])[0]

    return answer


def guessing(seed: str) -> Callable[[Sample], Outcome]:
    rng = random.Random(seed)
    return lambda sample: Score(value=rng.random())


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Card]:
    judges: dict[str, tuple[Judge, Looks]] = {}

    def add(kind: str, looks: Looks, judge: Judge) -> None:
        judges[f"{kind} {looks.value}"] = (judge, looks)

    for looks in Looks:
        judge = honest(looks)
        add("honest", looks, judge)
        assert looks_at(judge, None) is looks
        liars = {"always 10": lambda sample: Score(value=1.0), "random": guessing(looks), "flattered": flattered(looks)}
        if looks in BLIND:
            liars["blind"] = blind(looks)
        for kind, answer in liars.items():
            add(kind, looks, ScriptedJudge(answer, f"{kind} {looks.value}"))
    found = run_audit(tmp_path_factory.mktemp("audit"), judges, size="small")
    return {card.factor: card for card in found}


def failed(card: Card) -> dict[str, set[str]]:
    """The checks with a wrong answer, by part."""
    wrong = {part.name: {check.name for check in part.checks if check.wrong} for part in card.parts}
    return {name: checks for name, checks in wrong.items() if checks}


@pytest.mark.parametrize("looks", Looks)
def test_honest_judges_pass_every_known_answer(cards: dict[str, Card], looks: Looks):
    card = cards[f"honest {looks.value}"]
    asked = [part for part in card.parts if not part.why_not]
    assert {part.name for part in asked} == ASKED[looks]
    assert all(part.grade == "A" and part.unscored == 0 and part.samples > 0 for part in asked)
    assert failed(card) == {}
    assert card.coverage == 1


@pytest.mark.parametrize("looks", Looks)
def test_always_ten_fails_all_but_robustness(cards: dict[str, Card], looks: Looks):
    grades = {part.name: part.grade for part in cards[f"always 10 {looks.value}"].parts if not part.why_not}
    assert grades == {name: "A" if name == "robustness" else "F" for name in ASKED[looks]}


@pytest.mark.parametrize("looks", Looks)
def test_guessing_fails_every_part(cards: dict[str, Card], looks: Looks):
    parts = [part for part in cards[f"random {looks.value}"].parts if not part.why_not]
    assert {part.name for part in parts} == ASKED[looks]
    assert {part.grade for part in parts} <= {"D", "F"}
    assert "the same sample, the same score" in failed(cards[f"random {looks.value}"])["robustness"]


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        (
            Looks.PLAN,
            {
                "spatial": {"no to a relation that does not", "ambiguous layouts in between"},
                "metamorphic": {"mirrored layout: the verdict turns"},
            },
        ),
        (
            Looks.GROUNDING,
            {
                "metamorphic": {"mirrored layout: the verdict turns"},
                "grounding": {"a plan with moved boxes is not credited"},
            },
        ),
        (
            Looks.PICTURE,
            {"metamorphic": {"mirrored layout: the verdict turns"}, "prompt-image": {"true over relation swapped"}},
        ),
    ],
)
def test_the_blind_to_positions_fail_where_positions_count(
    cards: dict[str, Card], looks: Looks, expected: dict[str, set[str]]
):
    assert failed(cards[f"blind {looks.value}"]) == expected


@pytest.mark.parametrize(
    ("looks", "places"),
    [
        (Looks.PROSE, {"the prompt", "the chain"}),
        (Looks.PLAN, {"the prompt", "the chain", "drawn text"}),
        (Looks.GROUNDING, {"the chain"}),
        (Looks.PICTURE, {"the prompt"}),
    ],
)
def test_the_flattered_fail_flattery_alone(cards: dict[str, Card], looks: Looks, places: set[str]):
    expected = {"robustness": {f"flattery in {place} gains nothing" for place in places}}
    assert failed(cards[f"flattered {looks.value}"]) == expected
    (part,) = [part for part in cards[f"flattered {looks.value}"].parts if part.name == "robustness"]
    assert part.grade == "F"
