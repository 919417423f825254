"""Report cards: measures by hand and against others, counts beside every grade, seeds and restarts, and the command."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.audit import run_audit
from benchmarks.audit.card import Card, CheckResult, PartResult, card_json
from benchmarks.audit.cases import Looks
from benchmarks.audit.examined import looks_at, variant_specs
from benchmarks.audit.layouts import AXES
from benchmarks.audit.measures import (
    calibration_error,
    drawn_and_written,
    grounding_measures,
    spatial_measures,
)
from benchmarks.audit.page import cards_json, render_card, write_card
from gotr1_eval.cli.app import run
from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.statistics.ranks import roc_area
from gotr1_eval.core.types import Box, Detection, Sample
from rewards.geometric import GeometricJudge
from tests.browser import LAPTOP, PHONE, needs_browser, open_page, serious_faults, started_browser
from tests.fakes import ScriptedJudge

AXIS = {axis: values[0] for axis, values in AXES.items()}


def audited(folder: Path, answer: Callable[[Sample], Outcome], seed: int = 0) -> Card:
    judges = {"scripted": (ScriptedJudge(answer), Looks.PLAN)}
    (card,) = run_audit(folder, judges, size="small", seed=seed)
    return card


def honest(sample: Sample) -> Outcome:
    return GeometricJudge().judge([sample])[0]


def test_area_against_mann_whitney():
    rng = np.random.default_rng(0)
    for _ in range(20):
        positive, negative = rng.integers(0, 5, 12) / 4, rng.integers(0, 5, 7) / 4
        expected = stats.mannwhitneyu(positive, negative).statistic / (12 * 7)
        assert roc_area(positive, negative) == pytest.approx(expected)
    assert roc_area([1.0], []) is None


def test_calibration_error_by_hand():
    values, holds = np.array([0.9, 0.95, 1.0, 0.2]), np.array([1.0, 0.0, 1.0, 0.0])
    assert calibration_error(values, holds) == pytest.approx(3 / 4 * abs(0.95 - 2 / 3) + 1 / 4 * 0.2)
    assert calibration_error(np.array([1.0, 0.0]), np.array([1.0, 0.0])) == 0


def test_spatial_measures_by_hand():
    nothing = Unscored(why=Why.BACKEND, detail="down")
    cases = [
        ({"true": Score(value=0.9), "false": Score(value=0.6), "ambiguous": Score(value=0.5)}, AXIS),
        ({"true": Score(value=0.6), "false": nothing}, AXIS),
    ]
    found = spatial_measures(cases, 0.5)
    assert (found["n"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    assert found["auc"] == pytest.approx((1 + 0.5) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.16) / 3)
    assert found["by_axis"][f"size: {AXIS['size']}"] == {"accuracy": pytest.approx(2 / 3), "n": 3}
    assert found["by_axis"]["size: smaller"] == {"accuracy": None, "n": 0}
    assert spatial_measures([({"true": nothing}, AXIS)], 0.5) == {"n": 0}


def test_drawn_against_written_counts_what_both_scored():
    drawn = [({"true": Score(value=1.0), "false": Score(value=0.0)}, AXIS)] * 2
    written = [({"true": Score(value=1.0), "false": Score(value=1.0)}, AXIS), ({"true": Score(value=0.0)}, AXIS)]
    found = drawn_and_written(drawn, written, 0.5)
    assert (found["n"], found["drawn_minus_written"]) == (3, pytest.approx((0 + 1 + 1) / 3))
    assert found["low"] <= found["drawn_minus_written"] <= found["high"]


def test_grounding_measures_by_hand():
    phantom = (Detection("green star", Box(0, 0, 0.1, 0.1), 0.9),)
    facts = {"absent": "green star"}
    cases = [
        (
            {
                "planned": Score(value=0.4, parts={"1: a": 0.8, "2: b": 0.0}),
                "absent": Score(value=0, seen=phantom),
            },
            facts,
        ),
        ({"planned": Score(value=1.0, parts={"1: a": 1.0}), "absent": Score(value=0)}, facts),
    ]
    found = grounding_measures(cases)
    assert (found["iou"], found["missed"], found["n"]) == (pytest.approx(0.7), 0.25, 2)
    assert (found["phantoms"], found["phantoms_n"], found["frames"]) == (0.5, 2, {})


def test_wilson_by_hand():
    square = 1.959963984540054**2
    assert CheckResult("all", 8, 0, 0, 0).interval == (pytest.approx(8 / (8 + square)), pytest.approx(1.0))
    assert CheckResult("none scored", 0, 0, 3, 0).interval is None


@pytest.mark.parametrize(
    ("right", "grade"), [(20, "A"), (19, "A"), (18, "B"), (17, "B"), (16, "C"), (14, "C"), (11, "D"), (10, "F")]
)
def test_a_grade_is_that_of_the_worst_check(right: int, grade: str):
    checks = (CheckResult("fine", 20, 0, 0, 0), CheckResult("weak", right, 20 - right, 0, 0))
    assert PartResult("part", "?", "", checks, samples=40).grade == grade


def test_half_unscored_stands_beside_every_grade(tmp_path: Path):
    rng = random.Random(0)

    def lazy(sample: Sample) -> Outcome:
        return honest(sample) if rng.random() < 0.5 else Unscored(why=Why.UNREADABLE, detail="a shrug")

    card = audited(tmp_path / "run", lazy)
    (data,) = card_json([card])
    page = render_card([card], size="small", seed=0)
    for part in card.parts:
        if part.why_not:
            continue
        assert 0 < part.unscored < part.samples
        row = data["parts"][part.name]
        assert (row["samples"], row["unscored"]) == (part.samples, part.unscored)
        assert row["unscored_share"] == part.unscored / part.samples
        counts = f"n={part.samples - part.unscored}, unscored {100 * part.unscored_share:.1f} %"
        assert page.count(counts) == 2
        assert str(part).endswith(f"(n={part.samples - part.unscored}, unscored {part.unscored_share:.1%})")
        for check in part.checks:
            assert check.wrong == 0
    assert 0.3 < card.coverage < 0.7


def test_a_judge_that_never_answers_has_no_grade(tmp_path: Path):
    card = audited(tmp_path / "run", lambda sample: Unscored(why=Why.REFUSED, detail="no"))
    asked = [part for part in card.parts if not part.why_not]
    assert {part.grade for part in asked} == {"none"}
    assert {part.unscored_share for part in asked} == {1.0}
    assert card.coverage == 0
    page = render_card([card], size="small", seed=0)
    assert "n=0, unscored 100.0 %" in page
    assert "no score" in page


def test_a_card_depends_on_its_seed_alone(tmp_path: Path):
    first, again = audited(tmp_path / "a", honest), audited(tmp_path / "b", honest)
    other = audited(tmp_path / "c", honest, seed=1)
    assert card_json([first]) == card_json([again])
    assert card_json([first]) != card_json([other])


def test_a_killed_audit_goes_on(tmp_path: Path):
    whole = ScriptedJudge(honest)
    (expected,) = run_audit(tmp_path / "whole", {"x": (whole, Looks.PLAN)}, size="small")
    left = iter(range(70))

    def dying(sample: Sample) -> Outcome:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return honest(sample)

    with pytest.raises(KeyboardInterrupt):
        run_audit(tmp_path / "run", {"x": (ScriptedJudge(dying), Looks.PLAN)}, size="small")
    rest = ScriptedJudge(honest)
    (card,) = run_audit(tmp_path / "run", {"x": (rest, Looks.PLAN)}, size="small")
    assert card_json([card]) == card_json([expected])
    assert len(rest.asked) == len(whole.asked) - 64
    done = ScriptedJudge(honest)
    run_audit(tmp_path / "run", {"x": (done, Looks.PLAN)}, size="small")
    assert done.asked == []


def test_variants_measure_the_other_form_and_the_drawing(tmp_path: Path):
    judge = ScriptedJudge(honest, "spatial")
    variants = {
        "spatial~text": ScriptedJudge(lambda sample: Score(value=1.0), "spatial_text"),
        "spatial~colours": ScriptedJudge(lambda sample: Score(value=0.0), "spatial_colours"),
        "spatial~labels": ScriptedJudge(honest, "spatial_labels"),
    }
    (card,) = run_audit(tmp_path / "run", {"spatial": (judge, Looks.PLAN)}, variants=variants, size="small")
    parts = {part.name: part for part in card.parts}
    measured = parts["spatial"].measures
    assert measured["other_form"]["accuracy"] == 0.5
    assert measured["drawn_against_written"]["drawn_minus_written"] == 0.5
    wrong = {check.name: check.wrong for check in parts["metamorphic"].checks if check.wrong}
    assert wrong == {"colours of the boxes do not matter": 8}
    assert len(variants["spatial~colours"].asked) == 8
    assert "from written coordinates" in render_card([card], size="small", seed=0)


def test_variants_are_for_judges_that_draw():
    assert set(variant_specs({"use": "spatial"})) == {"text", "colours", "labels"}
    assert set(variant_specs({"use": "spatial", "text": True})) == {"drawn"}
    assert variant_specs({"use": "geometric"}) == {}


def test_what_a_judge_looks_at_is_its_own_word_or_the_users():
    assert looks_at(GeometricJudge(), "picture") is Looks.PLAN
    assert looks_at(ScriptedJudge(honest), "plan") is Looks.PLAN
    with pytest.raises(UsageError, match="what does it look at"):
        looks_at(ScriptedJudge(honest), None)


def test_names_on_the_page_are_escaped(tmp_path: Path):
    judge = ScriptedJudge(honest, "<script>alert(1)</script>")
    cards = run_audit(tmp_path / "run", {"x": (judge, Looks.PLAN)}, size="small")
    page = write_card(cards, tmp_path / "run", size="small", seed=0).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "http://" not in page
    assert json.loads((tmp_path / "run/audit.json").read_text(encoding="utf-8"))["cards"] == cards_json(cards)


@needs_browser
def test_the_card_in_a_browser(tmp_path: Path):
    judge = ScriptedJudge(honest, f"judge with a name {'that is long ' * 8}")
    cards = run_audit(tmp_path / "run", {"x": (judge, Looks.PLAN)}, size="small")
    path = write_card(cards, tmp_path / "run", size="small", seed=0)
    with started_browser() as browser:
        for size, colours in ((LAPTOP, "dark"), (PHONE, "light")):
            with open_page(browser, path.as_uri(), size, colours) as page:  # type: ignore[arg-type]
                assert page.title() == "Report card · gotr1-eval"
                assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
                assert serious_faults(page) == []


def test_the_command_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert run(["audit", "--judge", "geometric", "--size", "small", "--json"]) == 0
    (card,) = json.loads(capsys.readouterr().out)
    assert card["parts"]["spatial"]["grade"] == "A"
    assert (tmp_path / "runs/audit-geometric-small-0/audit.html").exists()
    assert run(["audit", "--judge", "geometric", "--size", "small"]) == 0
    shown = capsys.readouterr().out
    assert "A 1.00" in shown
    assert "unscored 0.0%" in shown


def test_bad_input_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    cached = tmp_path / "cached.toml"
    model = '{ use = "qwen", model = "m" }'
    cached.write_text(
        f'[judges]\nspatial = {{ use = "spatial", vlm = {{ use = "cached", path = "c", vlm = {model} }} }}\n'
    )
    with pytest.raises(UsageError, match="without use = 'cached'"):
        run(["audit", "--judge", "cached.toml"])
    with pytest.raises(UsageError, match="says itself what it looks at"):
        run(["audit", "--judge", "geometric", "--looks-at", "plan"])
    with pytest.raises(UsageError, match="geometric"):
        run(["audit", "--judge", "geometrc"])
    assert run(["audit", "--judge", "geometric", "--size", "small", "--out", "here"]) == 0
    with pytest.raises(UsageError, match="here"):
        run(["audit", "--judge", "geometric", "--size", "small", "--seed", "1", "--out", "here"])
