"""The judges by hand: geometric, reasoning image, and the shapes world's own."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from gotr1_eval.build import Builder
from gotr1_eval.core.chain import OBJ_END, OBJ_START, write_chain
from gotr1_eval.core.errors import DataError, UsageError
from gotr1_eval.core.outcome import Outcome, Score, Unscored, Why
from gotr1_eval.core.types import Box, Detection, Sample
from gotr1_eval.shapes.drawing import draw_scene
from gotr1_eval.shapes.layout import Fault, scene_for, write_scene_chain
from gotr1_eval.shapes.prompts import CATEGORIES, prompts
from gotr1_eval.shapes.statements import read_prompt
from rewards.geometric import GeometricJudge
from rewards.inputs import refuse_without_plan
from rewards.reasoning_image import ReasoningImageJudge, Settings, build
from rewards.reward_set import read_reward_set
from tests.fakes import ScriptedGrounder

LEFT, RIGHT, TOP = Box(0, 0.4, 0.2, 0.6), Box(0.8, 0.4, 1, 0.6), Box(0.4, 0, 0.6, 0.2)


def value(outcome: Outcome) -> float:
    assert isinstance(outcome, Score), outcome
    return outcome.value


def geometric(prompt: str, *objects: tuple[str, Box]) -> Outcome:
    (outcome,) = GeometricJudge().judge([Sample(id="s", prompt=prompt, chain=write_chain(objects))])
    return outcome


def test_geometric_by_hand():
    prompt = "a cat on the left of a dog"
    assert value(geometric(prompt, ("cat", LEFT), ("dog", RIGHT))) == 1.0
    assert value(geometric(prompt, ("dog", LEFT), ("cat", RIGHT))) == 0.0
    assert value(geometric(prompt, ("cat", LEFT))) == 0.25
    assert value(geometric(prompt, ("bird", LEFT))) == 0.0
    both = geometric(
        "a cat on the left of a dog and a bird above the dog", ("cat", LEFT), ("dog", RIGHT), ("bird", TOP)
    )
    assert isinstance(both, Score)
    assert dict(both.parts) == {"1: left of": 1.0, "2: above": 0.5}
    assert both.value == 0.75


def test_scattering_copies_does_not_pay():
    prompt = "a cat on the left of a dog"
    assert value(geometric(prompt, ("cat", LEFT), ("cat", RIGHT), ("dog", Box(0.4, 0.4, 0.6, 0.6)))) == 0.5


def test_relations_that_cannot_be_read_are_no_zero():
    for prompt in ("a cat that is not on the left of a dog", "Is a cat on the left of a dog?"):
        outcome = geometric(prompt, ("cat", LEFT), ("dog", RIGHT))
        assert isinstance(outcome, Unscored)
        assert outcome.why is Why.NOT_APPLICABLE
        assert outcome.detail.startswith("not read with certainty: '")
    partly = geometric("a cat left of a dog above a horse", ("cat", LEFT), ("dog", RIGHT))
    assert isinstance(partly, Score)
    assert (partly.value, dict(partly.parts)) == (1.0, {"1: left of": 1.0})
    assert partly.note == "not read with certainty: 'a cat left of a dog above a horse'"


def test_more_relations_or_copies_than_a_picture_holds():
    outcome = geometric("a cat left of a dog, " * 201, ("cat", LEFT), ("dog", RIGHT))
    assert isinstance(outcome, Unscored)
    assert "states 201 relations, at most 200" in outcome.detail
    assert value(geometric("a cat left of a dog, " * 200, ("cat", LEFT), ("dog", RIGHT))) == 1.0
    # The fifty-first cat, on the wrong side, is not looked at.
    assert value(geometric("a cat left of a dog", *[("cat", LEFT)] * 50, ("cat", RIGHT), ("dog", RIGHT))) == 1.0


def test_an_object_is_not_its_own_neighbour():
    assert value(geometric("a cat next to a cat", ("cat", LEFT))) == 0.25
    assert value(geometric("a cat next to a cat", ("cat", LEFT), ("cat", Box(0.2, 0.4, 0.4, 0.6)))) == 1.0


def test_geometric_without_relation_chain_or_box():
    def judged(prompt: str, chain: str | None) -> Outcome:
        return GeometricJudge().judge([Sample(id="s", prompt=prompt, chain=chain)])[0]

    assert judged("a red bench", None) == Unscored(
        why=Why.NOT_APPLICABLE, detail="the prompt states no relation in the plane of the picture"
    )
    assert judged("a cat above a dog", None) == Unscored(why=Why.NO_INPUT, detail="the sample has no chain")
    broken = judged("a cat above a dog", f"{OBJ_START}cat{OBJ_END}")
    assert isinstance(broken, Score)
    assert (broken.value, broken.note) == (0.0, "no readable box in the chain")


@pytest.fixture
def white(tmp_path: Path) -> Path:
    Image.new("RGB", (32, 32), "white").save(tmp_path / "white.png")
    return tmp_path / "white.png"


def reasoning_image(white: Path, chain: str, found: list[Detection], matching: str = "assigned") -> Outcome:
    judge = ReasoningImageJudge(ScriptedGrounder(found), matching)  # type: ignore[arg-type]
    return judge.judge([Sample(id="s", prompt="p", chain=chain, image=white)])[0]


HALF = Box(0, 0.4, 0.1, 0.6)
"""Half of LEFT: IoU 0.5."""


def test_reasoning_image_by_hand(white: Path):
    chain = write_chain([("cat", LEFT), ("dog", RIGHT)])
    assert value(reasoning_image(white, chain, [Detection("cat", HALF), Detection("dog", RIGHT)])) == pytest.approx(
        0.75
    )
    assert value(reasoning_image(white, chain, [Detection("cat", LEFT)])) == 0.5
    assert value(reasoning_image(white, chain, [])) == 0.0
    outcome = reasoning_image(white, chain, [Detection("cat", HALF)])
    assert isinstance(outcome, Score)
    assert dict(outcome.parts) == pytest.approx({"1: cat": 0.5, "2: dog": 0.0})
    assert outcome.seen == (Detection("cat", HALF),)


def test_equal_names_are_assigned_one_to_one(white: Path):
    chain = write_chain([("cat", LEFT), ("cat", RIGHT)])
    one = [Detection("cat", LEFT)]
    assert value(reasoning_image(white, chain, one)) == 0.5
    two = [Detection("cat", RIGHT, 0.9), Detection("cat", LEFT, 0.8)]
    assert value(reasoning_image(white, chain, two)) == 1.0
    assert value(reasoning_image(white, chain, two, "paper")) == 0.5
    assert value(reasoning_image(white, write_chain([("cat", RIGHT)]), two, "paper")) == 1.0
    # Of a thing that was found twice under its name the better box counts.
    twice = [Detection("cat", LEFT), Detection("cat", Box(0, 0.4, 0.2, 0.59))]
    assert value(reasoning_image(white, write_chain([("cat", LEFT)]), twice)) == 1.0


def test_one_thing_stands_for_one_object_of_its_head_noun(white: Path):
    """Writing a name several ways, or with an adjective, adds objects that the picture does not hold."""
    names = ["dog", "Dog", "a dog", "brown dog", "dogs", "dog #2"]
    chain = write_chain([(name, LEFT) for name in names])
    near = Box(0, 0.4, 0.2, 0.59)  # IoU 0.95 with LEFT
    found = [Detection("dog", LEFT), Detection("brown dog", near), Detection("dogs", LEFT), Detection("dog #2", near)]
    assert value(reasoning_image(white, chain, found)) == pytest.approx(1 / 6)
    assert value(reasoning_image(white, write_chain([("dog", LEFT)] * 2), [Detection("dog", LEFT)] * 2)) == 0.5


def test_from_what_overlap_on_boxes_show_one_thing(white: Path):
    """Under two names from an IoU of 0.5 on, under the same name from 0.9 on."""

    def both_found(one: tuple[str, Box], other: tuple[str, Box]) -> bool:
        found = [Detection(*one), Detection(*other)]
        return value(reasoning_image(white, write_chain([one, other]), found)) == 1.0

    assert not both_found(("dog", LEFT), ("brown dog", Box(0, 0.4, 0.101, 0.6)))
    assert both_found(("dog", LEFT), ("brown dog", Box(0, 0.4, 0.099, 0.6)))
    assert not both_found(("dog", LEFT), ("dog", Box(0, 0.4, 0.181, 0.6)))
    assert both_found(("dog", LEFT), ("dog", Box(0, 0.4, 0.179, 0.6)))


def test_two_things_of_one_noun_stand_for_two_objects(white: Path):
    chain = write_chain([("dog", LEFT), ("brown dog", RIGHT), ("person in a blue jacket", TOP)])
    found = [Detection("dog", RIGHT), Detection("dog", LEFT), Detection("brown dog", RIGHT)]
    assert value(reasoning_image(white, chain, found)) == pytest.approx(2 / 3)
    assert value(reasoning_image(white, chain, [Detection("brown dog", LEFT)])) == 0.0
    # An object takes only what was found under its own name.
    assert value(reasoning_image(white, chain, [Detection("dog", RIGHT)])) == 0.0


def test_what_the_judge_says_of_itself_and_of_its_cost():
    judge = build(Settings(grounder={"use": "shapes"}), Builder())
    assert judge.name == ReasoningImageJudge(judge.grounder).name == "reasoning_image[shapes]"
    assert ReasoningImageJudge(ScriptedGrounder([])).model_calls == 5
    of_matching = [ReasoningImageJudge(judge.grounder, how).fingerprint for how in ("assigned", "paper")]
    assert of_matching[0] == judge.fingerprint != of_matching[1]
    assert judge.fingerprint != ReasoningImageJudge(ScriptedGrounder([])).fingerprint
    assert (judge.range, judge.may_not_apply, judge.looks_at) == ((0.0, 1.0), False, "grounding")


def test_equal_names_are_asked_once(white: Path):
    grounder = ScriptedGrounder([])
    chain = write_chain([("cat", LEFT), ("cat", RIGHT), ("dog", TOP)])
    ReasoningImageJudge(grounder).judge([Sample(id="s", prompt="p", chain=chain, image=white)])
    assert grounder.asked == [["cat", "dog"]]


def test_an_object_without_a_readable_box_counts_zero(white: Path):
    chain = write_chain([("cat", LEFT)]).replace("<begin_of_image>", f" {OBJ_START}dog{OBJ_END}<begin_of_image>")
    outcome = reasoning_image(white, chain, [Detection("cat", LEFT), Detection("dog", LEFT)])
    assert isinstance(outcome, Score)
    assert outcome.value == 0.5
    assert outcome.note == "1 of 2 planned objects without a readable box"


def test_reasoning_image_without_input_keeps_the_order(white: Path, tmp_path: Path):
    chain = write_chain([("cat", LEFT)])
    samples = [
        Sample(id="1", prompt="p", chain=chain),
        Sample(id="2", prompt="p", chain=chain, image=white),
        Sample(id="3", prompt="p", image=white),
        Sample(id="4", prompt="p", chain="nothing", image=white),
        Sample(id="5", prompt="p", chain=chain, image=tmp_path / "none.png"),
    ]
    outcomes = ReasoningImageJudge(ScriptedGrounder([Detection("cat", LEFT)])).judge(samples)
    assert [o.value if isinstance(o, Score) else o.why for o in outcomes] == [
        Why.NO_INPUT,
        1.0,
        Why.NO_INPUT,
        0.0,
        Why.NO_INPUT,
    ]


def test_an_unreadable_grounder_leaves_the_sample_unscored(white: Path):
    unreadable = Unscored(why=Why.UNREADABLE, detail="prose")
    judge = ReasoningImageJudge(ScriptedGrounder(unreadable))
    sample = Sample(id="s", prompt="p", chain=write_chain([("cat", LEFT)]), image=white)
    assert judge.judge([sample]) == [unreadable]


def test_the_name_says_who_grounds_and_how():
    builder = Builder()
    spec = {"use": "reasoning_image", "grounder": "shapes"}
    assert builder.judge(spec).name == "reasoning_image[shapes]"
    paper = builder.judge({**spec, "matching": "paper"})
    assert paper.name == "reasoning_image[shapes,paper]"
    assert paper.fingerprint != builder.judge(spec).fingerprint
    assert builder.judge(spec) is builder.judge(dict(spec))


def shapes_outcomes(tmp_path: Path, prompt: str, *faults: Fault, seed: int = 0) -> dict[str, Outcome]:
    statement = read_prompt(prompt)
    assert statement is not None
    scene = scene_for(statement, random.Random(seed), frozenset(faults))
    draw_scene(scene).save(tmp_path / "scene.png")
    sample = Sample(id="s", prompt=prompt, chain=write_scene_chain(scene, statement), image=tmp_path / "scene.png")
    rewards = Builder().reward_set("shapes")
    outcomes = {factor: judge.judge([sample])[0] for factor, judge in rewards.judges.items()}
    assert rewards.total is not None
    return outcomes | {"total": rewards.total.combine(outcomes)}


@pytest.mark.slow
@pytest.mark.parametrize("category", CATEGORIES)
def test_a_faithful_scene_gets_full_marks(tmp_path: Path, category: str):
    for prompt in prompts(category, "val")[:5]:
        outcomes = shapes_outcomes(tmp_path, prompt)
        for factor in ("semantic", "reasoning_image", "prompt_image"):
            assert value(outcomes[factor]) >= 0.94, (prompt, factor, outcomes[factor])
        assert value(outcomes["total"]) > 0.8


@pytest.mark.slow
def test_each_fault_costs_where_it_should(tmp_path: Path):
    prompt = "a red circle on the left of a blue square"
    sound = shapes_outcomes(tmp_path, prompt)
    missing = shapes_outcomes(tmp_path, prompt, Fault.MISSING)
    altered = shapes_outcomes(tmp_path, prompt, Fault.ATTRIBUTE)
    turned = [shapes_outcomes(tmp_path, prompt, Fault.RELATION, seed=seed) for seed in range(8)]
    assert isinstance(missing["semantic"], Score)
    assert missing["semantic"].parts["completeness"] == 5
    assert value(missing["prompt_image"]) <= 0.4
    assert isinstance(altered["semantic"], Score)
    assert altered["semantic"].parts["faithfulness"] == 5
    assert value(altered["prompt_image"]) < 0.4 < value(sound["prompt_image"])
    assert min(value(outcomes["spatial"]) for outcomes in turned) < 0.5
    assert all(value(outcomes["semantic"]) == 1.0 for outcomes in turned)
    assert all(value(outcomes["total"]) < value(sound["total"]) for outcomes in (missing, altered))


def test_a_chain_that_contradicts_the_prompt_is_unfaithful(tmp_path: Path):
    chain = write_scene_chain(
        scene_for(statement := read_prompt("a red circle above a blue square"), random.Random(0)),
        statement,  # type: ignore[arg-type]
    )
    judge = Builder().judge({"use": "shapes_semantic"})
    for prompt, faithfulness in (
        ("a red circle above a blue square", 10),
        ("a red circle below a blue square", 5),
        ("a blue square below a red circle", 10),
        ("a blue square above a red circle", 5),
    ):
        (outcome,) = judge.judge([Sample(id="s", prompt=prompt, chain=chain)])
        assert isinstance(outcome, Score)
        assert outcome.parts["faithfulness"] == faithfulness, prompt


def test_prompts_of_another_world_are_not_scored():
    for name in ("shapes_semantic", "shapes_prompt_image"):
        (outcome,) = Builder().judge({"use": name}).judge([Sample(id="s", prompt="a cat", chain="a cat")])
        assert isinstance(outcome, Unscored)
        assert outcome.why is Why.NO_INPUT


def test_reward_sets_by_name_file_and_list(tmp_path: Path):
    assert set(read_reward_set("shapes").judges) == {"semantic", "spatial", "reasoning_image", "prompt_image"}
    assert read_reward_set("geometric, shapes_semantic").total is None
    file = tmp_path / "mine.toml"
    file.write_text('[judges]\nspatial = "geometric"\n[totl]\n')
    with pytest.raises(UsageError, match=r"mine\.toml: unknown setting 'totl'; did you mean 'total'"):
        read_reward_set(str(file))
    with pytest.raises(UsageError, match="separated by commas"):
        read_reward_set("geometric,,x")


def test_chains_without_one_readable_plan_are_refused_with_the_notations():
    judges = {"layout": GeometricJudge()}
    unreadable = [Sample(id=str(number), prompt="p", chain="cat at x=1, y=2") for number in range(3)]
    with pytest.raises(DataError, match=r"^m\.csv: none of its 3 chains holds a readable plan, for which layout would"):
        refuse_without_plan(unreadable, judges, "m.csv")
    readable = Sample(id="4", prompt="p", chain=write_chain([("cat", LEFT)]))
    refuse_without_plan([*unreadable, readable], judges, "m.csv")
    refuse_without_plan([Sample(id="5", prompt="p")], judges, "m.csv")
    refuse_without_plan(unreadable, {}, "m.csv")
