"""Totals by hand: the paper's, its ablations, weights, maps, and what they refuse."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import pytest

from gotr1_eval.core.errors import UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from rewards.geometric import GeometricJudge
from rewards.reward_set import RewardSetSettings, assemble
from rewards.rules import RULES
from rewards.total import Total, TotalSettings, read_map

UNIT = ((0.0, 1.0), False)
COSINE = ((-1.0, 1.0), False)
CHAIN_AND_IMAGE = {"semantic": UNIT, "spatial": UNIT, "reasoning_image": UNIT, "prompt_image": UNIT}
OUTCOMES: dict[str, Outcome] = {
    "semantic": Score(value=0.8),
    "spatial": Score(value=0.4),
    "reasoning_image": Score(value=0.5),
    "prompt_image": Score(value=0.9),
    "aesthetic": Score(value=0.3),
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("paper", 0.9 * 0.6 * 0.5 * 0.3),
        ("paper_without_hps", 0.9 * 0.6 * 0.5),
        ("readme", 0.9 * 1.2 * 0.5),
        ("sum", 0.9 + 0.6 + 0.5),
        ("geometric_mean", (0.8 * 0.4 * 0.5 * 0.9) ** 0.25),
        ("pr_only", 0.6),
        ("ri_only", 0.5),
        ("pi_only", 0.9),
        ("pr_pi", 0.6 * 0.9),
        ("pr_ri", 0.6 * 0.5),
        ("ri_pi", 0.5 * 0.9),
        ("without_spatial", 0.8 * 0.5 * 0.9),
        ("without_semantic", 0.4 * 0.5 * 0.9),
    ],
)
def test_totals_by_hand(rule: str, expected: float):
    total = Total(TotalSettings(rule=rule), CHAIN_AND_IMAGE | {"aesthetic": UNIT})
    outcome = total.combine(OUTCOMES)
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(expected)
    assert {name: OUTCOMES[name].value for name in outcome.parts} == dict(outcome.parts)  # type: ignore[union-attr]
    assert total.name == f"total[{rule}]"
    assert outcome.value <= total.range[1]


def test_every_rule_is_tested_and_reaches_its_highest_value():
    perfect = {name: Score(value=1.0) for name in OUTCOMES}
    for name, rule in RULES.items():
        total = Total(TotalSettings(rule=name), CHAIN_AND_IMAGE | {"aesthetic": UNIT})
        outcome = total.combine(perfect)
        assert isinstance(outcome, Score)
        assert outcome.value == rule.highest == total.range[1]
        assert set(outcome.parts) == set(rule.factors)


def test_a_weighted_sum_by_hand():
    weights = {"prompt_image": 2.0, "spatial": 0.5}
    total = Total(TotalSettings(rule="weighted", weights=weights), CHAIN_AND_IMAGE)
    outcome = total.combine(OUTCOMES)
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(2 * 0.9 + 0.5 * 0.4)
    assert total.range == (0.0, 2.5)
    assert total.name == "total[weighted; prompt_image times 2; spatial times 0.5]"


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_are_positive_numbers(weight: float):
    with pytest.raises(ValueError, match=r"weights\.spatial"):
        TotalSettings(rule="weighted", weights={"spatial": weight})


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("clip01", -0.2, 0.0),
        ("clip01", 0.3, 0.3),
        ("clip01", 1.5, 1.0),
        ("affine(0.2,0.35)", 0.29, 0.6),
        (" affine( .2 , .35 ) ", 0.29, 0.6),
        ("affine(0.2,0.35)", 0.1, 0.0),
        ("affine(0.2,0.35)", 0.4, 1.0),
        ("affine(-1,1e0)", 0.0, 0.5),
    ],
)
def test_maps_by_hand(text: str, value: float, expected: float):
    assert read_map(text)(value) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "Clip01", "affine", "affine(1)", "affine(1,0)", "affine(0,0)", "affine(0,1e999)"])
def test_maps_that_cannot_be(text: str):
    with pytest.raises(UsageError, match="map"):
        read_map(text)


def test_a_cosine_enters_a_total_through_a_map():
    judges = CHAIN_AND_IMAGE | {"aesthetic": COSINE}
    total = Total(TotalSettings(rule="paper", maps={"aesthetic": "affine(.2, .35)"}), judges)
    assert total.name == "total[paper; aesthetic by affine(0.2,0.35)]"
    outcome = total.combine(OUTCOMES | {"aesthetic": Score(value=0.26)})
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(0.9 * 0.6 * 0.5 * 0.4)
    assert outcome.parts["aesthetic"] == pytest.approx(0.4)
    assert outcome.parts["aesthetic, raw"] == 0.26
    raw = Total(TotalSettings(rule="paper", maps={"aesthetic": "clip01"}), judges)
    assert raw.name == "total[paper; aesthetic by clip01]"
    assert raw.fingerprint != total.fingerprint
    below = raw.combine(OUTCOMES | {"aesthetic": Score(value=-0.1)})
    assert isinstance(below, Score)
    assert below.value == 0.0


def test_where_no_factor_applies_there_is_no_total():
    judges = CHAIN_AND_IMAGE | {"spatial": ((0.0, 1.0), True), "semantic": ((0.0, 1.0), True)}
    total = Total(TotalSettings(rule="pr_only", when_applicable=("semantic", "spatial")), judges)
    nothing = {name: Unscored(why=Why.NOT_APPLICABLE) for name in ("semantic", "spatial")}
    assert total.combine(nothing) == Unscored(why=Why.NOT_APPLICABLE, detail="no factor applies: semantic, spatial")


def test_an_unscored_factor_leaves_the_total_unscored():
    total = Total(TotalSettings(rule="paper_without_hps"), CHAIN_AND_IMAGE)
    for why in Why:
        outcome = total.combine(OUTCOMES | {"spatial": Unscored(why=why, detail="x")})
        assert outcome == Unscored(why=why, detail="factor spatial is unscored: x")


def test_a_factor_that_does_not_apply():
    judges = CHAIN_AND_IMAGE | {"spatial": ((0.0, 1.0), True)}
    with pytest.raises(UsageError, match="'spatial' does not apply to every prompt; name it in when_applicable"):
        Total(TotalSettings(rule="paper_without_hps"), judges)
    total = Total(TotalSettings(rule="paper_without_hps", when_applicable=("spatial",)), judges)
    outcome = total.combine(OUTCOMES | {"spatial": Unscored(why=Why.NOT_APPLICABLE)})
    assert isinstance(outcome, Score)
    assert outcome.value == pytest.approx(0.9 * 0.8 * 0.5)
    assert outcome.note == "does not apply: spatial"
    assert total.name == "total[paper_without_hps; spatial when applicable]"
    assert isinstance(total.combine(OUTCOMES | {"spatial": Unscored(why=Why.BACKEND)}), Unscored)


@pytest.mark.parametrize(
    ("settings", "factor"),
    [
        ({"rule": "weighted", "weights": {"spatial": 1}}, "spatial"),
        ({"rule": "sum"}, "prompt_image"),
        ({"rule": "readme"}, "semantic"),
        ({"rule": "paper_without_hps"}, "prompt_image"),
        ({"rule": "ri_only"}, "reasoning_image"),
    ],
)
def test_no_advice_that_would_be_refused(settings: dict[str, object], factor: str):
    """Where naming the factor in when_applicable is an error, too, another way is told."""
    judges = CHAIN_AND_IMAGE | {factor: ((0.0, 1.0), True)}
    with pytest.raises(UsageError, match="does not apply to every prompt") as caught:
        Total(TotalSettings.model_validate(settings), judges)
    assert "when_applicable" not in str(caught.value)
    assert "a judge that applies to every prompt" in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "judges", "message"),
    [
        ({"rule": "papr"}, CHAIN_AND_IMAGE, "no total named 'papr'; did you mean 'paper'"),
        ({"rule": "paper"}, CHAIN_AND_IMAGE, "factor 'aesthetic'; the total without it is 'paper_without_hps'"),
        ({"rule": "paper"}, CHAIN_AND_IMAGE | {"aesthetic": COSINE}, r"ranges over \[-1.0, 1.0\]"),
        ({"rule": "sum", "when_applicable": ["prompt_image"]}, CHAIN_AND_IMAGE, "only semantic and spatial"),
        ({"rule": "readme", "when_applicable": ["spatial"]}, CHAIN_AND_IMAGE, "'readme' adds"),
        ({"rule": "pi_only", "when_applicable": ["spatial"]}, CHAIN_AND_IMAGE, "'pi_only' has no factor 'spatial'"),
        ({"rule": "paper"}, CHAIN_AND_IMAGE | {"aesthetic": COSINE}, r"a map .*'clip01'.* 'affine\(low,high\)'"),
        ({"rule": "sum", "maps": {"aesthetic": "clip01"}}, CHAIN_AND_IMAGE, "'sum' has no factor 'aesthetic'"),
        (
            {"rule": "pi_only", "maps": {"prompt_image": "clip"}},
            CHAIN_AND_IMAGE,
            "no map named 'clip'; expected 'clip01'",
        ),
        ({"rule": "weighted"}, CHAIN_AND_IMAGE, "need each other"),
        ({"rule": "sum", "weights": {"spatial": 1}}, CHAIN_AND_IMAGE, "need each other"),
        ({"rule": "weighted", "weights": {"beauty": 1}}, CHAIN_AND_IMAGE, "needs a judge for the factor 'beauty'"),
        ({"rule": "weighted", "weights": {"spatial": 1}, "when_applicable": ["spatial"]}, CHAIN_AND_IMAGE, "adds"),
    ],
)
def test_totals_that_cannot_be(
    settings: dict[str, object], judges: dict[str, tuple[tuple[float, float], bool]], message: str
):
    with pytest.raises(UsageError, match=message):
        Total(TotalSettings.model_validate(settings), judges)


def test_a_total_tells_whose_factors_it_is_made_of():
    judges = {"prompt_image": ((0.0, 1.0), False)}
    settings = TotalSettings(rule="pi_only")
    made = [SimpleNamespace(name=name, fingerprint=of) for name, of in (("a", "1"), ("a", "2"), ("b", "1"))]
    totals = [Total(settings, judges, {"prompt_image": maker}) for maker in made]
    assert totals[0].name == totals[1].name != totals[2].name
    assert len({total.fingerprint for total in totals}) == 3
    assert pickle.loads(pickle.dumps(totals[0])).fingerprint == totals[0].fingerprint


def test_two_judges_of_one_name_cannot_stand_side_by_side():
    settings = RewardSetSettings.model_validate({"judges": {"x": "geometric", "y": "geometric"}})
    judge = GeometricJudge()
    with pytest.raises(UsageError, match="judges 'x' and 'y' are both named 'geometric'"):
        assemble(settings, {"x": judge, "y": judge})
    with pytest.raises(UsageError, match="cannot be called 'total'"):
        assemble(settings, {"total": judge})


def test_terms_of_a_rule_are_what_it_multiplies_or_adds():
    values = {"semantic": 0.8, "spatial": 0.4, "reasoning_image": 0.5, "prompt_image": 0.6}
    chain = {"semantic + spatial": pytest.approx(0.6), "reasoning_image": 0.5, "prompt_image": 0.6}
    assert RULES["paper_without_hps"].terms(values) == chain
    assert RULES["geometric_mean"].terms(values) == values
    assert RULES["pi_only"].terms({"prompt_image": 0.6}) == {"prompt_image": 0.6}
