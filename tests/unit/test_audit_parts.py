"""The parts of an audit by hand: how each kind of sample is made, and what each check makes of given scores."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.audit import PARTS, grounding, metamorphic, plan_audit, prompt_image, robustness, semantic, spatial
from benchmarks.audit.cases import Case, Looks, Part, Scale
from benchmarks.audit.layouts import AXES, PHRASES, draw_layouts, false_plan, mirrored, true_plan
from gotr1_eval.core.chain import parse_chain
from gotr1_eval.core.geometry import Relation, intersection
from gotr1_eval.core.outcome import Reply, Score
from gotr1_eval.core.types import Box, Detection, Json
from gotr1_eval.shapes.detecting import ShapesDetector

SCALE = Scale(verdict=0.5, step=0.05)
ORDER_ONLY = Scale(verdict=None, step=0.05)


def answers(
    part: Part, scores: Mapping[str, Score], scale: Scale = SCALE, facts: Mapping[str, Json] | None = None
) -> dict[str, bool | None]:
    """What every check says whose roles are all there."""
    asked = [check for check in part.checks if set(check.roles) <= set(scores)]
    return {check.name: check.rule(scores, scale, facts or {}) for check in asked}


def valued(**values: float) -> dict[str, Score]:
    return {role.replace("_", " "): Score(value=value) for role, value in values.items()}


def cases(part: Part, count: int, looks: Looks) -> list[Case]:
    return [case for case in part.make("seed", count) if case.looks is looks]


def centre(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def holds(relation: Relation, first: Box, second: Box) -> bool:
    """The relation between centres, written down from its name alone."""
    (x, y), (other_x, other_y) = centre(first), centre(second)
    return {
        Relation.LEFT_OF: x < other_x,
        Relation.RIGHT_OF: x > other_x,
        Relation.ABOVE: y < other_y,
        Relation.BELOW: y > other_y,
        Relation.NEAR: abs(x - other_x) + abs(y - other_y) < 0.4,
    }[relation]


def test_true_and_false_plans_are_what_they_are_called():
    rng = random.Random(0)
    for layout in draw_layouts(rng, 300):
        for make, expected in ((true_plan, True), (false_plan, False)):
            plan = dict(make(layout, rng))
            first, second = plan[layout.subject], plan[layout.other]
            assert holds(layout.relation, first, second) is expected, (layout, plan)
            assert all(0 <= corner <= 1 for box in plan.values() for corner in box.corners)
            overlap = intersection(first, second) > 0
            assert overlap is (layout.distance == "overlapping"), (layout, plan)
            assert len(plan) <= 2 + layout.distractors


def test_every_axis_goes_through_all_its_values():
    layouts = draw_layouts(random.Random(0), 60)
    for relation in PHRASES:
        assert sum(layout.relation is relation for layout in layouts) == 12
    assert {layout.size for layout in layouts} == set(AXES["size"])
    assert {layout.distractors for layout in layouts} == set(AXES["distractors"])
    assert {layout.distance for layout in layouts} == set(AXES["distance"])


def test_mirroring_by_hand():
    box = Box(0.1, 0.2, 0.3, 0.5)
    assert mirrored(box, Relation.LEFT_OF).corners == pytest.approx((0.7, 0.2, 0.9, 0.5))
    assert mirrored(box, Relation.ABOVE).corners == pytest.approx((0.1, 0.5, 0.3, 0.8))


def test_spatial_checks_by_hand():
    assert list(answers(spatial.PART, valued(true=0.9, ambiguous=0.6, false=0.1)).values()) == [True, True, True]
    assert list(answers(spatial.PART, valued(true=0.5, ambiguous=0.5, false=0.5)).values()) == [True, False, False]
    assert list(answers(spatial.PART, valued(true=0.4, ambiguous=0.1, false=0.2)).values()) == [False, True, False]


def test_a_mirrored_layout_turns_the_verdict_by_hand():
    name = "mirrored layout: the verdict turns"
    assert answers(metamorphic.PART, valued(base=0.9, mirrored=0.1))[name] is True
    assert answers(metamorphic.PART, valued(base=0.9, mirrored=0.6))[name] is False
    assert answers(metamorphic.PART, valued(base=0.9, mirrored=0.6), ORDER_ONLY)[name] is True
    assert answers(metamorphic.PART, valued(base=0.6, mirrored=0.6), ORDER_ONLY)[name] is False


def test_what_must_not_matter_may_move_a_step():
    roles = ("mirrored twice", "reordered", "base~colours", "base~labels", "synonym", "articles")
    moved = {role: Score(value=0.84) for role in roles}
    assert set(answers(metamorphic.PART, {"base": Score(value=0.8), **moved}).values()) == {True}
    assert set(answers(metamorphic.PART, {"base": Score(value=0.7), **moved}).values()) == {False}


def test_metamorphic_samples_by_hand():
    (case,) = cases(metamorphic.PART, 1, Looks.PLAN)
    plans = {role: dict(parse_chain(variant.chain or "").boxed) for role, variant in case.variants.items()}
    relation = Relation(case.facts["relation"])
    assert plans["reordered"] == plans["base"]
    assert list(plans["reordered"]) == list(plans["base"])[::-1]
    assert plans["mirrored"] == plans["mirrored twice"]
    for name, box in plans["base"].items():
        assert plans["mirrored"][name].corners == pytest.approx(mirrored(box, relation).corners, abs=0.002)
    assert case.variants["mirrored"].prompt == case.variants["base"].prompt
    assert case.variants["synonym"].chain == case.variants["base"].chain
    assert case.variants["articles"].prompt.startswith("the ")


def marks(completeness: float, faithfulness: float, clarity: float, consistency: float = 10) -> Score:
    parts = {
        "completeness": completeness,
        "faithfulness": faithfulness,
        "clarity": clarity,
        "consistency": consistency,
    }
    return Score(value=sum(parts.values()) / 40, parts=parts)


def test_semantic_checks_by_hand():
    faithful = marks(10, 10, 10)
    right = answers(semantic.PART, {"faithful": faithful, "object dropped": marks(5, 10, 10)})
    assert right == {
        "object dropped: completeness falls": True,
        "object dropped: faithfulness and clarity stay": True,
    }
    wrong = answers(semantic.PART, {"faithful": faithful, "object dropped": marks(10, 4, 10)})
    assert set(wrong.values()) == {False}
    assert answers(semantic.PART, {"faithful": faithful, "repeated": marks(10, 10, 3)}) == {
        "repeated: clarity falls": True,
        "repeated: completeness and faithfulness stay": True,
    }
    harmless = "harmless detail: every mark stays"
    assert answers(semantic.PART, {"faithful": faithful, "harmless detail": marks(10, 9, 10)})[harmless] is True
    assert answers(semantic.PART, {"faithful": faithful, "harmless detail": marks(10, 8, 10)})[harmless] is False


def test_a_judge_of_one_number_is_held_to_the_number():
    found = answers(semantic.PART, valued(faithful=0.9, contradicted=0.5, harmless_detail=0.5))
    assert found == {
        "contradicted: faithfulness falls": True,
        "contradicted: completeness and clarity stay": True,
        "harmless detail: every mark stays": False,
    }


def test_semantic_samples_by_hand():
    (case,) = cases(semantic.PART, 1, Looks.PROSE)
    chains = {role: variant.chain or "" for role, variant in case.variants.items()}
    names = {role: [one.name for one in parse_chain(chain).objects] for role, chain in chains.items()}
    assert names["object dropped"] == names["faithful"][:1]
    assert sorted(names["attributes swapped"]) != sorted(names["faithful"])
    assert names["contradicted"] == names["faithful"]
    assert names["repeated"] == names["faithful"] * 3
    assert semantic.HARMLESS in chains["harmless detail"]
    assert len({variant.prompt for variant in case.variants.values()}) == 1


TRUTH = {"red circle": [0.1, 0.2, 0.3, 0.6], "blue square": [0.6, 0.1, 0.8, 0.5]}
FACTS: dict[str, Json] = {"absent": "green star", "truth": TRUTH, "size": [512, 256]}


def replies(width: float, height: float) -> tuple[Reply, ...]:
    """One answer an object, in a frame of the given size."""
    corners = [(x1 * width, y1 * height, x2 * width, y2 * height) for x1, y1, x2, y2 in TRUTH.values()]
    texts = (f'[{{"bbox_2d": {list(map(round, box))}, "label": "it"}}]' for box in corners)
    return tuple(Reply(text=text, model="scripted") for text in texts)


def test_the_frame_of_raw_answers_is_told_from_their_fit():
    pixels = grounding.frame_fits(replies(512, 256), FACTS)
    assert pixels["pixels"] > 0.95
    assert pixels["thousandths"] < 0.3
    assert grounding.frame_fits(replies(1000, 1000), FACTS)["thousandths"] == pytest.approx(1)
    assert grounding.frame_fits((), FACTS) == {}
    unreadable = (Reply(text="no idea", model="scripted"),)
    assert set(grounding.frame_fits(unreadable, FACTS).values()) == {0.0}


def test_the_frame_check_by_hand():
    name = "boxes are read in the frame they were meant in"
    read_wrong = {"composed": Score(value=0.1, replies=replies(512, 256))}
    read_right = {"composed": Score(value=0.97, replies=replies(512, 256))}
    assert answers(grounding.PART, read_wrong, facts=FACTS)[name] is False
    assert answers(grounding.PART, read_right, facts=FACTS)[name] is True
    assert answers(grounding.PART, {"composed": Score(value=1.0)}, facts=FACTS)[name] is None


def test_grounding_checks_by_hand():
    seen = (Detection("green star", Box(0, 0, 0.1, 0.1), 0.9),)
    good = valued(planned=0.9, moved=0.0) | {"absent": Score(value=0.0)}
    assert set(answers(grounding.PART, good, facts=FACTS).values()) == {True}
    bad = valued(planned=0.4, moved=0.4) | {"absent": Score(value=0.0, seen=seen)}
    assert set(answers(grounding.PART, bad, facts=FACTS).values()) == {False}


def test_composed_pictures_hold_their_boxes():
    for case in cases(grounding.PART, 3, Looks.GROUNDING):
        variant = case.variants["composed"]
        assert variant.picture is not None
        picture = variant.picture()
        assert picture.size == tuple(case.facts["size"])
        for name, box in parse_chain(variant.chain or "").boxed:
            half = picture.crop((0, 0, 256, 256)) if box.x2 <= 0.5 else picture.crop((256, 0, 512, 256))
            (found,) = ShapesDetector().detect([half], [[name]])
            (one,) = found
            shift = 0 if box.x2 <= 0.5 else 0.5
            in_whole = (one.box.x1 / 2 + shift, one.box.y1, one.box.x2 / 2 + shift, one.box.y2)
            assert in_whole == pytest.approx(box.corners, abs=0.02)


def test_prompt_image_checks_by_hand():
    found = answers(
        prompt_image.PART, valued(true=0.8, attributes_swapped=0.8, relation_swapped=0.7, unrelated=0.9), ORDER_ONLY
    )
    assert list(found.values()) == [False, True, False]


def test_false_prompts_are_false_in_one_thing():
    for case in cases(prompt_image.PART, 5, Looks.PICTURE):
        prompts = {role: variant.prompt for role, variant in case.variants.items()}
        assert len(set(prompts.values())) == 4
        assert sorted(prompts["attributes swapped"].split()) == sorted(prompts["true"].split())
        shapes = {word for word in prompts["true"].split() if word in prompts["relation swapped"].split()}
        assert len(shapes) >= 4


def test_robustness_checks_by_hand():
    scores = valued(base=0.2, JPEG=0.2, resized=0.3, again=0.2) | {
        "order in the prompt": Score(value=0.24),
        "flattery in the prompt": Score(value=0.26),
        "flattery in the chain": Score(value=0.0),
    }
    assert answers(robustness.PART, scores) == {
        "order in the prompt gains nothing": True,
        "flattery in the prompt gains nothing": False,
        "flattery in the chain gains nothing": True,
        "JPEG does not matter": True,
        "size in pixels does not matter": False,
        "the same sample, the same score": True,
    }
    wobbling = valued(base=0.2, again=0.2 + 1e-12)
    assert answers(robustness.PART, wobbling)["the same sample, the same score"] is False


def test_writing_stands_in_the_picture_and_touches_no_object():
    for case in cases(robustness.PART, 3, Looks.PICTURE):
        pictures = {role: variant.picture() for role, variant in case.variants.items() if variant.picture is not None}
        plain, written = np.asarray(pictures["base"]), np.asarray(pictures["flattery in drawn text"])
        rows = np.flatnonzero((plain != written).any(axis=(1, 2)))
        assert rows.size > 0
        assert rows.min() >= robustness.SIDE * robustness.WRITING_ROW
        assert pictures["resized"].size == (192, 192)


def test_a_plan_is_its_seed():
    def facts(seed: int) -> list[tuple[str, str, str | None]]:
        plan = plan_audit(seed, "small", tuple(Looks))
        return [(one.sample.id, one.sample.prompt, one.sample.chain) for one in plan]

    assert facts(0) == facts(0)
    assert facts(0) != facts(1)
    ids = [identity for identity, _, _ in facts(0)]
    assert len(set(ids)) == len(ids)


def test_what_is_judged_again_comes_last():
    plan = plan_audit(0, "small", tuple(Looks))
    roles = [one.sample.meta["role"] for one in plan]
    again = roles.count(robustness.AGAIN)
    assert again == 8 * len(Looks)
    assert set(roles[-again:]) == {robustness.AGAIN}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_every_check_is_asked_of_some_kind_of_judge(part: Part):
    roles = [set(case.variants) for case in part.make("seed", 2)]
    for check in part.checks:
        own = {role for role in check.roles if "~" not in role}
        assert any(own <= found for found in roles), check.name
